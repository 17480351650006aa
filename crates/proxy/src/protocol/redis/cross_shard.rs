//! What becomes of a client's commands that cannot be split and whose keys belong to several servers (`cross_shard`).
//!
//! With `auto` that depends on how the client began. twemproxy closed the connection on HELLO, CLIENT, SELECT, INFO and
//! COMMAND with a subcommand. A client that sends one of them before its first command with a key was never its client
//! and expects of the pool what a server does: all of the command or an error. Any other may rely on what twemproxy did.

use hashkit::HashTag;
use redis_proto::{Command, encode};

use crate::protocol::decision::Apart;
use crate::settings::CrossShard;

/// Appends the error for a request whose keys are not all at one server, in a pool with this `hash_tag`. It says what to
/// do about it.
pub(super) fn write_error(
    command: Option<&'static Command>,
    apart: Apart,
    tag: Option<HashTag>,
    out: &mut Vec<u8>,
) {
    let (open, close) = tag.map_or(('{', '}'), |tag| (tag.open.into(), tag.close.into()));
    // Quoted as the file needs it.
    let setting = match tag {
        Some(_) => "",
        None => ", and set hash_tag: \"{}\" in the pool (keys with braces move then)",
    };
    let common =
        format!("give them a common part, as {open}a{close}:1 and {open}a{close}:2 have{setting}");
    let error = match apart {
        Apart::Keys if command.is_some_and(|command| command.name == "msetex") => {
            "NX and XX ask about all keys at once, and these don't hash to the same server: without them MSETEX is split".into()
        }
        Apart::Keys => format!("Keys in request don't hash to the same server: {common}"),
        Apart::Transaction => {
            format!("Keys of a transaction don't hash to the same server: {common}")
        }
        Apart::UnknownKeys => {
            "BY and GET may name keys of other servers: their patterns need the key's hash tag (see hash_tag) before the *".into()
        }
    };
    encode::error(out, &format!("CROSSSLOT {error}"));
}

/// How a client began, as far as `cross_shard: auto` depends on it.
#[derive(Debug, Default)]
pub(super) struct Beginning {
    /// It has sent a command with a key, so that the rest is settled.
    has_sent_key: bool,
    /// Before that it sent a command on which twemproxy would have closed the connection.
    is_introduced: bool,
}

impl Beginning {
    /// The client has sent a command with a key that is not refused. This is on the path of every request: one store.
    #[inline(always)]
    pub(super) fn note_key(&mut self) {
        self.has_sent_key = true;
    }

    /// The client has sent a command of `args` arguments that is not forwarded by its key, or is refused.
    pub(super) fn note_other(&mut self, command: &Command, args: usize) {
        if !self.has_sent_key && is_introduction(command, args) {
            self.is_introduced = true;
        }
    }

    /// What holds for the client where the pool has `setting`; `auto` if that is not decided yet.
    pub(super) fn rule(&self, setting: CrossShard) -> CrossShard {
        match setting {
            CrossShard::Auto if !self.has_sent_key => CrossShard::Auto,
            CrossShard::Auto if self.is_introduced => CrossShard::Error,
            CrossShard::Auto => CrossShard::FirstKey,
            fixed => fixed,
        }
    }
}

/// Whether current client libraries send the command when they connect, and twemproxy closed the connection on it.
/// COMMAND alone it forwarded.
fn is_introduction(command: &Command, args: usize) -> bool {
    match command.name.split('|').next() {
        Some("hello" | "client" | "select" | "info") => true,
        Some("command") => args > 1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use redis_proto::command;

    use super::*;

    fn began(words: &[(&str, usize)]) -> CrossShard {
        let mut beginning = Beginning::default();
        for (name, args) in words {
            let command = command::lookup(name.as_bytes()).expect("it is in the table");
            match *name {
                "get" => beginning.note_key(),
                _ => beginning.note_other(command, *args),
            }
        }
        beginning.rule(CrossShard::Auto)
    }

    #[test]
    fn the_first_command_with_a_key_settles_the_rule() {
        let get = ("get", 2);
        assert_eq!(began(&[]), CrossShard::Auto);
        assert_eq!(began(&[("client", 3)]), CrossShard::Auto);
        assert_eq!(began(&[get]), CrossShard::FirstKey);
        assert_eq!(began(&[get, ("hello", 2)]), CrossShard::FirstKey);
        for (name, args) in [
            ("hello", 1),
            ("client", 4),
            ("select", 2),
            ("info", 1),
            ("command", 2),
        ] {
            assert_eq!(began(&[(name, args), get]), CrossShard::Error, "{name}");
        }
        for (name, args) in [("ping", 1), ("auth", 2), ("command", 1), ("config", 3)] {
            assert_eq!(began(&[(name, args), get]), CrossShard::FirstKey, "{name}");
        }
    }

    #[test]
    fn what_the_pool_has_been_told_holds_for_all() {
        for fixed in [CrossShard::FirstKey, CrossShard::Error] {
            let mut beginning = Beginning::default();
            assert_eq!(beginning.rule(fixed), fixed);
            beginning.is_introduced = true;
            beginning.note_key();
            assert_eq!(beginning.rule(fixed), fixed);
        }
    }
}
