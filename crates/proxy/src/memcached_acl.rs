//! Rules of access in memcached pools: which commands and categories there are.

use memcached_proto::Verb;
use redis_proto::acl::{Acl, AclProblem, Permissions, Vocabulary};

use crate::users::Users;

/// The commands of memcached, and their categories, which rules may be about.
pub struct MemcachedCommands;

/// The categories besides `@all`.
const CATEGORIES: [&str; 3] = ["@read", "@write", "@admin"];

impl Vocabulary for MemcachedCommands {
    fn category(&self, name: &str) -> Result<&'static str, AclProblem> {
        let found = CATEGORIES.into_iter().find(|known| *known == name);
        found.ok_or_else(|| AclProblem::unknown_category(name))
    }

    fn check_command(&self, name: &str) -> Result<(), AclProblem> {
        match Verb::from_word(name.as_bytes()) {
            Some(_) => Ok(()),
            None => Err(AclProblem::unknown_command(name)),
        }
    }

    fn has_channels(&self) -> bool {
        false
    }
}

/// Users, whose names are different, of a memcached pool.
pub fn memcached_users(users: Vec<(Box<str>, Acl)>) -> Users {
    Users::new(users, |acl| {
        let verbs = Verb::ALL.into_iter();
        let verbs = verbs.filter(|verb| !is_always_allowed(*verb));
        Permissions::of_commands(acl, verbs.map(|verb| (verb.name(), categories(verb))))
    })
}

/// Whether every user may send it: it tells nothing of data and of others.
pub(crate) fn is_always_allowed(verb: Verb) -> bool {
    matches!(verb, Verb::Version | Verb::MetaNoop | Verb::Quit)
}

/// As in Redis, what changes anything is no `@read`, though it tells a value, too (`gat`, as GETEX there).
fn categories(verb: Verb) -> &'static [&'static str] {
    match verb {
        Verb::Get | Verb::Gets | Verb::MetaGet | Verb::MetaDebug => &["@read"],
        Verb::Gat
        | Verb::Gats
        | Verb::Set
        | Verb::Add
        | Verb::Replace
        | Verb::Append
        | Verb::Prepend
        | Verb::Cas
        | Verb::Delete
        | Verb::Incr
        | Verb::Decr
        | Verb::Touch
        | Verb::MetaSet
        | Verb::MetaDelete
        | Verb::MetaArithmetic => &["@write"],
        Verb::Verbosity | Verb::FlushAll | Verb::Stats => &["@admin"],
        Verb::Version | Verb::MetaNoop | Verb::Quit => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permissions(rules: &str) -> Permissions {
        let mut acl = Acl::new(true);
        acl.add(rules, &MemcachedCommands).expect(rules);
        let users = memcached_users(vec![("a".into(), acl)]);
        users.find(b"a").expect("it is there").permissions().clone()
    }

    #[test]
    fn categories_and_commands_are_allowed_in_the_order_of_the_rules() {
        for (rules, allowed, denied) in [
            ("+@read", "get gets mg me", "gat set stats touch"),
            ("+@write", "gat set ms md ma touch incr", "get mg flush_all"),
            ("+@admin", "stats flush_all verbosity", "get set"),
            ("+@all -@admin", "get set", "stats"),
            ("+@read -get +GETS", "gets mg", "get"),
            ("nocommands +get", "get", "gets"),
            ("allcommands -set", "get stats", "set"),
        ] {
            let permissions = permissions(rules);
            for name in allowed.split(' ') {
                assert!(permissions.allows_name(name), "{rules}: {name}");
            }
            for name in denied.split(' ') {
                assert!(!permissions.allows_name(name), "{rules}: {name}");
            }
        }
        assert!(permissions("+@all allkeys").is_whole());
        assert!(permissions("+@read +@write +@admin ~*").is_whole());
        assert!(!permissions("+@all ~a*").is_whole());
        assert!(!permissions("+@all -verbosity ~*").is_whole());
    }

    #[test]
    fn what_memcached_does_not_have_cannot_be_named() {
        let problem = |rules: &str| {
            let added = Acl::new(true).add(rules, &MemcachedCommands);
            added.expect_err(rules).problem
        };
        assert_eq!(problem("+mget"), AclProblem::unknown_command("mget"));
        assert_eq!(
            problem("-@dangerous"),
            AclProblem::unknown_category("@dangerous")
        );
        for rule in ["&news:*", "allchannels", "resetchannels"] {
            assert_eq!(problem(rule), AclProblem::Channel, "{rule}");
        }
    }
}
