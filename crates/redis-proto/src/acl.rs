//! Rules of access in the syntax of `ACL SETUSER`: who a user is, and which commands, keys and channels it may use.
//!
//! [`Acl`] is what the rules say, in their order. [`Permissions`] is what they come to for each command, made once so that a
//! request costs one look-up and a comparison with each pattern.

mod permissions;

use std::fmt;

pub use permissions::{Denied, Permissions};

use crate::command::{Command, lookup};
use crate::describe;

/// Maximum number of patterns of keys, and of channels, of one user: each key of a request is compared with each of them.
pub const MAX_PATTERNS: usize = 64;

/// Maximum bytes of a pattern.
pub const MAX_PATTERN: usize = 256;

/// Maximum number of rules about commands of one user. They are only looked at once.
pub const MAX_COMMAND_RULES: usize = 1_024;

/// Maximum number of passwords of one user: two are enough to replace one by another.
pub const MAX_PASSWORDS: usize = 8;

/// The SHA-256 digest of a password.
pub type Digest = [u8; 32];

/// What the rules of a user say.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Acl {
    /// Whether anybody may become this user.
    pub enabled: bool,
    /// Whether any password is right, and none is needed.
    pub nopass: bool,
    /// The digests of its passwords.
    pub passwords: Vec<Digest>,
    commands: Vec<CommandRule>,
    keys: Vec<KeyPattern>,
    channels: Vec<Box<[u8]>>,
}

/// A rule about commands; the last one that covers a command counts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct CommandRule {
    allow: bool,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    All,
    /// With its `@`.
    Category(&'static str),
    /// In lower case; that of a container covers its subcommands.
    Command(Box<str>),
}

/// A pattern of keys, and what may be done with them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct KeyPattern {
    read: bool,
    write: bool,
    pattern: Box<[u8]>,
}

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
    /// It follows one that allows everything of its kind.
    Useless,
    /// The pattern is empty or too long.
    PatternLength,
    /// There are too many of its kind.
    TooMany,
}

impl Acl {
    /// A user that may do nothing, and have no password.
    pub fn new(enabled: bool) -> Self {
        Self {
            enabled,
            ..Self::default()
        }
    }

    /// The default user where there are no others: it may do everything, without a password.
    pub fn unlimited() -> Self {
        Self {
            enabled: true,
            nopass: true,
            commands: vec![CommandRule::all(true)],
            keys: vec![KeyPattern::all()],
            channels: vec![Box::from(&b"*"[..])],
            ..Self::default()
        }
    }

    /// Adds rules, with blanks between them. `is_added` says whether there is a command of that name that is not in the
    /// table.
    ///
    /// # Errors
    ///
    /// What is wrong with the first rule that cannot be added.
    pub fn add(&mut self, text: &str, is_added: &dyn Fn(&str) -> bool) -> Result<(), AclError> {
        for (index, rule) in text.split_ascii_whitespace().enumerate() {
            let added = self.add_rule(rule, is_added);
            added.map_err(|problem| AclError {
                number: index + 1,
                problem,
            })?;
        }
        Ok(())
    }

    fn add_rule(&mut self, rule: &str, is_added: &dyn Fn(&str) -> bool) -> Result<(), AclProblem> {
        let lower = rule.to_ascii_lowercase();
        match lower.as_str() {
            "on" => self.enabled = true,
            "off" => self.enabled = false,
            "nopass" => {
                self.nopass = true;
                self.passwords.clear();
            }
            "resetpass" => {
                self.nopass = false;
                self.passwords.clear();
            }
            "allkeys" => return self.add_keys("*", true, true),
            "resetkeys" => self.keys.clear(),
            "allchannels" => return self.add_channels("*"),
            "resetchannels" => self.channels.clear(),
            "allcommands" | "+@all" => self.commands = vec![CommandRule::all(true)],
            "nocommands" | "-@all" => self.commands.clear(),
            "reset" => *self = Self::default(),
            // It is about data that RESTORE gets, which only servers see.
            "sanitize-payload" | "skip-sanitize-payload" => {}
            _ => return self.add_longer_rule(rule, &lower, is_added),
        }
        Ok(())
    }

