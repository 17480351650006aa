//! Meta commands, and what they have in common with storage commands: data that a server may take for requests.

use memcached_proto::meta::{self, Flag};
use memcached_proto::{Arg, Verb, encode};

use crate::protocol::decision::{Decision, DecisionOutput, Facts, Route};
use crate::protocol::grammar::{Mark, Reply};

/// The flags of a meta get that neither change an item nor take part in who is to renew it.
const PURE: &[u8] = b"bcCfhklOqstuvPL";

/// Whether this flag of a meta get changes an item, as far as is known. `R` only has its sender renew the item, as a plain meta get of
/// a stale one does.
pub(super) fn changes_item(flag: u8) -> bool {
    flag != b'R' && !PURE.contains(&flag)
}

/// The decision for a meta command with these keys.
pub(super) fn decide(
    verb: Verb,
    text: &[u8],
    keys: &[Arg],
    output: &mut DecisionOutput,
) -> Decision<Option<Verb>> {
    let quiet = quiet_flag(verb, text);
    let mut given = meta::flags(verb, text);
    let facts = Facts {
        reply: Reply::Wanted,
        is_pure_read: match verb {
            Verb::MetaGet => given.all(|flag| PURE.contains(&flag.letter)),
            Verb::MetaDebug => true,
            _ => false,
        },
        is_small: verb != Verb::MetaGet || !meta::flags(verb, text).any(|flag| flag.letter == b'v'),
        left_out: quiet.map(Flag::with_blanks),
        is_special: quiet.is_some() || verb == Verb::MetaSet,
        command: Some(verb),
    };
    let route = route(verb, text, keys, output);
    Decision { route, facts }
}

fn route(verb: Verb, text: &[u8], keys: &[Arg], output: &mut DecisionOutput) -> Route {
    let [key] = keys else {
        // Only `mn` has none. All requests are answered in their order, so that this ends the replies to quiet ones.
        output.reply.extend_from_slice(encode::MN);
        return Route::Local;
    };
    if !meta::has_encoded_key(verb, text) {
        return Route::Key(key.range());
    }
    output.decoded_key.clear();
    meta::decode_key(key.of(text), &mut output.decoded_key);
    Route::DecodedKey
}

/// The `q` of a command that knows it; the parser allows one.
fn quiet_flag(verb: Verb, text: &[u8]) -> Option<Flag> {
    match verb {
        Verb::MetaDebug | Verb::MetaNoop => None,
        _ => meta::flags(verb, text).find(|flag| flag.letter == b'q'),
    }
}

/// What is special about the reply to a request. Nothing but its `q` is left out of a meta command.
pub(super) fn mark(facts: &Facts<Option<Verb>>) -> Mark {
    let is_quiet = facts.left_out.is_some();
    match (facts.command, is_quiet) {
        (Some(Verb::MetaSet), true) => Mark::QuietData,
        (Some(Verb::MetaSet), false) => Mark::Data,
        (Some(Verb::MetaGet), true) => Mark::QuietMiss,
        (Some(Verb::MetaDelete | Verb::MetaArithmetic), true) => Mark::QuietSuccess,
        // A classic one behind blanks.
        (Some(verb), _) if verb.is_storage() && facts.is_special => Mark::Data,
        _ => Mark::None,
    }
}

/// Has the blanks before a storage command left out: memcached 1.6.40 knows no command behind a blank, and takes the data
/// for requests then. Where `noreply` is left out already, such an answer ends the connection.
#[cold]
pub(super) fn note_leading_blanks<C>(text: &[u8], facts: &mut Facts<C>) {
    let blanks = text.iter().take_while(|byte| **byte == b' ').count();
    match &facts.left_out {
        None => facts.left_out = Some(0..blanks),
        Some(_) => facts.is_special = true,
    }
}

/// Writes the reply to a meta get that finds nothing; none if the client does not want it.
pub(super) fn miss(text: &[u8], keys: &[Arg], out: &mut Vec<u8>) {
    if quiet_flag(Verb::MetaGet, text).is_none()
        && let [key] = keys
    {
        meta::miss(out, text, *key);
    }
}
