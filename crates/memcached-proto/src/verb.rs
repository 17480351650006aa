//! The table of commands: their names and arguments.

/// A command that the proxy serves (memcached `protocol.txt`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// `get KEY*`: values and flags.
    Get,
    /// `gets KEY*`: as `get`, with the cas unique of each value.
    Gets,
    /// `gat EXPTIME KEY*`: get and touch.
    Gat,
    /// `gats EXPTIME KEY*`: as `gat`, with the cas unique of each value.
    Gats,
    /// `set`: store.
    Set,
    /// `add`: store when absent.
    Add,
    /// `replace`: store when present.
    Replace,
    /// `append`: add after the value that is there.
    Append,
    /// `prepend`: add before the value that is there.
    Prepend,
    /// `cas`: store when unchanged since the given cas unique.
    Cas,
    /// `delete KEY [0]`.
    Delete,
    /// `incr KEY DELTA`.
    Incr,
    /// `decr KEY DELTA`.
    Decr,
    /// `touch KEY EXPTIME`.
    Touch,
    /// `version`.
    Version,
    /// `verbosity LEVEL`.
    Verbosity,
    /// `flush_all [DELAY]`.
    FlushAll,
    /// `stats [ARGUMENT*]`.
    Stats,
    /// `mg KEY FLAG*`: meta get.
    MetaGet,
    /// `ms KEY LENGTH FLAG*`: meta set.
    MetaSet,
    /// `md KEY FLAG*`: meta delete.
    MetaDelete,
    /// `ma KEY FLAG*`: meta arithmetic.
    MetaArithmetic,
    /// `me KEY [b]`: meta debug, what a server knows of an item.
    MetaDebug,
    /// `mn`: meta no-op. Its reply ends those to quiet requests.
    MetaNoop,
    /// `quit`.
    Quit,
}

impl Verb {
    /// Every command, in the order of declaration.
    pub const ALL: [Verb; 25] = [
        Verb::Get,
        Verb::Gets,
        Verb::Gat,
        Verb::Gats,
        Verb::Set,
        Verb::Add,
        Verb::Replace,
        Verb::Append,
        Verb::Prepend,
        Verb::Cas,
        Verb::Delete,
        Verb::Incr,
        Verb::Decr,
        Verb::Touch,
        Verb::Version,
        Verb::Verbosity,
        Verb::FlushAll,
        Verb::Stats,
        Verb::MetaGet,
        Verb::MetaSet,
        Verb::MetaDelete,
        Verb::MetaArithmetic,
        Verb::MetaDebug,
        Verb::MetaNoop,
        Verb::Quit,
    ];

    /// The command called `word`. Commands are lower case: memcached is case-sensitive.
    pub fn from_word(word: &[u8]) -> Option<Verb> {
        Some(match word {
            b"get" => Verb::Get,
            b"set" => Verb::Set,
            b"gets" => Verb::Gets,
            b"gat" => Verb::Gat,
            b"gats" => Verb::Gats,
            b"add" => Verb::Add,
            b"replace" => Verb::Replace,
            b"append" => Verb::Append,
            b"prepend" => Verb::Prepend,
            b"cas" => Verb::Cas,
            b"delete" => Verb::Delete,
            b"incr" => Verb::Incr,
            b"decr" => Verb::Decr,
            b"touch" => Verb::Touch,
            b"version" => Verb::Version,
            b"verbosity" => Verb::Verbosity,
            b"flush_all" => Verb::FlushAll,
            b"stats" => Verb::Stats,
            b"mg" => Verb::MetaGet,
            b"ms" => Verb::MetaSet,
            b"md" => Verb::MetaDelete,
            b"ma" => Verb::MetaArithmetic,
            b"me" => Verb::MetaDebug,
            b"mn" => Verb::MetaNoop,
            b"quit" => Verb::Quit,
            _ => return None,
        })
    }

