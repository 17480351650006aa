//! Finding the keys of a request.

use std::fmt;

use crate::arg::Arg;
use crate::command::{Action, Command, Flags, Keys, Wording};
use crate::number;
use crate::words::Words;

/// The request's keys cannot be determined. `Display` gives the text after `-ERR `, the same as Redis's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyError {
    command: &'static str,
    problem: Problem,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Problem {
    Arity,
    NotInteger,
    NotPositive,
    Negative,
    Union,
    NoKeyForScript,
    MoreThanArgs,
    Syntax,
    UnbalancedStreams,
    MigrateKey,
    BadNumber,
    Invalid,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = self.command;
        f.write_str(match self.problem {
            Problem::Arity => return write!(f, "wrong number of arguments for '{command}' command"),
            Problem::Union => {
                return write!(f, "at least 1 input key is needed for '{command}' command");
            }
            Problem::NoKeyForScript => {
                return write!(f, "'{command}' has no keys");
            }
            Problem::NotInteger => "value is not an integer or out of range",
            Problem::NotPositive => "numkeys should be greater than 0",
            Problem::Negative => "Number of keys can't be negative",
            Problem::MoreThanArgs => "Number of keys can't be greater than number of args",
            Problem::Syntax => "syntax error",
            Problem::UnbalancedStreams => {
                "Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified."
            }
            Problem::MigrateKey => {
                "When using MIGRATE KEYS option, the key argument must be set to the empty string"
            }
            Problem::BadNumber => "Bad number of keys provided",
            Problem::Invalid => "invalid numkeys value",
        })
    }
}

impl std::error::Error for KeyError {}

impl Command {
    /// Fills `out` with the indices in `args` of the request's keys, the one that decides the routing first.
    /// For a command with keys there is at least one, or an error; otherwise `out` stays empty. `text` is the
    /// text that `args` refer to.
    ///
    /// # Errors
    /// [`KeyError`] if a number of keys is invalid or a keyword is missing. Redis would refuse the request
    /// too, except for a script without keys, which cannot be routed.
    pub fn keys(&self, text: &[u8], args: &[Arg], out: &mut Vec<usize>) -> Result<(), KeyError> {
        out.clear();
        let request = Words { text, args };
        let found = match self.keys {
            Keys::None => return Ok(()),
            Keys::Range { first, last, step } => {
                out.extend(range(args.len(), first, last, step));
                Ok(())
            }
            Keys::Counted { .. } => request.counted(self.keys, out),
            Keys::Streams => request.streams(out),
            Keys::Sort => request.sort(out),
            Keys::SortReadOnly => {
                request.push_first_and_store(None, out);
                Ok(())
            }
            Keys::Store { from } => request.store(from.into(), out),
            Keys::Migrate => request.migrate(out),
        };
        match found {
            Ok(()) if out.is_empty() => Err(Problem::Arity),
            other => other,
        }
        .map_err(|problem| KeyError {
            command: self.name,
            problem,
        })
    }

    /// The indices of its keys among so many arguments, its name included, where they follow from their number alone.
    pub fn keys_of_count(&self, args: usize) -> Option<std::iter::StepBy<std::ops::Range<usize>>> {
        match self.keys {
            Keys::Range { first, last, step } => Some(range(args, first, last, step)),
            _ => None,
        }
    }

    /// The indices of the arguments behind the keys and their values, for a command that counts its keys; none for others,
    /// or if their number is invalid.
    pub fn after_counted_keys(&self, text: &[u8], args: &[Arg]) -> std::ops::Range<usize> {
        let Keys::Counted {
            count_at,
            first,
            step,
            ..
        } = self.keys
        else {
            return args.len()..args.len();
        };
        let request = Words { text, args };
        let number = request.bytes(count_at.into());
        let number = number.and_then(number::canonical).unwrap_or(i64::MAX);
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        let behind = number.saturating_mul(step.into());
        behind.saturating_add(first.into()).min(args.len())..args.len()
    }

    /// Whether the request says that it has no keys (`numkeys` 0), as a script or a function may.
    pub fn runs_without_keys(&self, text: &[u8], args: &[Arg]) -> bool {
        let request = Words { text, args };
        let number = match self.keys {
            Keys::Counted { count_at, .. } => request.bytes(count_at.into()),
            _ => None,
        };
        number.and_then(number::canonical) == Some(0)
    }

