//! Checks the rules of users against the rest of their pool.

use std::sync::Arc;

use proxy::acl::{Acl, AclProblem, RedisCommands, Vocabulary};
use proxy::{DEFAULT_USER, MemcachedCommands, Users, memcached_users, users_with};

use super::file::ReadPool;
use super::report::{Findings, Problem};
use super::table::ours::{COMMANDS, USERS};
use super::table::theirs::{REDIS, REDIS_AUTH};
use super::types::UserLine;

/// The users of a pool, if it has any and they are valid.
pub(super) fn check_users(pool: &ReadPool, findings: &mut Findings) -> Option<Arc<Users>> {
    let given = pool.values.given(&USERS)?;
    if pool.values.given(&REDIS_AUTH).is_some() {
        let message = format!(
            "`users` and `redis_auth` cannot both be set in pool `{}`",
            pool.name
        );
        let help = "give the password of the servers with `server_login`, and make that of the clients the one of user `default`";
        findings
            .problems
            .push(Problem::at(&given.key, message).help(help));
    }
    let lines = pool.values.value(&USERS)?;
    if lines.is_empty() {
        let message = format!("`users` of pool `{}` has no user", pool.name);
        let help = "add one, or remove the setting";
        findings
            .problems
            .push(Problem::at(&given.key, message).help(help));
    }
    let added = pool.values.value(&COMMANDS).unwrap_or_default();
    let is_added = |name: &str| added.iter().any(|command| command.name == name);
    let redis = RedisCommands(&is_added);
    let is_redis = pool.values.get(&REDIS);
    let known: &dyn Vocabulary = match is_redis {
        true => &redis,
        false => &MemcachedCommands,
    };
    let users: Vec<_> = lines
        .iter()
        .filter_map(|line| check_user(line, known, findings))
        .collect();
    Some(Arc::new(match is_redis {
        true => users_with(users, &added),
        false => memcached_users(users),
    }))
}

fn check_user(
    line: &UserLine,
    known: &dyn Vocabulary,
    findings: &mut Findings,
) -> Option<(Box<str>, Acl)> {
    let mut acl = Acl::new(true);
    let name = &line.name;
    if let Err(error) = acl.add(&line.rules, known) {
        let message = format!(
            "rule {} of `acl` of user `{name}` {}",
            error.number, error.problem
        );
        let problem = Problem::at(&line.position, message).help(help(&error.problem, known));
        findings.problems.push(problem);
        return None;
    }
    for password in &line.passwords {
        if acl.nopass {
            let message = format!("user `{name}` has a password, and `nopass` in its `acl`");
            let help = "remove one of the two";
            findings
                .problems
                .push(Problem::at(&line.position, message).help(help));
            return None;
        }
        if let Err(problem) = acl.add_digest(*password) {
            let message = format!("user `{name}` has too many passwords");
            findings
                .problems
                .push(Problem::at(&line.position, message).help(problem.help()));
            return None;
        }
    }
    if acl.enabled && !acl.nopass && acl.passwords.is_empty() {
        let text = format!(
            "nobody can be user `{name}`: it has no password; add `password_sha256`, or `nopass` or `off` to its `acl`"
        );
        findings.warn(&line.position, text);
    }
    if acl.enabled && acl.nopass && **name != *DEFAULT_USER {
        let text = format!("anybody can be user `{name}`: it needs no password (`nopass`)");
        findings.warn(&line.position, text);
    }
    Some((name.clone(), acl))
}

/// What to do about a rule. memcached has neither the categories of Redis nor its commands.
fn help(problem: &AclProblem, known: &dyn Vocabulary) -> &'static str {
    match problem {
        _ if known.has_channels() => problem.help(),
        AclProblem::UnknownCommand(_) => {
            "expected a command of memcached, such as `+get` or `-flush_all`"
        }
        AclProblem::UnknownCategory(_) => {
            "memcached's commands are in @read, @write and @admin, and all of them in @all"
        }
        AclProblem::Syntax => {
            "expected on, off, nopass, #SHA256, ~PATTERN, %R~PATTERN, %W~PATTERN, allkeys, allcommands, +COMMAND, -COMMAND, +@CATEGORY or -@CATEGORY"
        }
        _ => problem.help(),
    }
}
