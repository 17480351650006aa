//! A configuration as checked: every pool by itself, then all of them together.

use std::collections::HashMap;
use std::time::Duration;

use hashkit::index_order;

use super::address::{Listen, Resolve};
use super::failure::check_failovers;
use super::overlay::{Overlay, read_overlay};
use super::overrides::Overrides;
use super::pool::{PoolConfig, ReadPool, check_pool};
use super::report::{Place, Problem};
use super::table::Scope;
use super::values::{Findings, Rules, Value, Values, Workers, faulty, is_true};
use super::written::{Content, Entry, Mapping, Node};

/// The top-level key that is reserved for settings of the whole process.
pub(super) const RESERVED: &str = "nuthatch";

/// A configuration that the proxy can run on.
#[derive(Debug, Clone)]
pub struct Config {
    /// The pools, sorted by name as nutcracker 0.5.0 does: shorter first, then bytewise.
    pub pools: Vec<PoolConfig>,
    /// What concerns the whole process.
    pub globals: Globals,
    /// What is allowed but deserves a line at start and in `-t`, each beginning with its place.
    pub warnings: Vec<String>,
}

impl Config {
    /// The pool that serves the keys of `pool`'s ejected servers, by its index.
    pub fn failover_of(&self, pool: &PoolConfig) -> Option<usize> {
        let failover = pool.settings.failure.failover.as_ref()?;
        let is_it = |other: &PoolConfig| other.settings.name == failover.pool;
        self.pools.iter().position(is_it)
    }
}

/// Settings of the whole process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Globals {
    /// How many event loops there are.
    pub workers: Workers,
    /// Bytes that the buffers of all clients and servers may take; 0 is no cap, and without it half of the
    /// memory is meant.
    pub max_memory: Option<u64>,
    /// Clients of all pools; 0 is as many as there are descriptors for.
    pub max_clients: u64,
    /// How long requests in flight are waited for at the end.
    pub shutdown_timeout: Duration,
    /// Whether the statistics document has counters that nutcracker does not have.
    pub stats_extended: bool,
}

/// Checks a file's tree, the overlay's if there is one, and what the command line says on top. Hosts to
/// listen on are resolved by `resolve`.
pub(super) fn check(
    base: Option<Node>,
    overlay: Option<Node>,
    overrides: &Overrides,
    resolve: Resolve<'_>,
    findings: &mut Findings,
) -> Option<Config> {
    let (mut pools, mut globals) = read_file(base.as_ref(), findings);
    let whole = base.as_ref().is_some_and(is_whole);
    // Of a file that broke off nobody knows which pools it has.
    if let Some(overlay) = overlay.filter(|_| whole) {
        let overlay = read_overlay(&overlay, &pools, findings);
        lay_over(overlay, &mut pools, &mut globals);
    }
    let listens: Vec<Option<Listen>> = pools
        .iter()
        .map(|pool| resolve_listen(pool, resolve, findings))
        .collect();
    check_listeners(&pools, &listens, findings);
    check_failovers(&pools, whole, findings);
    let checked: Vec<Option<PoolConfig>> = pools
        .iter()
        .zip(listens)
        .map(|(pool, listen)| check_pool(pool, listen, findings))
        .collect();
    let globals = check_globals(&globals, overrides)?;
    let pools: Option<Vec<PoolConfig>> = checked.into_iter().collect();
    let mut pools = pools.filter(|_| findings.problems.is_empty())?;
    pools.sort_by(|a, b| index_order(a.settings.name.as_bytes(), b.settings.name.as_bytes()));
    let warnings = std::mem::take(&mut findings.warnings);
    Some(Config {
        pools,
        globals,
        warnings,
    })
}

/// The pools and the global settings that a file holds.
fn read_file(root: Option<&Node>, findings: &mut Findings) -> (Vec<ReadPool>, Values) {
    let (mut pools, mut globals) = (Vec::new(), Values::default());
    let Some(top) = root.and_then(|root| top_level(root, findings)) else {
        if findings.problems.is_empty() {
            findings.problems.push(no_pools(root));
        }
        return (pools, globals);
    };
    for entry in distinct(top, "pool", findings) {
        let Some(mapping) = mapping_of(entry, findings) else {
            continue;
        };
        if is_reserved(entry, mapping) {
            let rules = Rules {
                owner: "`nuthatch`",
                scopes: &[Scope::Global],
                overlay: false,
            };
            globals = Values::read(mapping, rules, findings);
        } else {
            pools.push(read_pool(entry, mapping, findings));
        }
    }
    if pools.is_empty() && top.whole && findings.problems.is_empty() {
        findings.problems.push(no_pools(root));
    }
    (pools, globals)
}

/// The mapping at the top of a file.
pub(super) fn top_level<'n>(root: &'n Node, findings: &mut Findings) -> Option<&'n Mapping> {
    match &root.content {
        Content::Mapping(mapping) => return Some(mapping),
        Content::Broken => {}
        Content::Text(text) if text.is_empty() => findings.problems.push(no_pools(Some(root))),
        Content::Text(_) | Content::List(_) => {
            let problem = Problem::at(&root.place, "the file must be a mapping of pools");
            findings.problems.push(problem.help(POOL_HELP));
        }
    }
    None
}