    fn add_longer_rule(
        &mut self,
        rule: &str,
        lower: &str,
        is_added: &dyn Fn(&str) -> bool,
    ) -> Result<(), AclProblem> {
        match rule.as_bytes() {
            [b'#', ..] => self.add_digest(digest(&rule[1..])?),
            [b'~', ..] => self.add_keys(&rule[1..], true, true),
            [b'%', ..] => {
                let (may, pattern) = lower[1..].split_once('~').ok_or(AclProblem::Syntax)?;
                // The pattern as it was written.
                let pattern = &rule[rule.len() - pattern.len()..];
                match may {
                    "r" => self.add_keys(pattern, true, false),
                    "w" => self.add_keys(pattern, false, true),
                    "rw" | "wr" => self.add_keys(pattern, true, true),
                    _ => Err(AclProblem::Syntax),
                }
            }
            [b'&', ..] => self.add_channels(&rule[1..]),
            [sign @ (b'+' | b'-'), ..] => self.add_command(*sign == b'+', &lower[1..], is_added),
            [b'>', ..] => Err(AclProblem::PlainPassword),
            [b'<' | b'!', ..] => Err(AclProblem::RemovedPassword),
            [b'(', ..] => Err(AclProblem::Selector),
            _ if lower == "clearselectors" => Ok(()),
            _ => Err(AclProblem::Syntax),
        }
    }

    /// Adds a password.
    ///
    /// # Errors
    ///
    /// When it has too many.
    pub fn add_digest(&mut self, digest: Digest) -> Result<(), AclProblem> {
        self.nopass = false;
        if self.passwords.contains(&digest) {
            return Ok(());
        }
        if self.passwords.len() == MAX_PASSWORDS {
            return Err(AclProblem::TooMany);
        }
        self.passwords.push(digest);
        Ok(())
    }

    fn add_keys(&mut self, pattern: &str, read: bool, write: bool) -> Result<(), AclProblem> {
        let added = KeyPattern {
            read,
            write,
            pattern: pattern.as_bytes().into(),
        };
        if added.is_all() {
            // It covers all others.
            self.keys.clear();
        } else if self.keys.iter().any(KeyPattern::is_all) {
            return Err(AclProblem::Useless);
        }
        check_pattern(pattern, self.keys.len())?;
        if !self.keys.contains(&added) {
            self.keys.push(added);
        }
        Ok(())
    }

    fn add_channels(&mut self, pattern: &str) -> Result<(), AclProblem> {
        if pattern == "*" {
            self.channels.clear();
        } else if self.channels.iter().any(|known| **known == b"*"[..]) {
            return Err(AclProblem::Useless);
        }
        check_pattern(pattern, self.channels.len())?;
        let pattern: Box<[u8]> = pattern.as_bytes().into();
        if !self.channels.contains(&pattern) {
            self.channels.push(pattern);
        }
        Ok(())
    }

    fn add_command(
        &mut self,
        allow: bool,
        name: &str,
        is_added: &dyn Fn(&str) -> bool,
    ) -> Result<(), AclProblem> {
        if self.commands.len() == MAX_COMMAND_RULES {
            return Err(AclProblem::TooMany);
        }
        let what = match name.starts_with('@') {
            true => describe::categories()
                .find(|known| *known == name)
                .map(What::Category)
                .ok_or_else(|| AclProblem::UnknownCategory(shown(name)))?,
            false => command_named(name, is_added)?,
        };
        // An earlier rule about the same has no effect any more.
        self.commands.retain(|rule| rule.what != what);
        self.commands.push(CommandRule { allow, what });
        Ok(())
    }

    /// The rule that counts for a command.
    fn rule_of(&self, command: &Command, categories: &[&str]) -> Option<&CommandRule> {
        let mut rules = self.commands.iter().rev();
        rules.find(|rule| rule.covers(command, categories))
    }

