//! What another configuration of a pool does to its keys: how many move, and from which server to which. There is no
//! I/O in it: it is the same whether two files are compared or a file and what is running.

use std::collections::HashMap;

use hashkit::{Basis, Comparison, Member, Peculiar, Side, compare, shares};
use proxy::settings::{PoolSettings, ServerSettings};

/// What changes if one configuration of a pool follows another. Shares are of all keys, from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct RingDiff {
    /// How many keys move.
    pub moved: Moved,
    /// Keys of which another share moves than of all others.
    pub peculiar: Vec<(Peculiar, f64)>,
    /// The servers of both configurations: the new ones in index order, then those that are gone.
    pub servers: Vec<ServerShare>,
    /// From which server to which keys move, the largest share first.
    pub moves: Vec<Move>,
    /// The share that moves between servers that `moves` does not list: it has at most
    /// [`MAX_FLOWS`](hashkit::MAX_FLOWS).
    pub unlisted: f64,
    /// The largest share of any server in relation to what its weight stands for, before and after: 1 is even.
    pub balance: (f64, f64),
}

/// How many keys move.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Moved {
    /// This share, by all values that a hash can have: exact for keys whose hashes are spread evenly.
    Exact(f64),
    /// This share of a sample of so many keys, as the configurations hash differently or have too many parts to compare.
    Sample(f64, u64),
    /// Keys have no server of their own before or after (`distribution: random`).
    NoPlaces {
        /// Whether they have none before.
        before: bool,
        /// Whether they have none after.
        after: bool,
    },
}

/// A server in both configurations. It is the same one if it has the same name; failing that, if it has the same address.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerShare {
    /// What it is before, with its share; `None` if it is added.
    pub before: Option<Placed>,
    /// What it is after; `None` if it is removed.
    pub after: Option<Placed>,
}

/// A server in one configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Its share of the keys.
    pub share: f64,
}

/// Keys that move from one server to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Move {
    /// The old server's name.
    pub from: String,
    /// The new server's name.
    pub to: String,
    /// The share of the keys.
    pub share: f64,
}

impl RingDiff {
    /// The largest share that moves of any kind of keys; `None` if keys have no server of their own.
    pub fn worst(&self) -> Option<f64> {
        let (Moved::Exact(share) | Moved::Sample(share, _)) = self.moved else {
            return None;
        };
        Some(
            self.peculiar
                .iter()
                .fold(share, |worst, (_, share)| worst.max(*share)),
        )
    }

    /// Whether more than this share of the keys moves. Keys that had servers of their own and have none afterwards, or
    /// get one, count as moved; those that never had any do not.
    pub fn exceeds(&self, share: f64) -> bool {
        match self.moved {
            Moved::NoPlaces { before, after } => before != after && share < 1.0,
            Moved::Exact(_) | Moved::Sample(..) => self.worst().is_some_and(|worst| worst > share),
        }
    }
}

/// What changes for the keys of a pool if `new` follows `old`. Takes milliseconds, or up to a few seconds where keys have to
/// be sampled.
pub fn diff(old: &PoolSettings, new: &PoolSettings) -> RingDiff {
    let (before, after) = (members(&old.servers), members(&new.servers));
    let sides = (side(old, &before), side(new, &after));
    let same = same_servers(&old.servers, &new.servers);
    let comparison = compare(sides.0, sides.1, &same);
    let (before, after) = (placed(old, sides.0), placed(new, sides.1));
    RingDiff {
        moved: moved(old, new, &comparison),
        peculiar: peculiar(&comparison),
        balance: (balance(old, &before), balance(new, &after)),
        moves: moves(old, new, &comparison),
        unlisted: comparison.share(comparison.unlisted),
        servers: pair_up(before, after, &same),
    }
}

