//! What the user of a client may not do, in pools with users.

use memcached_proto::request::Request;
use memcached_proto::{Arg, Verb, encode, login, meta};
use redis_proto::acl::Permissions;

use super::client::MemcachedClient;
use super::meta::changes_item;
use super::refused::reply_after;
use crate::event::{Event, UserEvent};
use crate::memcached_acl::is_always_allowed;
use crate::protocol::decision::{Decision, DecisionOutput, Facts, Route};

/// What of a request its user may not use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Denied {
    /// The command.
    Command,
    /// This flag of a meta get, which needs the rule for another command, too.
    Flag(char, &'static str),
    /// One of its keys.
    Key,
}

/// The decision for a request of a pool with users, if its client has to say who it is, says so, or may not send it. Nothing of it
/// is sent.
#[cold]
pub(super) fn restrict(
    found: Option<Request>,
    text: &[u8],
    keys: &[Arg],
    client: &MemcachedClient,
    output: &mut DecisionOutput,
) -> Option<Decision<Option<Verb>>> {
    let Some(user) = client.member()?.user.as_ref() else {
        // What was begun before there were users is no attempt to be somebody.
        if found.is_none() && login::is_attempt(text) {
            return Some(local(Route::Login, None, false));
        }
        encode::client_error(&mut output.reply, "unauthenticated");
        let is_silent = found.is_some_and(|found| found.noreply.is_some());
        return Some(local(Route::Local, found.map(|it| it.verb), is_silent));
    };
    let (found, permissions) = (found?, user.permissions());
    let denied = check(permissions, found.verb, text, keys).err()?;
    let (user, command) = (user.name(), found.verb.name());
    let (error, reason) = match denied {
        Denied::Command => (format!("may not use '{command}'"), format!("'{command}'")),
        Denied::Flag(flag, needed) => (
            format!("may not use flag '{flag}' of '{command}', which needs '{needed}'"),
            format!("'{command}' with flag '{flag}'"),
        ),
        Denied::Key => (
            format!("may not use '{command}' with one of its keys"),
            format!("'{command}': one of its keys is not permitted"),
        ),
    };
    let error = format!("not permitted: user '{user}' {error}");
    encode::client_error(&mut output.reply, &error);
    output.event = Some(Event::User(UserEvent::NotPermitted {
        user: user.into(),
        reason,
    }));
    let is_silent = found.noreply.is_some();
    Some(local(Route::Local, Some(found.verb), is_silent))
}

/// The decision for a request that the proxy answers.
fn local(route: Route, command: Option<Verb>, is_silent: bool) -> Decision<Option<Verb>> {
    Decision {
        route,
        facts: Facts {
            reply: reply_after(is_silent),
            is_pure_read: false,
            is_small: true,
            left_out: None,
            is_special: false,
            command,
        },
    }
}

fn check(permissions: &Permissions, verb: Verb, text: &[u8], keys: &[Arg]) -> Result<(), Denied> {
    if permissions.is_whole() || is_always_allowed(verb) {
        return Ok(());
    }
    if !permissions.allows_name(verb.name()) {
        return Err(Denied::Command);
    }
    let changing = match verb {
        Verb::MetaGet => meta::flags(verb, text).find(|flag| changes_item(flag.letter)),
        _ => None,
    };
    if let Some(flag) = changing {
        let needed = match flag.letter {
            b'T' => Verb::Touch,
            _ => Verb::Add,
        };
        if !permissions.allows_name(needed.name()) {
            let letter = match flag.letter.is_ascii_graphic() {
                true => char::from(flag.letter),
                false => '?',
            };
            return Err(Denied::Flag(letter, needed.name()));
        }
    }
    let (reads, writes) = access(verb, text, changing.is_some());
    let is_allowed = |key: &[u8]| permissions.allows_key(key, reads, writes);
    let are_allowed = match verb.has_flags() && meta::has_encoded_key(verb, text) {
        true => {
            let mut decoded = Vec::new();
            keys.iter().all(|key| {
                decoded.clear();
                meta::decode_key(key.of(text), &mut decoded) && is_allowed(&decoded)
            })
        }
        false => keys.iter().all(|key| is_allowed(key.of(text))),
    };
    match are_allowed {
        true => Ok(()),
        false => Err(Denied::Key),
    }
}

/// Whether a request tells what is stored at its keys, and whether it changes that. As in Redis, a number that was changed is told.
fn access(verb: Verb, text: &[u8], changes_item: bool) -> (bool, bool) {
    match verb {
        Verb::Get | Verb::Gets | Verb::MetaDebug => (true, false),
        Verb::MetaGet => (true, changes_item),
        Verb::Gat | Verb::Gats | Verb::Incr | Verb::Decr => (true, true),
        Verb::MetaArithmetic => (
            meta::flags(verb, text).any(|flag| flag.letter == b'v'),
            true,
        ),
        // They have no keys.
        Verb::Version | Verb::Verbosity | Verb::FlushAll | Verb::Stats => (false, false),
        Verb::MetaNoop | Verb::Quit => (false, false),
        Verb::Set
        | Verb::Add
        | Verb::Replace
        | Verb::Append
        | Verb::Prepend
        | Verb::Cas
        | Verb::Delete
        | Verb::Touch
        | Verb::MetaSet
        | Verb::MetaDelete => (false, true),
    }
}
