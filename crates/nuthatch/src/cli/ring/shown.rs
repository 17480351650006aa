//! What `ring diff` prints: a text, or one JSON object that is written as keys are read.

use std::fmt::Write as _;
use std::io::{self, Write};

use hashkit::Peculiar;
use serde_json::{Value, json};

use super::change::{Change, Kept};
use super::keys::{Count, Moved as MovedKey};
use crate::cli::invocation::RingDiffOptions;
use crate::config::PoolConfig;
use crate::logger::escape;
use crate::ring_diff::{Moved, Placed, RingDiff, ServerShare};

/// The most moves between servers that the text lists of a pool; JSON has all of them.
const MOVES_SHOWN: usize = 20;

/// Writes what is known before any key is read.
pub(super) fn begin(changes: &[Change<'_>], json: bool, out: &mut dyn Write) -> io::Result<()> {
    if !json {
        let text: String = changes.iter().map(plain).collect();
        return out.write_all(escape::lines(&text).as_bytes());
    }
    let pools: Vec<Value> = changes.iter().map(json_of).collect();
    let text = format!("{{\n\"pools\": {},\n\"keys\": [", pretty(&pools.into()));
    out.write_all(escape::json(&text).as_bytes())
}

/// Writes a key that moves.
pub(super) fn key(
    moved: &MovedKey<'_>,
    is_first: bool,
    json: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let MovedKey {
        pool,
        key,
        from,
        to,
    } = moved;
    if !json {
        let line = format!("{pool}: {}: {from} -> {to}\n", key.escape_ascii());
        return out.write_all(escape::lines(&line).as_bytes());
    }
    let mut value =
        json!({"pool": pool, "key": String::from_utf8_lossy(key), "from": from, "to": to});
    if std::str::from_utf8(key).is_err() {
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        value["key_hex"] = hex.into();
    }
    let comma = if is_first { "" } else { "," };
    let text = format!("{comma}\n{value}");
    out.write_all(escape::json(&text).as_bytes())
}

/// Writes what is known when all keys were read.
pub(super) fn end(
    counts: &[Count],
    exceeded: bool,
    options: &RingDiffOptions,
    out: &mut dyn Write,
) -> io::Result<()> {
    if options.json {
        let count = |it: &Count| json!({"pool": it.pool, "keys": it.keys, "moved": it.moved});
        let counts: Vec<Value> = counts.iter().map(count).collect();
        let text = format!(
            "\n],\n\"counts\": {},\n\"max_move\": {},\n\"exceeded\": {exceeded}\n}}\n",
            pretty(&counts.into()),
            json!(options.max_move)
        );
        return out.write_all(escape::json(&text).as_bytes());
    }
    let mut text = String::new();
    for Count { pool, keys, moved } in counts {
        let _ = writeln!(text, "pool {pool}: {moved} of {keys} keys move");
    }
    if let Some(limit) = options.max_move.filter(|_| exceeded) {
        let _ = writeln!(text, "more than {limit}% of a pool moves");
    }
    out.write_all(escape::lines(&text).as_bytes())
}

fn plain(change: &Change<'_>) -> String {
    let kept = match change {
        Change::Kept(kept) => kept,
        Change::Added(pool) => return format!("pool {}: added\n", pool.settings.name),
        Change::Removed(pool) => return format!("pool {}: removed\n", pool.settings.name),
    };
    let mut text = format!("pool {}: {}\n", kept.new.settings.name, headline(kept));
    if let Some(name) = renamed_from(kept) {
        let _ = writeln!(text, "  it was called {name}");
    }
    for (keys, share) in &kept.diff.peculiar {
        let keys = match keys {
            Peculiar::Tagged => "keys with a hash tag",
            Peculiar::HighBytes => "keys with bytes of 0x80 and above",
        };
        let _ = writeln!(text, "  {keys}: {} of them move (sample)", percent(*share));
    }
    if !is_unchanged(kept) {
        servers(&mut text, &kept.diff.servers);
        let (before, after) = kept.diff.balance;
        let _ = writeln!(
            text,
            "  most loaded server: {before:.2} times what its weight stands for before, {after:.2} after"
        );
        moves(&mut text, &kept.diff);
    }
    text
}

fn headline(kept: &Kept<'_>) -> String {
    match kept.diff.moved {
        Moved::Exact(0.0) if is_unchanged(kept) => "no key moves".into(),
        Moved::Exact(share) => format!("{} of the keys move", percent(share)),
        Moved::Sample(share, keys) => format!(
            "{} of the keys move (of a sample of {keys} generated keys)",
            percent(share)
        ),
        Moved::NoPlaces { before, after } => format!(
            "keys have no server of their own {} (distribution: random)",
            match (before, after) {
                (true, true) => "before and after",
                (true, false) => "before",
                (false, _) => "after",
            }
        ),
    }
}

/// Whether there is nothing more to say of a pool.
fn is_unchanged(kept: &Kept<'_>) -> bool {
    let same = |it: &ServerShare| it.before.is_some() && it.before == it.after;
    let (before, after) = (true, true);
    let is_still = match kept.diff.moved {
        Moved::NoPlaces { .. } => kept.diff.moved == Moved::NoPlaces { before, after },
        Moved::Exact(_) | Moved::Sample(..) => kept.diff.worst() == Some(0.0),
    };
    is_still && kept.diff.servers.iter().all(same)
}

fn renamed_from<'c>(kept: &Kept<'c>) -> Option<&'c str> {
    let name = |pool: &'c PoolConfig| pool.settings.name.as_str();
    Some(name(kept.old)).filter(|old| *old != name(kept.new))
}

