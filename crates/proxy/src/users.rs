//! The users of a pool: who clients may say that they are, and what each of them may do.

use std::fmt;
use std::sync::Arc;

use redis_proto::acl::{Acl, Digest, MAX_PASSWORDS, Permissions};
use sha2::{Digest as _, Sha256};

/// The user that clients are who have not said who they are, and who give a password only.
pub const DEFAULT_USER: &str = "default";

/// The users of a pool.
#[derive(PartialEq, Eq)]
pub struct Users {
    /// Sorted by their names.
    list: Box<[Arc<User>]>,
}

/// One user.
pub struct User {
    name: Box<str>,
    acl: Acl,
    permissions: Permissions,
}

impl Users {
    /// These, whose names are different. What rules allow depends on the commands that there are.
    pub(crate) fn new(
        users: Vec<(Box<str>, Acl)>,
        permissions: impl Fn(&Acl) -> Permissions,
    ) -> Self {
        let user = |(name, acl)| {
            let permissions = permissions(&acl);
            Arc::new(User {
                name,
                acl,
                permissions,
            })
        };
        let mut list: Vec<_> = users.into_iter().map(user).collect();
        list.sort_by(|one, other| one.name.cmp(&other.name));
        Self { list: list.into() }
    }

    /// The user of that name.
    pub fn find(&self, name: &[u8]) -> Option<&Arc<User>> {
        let by_name = |user: &Arc<User>| user.name.as_bytes().cmp(name);
        let at = self.list.binary_search_by(by_name).ok()?;
        self.list.get(at)
    }

    /// The user that a client is from the beginning, if it needs no password for that.
    pub fn at_first(&self) -> Option<&Arc<User>> {
        let user = self.find(DEFAULT_USER.as_bytes())?;
        (user.acl.enabled && user.acl.nopass).then_some(user)
    }

    /// The user of that name, if the password is right. Whether it is takes the same time for every password, and for a
    /// name that no user has.
    pub fn authenticate(&self, name: &[u8], password: &[u8]) -> Option<&Arc<User>> {
        let digest: Digest = Sha256::digest(password).into();
        let user = self.find(name);
        let passwords = user.map_or(&[][..], |user| &user.acl.passwords);
        let mut is_right = false;
        for number in 0..MAX_PASSWORDS {
            // Where there is none, what is compared does not count.
            let is_there = number < passwords.len();
            let known = passwords.get(number).unwrap_or(&[0; 32]);
            is_right |= is_there & is_same(known, &digest);
        }
        user.filter(|user| user.acl.enabled && (user.acl.nopass || is_right))
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Arc<User>> {
        self.list.iter()
    }
}

impl User {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its rules.
    pub fn acl(&self) -> &Acl {
        &self.acl
    }

    /// What it may do.
    pub fn permissions(&self) -> &Permissions {
        &self.permissions
    }
}

impl PartialEq for User {
    /// What it may do follows from its rules, and from commands that a pool has beside those of the table.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.acl == other.acl && self.permissions == other.permissions
    }
}

impl Eq for User {}

/// No passwords are shown.
impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all()).finish()
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .field("acl", &self.acl)
            .finish_non_exhaustive()
    }
}

/// In a time that does not depend on where the first difference is.
fn is_same(one: &Digest, other: &Digest) -> bool {
    let pairs = one.iter().zip(other);
    let differences = pairs.fold(0, |found, (a, b)| found | (a ^ b));
    std::hint::black_box(differences) == 0
}

#[cfg(test)]
mod tests {
    use redis_proto::acl::RedisCommands;

    use super::*;

    /// `printf %s secret | sha256sum`
    const SECRET: &str = "#2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

    fn users(list: &[(&str, &str)]) -> Users {
        let user = |(name, rules): &(&str, &str)| {
            let mut acl = Acl::new(true);
            acl.add(rules, &RedisCommands(&|_| false)).expect("rules");
            (Box::from(*name), acl)
        };
        Users::new(list.iter().map(user).collect(), |acl| {
            Permissions::new(acl, std::iter::empty())
        })
    }

    #[test]
    fn a_user_is_who_knows_its_password() {
        let other = "#".to_owned() + &"00".repeat(32);
        let two = format!("{other} {SECRET}");
        let off = format!("off {SECRET}");
        let users = users(&[
            ("two", &two),
            ("app", SECRET),
            ("off", &off),
            ("open", "nopass"),
            ("none", ""),
        ]);
        let name = |name: &str, password: &str| {
            let found = users.authenticate(name.as_bytes(), password.as_bytes());
            found.map(|user| user.name().to_owned())
        };
        for (user, password, is_right) in [
            ("app", "secret", true),
            ("two", "secret", true),
            ("open", "anything", true),
            ("app", "Secret", false),
            ("app", "", false),
            ("off", "secret", false),
            ("none", "", false),
            ("none", "secret", false),
            ("nobody", "secret", false),
            ("", "", false),
        ] {
            assert_eq!(
                name(user, password).is_some(),
                is_right,
                "{user} {password}"
            );
        }
        assert_eq!(users.at_first(), None);
    }

    #[test]
    fn the_default_user_needs_no_name_and_perhaps_no_password() {
        for (rules, is_at_first) in [("nopass", true), (SECRET, false), ("off nopass", false)] {
            let users = users(&[("default", rules)]);
            assert_eq!(users.at_first().is_some(), is_at_first, "{rules}");
        }
    }

    #[test]
    fn users_are_shown_without_passwords() {
        let shown = format!("{:?}", users(&[("app", SECRET)]));
        assert!(
            shown.contains("app") && !shown.contains("2bb80d"),
            "{shown}"
        );
    }
}
