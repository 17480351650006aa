//! A small cache of commands that were looked up recently, as clients repeat the same ones. It only saves time: a
//! lookup gives the same result with or without it.

use std::cell::Cell;

use redis_proto::command::{self, Command};

use super::request::Request;

/// How many are kept; a power of two.
const KEPT: usize = 8;

/// Bytes of the longest name that is cached: what fits into a machine word, so that names are compared in one step.
const LONGEST: usize = size_of::<u64>();

/// The commands, each at an index computed from its name as the client wrote it.
#[derive(Debug, Default)]
pub(crate) struct Recent([Cell<Known>; KEPT]);

#[derive(Debug, Clone, Copy, Default)]
struct Known {
    name: Name,
    command: Option<&'static Command>,
}

/// A name as the client wrote it, padded with zeros. The default, of length 0, is the name of no command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Name {
    bytes: u64,
    len: u32,
}

impl Recent {
    /// The command that a request names, if there is one.
    #[inline(always)]
    pub(super) fn find(&self, request: &Request<'_>) -> Option<&'static Command> {
        let Some(name) = Name::of(request) else {
            return command::lookup(request.name());
        };
        let entry = &self.0[name.index()];
        let known = entry.get();
        match known.name == name {
            true => known.command,
            false => look_up(entry, name, request),
        }
    }
}

#[inline(never)]
fn look_up(entry: &Cell<Known>, name: Name, request: &Request<'_>) -> Option<&'static Command> {
    let command = command::lookup(request.name())?;
    let command = Some(command);
    entry.set(Known { name, command });
    command
}

impl Name {
    /// The request's name, if it is short, and the text is long enough to read a whole word there.
    #[inline]
    fn of(request: &Request<'_>) -> Option<Self> {
        let arg = request.args.first()?;
        let text = request.text.get(arg.start as usize..)?;
        let bytes = u64::from_le_bytes(*text.first_chunk()?);
        let is_short = (1..=LONGEST as u32).contains(&arg.len);
        (is_short && !arg.diverted).then(|| Self {
            bytes: bytes & (u64::MAX >> (u64::BITS - 8 * arg.len)),
            len: arg.len,
        })
    }

    #[inline]
    fn index(self) -> usize {
        // Multiplication by a large odd constant mixes all bytes into the highest bits (Fibonacci hashing).
        let mixed = self.bytes.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> (u64::BITS - KEPT.ilog2())) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis_proto::Arg;

    #[test]
    fn a_name_is_found_again_as_it_was_found_first_and_nothing_else_is() {
        let recent = Recent::default();
        let words = [
            "get",
            "GET",
            "Get",
            "ge",
            "get\0",
            "getex",
            "set",
            "client",
            "zrangebyscore",
            "",
            "nonsense",
        ];
        for _ in 0..3 {
            for word in words {
                let args = [Arg {
                    start: 1,
                    len: word.len() as u32,
                    diverted: false,
                }];
                for rest in ["", "\r\n$1\r\nk\r\n"] {
                    let text = format!("|{word}{rest}");
                    let request = Request {
                        text: text.as_bytes(),
                        args: &args,
                        is_idle: true,
                    };
                    let name = recent.find(&request).map(|command| command.name);
                    assert_eq!(
                        name,
                        command::lookup(word.as_bytes()).map(|known| known.name)
                    );
                }
            }
        }
    }
}