/// A table of the servers.
fn servers(text: &mut String, servers: &[ServerShare]) {
    let now = |it: &ServerShare| {
        let placed = it.after.as_ref().or(it.before.as_ref());
        placed.map_or_else(Default::default, |it| (it.name.clone(), it.address.clone()))
    };
    let width = |of: fn((String, String)) -> String, least: usize| {
        let widths = servers.iter().map(|it| of(now(it)).chars().count());
        widths.fold(least, usize::max)
    };
    let (name_width, address_width) = (width(|it| it.0, 6), width(|it| it.1, 7));
    let mut row = |name: &str, address: &str, before: &str, after: &str, remark: &str| {
        let line = format!(
            "  {name:<name_width$}  {address:<address_width$}  {before:>7}  {after:>7}  {remark}"
        );
        let _ = writeln!(text, "{}", line.trim_end());
    };
    row("server", "address", "before", "after", "");
    for server in servers {
        let (name, address) = now(server);
        let share = |placed: &Option<Placed>| match placed {
            Some(placed) => percent(placed.share),
            None => "-".into(),
        };
        let (before, after) = (share(&server.before), share(&server.after));
        row(&name, &address, &before, &after, &remark(server));
    }
}

fn remark(server: &ServerShare) -> String {
    match (&server.before, &server.after) {
        (None, _) => "added".into(),
        (_, None) => "removed".into(),
        (Some(before), Some(after)) if before.name != after.name => {
            format!("its name was {}", before.name)
        }
        (Some(before), Some(after)) if before.address != after.address => {
            format!("its address was {}", before.address)
        }
        _ => String::new(),
    }
}

fn moves(text: &mut String, diff: &RingDiff) {
    if !diff.moves.is_empty() {
        text.push_str("  moves:\n");
    }
    for it in diff.moves.iter().take(MOVES_SHOWN) {
        let _ = writeln!(
            text,
            "    {:>7}  {} -> {}",
            percent(it.share),
            it.from,
            it.to
        );
    }
    let hidden = diff.moves.iter().skip(MOVES_SHOWN);
    let hidden = hidden.map(|it| it.share).sum::<f64>() + diff.unlisted;
    if hidden > 0.0 {
        let _ = writeln!(text, "    {:>7}  between other servers", percent(hidden));
    }
}

/// A share of 0 to 1 in percent. What is not 0 is not shown as 0.
fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent > 0.0 && percent < 0.005 => "<0.01%".into(),
        percent => format!("{percent:.2}%"),
    }
}

fn json_of(change: &Change<'_>) -> Value {
    let named =
        |pool: &PoolConfig, change: &str| json!({"pool": pool.settings.name, "change": change});
    let kept = match change {
        Change::Kept(kept) => kept,
        Change::Added(pool) => return named(pool, "added"),
        Change::Removed(pool) => return named(pool, "removed"),
    };
    let change = match is_unchanged(kept) {
        true => "none",
        false => "changed",
    };
    let diff = &kept.diff;
    let mut value = named(kept.new, change);
    if let Some(name) = renamed_from(kept) {
        value["pool_before"] = name.into();
    }
    let (basis, moved) = match diff.moved {
        Moved::Exact(share) => ("hashes", Some(share)),
        Moved::Sample(share, keys) => {
            value["sampled_keys"] = keys.into();
            ("sample", Some(share))
        }
        Moved::NoPlaces { .. } => ("random", None),
    };
    value["basis"] = basis.into();
    value["moved"] = moved.into();
    for (keys, share) in &diff.peculiar {
        let name = match keys {
            Peculiar::Tagged => "moved_tagged",
            Peculiar::HighBytes => "moved_high_bytes",
        };
        value[name] = (*share).into();
    }
    value["balance"] = json!({"before": diff.balance.0, "after": diff.balance.1});
    value["servers"] = diff.servers.iter().map(json_server).collect();
    let json_move =
        |it: &crate::ring_diff::Move| json!({"from": it.from, "to": it.to, "share": it.share});
    value["moves"] = diff.moves.iter().map(json_move).collect();
    value["unlisted"] = diff.unlisted.into();
    value["exceeded"] = kept.exceeds.into();
    value
}

fn json_server(server: &ServerShare) -> Value {
    let placed = |it: &Placed| json!({"name": it.name, "address": it.address, "share": it.share});
    let placed = |it: &Option<Placed>| it.as_ref().map_or(Value::Null, placed);
    json!({"before": placed(&server.before), "after": placed(&server.after)})
}

fn pretty(value: &Value) -> String {
    // Values of this type can always be written.
    serde_json::to_string_pretty(value).unwrap_or_default()
}
