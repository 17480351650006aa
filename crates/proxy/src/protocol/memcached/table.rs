//! What becomes of each statistic where several servers have it.

/// How the values of one name become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Counters, and sizes.
    Sum,
    /// The same of seconds with six decimals.
    SumOfSeconds,
    /// The least of all.
    Least,
    /// The largest of all.
    Most,
    /// The oldest version.
    Oldest,
    /// What all of them say; nothing if they do not say the same.
    Alike,
    /// The proxy's own process.
    Pid,
    /// The proxy's own time.
    Time,
}

/// The rule for one of the names of `stats`, as memcached 1.6 has them; `None` for others, which nobody here
/// knows how to join.
pub(super) fn rule(name: &[u8]) -> Option<Rule> {
    Some(match name {
        b"pid" => Rule::Pid,
        b"time" => Rule::Time,
        b"version" => Rule::Oldest,
        b"uptime" | b"threads" | b"accepting_conns" => Rule::Least,
        b"hash_is_expanding" | b"slab_reassign_running" | b"lru_crawler_running" => Rule::Most,
        b"libevent" | b"pointer_size" => Rule::Alike,
        b"rusage_user" | b"rusage_system" => Rule::SumOfSeconds,
        _ if is_counter(name) => Rule::Sum,
        _ => return None,
    })
}

/// The rule for a name of `stats items`, `stats slabs` or `stats sizes`, which may have a class before it
/// (`items:1:number`, `1:used_chunks`). What a class is depends on the server's settings, so that its sizes are
/// only told where all say the same.
pub(super) fn rule_in_class(name: &[u8]) -> Option<Rule> {
    let last = name.rsplit(|byte| *byte == b':').next().unwrap_or_default();
    Some(match last {
        b"age" | b"age_hot" | b"age_warm" | b"evicted_time" | b"active_slabs" => Rule::Most,
        b"chunk_size" | b"chunks_per_page" | b"sizes_status" | b"sizes_error" => Rule::Alike,
        b"number" | b"number_hot" | b"number_warm" | b"number_cold" | b"number_temp"
        | b"mem_requested" | b"evicted" | b"evicted_nonzero" | b"outofmemory" | b"tailrepairs"
        | b"hits_to_hot" | b"hits_to_warm" | b"hits_to_cold" | b"hits_to_temp" | b"total_pages"
        | b"total_chunks" | b"used_chunks" | b"free_chunks" | b"free_chunks_end"
        | b"total_malloced" => Rule::Sum,
        // Of `stats sizes`: items of at most this size.
        size if !size.is_empty() && size.iter().all(u8::is_ascii_digit) => Rule::Sum,
        _ if is_counter(last) => Rule::Sum,
        _ => return None,
    })
}

fn is_counter(name: &[u8]) -> bool {
    let first = name.split(|byte| *byte == b'_').next().unwrap_or_default();
    match first {
        // Requests by command and outcome, what became of items, and the log.
        b"cmd" | b"get" | b"delete" | b"incr" | b"decr" | b"cas" | b"touch" | b"store"
        | b"auth" | b"crawler" | b"log" | b"moves" | b"evicted" | b"expired" | b"reclaimed"
        | b"evictions" => true,
        // Items and pages on disk.
        b"extstore" => name != b"extstore_page_size",
        _ => OTHERS.contains(&name),
    }
}

/// Counters and sizes that are not known by their first word.
#[rustfmt::skip]
const OTHERS: &[&[u8]] = &[
    b"max_connections", b"curr_connections", b"total_connections", b"rejected_connections",
    b"connection_structures", b"listen_disabled_num", b"time_in_listen_disabled_us", b"conn_yields",
    b"idle_kicks", b"reserved_fds", b"round_robin_fallback", b"unexpected_napi_ids",
    b"response_obj_oom", b"response_obj_count", b"response_obj_bytes",
    b"read_buf_count", b"read_buf_bytes", b"read_buf_bytes_free", b"read_buf_oom",
    b"bytes", b"bytes_read", b"bytes_written", b"limit_maxbytes", b"hash_bytes", b"malloc_fails",
    b"curr_items", b"total_items", b"slab_global_page_pool", b"slabs_moved",
    b"slab_reassign_rescues", b"slab_reassign_chunk_rescues", b"slab_reassign_evictions_nomem",
    b"slab_reassign_inline_reclaim", b"slab_reassign_busy_items", b"slab_reassign_busy_deletes",
    b"slab_reassign_busy_nomem", b"lru_crawler_starts", b"lru_maintainer_juggles",
    b"lrutail_reflocked", b"lru_bumps_dropped", b"direct_reclaims",
    b"miss_from_extstore", b"recache_from_extstore", b"badcrc_from_extstore",
    b"ssl_handshake_errors", b"ssl_proto_errors", b"ssl_new_sessions",
];

