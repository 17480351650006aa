//! `locate`: tells which server each key belongs to while all servers are up.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use hashkit::{Belongs, Member, PlaceKind, Ring};
use serde_json::{Value, json};

use super::invocation::LocateOptions;
use super::output::{print_error, print_json, print_result};
use crate::config::{Config, Overrides, PoolConfig, load};

/// `locate KEY...`
pub(super) fn locate(options: &LocateOptions) -> ExitCode {
    let config = match load(
        &options.conf_file,
        options.overlay.as_deref(),
        &Overrides::default(),
    ) {
        Ok(config) => config,
        Err(report) => return failed(&report.to_string()),
    };
    match answer(&config, options) {
        Ok(text) => {
            match options.json {
                true => print_json(&text),
                false => print_result(&text),
            }
            ExitCode::SUCCESS
        }
        Err(message) => failed(&message),
    }
}

fn failed(message: &str) -> ExitCode {
    print_error(message);
    ExitCode::FAILURE
}

/// Where one key belongs in one pool.
struct Finding<'c> {
    pool: &'c PoolConfig,
    key: &'c [u8],
    belongs: Belongs,
}

/// The text to print, or an error message.
pub(super) fn answer(config: &Config, options: &LocateOptions) -> Result<String, String> {
    let pools = asked_pools(config, options)?;
    let mut findings = Vec::new();
    for pool in pools {
        let ring = ring(pool);
        findings.extend(
            options
                .keys
                .iter()
                .map(|key| finding(pool, &ring, key.as_bytes())),
        );
    }
    match options.json {
        true => Ok(json_text(&findings)),
        false => Ok(findings.iter().map(plain_line).collect()),
    }
}

fn asked_pools<'c>(
    config: &'c Config,
    options: &LocateOptions,
) -> Result<Vec<&'c PoolConfig>, String> {
    let Some(asked) = &options.pool else {
        return Ok(config.pools.iter().collect());
    };
    let pools: Vec<_> = config
        .pools
        .iter()
        .filter(|pool| pool.settings.name == *asked)
        .collect();
    if !pools.is_empty() {
        return Ok(pools);
    }
    let names: Vec<&str> = config
        .pools
        .iter()
        .map(|pool| pool.settings.name.as_str())
        .collect();
    Err(format!(
        "there is no pool `{asked}`; the pools are: {}\n",
        names.join(", ")
    ))
}

fn ring(pool: &PoolConfig) -> Ring {
    let servers = &pool.settings.servers;
    let members: Vec<Member<'_>> = servers
        .iter()
        .map(|server| Member {
            name: server.name.as_bytes(),
            weight: server.weight,
            live: true,
        })
        .collect();
    pool.settings.placement.ring(&members)
}

fn finding<'c>(pool: &'c PoolConfig, ring: &Ring, key: &'c [u8]) -> Finding<'c> {
    let belongs = pool.settings.placement.explain(ring, key);
    Finding { pool, key, belongs }
}

impl Finding<'_> {
    /// The index of the server, unless it is chosen at random.
    fn index(&self) -> Option<usize> {
        match self.belongs {
            Belongs::Only => Some(0),
            Belongs::Hashed { located, .. } => Some(located.index),
            // Some server is live and has a weight, so there is a result.
            Belongs::Drawn | Belongs::Nobody => None,
        }
    }

    fn places(&self) -> PlaceKind {
        self.pool.settings.placement.distribution.places()
    }
}

/// `POOL: KEY -> SERVER (ADDRESS), ...`
fn plain_line(finding: &Finding<'_>) -> String {
    let pool = finding.pool;
    let mut line = format!("{}: {} -> ", pool.settings.name, finding.key.escape_ascii());
    let Some(index) = finding.index() else {
        let _ = writeln!(
            line,
            "any of {} servers (distribution: {})",
            pool.settings.servers.len(),
            pool.settings.placement.distribution.name()
        );
        return line;
    };
    let server = &pool.settings.servers[index];
    let (name, address) = (&server.name, &server.address);
    let _ = write!(line, "{name} ({address})");
    let _ = match finding.belongs {
        Belongs::Hashed { hash, located } => {
            let point = located.point;
            match finding.places() {
                PlaceKind::Slot => writeln!(line, ", hash 0x{hash:08x}, slot {point}"),
                PlaceKind::Point => writeln!(line, ", hash 0x{hash:08x}, point 0x{point:08x}"),
            }
        }
        _ => writeln!(line, ", the only server"),
    };
    line
}

fn json_text(findings: &[Finding<'_>]) -> String {
    let values: Vec<Value> = findings.iter().map(json_value).collect();
    // Maps with string keys can always be serialized.
    serde_json::to_string_pretty(&values).map_or_else(|_| String::new(), |text| text + "\n")
}

fn json_value(finding: &Finding<'_>) -> Value {
    let pool = finding.pool;
    let placement = &pool.settings.placement;
    let mut value = json!({
        "pool": pool.settings.name,
        "key": String::from_utf8_lossy(finding.key),
    });
    if std::str::from_utf8(finding.key).is_err() {
        value["key_hex"] = finding
            .key
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
            .into();
    }
    value["distribution"] = placement.distribution.name().into();
    if let Some(index) = finding.index() {
        value["server"] = pool.settings.servers[index].name.clone().into();
        value["address"] = pool.settings.servers[index].address.to_string().into();
        value["index"] = index.into();
    }
    match finding.belongs {
        Belongs::Only => value["why"] = "the only server".into(),
        Belongs::Drawn | Belongs::Nobody => {
            value["why"] = "any server, at each request anew".into()
        }
        Belongs::Hashed { hash, located } => {
            value["function"] = placement.hash.name().into();
            value["hash"] = format!("0x{hash:08x}").into();
            match finding.places() {
                PlaceKind::Slot => value["slot"] = located.point.into(),
                PlaceKind::Point => value["point"] = format!("0x{:08x}", located.point).into(),
            }
        }
    }
    value
}