    /// Whether the request writes all of its keys or none, by what is there: MSETEX with NX or XX. Of several servers
    /// some would write and some would not.
    pub fn is_all_or_nothing(&self, text: &[u8], args: &[Arg]) -> bool {
        let request = Words { text, args };
        let mut options = self.after_counted_keys(text, args);
        self.name == "msetex" && options.any(|at| request.is(at, "nx") || request.is(at, "xx"))
    }

    /// Appends the indices in `args` of the patterns from which the server makes the names of further keys, one for
    /// each element that it sorts: what BY and GET of SORT and SORT_RO say, if there is a `*` in it. Without one,
    /// as in `BY nosort` and `GET #`, no other key is read.
    pub fn key_patterns(&self, text: &[u8], args: &[Arg], out: &mut Vec<usize>) {
        if !matches!(self.keys, Keys::Sort | Keys::SortReadOnly) {
            return;
        }
        let request = Words { text, args };
        // One that is not in the text may hold anything.
        let has_star = |&index: &usize| {
            let pattern = request.bytes(index);
            index < args.len() && pattern.is_none_or(|pattern| pattern.contains(&b'*'))
        };
        let patterns = request
            .sort_options()
            .filter(|(option, _)| *option == SortOption::Pattern)
            .map(|(_, index)| index);
        out.extend(patterns.filter(has_star));
    }

    /// Whether the request would wait for other clients: always for commands with [`Action::Wait`],
    /// and with the option BLOCK for XREAD, XREADGROUP and TS.READ. XREADGROUP ignores it if any of its IDs is
    /// another than `>`: it asks for what its consumer has been given before, which is there or not.
    pub fn blocks(&self, text: &[u8], args: &[Arg]) -> bool {
        let request = Words { text, args };
        if self.keys == Keys::Streams {
            let options = request.stream_options();
            return options.blocks
                && !(request.is(0, "xreadgroup") && request.has_past_id(&options));
        }
        if self.flags.contains(Flags::BLOCK_OPTION) {
            return (3..args.len()).any(|index| request.is(index, "block"));
        }
        matches!(self.action, Action::Wait | Action::Acknowledged)
    }

    /// Whether the reply is small whatever the key's value: a number, a status or a word. SET with the option
    /// GET replies with the old value.
    #[inline]
    pub fn has_small_reply(&self, text: &[u8], args: &[Arg]) -> bool {
        self.flags.contains(Flags::SMALL_REPLY) && (args.len() < 4 || !is_set_get(text, args))
    }
}

/// Whether the request is a SET that replies with the old value.
pub(crate) fn is_set_get(text: &[u8], args: &[Arg]) -> bool {
    let request = Words { text, args };
    request.is(0, "set") && (3..args.len()).any(|index| request.is(index, "get"))
}

/// An option of SORT that tells of keys.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SortOption {
    /// BY or GET.
    Pattern,
    /// STORE.
    Store,
}

struct StreamOptions {
    blocks: bool,
    /// Index of the first stream, after the word STREAMS.
    first: Option<usize>,
}

