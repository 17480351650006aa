//! `ring diff`: which part of the keys moves when a configuration replaces another.

mod change;
mod keys;
mod shown;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use super::invocation::RingDiffOptions;
use super::output::print_error;
use crate::config::{Config, PoolConfig, STDIN, load_or_read};
use crate::ring_diff::diff as diff_of;
use change::{Change, Kept};
use keys::Refused;

/// The exit status when more moves than is allowed.
const EXCEEDED: u8 = 3;

/// `ring diff OLD NEW`.
pub(super) fn diff(options: &RingDiffOptions) -> ExitCode {
    let loaded = |file: &Path, overlay: Option<&Path>| {
        load_or_read(file, overlay).map_err(|report| report.to_string())
    };
    let old = loaded(&options.old, options.old_overlay.as_deref());
    let configs = old.and_then(|old| {
        let new = loaded(&options.new, options.new_overlay.as_deref())?;
        Ok((old, new))
    });
    let told = configs.and_then(|(old, new)| {
        let mut out = BufWriter::new(io::stdout().lock());
        let exceeded = tell(&old, &new, options, &mut out)?;
        // A reader that has closed the pipe (`| head`) is not an error.
        let _ = out.flush();
        Ok(exceeded)
    });
    match told {
        Ok(true) => ExitCode::from(EXCEEDED),
        Ok(false) => ExitCode::SUCCESS,
        Err(message) => {
            print_error(&message);
            ExitCode::FAILURE
        }
    }
}

/// Writes what is to be told; returns whether more moves than is allowed.
pub(super) fn tell(
    old: &Config,
    new: &Config,
    options: &RingDiffOptions,
    out: &mut dyn Write,
) -> Result<bool, String> {
    let changes = changes(old, new, options)?;
    let kept = changes.iter().filter_map(|change| match change {
        Change::Kept(kept) => Some(kept),
        Change::Added(_) | Change::Removed(_) => None,
    });
    let kept: Vec<&Kept<'_>> = kept.collect();
    let mut keys = match &options.keys {
        Some(file) => Some((open(file)?, file)),
        None => None,
    };
    let shown = shown::begin(&changes, options.json, out);
    let mut exceeded = kept.iter().any(|kept| kept.exceeds);
    // Once nobody reads, only the exit status is left to find out.
    let mut is_read = shown.is_ok();
    let mut counts = Vec::new();
    if let Some((keys, file)) = &mut keys {
        let limit = options.max_move;
        let moved = &mut |moved: &keys::Moved<'_>, is_first: bool| {
            is_read = is_read && shown::key(moved, is_first, options.json, out).is_ok();
        };
        counts = keys::count(keys, &kept, moved).map_err(|refused| match refused {
            Refused::Unreadable(error) => {
                format!("reading keys from '{}': {error}\n", file.display())
            }
            Refused::TooLong(line) => format!(
                "{}:{line}: a key has at most {} bytes\n",
                file.display(),
                keys::LONGEST
            ),
        })?;
        exceeded |= counts.iter().any(|count| count.exceeds(limit));
    }
    if is_read {
        let _ = shown::end(&counts, exceeded, options, out);
    }
    Ok(exceeded)
}

fn open(file: &Path) -> Result<Box<dyn BufRead>, String> {
    if file == Path::new(STDIN) {
        return Ok(Box::new(io::stdin().lock()));
    }
    let opened = File::open(file)
        .map_err(|error| format!("failed to open keys '{}': {error}\n", file.display()))?;
    Ok(Box::new(BufReader::new(opened)))
}

/// The pools of both configurations, in the order of the new one.
fn changes<'c>(
    old: &'c Config,
    new: &'c Config,
    options: &RingDiffOptions,
) -> Result<Vec<Change<'c>>, String> {
    let limit = options.max_move.map(|percent| percent / 100.0);
    let is_asked = |pool: &PoolConfig| {
        let asked = options.pool.as_ref();
        asked.is_none_or(|asked| pool.settings.name == *asked)
    };
    let mut changes = Vec::new();
    for (old, new) in pairs(old, new) {
        if !old.is_some_and(is_asked) && !new.is_some_and(is_asked) {
            continue;
        }
        changes.push(match (old, new) {
            (Some(old), Some(new)) => {
                let diff = diff_of(&old.settings, &new.settings);
                let exceeds = limit.is_some_and(|limit| diff.exceeds(limit));
                let kept = Kept {
                    old,
                    new,
                    diff,
                    exceeds,
                };
                Change::Kept(kept)
            }
            (None, Some(new)) => Change::Added(new),
            (Some(old), None) => Change::Removed(old),
            (None, None) => continue,
        });
    }
    match (&options.pool, changes.is_empty()) {
        (Some(asked), true) => Err(no_such_pool(asked, old, new)),
        _ => Ok(changes),
    }
}

/// Which pool is which: those of one name, and of the others those that listen on the same address.
fn pairs<'c>(
    old: &'c Config,
    new: &'c Config,
) -> Vec<(Option<&'c PoolConfig>, Option<&'c PoolConfig>)> {
    let mut by_name: HashMap<&str, &PoolConfig> = HashMap::new();
    let mut by_address: HashMap<&str, &PoolConfig> = HashMap::new();
    let names: HashSet<&str> = new.pools.iter().map(name_of).collect();
    for pool in &old.pools {
        by_name.insert(name_of(pool), pool);
        if !names.contains(name_of(pool)) {
            by_address.insert(pool.listen.text(), pool);
        }
    }
    let mut pairs = Vec::new();
    for pool in &new.pools {
        let named = by_name.remove(name_of(pool));
        let found = named.or_else(|| by_address.remove(pool.listen.text()));
        if let Some(old) = found {
            by_name.remove(name_of(old));
        }
        pairs.push((found, Some(pool)));
    }
    let removed = old
        .pools
        .iter()
        .filter(|pool| by_name.contains_key(name_of(pool)));
    pairs.extend(removed.map(|pool| (Some(pool), None)));
    pairs
}

fn name_of(pool: &PoolConfig) -> &str {
    &pool.settings.name
}

fn no_such_pool(asked: &str, old: &Config, new: &Config) -> String {
    let mut seen = HashSet::new();
    let names = old.pools.iter().chain(&new.pools).map(name_of);
    let names: Vec<&str> = names.filter(|name| seen.insert(*name)).collect();
    format!(
        "there is no pool `{asked}` in either file; the pools are: {}\n",
        names.join(", ")
    )
}
