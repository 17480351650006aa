//! `stats`: what is asked of the servers, and how their statistics become one table that clients can read, which
//! know of one server only.

use std::collections::HashMap;
use std::ops::Range;

use memcached_proto::encode;
use memcached_proto::response::{LineKind, ReplyKind};

use super::join::{failed, is_answered, is_line};
use super::table::{self, Rule};
use crate::flow::buffer::Rope;
use crate::protocol::decision::{JoinKind, Route, Statistics};
use crate::protocol::fanout::About;
use crate::protocol::pending_join::{Fragment, JoinOutcome, PendingJoin};

/// What becomes of a `stats` request.
pub(super) struct Asked {
    pub(super) route: Route,
    /// The part of its text that servers do not get.
    pub(super) left_out: Option<Range<usize>>,
}

/// What a client may ask of `stats` beyond the counters.
#[derive(Clone, Copy)]
pub(super) struct Permissions {
    /// What locks or slows down a server, or shows the keys and addresses of others.
    pub(super) administer: bool,
    /// `stats reset`.
    pub(super) reset: bool,
    /// The pool has one server, as refusals tell.
    pub(super) has_one_server: bool,
}

/// Plans a `stats` request by its first argument. `stats servers [ARGUMENT]` asks for the same as `stats
/// [ARGUMENT]`, server by server. Arguments that are not known are refused: what servers answer to them need not
/// end as statistics do (as with `sizes_enable`), and would put a shared connection out of step.
pub(super) fn plan(text: &[u8], may: Permissions, refusal: &mut Vec<u8>) -> Asked {
    let mut words = words(text).skip(1).peekable();
    let left_out = words.next_if(|range| &text[range.clone()] == b"servers");
    let mut next = || words.next().map_or(&b""[..], |range| &text[range]);
    let first = next();
    let is_admin = matches!(first, b"sizes" | b"conns" | b"cachedump" | b"detail");
    if is_admin && !may.administer {
        let name = String::from_utf8_lossy(first);
        encode::client_error(refusal, &format!("stats {name} {NO_ADMIN}"));
        return refused();
    }
    let form = match first {
        b"" => Statistics::Totals,
        b"items" | b"slabs" | b"sizes" => Statistics::Classes,
        b"settings" => Statistics::Alike,
        b"conns" | b"extstore" | b"cachedump" => Statistics::Apart,
        b"detail" if next() == b"dump" => Statistics::Prefixes,
        b"detail" => {
            let route = Route::Broadcast { join: JoinKind::Ok };
            return Asked { route, left_out };
        }
        b"reset" if may.reset => Statistics::Reset,
        b"reset" => {
            let whose = match may.has_one_server {
                true => "the server's counters",
                false => "the counters of every server of the pool",
            };
            let error = format!("stats reset not allowed: it resets {whose}; {ALLOW_RESET}");
            encode::client_error(refusal, &error);
            return refused();
        }
        _ => {
            encode::error(refusal, UNKNOWN);
            return refused();
        }
    };
    let form = match (form, &left_out) {
        (Statistics::Reset, _) | (_, None) => form,
        (_, Some(_)) => Statistics::Named,
    };
    let join = JoinKind::Stats(form);
    Asked {
        route: Route::Broadcast { join },
        left_out,
    }
}

const ALLOW_RESET: &str = "to allow it set admin_commands: true (or allow_flush: true) in the pool";
const NO_ADMIN: &str = "not allowed: it is for who administers the servers; to allow it set admin_commands: true in the pool";
/// Short: memccapable reads lines of up to 80 bytes.
const UNKNOWN: &str = "unsupported argument of 'stats'";

fn refused() -> Asked {
    Asked {
        route: Route::Local,
        left_out: None,
    }
}

/// A word of the line, the command being word 0.
pub(super) fn word(text: &[u8], index: usize) -> Option<&[u8]> {
    words(text).nth(index).map(|range| &text[range])
}

/// Where the words of the line are.
fn words(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let line = text.iter().take_while(|byte| !b"\r\n".contains(byte));
    let len = line.count();
    let starts = (0..len).filter(|at| text[*at] != b' ' && (*at == 0 || text[at - 1] == b' '));
    starts.map(move |start| {
        let word = text[start..len].iter().position(|byte| *byte == b' ');
        start..word.map_or(len, |word| start + word)
    })
}

