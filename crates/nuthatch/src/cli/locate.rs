//! `locate` tells which server each key belongs to while all servers are up, and `explain` why, and where it would go
//! without that server.

use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use hashkit::Belongs;
use serde_json::Value;

use super::invocation::LocateOptions;
use super::output::{print_error, print_json, print_result};
use crate::config::{Config, Overrides, PoolConfig, load};
use crate::explanation::{Explanation, Placed, key_text, ring, unescaped};
use crate::live::idle_pools;

/// `locate KEY...`
pub(super) fn locate(options: &LocateOptions) -> ExitCode {
    print(options, answer)
}

/// `explain KEY...`
pub(super) fn explain(options: &LocateOptions) -> ExitCode {
    print(options, explanations)
}

/// Makes the text to print of the configuration, or an error message.
type Answering = fn(&Config, &LocateOptions) -> Result<String, String>;

fn print(options: &LocateOptions, answer: Answering) -> ExitCode {
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

/// A key as it was given, whose escapes may have to be read.
pub(super) fn key_bytes(text: &OsStr, escapes: bool) -> Result<Vec<u8>, String> {
    match escapes {
        true => unescaped(text.as_bytes()),
        false => Ok(text.as_bytes().to_vec()),
    }
}

/// The text to print, or an error message.
pub(super) fn answer(config: &Config, options: &LocateOptions) -> Result<String, String> {
    let keys = keys(options)?;
    let mut text = String::new();
    let mut values = Vec::new();
    for (_, pool) in asked_pools(config, options)? {
        let ring = ring(&pool.settings);
        for key in &keys {
            let placed = Placed::of(&pool.settings, &ring, key);
            match options.json {
                true => values.push(placed.json()),
                false => text.push_str(&plain_line(&placed)),
            }
        }
    }
    match options.json {
        true => Ok(json_text(&values)),
        false => Ok(text),
    }
}

/// The same for `explain`.
pub(super) fn explanations(config: &Config, options: &LocateOptions) -> Result<String, String> {
    let keys = keys(options)?;
    let (mut texts, mut values) = (Vec::new(), Vec::new());
    let shares = idle_pools(config);
    for (at, _) in asked_pools(config, options)? {
        for key in &keys {
            let explanation = Explanation::of_idle(shares[at].core(), key);
            match options.json {
                true => values.push(explanation.json()),
                false => texts.push(explanation.text()),
            }
        }
    }
    match options.json {
        true => Ok(json_text(&values)),
        false => Ok(texts.join("\n")),
    }
}

/// The keys as bytes.
fn keys(options: &LocateOptions) -> Result<Vec<Vec<u8>>, String> {
    let key = |text: &OsString| key_bytes(text, options.escapes);
    let keys: Result<_, String> = options.keys.iter().map(key).collect();
    keys.map_err(|error| format!("{error}\n"))
}

/// The pools that are asked about, each with its place in the configuration.
fn asked_pools<'c>(
    config: &'c Config,
    options: &LocateOptions,
) -> Result<Vec<(usize, &'c PoolConfig)>, String> {
    let pools = config.pools.iter().enumerate();
    let Some(asked) = &options.pool else {
        return Ok(pools.collect());
    };
    let pools: Vec<_> = pools
        .filter(|(_, pool)| pool.settings.name == *asked)
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

/// `POOL: KEY -> SERVER (ADDRESS), ...`
fn plain_line(placed: &Placed<'_>) -> String {
    let settings = placed.settings();
    let mut line = format!("{}: {} -> ", settings.name, key_text(placed.key()));
    // Writing to a string cannot fail.
    if let (Some(slot), None) = (placed.slot(), placed.index()) {
        let _ = writeln!(
            line,
            "slot {slot}; the nodes of the cluster know who has it"
        );
        return line;
    }
    let Some(index) = placed.index() else {
        let _ = writeln!(
            line,
            "any of {} servers (distribution: {})",
            settings.servers.len(),
            settings.placement.distribution.name()
        );
        return line;
    };
    let server = &settings.servers[index];
    let (name, address) = (&server.name, &server.address);
    let _ = write!(line, "{name} ({address})");
    let _ = match (placed.belongs(), placed.point()) {
        (Belongs::Hashed { hash, .. }, Some(point)) => {
            writeln!(line, ", hash 0x{hash:08x}, {point}")
        }
        _ => writeln!(line, ", the only server"),
    };
    line
}

fn json_text(values: &[Value]) -> String {
    // Maps with string keys can always be serialized.
    serde_json::to_string_pretty(values).map_or_else(|_| String::new(), |text| text + "\n")
}
