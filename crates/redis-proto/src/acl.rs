//! Rules of access in the syntax of `ACL SETUSER`: who a user is, and which commands, keys and channels it may use.
//!
//! [`Acl`] is what the rules say, in their order. [`Permissions`] is what they come to for each command, made once so that a
//! request costs one look-up and a comparison with each pattern.

mod permissions;
mod problem;
mod vocabulary;

use std::fmt;

pub use permissions::{Denied, Permissions};
pub use problem::{
    AclError, AclProblem, MAX_COMMAND_RULES, MAX_PASSWORDS, MAX_PATTERN, MAX_PATTERNS,
};
pub use vocabulary::{RedisCommands, Vocabulary};

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

    /// Adds rules, with blanks between them, about the commands of `known`.
    ///
    /// # Errors
    ///
    /// What is wrong with the first rule that cannot be added.
    pub fn add(&mut self, text: &str, known: &dyn Vocabulary) -> Result<(), AclError> {
        for (index, rule) in text.split_ascii_whitespace().enumerate() {
            let added = self.add_rule(rule, known);
            added.map_err(|problem| AclError {
                number: index + 1,
                problem,
            })?;
        }
        Ok(())
    }

    fn add_rule(&mut self, rule: &str, known: &dyn Vocabulary) -> Result<(), AclProblem> {
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
            "allchannels" | "resetchannels" if !known.has_channels() => {
                return Err(AclProblem::Channel);
            }
            "allchannels" => return self.add_channels("*"),
            "resetchannels" => self.channels.clear(),
            "allcommands" | "+@all" => self.commands = vec![CommandRule::all(true)],
            "nocommands" | "-@all" => self.commands.clear(),
            "reset" => *self = Self::default(),
            // It is about data that RESTORE gets, which only servers see.
            "sanitize-payload" | "skip-sanitize-payload" => {}
            _ => return self.add_longer_rule(rule, &lower, known),
        }
        Ok(())
    }

    fn add_longer_rule(
        &mut self,
        rule: &str,
        lower: &str,
        known: &dyn Vocabulary,
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
            [b'&', ..] if !known.has_channels() => Err(AclProblem::Channel),
            [b'&', ..] => self.add_channels(&rule[1..]),
            [sign @ (b'+' | b'-'), ..] => self.add_command(*sign == b'+', &lower[1..], known),
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
        known: &dyn Vocabulary,
    ) -> Result<(), AclProblem> {
        if self.commands.len() == MAX_COMMAND_RULES {
            return Err(AclProblem::TooMany);
        }
        let what = match name.starts_with('@') {
            true => What::Category(known.category(name)?),
            false => {
                known.check_command(name)?;
                What::Command(name.into())
            }
        };
        // An earlier rule about the same has no effect any more.
        self.commands.retain(|rule| rule.what != what);
        self.commands.push(CommandRule { allow, what });
        Ok(())
    }

    /// The rule that counts for a command.
    fn rule_of(&self, command: &str, categories: &[&str]) -> Option<&CommandRule> {
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

    fn covers(&self, command: &str, categories: &[&str]) -> bool {
        match &self.what {
            What::All => true,
            What::Category(category) => categories.contains(category),
            What::Command(name) => {
                command == &**name
                    || command.split_once('|').map(|(container, _)| container) == Some(name)
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

#[cfg(test)]
mod tests;