impl Words<'_> {
    fn counted(&self, keys: Keys, out: &mut Vec<usize>) -> Result<(), Problem> {
        let Keys::Counted {
            dest,
            count_at,
            first,
            step,
            wording,
        } = keys
        else {
            return Ok(());
        };
        let (first, step) = (usize::from(first), usize::from(step).max(1));
        if self.args.len() <= usize::from(count_at) {
            return Err(Problem::Arity);
        }
        let number = self.bytes(count_at.into()).and_then(number::canonical);
        // The direction (LEFT, MIN ...) must follow the keys.
        let after = usize::from(wording == Wording::Pop);
        let room = self.args.len().saturating_sub(first + after) / step;
        let count = checked_count(number, room, wording)?;
        if dest > 0 {
            out.push(dest.into());
        }
        out.extend((0..count).map(|nth| first + nth * step));
        Ok(())
    }

    fn streams(&self, out: &mut Vec<usize>) -> Result<(), Problem> {
        let first = self.stream_options().first.ok_or(Problem::Syntax)?;
        let rest = self.args.len() - first;
        if rest == 0 {
            return Err(Problem::Syntax);
        }
        if rest % 2 == 1 {
            return Err(Problem::UnbalancedStreams);
        }
        out.extend(first..first + rest / 2);
        Ok(())
    }

    /// Whether any stream's ID is another than `>`.
    fn has_past_id(&self, options: &StreamOptions) -> bool {
        let rest = options.first.map_or(0..0, |first| first..self.args.len());
        let ids = rest.start + rest.len() / 2..rest.end;
        ids.into_iter().any(|index| !self.is(index, ">"))
    }

    /// Skips the options one by one, so that a group or consumer named `streams` or `block` is not mistaken
    /// for one.
    fn stream_options(&self) -> StreamOptions {
        let mut options = StreamOptions {
            blocks: false,
            first: None,
        };
        let mut index = 1;
        while index < self.args.len() {
            if self.is(index, "streams") {
                options.first = Some(index + 1);
                return options;
            }
            options.blocks |= self.is(index, "block");
            let with_value = ["block", "count", "claim", "maxcount", "maxsize"];
            index += if self.is(index, "group") {
                3
            } else if with_value.iter().any(|word| self.is(index, word)) {
                2
            } else {
                1
            };
        }
        options
    }

    fn sort(&self, out: &mut Vec<usize>) -> Result<(), Problem> {
        let store = self
            .sort_options()
            .filter(|(option, _)| *option == SortOption::Store)
            .map(|(_, index)| index)
            .last();
        self.push_first_and_store(store, out);
        Ok(())
    }

    /// The options of SORT that tell of keys, each with the index of what it says, which may be missing.
    fn sort_options(&self) -> impl Iterator<Item = (SortOption, usize)> {
        let mut index = 2;
        std::iter::from_fn(move || {
            while index < self.args.len() {
                let value = index + 1;
                let (option, len) = if self.is(index, "limit") {
                    (None, 3)
                } else if self.is(index, "get") || self.is(index, "by") {
                    (Some(SortOption::Pattern), 2)
                } else if self.is(index, "store") {
                    (Some(SortOption::Store), 2)
                } else {
                    (None, 1)
                };
                index += len;
                if let Some(option) = option {
                    return Some((option, value));
                }
            }
            None
        })
    }

    fn store(&self, from: usize, out: &mut Vec<usize>) -> Result<(), Problem> {
        let mut store = None;
        let mut index = from;
        while index < self.args.len() {
            let found = self.is(index, "store") || self.is(index, "storedist");
            index += if found {
                store = Some(index + 1);
                2
            } else {
                1
            };
        }
        self.push_first_and_store(store, out);
        Ok(())
    }

    fn push_first_and_store(&self, store: Option<usize>, out: &mut Vec<usize>) {
        let count = self.args.len();
        out.extend(
            [Some(1), store]
                .into_iter()
                .flatten()
                .filter(|&index| index < count),
        );
    }

    fn migrate(&self, out: &mut Vec<usize>) -> Result<(), Problem> {
        let keys = (4..self.args.len()).find(|&index| self.is(index, "keys"));
        let unnamed = self.bytes(3).is_some_and(<[u8]>::is_empty);
        match keys {
            Some(_) if !unnamed => return Err(Problem::MigrateKey),
            Some(keys) => out.extend(keys + 1..self.args.len()),
            None => out.extend((self.args.len() > 3).then_some(3)),
        }
        Ok(())
    }
}

/// The number of keys, at most `room`.
/// The indices from `first` to `last` of so many arguments; a negative `last` counts from their end.
fn range(count: usize, first: u8, last: i8, step: u8) -> std::iter::StepBy<std::ops::Range<usize>> {
    let end = match usize::try_from(last) {
        Ok(last) => count.min(last + 1),
        Err(_) => (count + 1).saturating_sub(usize::from(last.unsigned_abs())),
    };
    (usize::from(first)..end).step_by(usize::from(step).max(1))
}

fn checked_count(number: Option<i64>, room: usize, wording: Wording) -> Result<usize, Problem> {
    use Problem as P;
    let (unreadable, negative, zero, too_many) = match wording {
        Wording::Script => (
            P::NotInteger,
            P::Negative,
            P::NoKeyForScript,
            P::MoreThanArgs,
        ),
        Wording::Function => (
            P::BadNumber,
            P::Negative,
            P::NoKeyForScript,
            P::MoreThanArgs,
        ),
        Wording::Union => (P::NotInteger, P::Union, P::Union, P::Syntax),
        Wording::Card => (
            P::NotPositive,
            P::NotPositive,
            P::NotPositive,
            P::MoreThanArgs,
        ),
        Wording::Pop => (P::NotPositive, P::NotPositive, P::NotPositive, P::Syntax),
        Wording::Plain => (P::Invalid, P::Invalid, P::Invalid, P::Invalid),
    };
    match number.ok_or(unreadable)? {
        ..0 => Err(negative),
        0 => Err(zero),
        count => usize::try_from(count)
            .ok()
            .filter(|&count| count <= room)
            .ok_or(too_many),
    }
}

#[cfg(test)]
mod tests;
