//! Lints about which server has which keys.

use std::cmp::Reverse;
use std::collections::HashMap;

use hashkit::{Distribution, HashKind};
use proxy::settings::{PoolSettings, ServerSettings};

use super::super::address::ServerLine;
use super::super::report::Position;
use super::super::table::theirs::{DISTRIBUTION, HASH};
use super::row::{Check, Evidence, Lint, Subject, percent};
use crate::ring_diff::{Moved, diff, members, server_shares};

/// How far a server's share of the points may be from what its weight stands for, as a part of that.
const ROUNDING: f64 = 0.1;

pub(super) const CRC32_WITH_KETAMA: Lint = Lint {
    name: "crc32-with-ketama",
    finds: "`hash: crc32` with `distribution: ketama`, the default. twemproxy's `crc32` keeps 15 bits of the checksum, \
            so that all hashes are in the first 131072th part of the ring.",
    consequence: "nearly all keys are on one server, and the others are idle",
    cure: "`hash: crc32a` spreads the keys, but moves them; `nuthatch ring diff` tells how many",
    check: Check::Pool(crc32_with_ketama),
};

pub(super) const UNNAMED_SERVERS: Lint = Lint {
    name: "unnamed-servers",
    finds: "Servers without a name of their own in a pool of several. Their address is their name on the ring.",
    consequence: "another address for a server, even with the same data, moves keys of other servers, too",
    cure: "name them: the present address as the name moves no key",
    check: Check::Pool(unnamed_servers),
};

pub(super) const WEIGHT_ROUNDED_AWAY: Lint = Lint {
    name: "weight-rounded-away",
    finds: "Weights that ketama's rounding changes by more than a tenth, or to nothing. Points \
            of the ring come in groups of 4, about 160 for each server, so that small weights beside large ones get too few, as with twemproxy.",
    consequence: "the server gets another share of the keys than its weight says, or none",
    cure: "use weights that are nearer to each other",
    check: Check::Pool(weight_rounded_away),
};

pub(super) const WEIGHTS_WITHOUT_EFFECT: Lint = Lint {
    name: "weights-without-effect",
    finds: "Different weights with `distribution: random`, which does not look at them.",
    consequence: "all servers get the same number of requests",
    cure: "give all servers the weight 1, or use another distribution",
    check: Check::Pool(weights_without_effect),
};

pub(super) const SAME_ADDRESS: Lint = Lint {
    name: "same-address",
    finds: "Servers of a pool that have different names and the same address.",
    consequence: "one server gets the keys of both, and is counted and ejected as two",
    cure: "correct the address, or give one server the weight of both",
    check: Check::Pool(same_address),
};

fn crc32_with_ketama(subject: &Subject<'_>) -> Vec<Evidence> {
    let placement = &subject.pool.settings.placement;
    let is_it = placement.hash == HashKind::Crc32 && placement.distribution == Distribution::Ketama;
    if !is_it || !subject.has_several() {
        return Vec::new();
    }
    let shares = server_shares(&subject.pool.settings);
    let mut named: Vec<(&ServerSettings, f64)> =
        subject.pool.settings.servers.iter().zip(shares).collect();
    named.sort_by(|a, b| b.1.total_cmp(&a.1));
    let Some((first, most)) = named.first() else {
        return Vec::new();
    };
    let idle = named.iter().filter(|(_, share)| *share == 0.0).count();
    let text = format!(
        "`crc32` has {} values, and `{}` gets {} of the keys; {idle} of {} servers get none",
        placement.hash.values(),
        first.name,
        percent(*most),
        named.len()
    );
    vec![subject.at(&HASH, text)]
}

