//! Checks a configuration: every pool by itself, then all pools together.

use std::collections::HashMap;

use hashkit::index_order;

use super::address::{Listen, Resolve};
use super::effective::effective;
use super::failure::check_failovers;
use super::fault::faulty;
use super::file::{ReadPool, is_whole, read_file};
use super::login::{PoolLogins, check_login};
use super::loops::check_loops;
use super::node::Node;
use super::overlay::{Overlay, read_overlay};
use super::overrides::Overrides;
use super::pool::check_pool;
use super::report::{Findings, Problem, Warning};
use super::server_file::read_server_file;
use super::system::System;
use super::table::ours::ACCESS_LOG;
use super::table::theirs::{LISTEN, REUSEPORT};
use super::table::tls::TLS;
use super::table::{Scope, rows};
use super::tls::{PoolTls, check_tls};
use super::types::{Config, Globals, PoolConfig};
use super::values::Values;

/// A configuration that was checked, and what it was made of.
pub(super) struct Checked {
    /// The configuration.
    pub(super) config: Config,
    /// The pools as read, in the order of the file.
    pub(super) pools: Vec<ReadPool>,
    /// What is probably not intended.
    pub(super) warnings: Vec<Warning>,
}

/// Checks a file's tree, the overlay's if there is one, and the overrides from the command line. Hosts to
/// listen on are resolved by `system`, which also reads the files that are named.
pub(super) fn check(
    base: Option<Node>,
    overlay: Option<Node>,
    overrides: &Overrides,
    system: System<'_>,
    findings: &mut Findings,
) -> Option<Checked> {
    let (mut pools, mut globals) = read_file(base.as_ref(), findings);
    let whole = base.as_ref().is_some_and(is_whole);
    // If the file could not be read to its end, its list of pools may be incomplete.
    if let Some(overlay) = overlay.filter(|_| whole) {
        let overlay = read_overlay(&overlay, &pools, findings);
        lay_over(overlay, &mut pools, &mut globals);
    }
    for pool in &mut pools {
        read_server_file(pool, system.read, findings);
    }
    let listens: Vec<Option<Listen>> = pools
        .iter()
        .map(|pool| resolve_listen(pool, system.resolve, findings))
        .collect();
    let tls: Vec<PoolTls> = pools
        .iter()
        .map(|pool| check_tls(pool, system, findings))
        .collect();
    let logins: Vec<Option<PoolLogins>> = pools
        .iter()
        .map(|pool| check_login(pool, system, findings))
        .collect();
    check_listeners(&pools, &listens, &tls, findings);
    check_loops(&pools, &listens, findings);
    check_failovers(&pools, whole, findings);
    let checked: Vec<Option<PoolConfig>> = pools
        .iter()
        .zip(listens.into_iter().zip(tls).zip(logins))
        .map(|(pool, ((listen, tls), logins))| {
            let mut config = check_pool(pool, listen, tls, findings)?;
            if let Some(PoolLogins { logins, file }) = logins {
                config.settings.server_logins = Some(logins);
                config.login_file = Some(file);
            }
            Some(config)
        })
        .collect();
    let sound: Option<Vec<PoolConfig>> = checked.into_iter().collect();
    let mut sound = sound.filter(|_| findings.problems.is_empty())?;
    sound.sort_by(|a, b| index_order(a.settings.name.as_bytes(), b.settings.name.as_bytes()));
    let read_globals = globals_of(&globals, overrides);
    if read_globals.access_log_file.is_none() {
        warn_of_access_logs(&pools, findings);
    }
    let warnings = std::mem::take(&mut findings.warnings);
    let mut by_name: Vec<&ReadPool> = pools.iter().collect();
    by_name.sort_by(|a, b| index_order(a.name.as_bytes(), b.name.as_bytes()));
    let config = Config {
        pools: sound,
        globals: read_globals,
        effective: effective(&by_name, &globals, overrides),
        warnings: warnings.iter().map(Warning::to_string).collect(),
    };
    Some(Checked {
        config,
        pools,
        warnings,
    })
}

/// Tells of pools that are to write to the access log, which is nowhere.
fn warn_of_access_logs(pools: &[ReadPool], findings: &mut Findings) {
    let given = pools
        .iter()
        .filter_map(|pool| pool.values.given(&ACCESS_LOG));
    for given in given {
        let message = "`access_log` has no effect: there is no `access_log_file`";
        findings.warn(&given.key, message);
    }
}

fn lay_over(overlay: Overlay, pools: &mut [ReadPool], globals: &mut Values) {
    globals.lay_over(overlay.globals);
    for (index, values) in overlay.pools {
        pools[index].values.lay_over(values);
    }
}

fn globals_of(values: &Values, overrides: &Overrides) -> Globals {
    let mut globals = Globals::default();
    for row in rows(Scope::Global) {
        let (first, second) = (overrides.get(row.setting()), values.read_of(row.setting()));
        row.fill_globals(first.or(second), &mut globals);
    }
    globals
}

fn resolve_listen(
    pool: &ReadPool,
    resolve: Resolve<'_>,
    findings: &mut Findings,
) -> Option<Listen> {
    let given = pool.values.given(&LISTEN)?;
    let line = pool.values.value(&LISTEN)?;
    match line.resolve(resolve) {
        Ok(listen) => Some(listen),
        Err(fault) => {
            let subject = format!("setting `{}`", LISTEN.name);
            let problem = faulty(&subject, line.text(), &given.position, fault);
            findings.problems.push(problem);
            None
        }
    }
}

/// Reports pools that listen on the same address.
fn check_listeners(
    pools: &[ReadPool],
    listens: &[Option<Listen>],
    tls: &[PoolTls],
    findings: &mut Findings,
) {
    let mut texts: HashMap<String, &ReadPool> = HashMap::new();
    let mut bound: HashMap<String, &ReadPool> = HashMap::new();
    let plain = pools.iter().zip(listens);
    let plain = plain.map(|(pool, listen)| (pool, listen.as_ref(), pool.values.given(&LISTEN)));
    let secured = pools.iter().zip(tls);
    let secured = secured.map(|(pool, tls)| (pool, tls.listen.as_ref(), pool.values.given(&TLS)));
    for (pool, listen, given) in plain.chain(secured) {
        let (Some(listen), Some(given)) = (listen, given) else {
            continue;
        };
        let same_text = texts.insert(listen.text().to_owned(), pool);
        // The same address in another spelling fails at bind time, unless both pools set `reuseport`.
        let shared = |other: &&ReadPool| [other, pool].iter().all(|it| it.values.get(&REUSEPORT));
        let same_bound = bound
            .insert(bind_key(listen), pool)
            .filter(|other| !shared(other));
        let Some(other) = same_text.or(same_bound) else {
            continue;
        };
        let (a, b, text) = (&other.name, &pool.name, listen.text());
        let message = match a == b {
            true => format!("pool `{a}` listens twice on `{text}`"),
            false => format!("pools `{a}` and `{b}` have the same listen address `{text}`"),
        };
        findings
            .problems
            .push(Problem::at(&given.position, message));
    }
}

fn bind_key(listen: &Listen) -> String {
    match listen {
        Listen::Tcp { addr, .. } => addr.to_string(),
        Listen::Unix { path, .. } => path.display().to_string(),
    }
}