/// For each new server, the index of the old one that is the same. Names come first: a name is a server's identity on the
/// ring, and one that keeps it may change its address without moving a key.
pub fn same_servers(old: &[ServerSettings], new: &[ServerSettings]) -> Vec<Option<usize>> {
    let named = (0..).zip(old).map(|(index, server)| (&server.name, index));
    let mut by_name: HashMap<&String, usize> = named.collect();
    let mut by_address = HashMap::new();
    let mut same: Vec<Option<usize>> = new
        .iter()
        .map(|server| by_name.remove(&server.name))
        .collect();
    // Those that no new server has the name of. The first one counts where several have one address.
    for (index, server) in old.iter().enumerate() {
        if by_name.contains_key(&server.name) {
            by_address.entry(&server.address).or_insert(index);
        }
    }
    for (found, server) in same.iter_mut().zip(new) {
        if found.is_none() {
            *found = by_address.remove(&server.address);
        }
    }
    same
}

/// The servers of a pool as a ring sees them while all are up.
pub fn members(servers: &[ServerSettings]) -> Vec<Member<'_>> {
    servers.iter().map(member).collect()
}

fn member(server: &ServerSettings) -> Member<'_> {
    Member {
        name: server.name.as_bytes(),
        weight: server.weight,
        live: true,
    }
}

/// The share of each server of a pool, in index order, from 0 to 1.
pub fn server_shares(pool: &PoolSettings) -> Vec<f64> {
    let members = members(&pool.servers);
    let divided = shares(side(pool, &members));
    (0..members.len())
        .map(|index| divided.share(index))
        .collect()
}

/// Whether each request of a pool goes to a random server.
fn is_drawn(pool: &PoolSettings) -> bool {
    pool.placement.distribution.is_drawn() && pool.servers.len() > 1
}

fn side<'a>(pool: &'a PoolSettings, members: &'a [Member<'a>]) -> Side<'a> {
    Side {
        placement: &pool.placement,
        members,
    }
}

fn moved(old: &PoolSettings, new: &PoolSettings, comparison: &Comparison) -> Moved {
    let share = comparison.share(comparison.moved);
    match comparison.basis {
        Basis::Hashes => Moved::Exact(share),
        Basis::Sample => Moved::Sample(share, comparison.whole),
        Basis::Drawn => Moved::NoPlaces {
            before: is_drawn(old),
            after: is_drawn(new),
        },
    }
}

fn peculiar(comparison: &Comparison) -> Vec<(Peculiar, f64)> {
    let share = |(keys, comparison): &(Peculiar, Comparison)| {
        let share = comparison.share(comparison.moved);
        (*keys, share)
    };
    comparison.peculiar.iter().map(share).collect()
}

fn moves(old: &PoolSettings, new: &PoolSettings, comparison: &Comparison) -> Vec<Move> {
    let flows = comparison.flows.iter();
    let named = flows.map(|flow| Move {
        from: old.servers[flow.from].name.clone(),
        to: new.servers[flow.to].name.clone(),
        share: comparison.share(flow.amount),
    });
    named.collect()
}

fn placed(pool: &PoolSettings, side: Side<'_>) -> Vec<Placed> {
    let divided = shares(side);
    let placed = |(index, server): (usize, &ServerSettings)| Placed {
        name: server.name.clone(),
        address: server.address.to_string(),
        share: divided.share(index),
    };
    pool.servers.iter().enumerate().map(placed).collect()
}

/// The largest share of any server in relation to what its weight stands for.
fn balance(pool: &PoolSettings, placed: &[Placed]) -> f64 {
    let weight = |server: &ServerSettings| match is_drawn(pool) {
        true => 1.0,
        false => f64::from(server.weight),
    };
    let sum: f64 = pool.servers.iter().map(weight).sum();
    let ratios = pool.servers.iter().zip(placed);
    let ratios = ratios.map(|(server, placed)| placed.share * sum / weight(server));
    ratios.fold(0.0, f64::max)
}

fn pair_up(before: Vec<Placed>, after: Vec<Placed>, same: &[Option<usize>]) -> Vec<ServerShare> {
    let mut before: Vec<Option<Placed>> = before.into_iter().map(Some).collect();
    let mut take = |index: Option<usize>| index.and_then(|index| before[index].take());
    let pairs = after
        .into_iter()
        .zip(same)
        .map(|(after, same)| ServerShare {
            before: take(*same),
            after: Some(after),
        });
    let mut servers: Vec<ServerShare> = pairs.collect();
    let gone = before.into_iter().flatten().map(|before| ServerShare {
        before: Some(before),
        after: None,
    });
    servers.extend(gone);
    servers
}

#[cfg(test)]
mod tests;