    /// The command's name in the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::Gets => "gets",
            Verb::Gat => "gat",
            Verb::Gats => "gats",
            Verb::Set => "set",
            Verb::Add => "add",
            Verb::Replace => "replace",
            Verb::Append => "append",
            Verb::Prepend => "prepend",
            Verb::Cas => "cas",
            Verb::Delete => "delete",
            Verb::Incr => "incr",
            Verb::Decr => "decr",
            Verb::Touch => "touch",
            Verb::Version => "version",
            Verb::Verbosity => "verbosity",
            Verb::FlushAll => "flush_all",
            Verb::Stats => "stats",
            Verb::MetaGet => "mg",
            Verb::MetaSet => "ms",
            Verb::MetaDelete => "md",
            Verb::MetaArithmetic => "ma",
            Verb::MetaDebug => "me",
            Verb::MetaNoop => "mn",
            Verb::Quit => "quit",
        }
    }

    /// Whether it retrieves values and may name several keys: get, gets, gat, gats.
    pub fn is_retrieval(self) -> bool {
        matches!(self, Verb::Get | Verb::Gets | Verb::Gat | Verb::Gats)
    }

    /// Whether it is one of set, add, replace, append, prepend and cas, which have the same arguments.
    pub fn is_storage(self) -> bool {
        matches!(
            self,
            Verb::Set | Verb::Add | Verb::Replace | Verb::Append | Verb::Prepend | Verb::Cas
        )
    }

    /// Whether a data block follows its line.
    pub fn has_block(self) -> bool {
        self.is_storage() || self == Verb::MetaSet
    }

    /// Whether it is a meta command with a key and flags (see [`crate::meta`]).
    pub fn has_flags(self) -> bool {
        matches!(
            self,
            Verb::MetaGet
                | Verb::MetaSet
                | Verb::MetaDelete
                | Verb::MetaArithmetic
                | Verb::MetaDebug
        )
    }

    /// Whether it is stats or a meta command.
    #[inline]
    pub fn is_apart(self) -> bool {
        matches!(
            self,
            Verb::Stats
                | Verb::MetaGet
                | Verb::MetaSet
                | Verb::MetaDelete
                | Verb::MetaArithmetic
                | Verb::MetaDebug
                | Verb::MetaNoop
        )
    }

    /// Whether its client waits for it to end what was sent before: mn, and quit.
    pub fn is_end(self) -> bool {
        matches!(self, Verb::MetaNoop | Verb::Quit)
    }

    /// Whether an exptime precedes its keys: gat, gats.
    pub fn touches(self) -> bool {
        matches!(self, Verb::Gat | Verb::Gats)
    }

    /// Its arguments; `None` for retrievals, which take any number of keys, and for those with flags.
    pub(crate) fn arguments(self) -> Option<&'static Arguments> {
        match self {
            Verb::Get | Verb::Gets | Verb::Gat | Verb::Gats => None,
            Verb::MetaGet
            | Verb::MetaSet
            | Verb::MetaDelete
            | Verb::MetaArithmetic
            | Verb::MetaDebug => None,
            Verb::Set | Verb::Add | Verb::Replace | Verb::Append | Verb::Prepend => Some(&STORE),
            Verb::Cas => Some(&CAS),
            Verb::Delete => Some(&DELETE),
            Verb::Incr | Verb::Decr => Some(&COUNT),
            Verb::Touch => Some(&TOUCH),
            Verb::Verbosity => Some(&VERBOSITY),
            Verb::FlushAll => Some(&FLUSH_ALL),
            Verb::Version | Verb::Stats | Verb::MetaNoop | Verb::Quit => Some(&FREE),
        }
    }
}

/// The arguments of a command, without `noreply`.
pub(crate) struct Arguments {
    /// The form of each argument by position.
    pub(crate) fields: &'static [Field],
    /// How many of them are required.
    pub(crate) required: usize,
    /// Whether a final `noreply` is allowed.
    pub(crate) noreply: bool,
    /// Whether any further words are allowed and passed to the server.
    pub(crate) free: bool,
}

/// The form of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Key,
    /// `u64`: memcached reads flags with `strtoul` and can be built to keep 64 bits of them.
    Flags,
    /// `i64`, negative allowed ("already expired").
    Exptime,
    /// Length of the data block.
    Bytes,
    /// `u64`.
    Cas,
    /// Digits, with an optional `-`; the server checks the value.
    Delta,
    /// The literal `0` that `delete` still accepts where its time argument used to be.
    Zero,
    /// `u64`.
    Level,
    /// `i64` seconds.
    Delay,
}

impl Field {
    /// Its name in error messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Field::Key => "key",
            Field::Flags => "flags",
            Field::Exptime => "exptime",
            Field::Bytes => "length",
            Field::Cas => "cas unique",
            Field::Delta => "delta",
            Field::Zero => "time",
            Field::Level => "level",
            Field::Delay => "delay",
        }
    }
}

const STORE: Arguments = fixed(&[Field::Key, Field::Flags, Field::Exptime, Field::Bytes], 4);
const CAS: Arguments = fixed(
    &[
        Field::Key,
        Field::Flags,
        Field::Exptime,
        Field::Bytes,
        Field::Cas,
    ],
    5,
);
const DELETE: Arguments = fixed(&[Field::Key, Field::Zero], 1);
const COUNT: Arguments = fixed(&[Field::Key, Field::Delta], 2);
const TOUCH: Arguments = fixed(&[Field::Key, Field::Exptime], 2);
const VERBOSITY: Arguments = fixed(&[Field::Level], 1);
const FLUSH_ALL: Arguments = fixed(&[Field::Delay], 0);

/// memcached 1.6 answers `version x` and `mn x` and obeys `quit x` as if there were no argument (memccapable tests the
/// former), and the arguments of `stats` are deliberately undocumented.
const FREE: Arguments = Arguments {
    fields: &[],
    required: 0,
    noreply: false,
    free: true,
};

const fn fixed(fields: &'static [Field], required: usize) -> Arguments {
    Arguments {
        fields,
        required,
        noreply: true,
        free: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_names_its_command() {
        for verb in Verb::ALL {
            assert_eq!(Verb::from_word(verb.name().as_bytes()), Some(verb));
            let upper = verb.name().to_ascii_uppercase();
            assert_eq!(Verb::from_word(upper.as_bytes()), None);
        }
    }

    #[test]
    fn only_retrievals_and_meta_commands_are_outside_the_table_of_arguments() {
        for verb in Verb::ALL {
            let is_outside = verb.is_retrieval() || verb.has_flags();
            assert_eq!(verb.arguments().is_none(), is_outside, "{verb:?}");
        }
    }

    #[test]
    fn a_length_is_the_fourth_argument_of_storage_and_of_nothing_else() {
        for verb in Verb::ALL {
            let fourth = verb.arguments().and_then(|a| a.fields.get(3));
            assert_eq!(fourth == Some(&Field::Bytes), verb.is_storage(), "{verb:?}");
        }
    }
}