fn unnamed_servers(subject: &Subject<'_>) -> Vec<Evidence> {
    let lines = lines_of(subject);
    let unnamed: Vec<&(ServerLine, Position)> =
        lines.iter().filter(|(line, _)| !line.is_named).collect();
    // The one that matters most is the example.
    let largest = unnamed.iter().min_by_key(|(line, _)| Reverse(line.weight));
    let is_it = subject.has_several() && subject.has_places();
    let Some((first, position)) = largest.filter(|_| is_it) else {
        return Vec::new();
    };
    let (own, moved) = cost_of_an_address(&subject.pool.settings, &first.name);
    let text = format!(
        "{} of {} servers have no name; another address for `{}`, which has {} of the keys, would move about {} of all keys",
        unnamed.len(),
        lines.len(),
        first.name,
        percent(own),
        percent(moved)
    );
    let cure = format!("name them: `- {} {}` moves no key", first.pname, first.name);
    vec![subject.at_position(position, text).cured_by(cure)]
}

/// The share of a server, and how much moves if it gets another address and, with that, another name.
fn cost_of_an_address(pool: &PoolSettings, name: &str) -> (f64, f64) {
    let mut moved = pool.clone();
    let own = server_shares(pool);
    let index = pool.servers.iter().position(|server| server.name == name);
    if let Some(server) = index.and_then(|index| moved.servers.get_mut(index)) {
        // Longer than the old one, so that with modula the server gets another place in the order, too.
        server.name.push('\'');
    }
    moved
        .servers
        .sort_by(|a, b| hashkit::index_order(a.name.as_bytes(), b.name.as_bytes()));
    let share = match diff(pool, &moved).moved {
        Moved::Exact(share) | Moved::Sample(share, _) => share,
        Moved::NoPlaces { .. } => 0.0,
    };
    (index.map_or(0.0, |index| own[index]), share)
}

fn weight_rounded_away(subject: &Subject<'_>) -> Vec<Evidence> {
    let settings = &subject.pool.settings;
    if settings.placement.distribution != Distribution::Ketama {
        return Vec::new();
    }
    let ring = settings.placement.ring(&members(&settings.servers));
    let points: Vec<usize> = (0..settings.servers.len())
        .map(|it| ring.points_of(it))
        .collect();
    let all_points: usize = points.iter().sum();
    let all_weights: u64 = settings.servers.iter().map(|it| u64::from(it.weight)).sum();
    let lines = lines_of(subject);
    let positions: HashMap<&str, &Position> = lines
        .iter()
        .map(|(line, position)| (&line.name[..], position))
        .collect();
    let mut found = Vec::new();
    for (server, points) in settings.servers.iter().zip(points) {
        let wanted = f64::from(server.weight) / all_weights as f64;
        let got = points as f64 / all_points.max(1) as f64;
        let Some(position) = positions.get(&server.name[..]) else {
            continue;
        };
        if (got - wanted).abs() > ROUNDING * wanted {
            let text = format!(
                "`{}` has the weight {} of {all_weights}, which is {}, and gets {points} of {all_points} points, which is {}",
                server.name,
                server.weight,
                percent(wanted),
                percent(got)
            );
            found.push(subject.at_position(position, text));
        }
    }
    found
}

fn weights_without_effect(subject: &Subject<'_>) -> Vec<Evidence> {
    let weights = subject
        .pool
        .settings
        .servers
        .iter()
        .map(|server| server.weight);
    let (least, most) = (weights.clone().min(), weights.max());
    match (least, most) {
        (Some(least), Some(most)) if least != most && !subject.has_places() => {
            let text = format!(
                "there are weights from {least} to {most}, and `random` does not look at them"
            );
            vec![subject.at(&DISTRIBUTION, text)]
        }
        _ => Vec::new(),
    }
}

fn same_address(subject: &Subject<'_>) -> Vec<Evidence> {
    let lines = lines_of(subject);
    let mut seen = HashMap::new();
    let mut found = Vec::new();
    for (line, position) in &lines {
        let Some(first) = seen.insert(&line.address, line) else {
            continue;
        };
        let text = format!(
            "`{}` and `{}` have the same address {}",
            first.name, line.name, line.address
        );
        found.push(subject.at_position(position, text));
    }
    found
}

/// The servers in the order of the file.
fn lines_of(subject: &Subject<'_>) -> Vec<(ServerLine, Position)> {
    subject.read.server_lines().unwrap_or_default()
}
