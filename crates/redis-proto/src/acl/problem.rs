//! What can be wrong with a rule.

use std::fmt;

/// Maximum number of patterns of keys, and of channels, of one user: each key of a request is compared with each of them.
pub const MAX_PATTERNS: usize = 64;

/// Maximum bytes of a pattern.
pub const MAX_PATTERN: usize = 256;

/// Maximum number of rules about commands of one user. They are only looked at once.
pub const MAX_COMMAND_RULES: usize = 1_024;

/// Maximum number of passwords of one user: two are enough to replace one by another.
pub const MAX_PASSWORDS: usize = 8;

/// What is wrong with a rule. It never shows the rule itself, in which a password may stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclError {
    /// Which rule it is, counted from 1.
    pub number: usize,
    /// What is wrong with it.
    pub problem: AclProblem,
}

/// What can be wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AclProblem {
    /// There is no rule of this form.
    Syntax,
    /// There is no such command.
    UnknownCommand(Box<str>),
    /// There is no such category.
    UnknownCategory(Box<str>),
    /// It names an argument of a command that has no subcommands.
    FirstArgument,
    /// It has a password that is not hashed.
    PlainPassword,
    /// It takes away a password, which was not given before.
    RemovedPassword,
    /// It is a digest that is not 64 hexadecimal digits.
    Digest,
    /// It is a selector.
    Selector,
    /// It is about channels, in a protocol that has none.
    Channel,
    /// It follows one that allows everything of its kind.
    Useless,
    /// The pattern is empty or too long.
    PatternLength,
    /// There are too many of its kind.
    TooMany,
}

impl fmt::Display for AclProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax => f.write_str("is no rule of Redis's ACL"),
            Self::UnknownCommand(name) => write!(f, "names an unknown command: `{name}`"),
            Self::UnknownCategory(name) => write!(f, "names an unknown category: `{name}`"),
            Self::FirstArgument => {
                f.write_str("names an argument of a command that has no subcommands")
            }
            Self::PlainPassword => f.write_str("has a password that is not hashed"),
            Self::RemovedPassword => f.write_str("takes away a password"),
            Self::Digest => f.write_str("is not `#` and 64 hexadecimal digits"),
            Self::Selector => f.write_str("is a selector, which is not supported"),
            Self::Channel => {
                f.write_str("is about channels, which the protocol of the pool does not have")
            }
            Self::Useless => {
                f.write_str("has no effect, as a rule before it allows everything of its kind")
            }
            Self::PatternLength => {
                write!(
                    f,
                    "has a pattern that is empty or has more than {MAX_PATTERN} bytes"
                )
            }
            Self::TooMany => f.write_str("is one too many of its kind"),
        }
    }
}

impl AclProblem {
    /// There is no command of this name, of which the beginning is shown: none is so long.
    pub fn unknown_command(name: &str) -> Self {
        Self::UnknownCommand(shown(name))
    }

    /// The same of a category.
    pub fn unknown_category(name: &str) -> Self {
        Self::UnknownCategory(shown(name))
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::PlainPassword | Self::Digest => {
                "write `#` and the SHA-256 digest, which `printf %s PASSWORD | sha256sum` tells"
            }
            Self::RemovedPassword => "leave the password out, or begin with `resetpass`",
            Self::UnknownCommand(_) => {
                "expected a command such as `+get`, or one of a container such as `+config|get`"
            }
            Self::UnknownCategory(_) => "ACL CAT lists the categories, such as `@read`",
            Self::FirstArgument => "allow or deny the whole command",
            Self::Selector => "make another user for it",
            Self::Channel => "remove it",
            Self::Useless => "remove it, or the one that allows everything",
            Self::PatternLength => {
                "a pattern such as `~cart:*` is for keys that begin with `cart:`"
            }
            Self::TooMany => {
                "there can be 64 patterns of keys, 64 of channels, 8 passwords, and 1024 rules about commands"
            }
            Self::Syntax => {
                "expected on, off, nopass, #SHA256, ~PATTERN, %R~PATTERN, %W~PATTERN, &PATTERN, allkeys, allchannels, allcommands, +COMMAND, -COMMAND, +@CATEGORY or -@CATEGORY"
            }
        }
    }
}

fn shown(name: &str) -> Box<str> {
    name.chars().take(40).collect::<String>().into()
}