/// The entries of a mapping, with complaints about keys that are empty or repeat.
pub(super) fn distinct<'m>(
    mapping: &'m Mapping,
    what: &str,
    findings: &mut Findings,
) -> Vec<&'m Entry> {
    let mut seen: HashMap<&str, &Place> = HashMap::new();
    let mut entries = Vec::with_capacity(mapping.entries.len());
    for entry in &mapping.entries {
        if entry.key.is_empty() {
            let problem = Problem::at(&entry.place, format!("a {what} needs a name"));
            findings.problems.push(problem.help(POOL_HELP));
        } else if let Some(first) = seen.get(entry.key.as_str()) {
            let problem = Problem::at(
                &entry.place,
                format!("{what} `{}` is a duplicate", entry.key),
            );
            findings
                .problems
                .push(problem.help(format!("the other begins in line {}", first.line)));
        } else {
            seen.insert(&entry.key, &entry.place);
            entries.push(entry);
        }
    }
    entries
}

/// The settings under a top-level key.
pub(super) fn mapping_of<'e>(entry: &'e Entry, findings: &mut Findings) -> Option<&'e Mapping> {
    let key = &entry.key;
    let problem = match &entry.value.content {
        Content::Mapping(mapping) => return Some(mapping),
        Content::Broken => return None,
        _ if super::table::find(Scope::Pool, key).is_some() => Problem::at(
            &entry.place,
            format!("setting `{key}` stands outside of a pool"),
        )
        .help("indent it under the name of its pool"),
        Content::Text(text) if text.is_empty() => {
            Problem::at(&entry.place, format!("`{key}` has no settings")).help(POOL_HELP)
        }
        _ => Problem::at(
            &entry.value.place,
            format!("`{key}` must be a mapping of settings"),
        )
        .help(POOL_HELP),
    };
    findings.problems.push(problem);
    None
}

const POOL_HELP: &str =
    "a pool is a name, a colon, and indented settings such as `listen: 127.0.0.1:22121`";

/// Whether an entry holds the global settings. One with a `listen` is a pool that happens to be called
/// so, since files that nutcracker accepts keep their meaning.
fn is_reserved(entry: &Entry, mapping: &Mapping) -> bool {
    entry.key == RESERVED && !mapping.entries.iter().any(|entry| entry.key == "listen")
}

fn is_whole(root: &Node) -> bool {
    matches!(&root.content, Content::Mapping(mapping) if mapping.whole)
}

fn no_pools(root: Option<&Node>) -> Problem {
    let problem = match root {
        Some(root) => Problem::at(&root.place, "the file has no pools"),
        None => Problem::of_file("the configuration has no pools"),
    };
    problem.help(POOL_HELP)
}

fn read_pool(entry: &Entry, mapping: &Mapping, findings: &mut Findings) -> ReadPool {
    let rules = Rules {
        owner: &format!("pool `{}`", entry.key),
        scopes: &[Scope::Pool],
        overlay: false,
    };
    ReadPool {
        name: entry.key.clone(),
        place: entry.place.clone(),
        values: Values::read(mapping, rules, findings),
        whole: mapping.whole,
    }
}

fn lay_over(overlay: Overlay, pools: &mut [ReadPool], globals: &mut Values) {
    globals.lay_over(overlay.globals);
    for (index, values) in overlay.pools {
        pools[index].values.lay_over(values);
    }
}

fn check_globals(globals: &Values, overrides: &Overrides) -> Option<Globals> {
    let value = |name: &str| overrides.get(name).cloned().or_else(|| globals.value(name));
    let number = |name: &str| match value(name) {
        Some(Value::Number(number)) => Some(number),
        _ => None,
    };
    let Some(Value::Workers(workers)) = value("workers") else {
        return None;
    };
    Some(Globals {
        workers,
        max_memory: number("max_memory"),
        max_clients: number("max_clients")?,
        shutdown_timeout: Duration::from_millis(number("shutdown_timeout")?),
        stats_extended: is_true(&value("stats_extended")?),
    })
}

fn resolve_listen(
    pool: &ReadPool,
    resolve: Resolve<'_>,
    findings: &mut Findings,
) -> Option<Listen> {
    let given = pool.values.get("listen")?;
    let Some(Value::Listen(line)) = &given.value else {
        return None;
    };
    match line.resolve(resolve) {
        Ok(listen) => Some(listen),
        Err(fault) => {
            let problem = faulty("setting `listen`", line.text(), &given.place, fault);
            findings.problems.push(problem);
            None
        }
    }
}

/// Complains about pools that listen on the same address.
fn check_listeners(pools: &[ReadPool], listens: &[Option<Listen>], findings: &mut Findings) {
    let mut texts: HashMap<String, &ReadPool> = HashMap::new();
    let mut bound: HashMap<String, &ReadPool> = HashMap::new();
    for (pool, listen) in pools.iter().zip(listens) {
        let (Some(listen), Some(given)) = (listen, pool.values.get("listen")) else {
            continue;
        };
        let same_text = texts.insert(listen.text().to_owned(), pool);
        // The same address in another spelling fails to bind, unless both share the port on purpose.
        let shared = |other: &&ReadPool| both(other, pool, "reuseport");
        let same_bound = bound
            .insert(bind_key(listen), pool)
            .filter(|other| !shared(other));
        let Some(other) = same_text.or(same_bound) else {
            continue;
        };
        let (a, b, text) = (&other.name, &pool.name, listen.text());
        let message = format!("pools `{a}` and `{b}` have the same listen address `{text}`");
        findings.problems.push(Problem::at(&given.place, message));
    }
}

fn both(a: &ReadPool, b: &ReadPool, setting: &str) -> bool {
    a.values.bool(setting) && b.values.bool(setting)
}

fn bind_key(listen: &Listen) -> String {
    match listen {
        Listen::Tcp { addr, .. } => addr.to_string(),
        Listen::Unix { path, .. } => path.display().to_string(),
    }
}