/// Joins what the servers have answered. Those that have not are left out, unless all have failed. What one
/// server alone says is passed on as it is.
pub(super) fn join(
    join: &mut PendingJoin<ReplyKind>,
    form: Statistics,
    about: &About<'_>,
    out: &mut Rope,
) -> JoinOutcome {
    if form == Statistics::Reset {
        return all_reset(&join.fragments, out);
    }
    let answers: Vec<_> = join.fragments.iter().filter(|it| is_answered(it)).collect();
    if answers.is_empty() {
        return failed(&join.fragments);
    }
    let texts: Vec<Vec<u8>> = answers.iter().map(|answer| text_of(answer)).collect();
    let is_one = join.fragments.len() == 1;
    match form {
        Statistics::Named => named(&answers, &texts, about, out),
        _ if is_one => lines(&texts[0]).for_each(|line| write(out, &[line])),
        Statistics::Apart | Statistics::Reset => named(&answers, &texts, about, out),
        Statistics::Prefixes => prefixes(&texts, out),
        Statistics::Alike => table(&texts, |_| Some(Rule::Alike), about, out),
        Statistics::Classes => table(&texts, table::rule_in_class, about, out),
        Statistics::Totals => {
            table(&texts, table::rule, about, out);
            let missing = join.fragments.len() - answers.len();
            let line = format!("STAT servers_missing {missing}");
            write(out, &[line.as_bytes()]);
        }
    }
    out.extend(encode::END);
    JoinOutcome::Done
}

fn all_reset(fragments: &[Fragment<ReplyKind>], out: &mut Rope) -> JoinOutcome {
    let is_reset = |fragment: &Fragment<_>| is_line(fragment, LineKind::Reset);
    if !fragments.iter().all(is_reset) {
        return failed(fragments);
    }
    out.extend(b"RESET\r\n");
    JoinOutcome::Done
}

fn text_of(fragment: &Fragment<ReplyKind>) -> Vec<u8> {
    fragment.reply.slices().flatten().copied().collect()
}

/// The lines of an answer, without the last.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = text.split(|byte| *byte == b'\n');
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.filter(|line| !line.is_empty() && *line != b"END")
}

fn write(out: &mut Rope, parts: &[&[u8]]) {
    parts.iter().for_each(|part| out.extend(part));
    out.extend(b"\r\n");
}

/// Each statistic with its server's name before it.
fn named(answers: &[&Fragment<ReplyKind>], texts: &[Vec<u8>], about: &About<'_>, out: &mut Rope) {
    for (answer, text) in answers.iter().zip(texts) {
        let name = (about.name_of)(answer.server);
        for line in lines(text) {
            match line.strip_prefix(b"STAT ") {
                Some(rest) => write(out, &[b"STAT ", name.as_bytes(), b":", rest]),
                None => write(out, &[line]),
            }
        }
    }
}

/// One line for each name that there is a rule for, in the order in which the servers tell them.
fn table(
    texts: &[Vec<u8>],
    rule_of: impl Fn(&[u8]) -> Option<Rule>,
    about: &About<'_>,
    out: &mut Rope,
) {
    let statistics = texts
        .iter()
        .flat_map(|text| lines(text))
        .filter_map(|line| {
            let rest = line.strip_prefix(b"STAT ")?;
            let space = rest.iter().position(|byte| *byte == b' ')?;
            Some((&rest[..space], &rest[space + 1..]))
        });
    for (name, values) in gathered(statistics) {
        let joined = rule_of(name).and_then(|rule| match rule {
            Rule::Pid => Some(about.process.pid.to_string().into_bytes()),
            Rule::Time => {
                let time = (about.process.epoch_micros + about.now.as_micros()) / 1_000_000;
                Some(time.to_string().into_bytes())
            }
            Rule::Alike if values.len() < texts.len() => None,
            rule => rule.join(&values),
        });
        if let Some(joined) = joined {
            write(out, &[b"STAT ", name, b" ", &joined]);
        }
    }
}