impl Rule {
    /// Joins the values; nothing if they are not what they should be. There is at least one.
    pub(super) fn join(self, values: &[&[u8]]) -> Option<Vec<u8>> {
        let numbers = || values.iter().map(|value| number(value));
        let joined = match self {
            Rule::Sum => {
                numbers().try_fold(0u64, |sum, number| Some(sum.saturating_add(number?)))?
            }
            Rule::Least => numbers().collect::<Option<Vec<_>>>()?.into_iter().min()?,
            Rule::Most => numbers().collect::<Option<Vec<_>>>()?.into_iter().max()?,
            Rule::SumOfSeconds => return sum_of_seconds(values),
            Rule::Oldest => {
                let oldest = values.iter().min_by_key(|version| numbers_in(version))?;
                return Some(oldest.to_vec());
            }
            Rule::Alike => {
                let first = values.first()?;
                let is_same = values.iter().all(|value| value == first);
                return is_same.then(|| first.to_vec());
            }
            // Not for the servers to say.
            Rule::Pid | Rule::Time => return None,
        };
        Some(joined.to_string().into_bytes())
    }
}

fn number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn sum_of_seconds(values: &[&[u8]]) -> Option<Vec<u8>> {
    let micros = values.iter().try_fold(0u64, |sum, value| {
        let point = value.iter().position(|byte| *byte == b'.')?;
        let (seconds, micros) = (number(&value[..point])?, number(&value[point + 1..])?);
        let is_micros = value.len() - point == 7;
        let all = seconds.saturating_mul(1_000_000).saturating_add(micros);
        is_micros.then(|| sum.saturating_add(all))
    })?;
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    Some(format!("{seconds}.{micros:06}").into_bytes())
}

/// The numbers of a version (`1.6.18`), to be compared.
fn numbers_in(version: &[u8]) -> Vec<u64> {
    let parts = version.split(|byte| !byte.is_ascii_digit());
    parts.filter_map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_makes_one_value_of_several() {
        let join = |rule: Rule, values: &[&str]| {
            let values: Vec<_> = values.iter().map(|value| value.as_bytes()).collect();
            let joined = rule.join(&values);
            joined.map(|joined| String::from_utf8(joined).expect("text"))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(join(Rule::Sum, &["1", "2", "40"]), some("43"));
        let most = u64::MAX.to_string();
        assert_eq!(join(Rule::Sum, &[&most, "1"]), some(&most));
        assert_eq!(join(Rule::Sum, &["1", "-1"]), None);
        assert_eq!(join(Rule::Least, &["9", "10"]), some("9"));
        assert_eq!(join(Rule::Most, &["9", "10"]), some("10"));
        assert_eq!(
            join(Rule::Oldest, &["1.6.18", "1.6.9", "1.10.0"]),
            some("1.6.9")
        );
        assert_eq!(
            join(Rule::SumOfSeconds, &["0.900000", "1.100001"]),
            some("2.000001")
        );
        assert_eq!(join(Rule::SumOfSeconds, &["0.9"]), None);
        assert_eq!(join(Rule::Alike, &["64", "64"]), some("64"));
        assert_eq!(join(Rule::Alike, &["64", "32"]), None);
        assert_eq!(join(Rule::Pid, &["1"]), None);
    }

    #[test]
    fn names_of_classes_are_known_by_their_last_part() {
        assert_eq!(rule_in_class(b"items:12:number"), Some(Rule::Sum));
        assert_eq!(rule_in_class(b"items:12:age"), Some(Rule::Most));
        assert_eq!(rule_in_class(b"12:get_hits"), Some(Rule::Sum));
        assert_eq!(rule_in_class(b"12:chunk_size"), Some(Rule::Alike));
        assert_eq!(rule_in_class(b"96"), Some(Rule::Sum));
        assert_eq!(rule_in_class(b"12:never_heard_of"), None);
        assert_eq!(rule(b"hash_power_level"), None);
    }
}
