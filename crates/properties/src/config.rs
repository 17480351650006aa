//! Properties of arbitrary configuration files.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr};

use hashkit::index_order;

use nuthatch::config::{Config, Input, Overrides, PoolConfig, Report, System, load_inputs};

/// Checks that a file is either accepted, as a configuration that the proxy can run on, or refused with
/// problems whose positions exist in the file. Also checks that no file can be its own overlay: every pool has a
/// `listen`, which an overlay may not set. No name is resolved.
///
/// # Panics
/// When a property does not hold.
pub fn file(data: &[u8]) {
    match read(data, None) {
        Ok(config) => {
            check_config(&config);
            let overlaid = read(data, Some(data));
            assert!(
                overlaid.is_err(),
                "every pool has a `listen`, which an overlay may not set"
            );
        }
        Err(report) => check_report(&report, data),
    }
}

/// Every file that the configuration names has the same bytes as itself.
fn read(data: &[u8], overlay: Option<&[u8]>) -> Result<Config, Report> {
    load_inputs(
        Input::configuration("file.yml", data.to_owned()),
        overlay.map(|data| Input::overlay("overlay.yml", data.to_owned())),
        &Overrides::default(),
        System {
            resolve: &resolve_literally,
            read: &|_| Ok(data.to_owned()),
        },
    )
}

/// Parses numeric addresses and resolves no names.
fn resolve_literally(host: &str, port: u16) -> io::Result<SocketAddr> {
    let address = host.parse::<IpAddr>().map_err(io::Error::other)?;
    Ok(SocketAddr::new(address, port))
}

fn check_config(config: &Config) {
    assert!(!config.pools.is_empty(), "a configuration has pools");
    let name = |pool: &PoolConfig| pool.settings.name.clone();
    let names: Vec<String> = config.pools.iter().map(name).collect();
    assert_index_order(&names);
    let listens: HashSet<&str> = config.pools.iter().map(|pool| pool.listen.text()).collect();
    assert_eq!(
        listens.len(),
        config.pools.len(),
        "no two pools listen on one address"
    );
    config.pools.iter().for_each(check_pool);
    for pool in &config.pools {
        let named = pool.settings.failure.failover.is_some();
        let other = config.failover_of(pool).map(|index| &config.pools[index]);
        assert_eq!(named, other.is_some(), "a failover pool exists");
        let ends = other.is_none_or(|other| other.settings.failure.failover.is_none());
        assert!(ends, "failovers are no chain");
    }
    assert!(config.globals.workers.count() >= 1);
    assert!(config.warnings.iter().all(|warning| is_one_line(warning)));
}

fn check_pool(pool: &PoolConfig) {
    let servers = &pool.settings.servers;
    assert!(!servers.is_empty(), "a pool has servers");
    assert_eq!(
        servers.len(),
        pool.settings.servers.len(),
        "each server has an address"
    );
    let names: Vec<String> = servers.iter().map(|server| server.name.clone()).collect();
    assert_index_order(&names);
    assert!(
        servers
            .iter()
            .all(|server| server.weight > 0 && !server.name.is_empty())
    );
    assert!(pool.settings.server_connections >= 1);
    assert!(
        pool.settings
            .timeout
            .is_none_or(|timeout| !timeout.is_zero())
    );
}

/// Names are distinct and in index order.
fn assert_index_order(names: &[String]) {
    let rising = |pair: &[String]| index_order(pair[0].as_bytes(), pair[1].as_bytes()).is_lt();
    assert!(names.windows(2).all(rising), "{names:?}");
}

fn check_report(report: &Report, data: &[u8]) {
    assert!(!report.problems().is_empty(), "a refusal has reasons");
    let lines = 1 + data
        .iter()
        .filter(|byte| matches!(byte, b'\n' | b'\r'))
        .count();
    for problem in report.problems() {
        if let Some(position) = &problem.position {
            assert!(
                (1..=lines).contains(&position.line),
                "line {} of {lines}",
                position.line
            );
            assert!(position.column >= 1 && position.width >= 1);
        }
    }
    let text = report.to_string();
    assert!(
        text.ends_with('\n') && text.lines().all(is_one_line),
        "{text:?}"
    );
}

fn is_one_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}
