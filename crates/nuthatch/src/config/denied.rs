//! Checks the commands that guardrails deny against the protocol of the pool.

use proxy::settings::{CommandSettings, Deniable};

use super::file::ReadPool;
use super::report::{Findings, Position, Problem};
use super::table::ours::{COMMANDS, GUARDRAILS};
use super::table::theirs::REDIS;

/// Reports denied commands that the pool's protocol does not have, or that are never refused.
pub(super) fn check_guardrails(pool: &ReadPool, findings: &mut Findings) {
    let is_redis = pool.values.get(&REDIS);
    let added = pool.values.value(&COMMANDS).unwrap_or_default();
    let lines = pool.values.value(&GUARDRAILS).unwrap_or_default();
    for line in &lines {
        for (name, position) in line.settings.deny.iter().zip(&line.positions) {
            findings
                .problems
                .extend(check_denied(name, position, is_redis, &added));
        }
    }
}

fn check_denied(
    name: &str,
    position: &Position,
    is_redis: bool,
    added: &[CommandSettings],
) -> Option<Problem> {
    match Deniable::of(name, is_redis) {
        Deniable::Yes => None,
        Deniable::Never => {
            let message = format!("`{name}` cannot be denied");
            let help = match is_redis {
                true => "it ends a transaction, or the connection: deny what begins it, `multi`",
                false => "it ends what its client has sent before",
            };
            Some(Problem::at(position, message).help(help))
        }
        Deniable::Unknown if added.iter().any(|command| command.name == name) => None,
        Deniable::Unknown => {
            let protocol = if is_redis { "Redis" } else { "memcached" };
            let message = format!("`{name}` is no command of {protocol}");
            let help = "expected the name of a command, such as `keys`, or of one of a container, such as `config|set`";
            Some(Problem::at(position, message).help(help))
        }
    }
}
