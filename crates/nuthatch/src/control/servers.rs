//! Servers that operators take out of use and put back.

use std::sync::Arc;
use std::time::Duration;

use proxy::{PlannedServer, Time};

use super::message::{Answer, Request, ServerName};
use crate::config::nearest;
use crate::live::Live;
use crate::logger::{ALWAYS, log};
use crate::pool::{PoolShare, state_of};

/// How long workers may take to follow.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Changes a server's state, at `now`.
pub(super) fn change(live: &mut Live, request: &Request, now: Time) -> Answer {
    let (verb, name) = match request {
        Request::Drain(name) => ("drain", name),
        Request::Undrain(name) => ("undrain", name),
        Request::Eject(name) => ("eject", name),
        Request::Admit(name) => ("admit", name),
        _ => return Answer::refused("this command is not about a server"),
    };
    if live.is_upgrading() {
        return Answer::refused("an upgrade is under way; ask the new process");
    }
    let (pool, server) = match find(live, name) {
        Ok(found) => found,
        Err(reason) => return Answer::refused(reason),
    };
    if matches!(verb, "drain" | "eject")
        && let Some(reason) = reason_against(&pool, &server, verb, name.force)
    {
        return Answer::refused(reason);
    }
    let changed = match verb {
        "drain" => pool.core().hold(&server),
        "undrain" => pool.core().release(&server),
        "eject" => pool.core().eject(&server, now),
        _ => pool.core().admit(&server),
    };
    let all_followed = live.tell_workers(TIME_LIMIT);
    let (state, server, pool) = (state_of(&server), server.share.name(), pool.name());
    log!(
        ALWAYS,
        { pool: pool, server: server },
        "control: {verb} server '{server}' of pool '{pool}': {state}"
    );
    let note = match (changed, all_followed) {
        (false, _) => " already",
        (true, true) => "",
        (true, false) => "; a worker is busy and has not followed yet",
    };
    Answer::done(
        format!("server '{server}' of pool '{pool}' is {state}{note}\n"),
        serde_json::json!({ "pool": pool, "server": server, "state": state, "changed": changed }),
    )
}

/// Has the servers put in force that were found for a pool, or for the only one that has any, and held back.
pub(super) fn accept(pools: &[Arc<PoolShare>], name: Option<&str>) -> Answer {
    let is_asked = |pool: &&Arc<PoolShare>| name.is_none_or(|name| name == pool.name());
    let asked: Vec<&Arc<PoolShare>> = pools.iter().filter(is_asked).collect();
    if let (Some(name), true) = (name, asked.is_empty()) {
        let text = format!("there is no pool '{name}'");
        return Answer::refused(with_hint(text, name, pools.iter().map(|it| it.name())));
    }
    let is_held_back = |pool: &&&Arc<PoolShare>| {
        let standing = pool.standing();
        standing.is_some_and(|it| it.known().held_back.is_some())
    };
    let held_back: Vec<&&Arc<PoolShare>> = asked.iter().filter(is_held_back).collect();
    let names: Vec<&str> = held_back.iter().map(|pool| pool.name()).collect();
    match held_back.as_slice() {
        [] => Answer::refused("nothing was held back: see `nuthatch ctl status`"),
        [pool] => {
            let accepts = pool.standing().is_some_and(|it| it.accept());
            let name = pool.name();
            log!(ALWAYS, { pool: name }, "control: accept the servers of pool '{name}'");
            let text = format!("the servers that were found for pool '{name}' are put in force\n");
            Answer::done(
                text,
                serde_json::json!({ "pool": name, "accepted": accepts }),
            )
        }
        _ => Answer::refused(format!(
            "several pools have servers that were held back: {}; name one with --pool",
            names.join(", ")
        )),
    }
}

/// The server that is meant, and its pool.
fn find(live: &Live, name: &ServerName) -> Result<(Arc<PoolShare>, PlannedServer), String> {
    let pools = &live.directory().in_force().pools;
    let names = || pools.iter().map(|pool| pool.name());
    if let Some(pool) = &name.pool
        && !names().any(|it| it == pool)
    {
        return Err(with_hint(
            format!("there is no pool '{pool}'"),
            pool,
            names(),
        ));
    }
    let is_asked = |pool: &&Arc<PoolShare>| name.pool.as_deref().is_none_or(|it| it == pool.name());
    let mut found = Vec::new();
    let mut others = Vec::new();
    for pool in pools.iter().filter(is_asked) {
        for server in pool.core().plan().servers_and_replicas() {
            match server.share.name() == name.server {
                true => found.push((Arc::clone(pool), server.clone())),
                false => others.push(server.share.name().to_owned()),
            }
        }
    }
    match found.len() {
        1 => Ok(found.swap_remove(0)),
        0 => {
            let text = format!("there is no server '{}'", name.server);
            Err(with_hint(
                text,
                &name.server,
                others.iter().map(String::as_str),
            ))
        }
        _ => {
            let pools: Vec<&str> = found.iter().map(|(pool, _)| pool.name()).collect();
            let pools = pools.join(", ");
            Err(format!(
                "several pools have a server '{}': {pools}; name one with --pool",
                name.server
            ))
        }
    }
}

/// The text, with the known name that was probably meant.
pub(super) fn with_hint<'a>(
    text: String,
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> String {
    match nearest(name, known) {
        Some(near) => format!("{text}; is '{near}' meant?"),
        None => text,
    }
}

/// Why a server should not be taken out of use.
fn reason_against(
    pool: &PoolShare,
    server: &PlannedServer,
    verb: &str,
    force: bool,
) -> Option<String> {
    // Its server, and other replicas, have the same data.
    if server.endpoint.is_replica {
        return None;
    }
    let (plan, name) = (pool.core().plan(), pool.name());
    if verb == "eject" && !plan.settings.auto_eject_hosts {
        return Some(format!(
            "pool '{name}' has `auto_eject_hosts: false`, so an ejected server would be used again at once; drain it instead"
        ));
    }
    let others = plan
        .servers
        .iter()
        .filter(|it| !Arc::ptr_eq(&it.share, &server.share));
    let is_last = others.filter(|it| it.is_live()).count() == 0;
    (is_last && !force && plan.failover.is_none()).then(|| {
        format!("it is the last server in use of pool '{name}': all its requests would fail; --force does it all the same")
    })
}
