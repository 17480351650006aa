//! The file with the passwords that connections to servers give.
//!
//! A line is `PASSWORD`, `USER PASSWORD`, or `SERVER USER PASSWORD` with the server's name on the ring. Lines that are empty or begin with
//! `#` and a blank count for nothing. So what issues tokens only has to write one line.

use std::io;
use std::path::PathBuf;

use proxy::{Login, LoginList};

use crate::net::error_text;
use crate::tls::ReadFile;

/// Maximum bytes of a user or a password: more than tokens of cloud providers have.
const WORD_MAX: usize = 16 << 10;

/// Where the passwords are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoginFile {
    /// The file.
    pub(crate) path: PathBuf,
    /// The user, where a line names none.
    pub(crate) user: Option<String>,
    /// Whether there has to be one: memcached knows no password without a name.
    pub(crate) needs_user: bool,
}

impl LoginFile {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// What is wrong with it, to follow "the file", without anything that is in it.
    pub(crate) fn load(&self, read: ReadFile<'_>) -> Result<LoginList, String> {
        let unreadable = |error: io::Error| format!("cannot be read: {}", error_text(&error));
        let bytes = read(&self.path).map_err(unreadable)?;
        let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
        let mut list = LoginList::default();
        for (index, line) in text.lines().enumerate() {
            let added = self.add(&mut list, line);
            added.map_err(|what| format!("{what} in line {}", index + 1))?;
        }
        match list.servers.is_empty() && list.others.is_none() {
            true => Err("holds no password".into()),
            false => Ok(list),
        }
    }

    fn add(&self, list: &mut LoginList, line: &str) -> Result<(), &'static str> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let default = self.user.as_deref();
        let (server, user, password) = match words[..] {
            [] => return Ok(()),
            ["#", ..] => return Ok(()),
            [password] => (None, default, password),
            [user, password] => (None, Some(user), password),
            [server, user, password] => (Some(server), Some(user), password),
            _ => return Err("has more than three words"),
        };
        if words.iter().any(|word| word.len() > WORD_MAX) {
            return Err("has a word of more than 16 KiB");
        }
        if self.needs_user && user.is_none() {
            return Err("has a password without a user");
        }
        let login = Login {
            user: user.map(|user| user.as_bytes().into()),
            password: password.as_bytes().into(),
        };
        let is_twice = match server {
            Some(server) => list.servers.insert(server.into(), login).is_some(),
            None => list.others.replace(login).is_some(),
        };
        match is_twice {
            true => Err("has a second password for the same servers"),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<LoginList, String> {
        let file = LoginFile {
            path: "f".into(),
            user: Some("app".into()),
            needs_user: false,
        };
        file.load(&|_| Ok(text.into()))
    }

    fn login(user: &str, password: &str) -> Login {
        Login {
            user: Some(user.as_bytes().into()),
            password: password.as_bytes().into(),
        }
    }

    #[test]
    fn lines_are_for_all_servers_or_one() {
        assert_eq!(
            load("token\n").unwrap().of("x"),
            Some(&login("app", "token"))
        );
        assert_eq!(
            load("#token").unwrap().of("x"),
            Some(&login("app", "#token"))
        );
        let list = load("# rotated\nme one\n\na you two\r\n").unwrap();
        assert_eq!(list.of("a"), Some(&login("you", "two")));
        assert_eq!(list.of("b"), Some(&login("me", "one")));
        assert_eq!(load("a you two").unwrap().of("b"), None);
    }

    #[test]
    fn memcached_needs_a_user_of_the_line_or_of_the_setting() {
        let load = |user: Option<&str>, text: &str| {
            let file = LoginFile {
                path: "f".into(),
                user: user.map(str::to_owned),
                needs_user: true,
            };
            file.load(&|_| Ok(text.into()))
        };
        assert_eq!(
            load(Some("app"), "x").unwrap().of("s"),
            Some(&login("app", "x"))
        );
        assert_eq!(load(None, "me x").unwrap().of("s"), Some(&login("me", "x")));
        let said = load(None, "# y\nx").unwrap_err();
        assert_eq!(said, "has a password without a user in line 2");
    }

    #[test]
    fn what_is_wrong_is_told_without_the_password() {
        let said = |text: &str| load(text).unwrap_err();
        assert_eq!(said(" \n# secret\n"), "holds no password");
        assert_eq!(
            said("a\n\nb\n"),
            "has a second password for the same servers in line 3"
        );
        assert_eq!(said("a b c d"), "has more than three words in line 1");
        assert!(said(&"x".repeat(20_000)).contains("16 KiB in line 1"));
    }
}