/// `PREFIX NAME get 2 hit 1 set 1 del 0` of all servers.
fn prefixes(texts: &[Vec<u8>], out: &mut Rope) {
    let counts = texts
        .iter()
        .flat_map(|text| lines(text))
        .filter_map(|line| {
            let rest = line.strip_prefix(b"PREFIX ")?;
            let space = rest.iter().position(|byte| *byte == b' ')?;
            Some((&rest[..space], &rest[space + 1..]))
        });
    for (prefix, lines) in gathered(counts) {
        let words = |line: &'_ [u8]| -> Vec<Vec<u8>> {
            line.split(|byte| *byte == b' ')
                .map(<[u8]>::to_vec)
                .collect()
        };
        let mut sum = words(lines[0]);
        for line in &lines[1..] {
            for (sum, word) in sum.iter_mut().zip(words(line)) {
                // Words are the same everywhere, and no numbers.
                if let Some(joined) = Rule::Sum.join(&[sum, &word]) {
                    *sum = joined;
                }
            }
        }
        write(out, &[b"PREFIX ", prefix, b" ", &sum.join(&b' ')]);
    }
}

/// The values of each name, both in the order in which they come.
fn gathered<'a>(
    pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> Vec<(&'a [u8], Vec<&'a [u8]>)> {
    let mut places: HashMap<&[u8], usize> = HashMap::new();
    let mut all: Vec<(&[u8], Vec<&[u8]>)> = Vec::new();
    for (name, value) in pairs {
        let place = *places.entry(name).or_insert(all.len());
        match all.get_mut(place) {
            Some((_, values)) => values.push(value),
            None => all.push((name, vec![value])),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_whatever_the_blanks() {
        let text = b"  stats  cachedump 1 \r\nget";
        let found: Vec<_> = words(text).map(|range| &text[range]).collect();
        assert_eq!(found, [&b"stats"[..], b"cachedump", b"1"]);
    }

    fn permissions(granted: bool) -> Permissions {
        Permissions {
            administer: granted,
            reset: granted,
            has_one_server: false,
        }
    }

    #[test]
    fn a_request_is_planned_by_its_argument() {
        let form = |text: &str, may: Permissions| {
            let mut refusal = Vec::new();
            let asked = plan(text.as_bytes(), may, &mut refusal);
            let without = asked.left_out.map_or(text.to_owned(), |range| {
                [&text[..range.start], &text[range.end..]].concat()
            });
            match asked.route {
                Route::Broadcast { join } => Ok((join, without)),
                _ => Err(String::from_utf8(refusal).expect("text")),
            }
        };
        let (nothing, all) = (permissions(false), permissions(true));
        let of = |text: &str| form(text, all).expect("it is served");
        let stats = JoinKind::Stats;
        assert_eq!(of("stats\r\n").0, stats(Statistics::Totals));
        assert_eq!(of("stats  slabs \r\n").0, stats(Statistics::Classes));
        assert_eq!(of("stats detail dump\n").0, stats(Statistics::Prefixes));
        assert_eq!(of("stats detail on\r\n").0, JoinKind::Ok);
        let named = stats(Statistics::Named);
        assert_eq!(of("stats servers\r\n"), (named, "stats \r\n".into()));
        assert_eq!(
            of("stats servers items\n"),
            (named, "stats  items\n".into())
        );
        for refused in ["stats reset", "stats servers reset", "stats sizes_enable"] {
            let error = form(&format!("{refused}\r\n"), nothing).expect_err(refused);
            assert!(error.contains("ERROR "), "{error}");
        }
        for free in [
            "",
            " items",
            " slabs",
            " settings",
            " extstore",
            " servers slabs",
        ] {
            form(&format!("stats{free}\r\n"), nothing).expect(free);
        }
        for admin in [
            "sizes",
            "conns",
            "cachedump 1 1",
            "detail on",
            "detail dump",
            "servers conns",
        ] {
            let line = format!("stats {admin}\r\n");
            form(&line, all).expect(admin);
            let error = form(&line, nothing).expect_err(admin);
            assert!(error.contains("admin_commands: true"), "{error}");
        }
    }

    #[test]
    fn values_of_a_name_are_gathered_in_order() {
        let pairs = [(&b"a"[..], &b"1"[..]), (b"b", b"2"), (b"a", b"3")];
        let all = gathered(pairs.into_iter());
        assert_eq!(
            all,
            [(&b"a"[..], vec![&b"1"[..], b"3"]), (b"b", vec![b"2"])]
        );
    }
}