    /// The rules about commands, as `ACL GETUSER` tells them.
    pub fn commands_text(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        if self.commands.first() != Some(&CommandRule::all(true)) {
            words.push("-@all".into());
        }
        words.extend(self.commands.iter().map(ToString::to_string));
        words.join(" ")
    }

    /// The patterns of keys, likewise.
    pub fn keys_text(&self) -> String {
        let words: Vec<String> = self.keys.iter().map(ToString::to_string).collect();
        words.join(" ")
    }

    /// The patterns of channels, likewise.
    pub fn channels_text(&self) -> String {
        let words = self.channels.iter();
        let words: Vec<String> = words
            .map(|pattern| format!("&{}", String::from_utf8_lossy(pattern)))
            .collect();
        words.join(" ")
    }
}

/// No passwords are shown.
impl fmt::Debug for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acl")
            .field("enabled", &self.enabled)
            .field("nopass", &self.nopass)
            .field("commands", &self.commands_text())
            .field("keys", &self.keys_text())
            .field("channels", &self.channels_text())
            .finish_non_exhaustive()
    }
}

impl CommandRule {
    fn all(allow: bool) -> Self {
        Self {
            allow,
            what: What::All,
        }
    }

    fn covers(&self, command: &Command, categories: &[&str]) -> bool {
        match &self.what {
            What::All => true,
            What::Category(category) => categories.contains(category),
            What::Command(name) => {
                command.name == &**name
                    || command.name.split_once('|').map(|(container, _)| container) == Some(name)
            }
        }
    }
}

impl fmt::Display for CommandRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.allow { "+" } else { "-" })?;
        match &self.what {
            What::All => f.write_str("@all"),
            What::Category(category) => f.write_str(category),
            What::Command(name) => f.write_str(name),
        }
    }
}

impl KeyPattern {
    fn all() -> Self {
        Self {
            read: true,
            write: true,
            pattern: b"*"[..].into(),
        }
    }

    fn is_all(&self) -> bool {
        self.read && self.write && *self.pattern == b"*"[..]
    }
}

impl fmt::Display for KeyPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.read, self.write) {
            (true, false) => "%R~",
            (false, true) => "%W~",
            _ => "~",
        })?;
        f.write_str(&String::from_utf8_lossy(&self.pattern))
    }
}

fn check_pattern(pattern: &str, count: usize) -> Result<(), AclProblem> {
    match () {
        () if pattern.is_empty() || pattern.len() > MAX_PATTERN => Err(AclProblem::PatternLength),
        () if count >= MAX_PATTERNS => Err(AclProblem::TooMany),
        () => Ok(()),
    }
}

fn command_named(name: &str, is_added: &dyn Fn(&str) -> bool) -> Result<What, AclProblem> {
    let container = name.split('|').next().unwrap_or_default();
    let unknown = || AclProblem::UnknownCommand(shown(name));
    let Some(row) = lookup(container.as_bytes()) else {
        return match is_added(name) {
            true => Ok(What::Command(name.into())),
            false => Err(unknown()),
        };
    };
    if name == container || row.subs.iter().any(|sub| sub.name == name) {
        return Ok(What::Command(name.into()));
    }
    match row.subs {
        [] => Err(AclProblem::FirstArgument),
        _ => Err(unknown()),
    }
}

/// The digest that is written as 64 hexadecimal digits.
///
/// # Errors
///
/// When it is not.
pub fn digest(text: &str) -> Result<Digest, AclProblem> {
    let digits = text.as_bytes();
    let mut digest = Digest::default();
    if digits.len() != 2 * digest.len() {
        return Err(AclProblem::Digest);
    }
    for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        let (Some(high), Some(low)) = (digit(0), digit(1)) else {
            return Err(AclProblem::Digest);
        };
        *byte = (high * 16 + low) as u8;
    }
    Ok(digest)
}

/// The name of a command for an error: none is so long.
fn shown(name: &str) -> Box<str> {
    name.chars().take(40).collect::<String>().into()
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

#[cfg(test)]
mod tests;
