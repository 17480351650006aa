//! The ring: which member owns which hash values.

use std::cmp::Ordering;

use crate::{Distribution, ketama::Continuum, modula::Slots, random::Live};

/// A server as a ring sees it.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// The server's name; to ketama it is what the server's points are made
    /// of. By nutcracker's rules: the configured name, else host and port
    /// (the port left out when it is 11211), else socket path and a colon.
    pub name: &'a [u8],
    /// The server's share relative to the other live ones. nutcracker allows
    /// no weight of 0; here it means no share.
    pub weight: u32,
    /// Whether the server takes part, that is, is not ejected at present.
    pub live: bool,
}

/// The order by name in which nutcracker 0.5.0 numbers the servers of a pool:
/// shorter names first, those of equal length by their bytes.
///
/// Every distribution depends on it; the order in the file never matters.
pub fn index_order(a: &[u8], b: &[u8]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Where a hash value was found to belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// The index of the member that owns it.
    pub index: usize,
    /// What led there: with ketama the value of the point on the ring, with
    /// modula and random the number of the slot.
    pub point: u32,
}

/// A distribution worked out for one set of members.
///
/// It never changes: when a server is ejected or returns, build another.
/// Looking up allocates nothing.
#[derive(Clone, Debug)]
pub struct Ring {
    points_of: Vec<u32>,
    owners: Owners,
}

#[derive(Clone, Debug)]
enum Owners {
    Ketama(Continuum),
    Modula(Slots),
    Random(Live),
}

impl Ring {
    /// Works out which member owns what; a member that is not live owns
    /// nothing.
    ///
    /// `members` stand in index order (see [`index_order`]). The size of the
    /// ring is bounded by their number, whatever the weights: under ketama
    /// by 160 points for each live member and 1,600 more.
    pub fn build(distribution: Distribution, members: &[Member<'_>]) -> Self {
        let owners = match distribution {
            Distribution::Ketama => Owners::Ketama(Continuum::build(members)),
            Distribution::Modula => Owners::Modula(Slots::build(members)),
            Distribution::Random => Owners::Random(Live::build(members)),
        };
        let points_of = match &owners {
            Owners::Ketama(continuum) => continuum.points_by_member(members.len()),
            Owners::Modula(_) => shares(members, |member| member.weight),
            Owners::Random(_) => shares(members, |_| 1),
        };
        Self { points_of, owners }
    }

    /// The index of the member that owns `hash`, or `None` if nobody owns
    /// anything.
    ///
    /// For [`Distribution::Random`] `hash` is a draw of the caller's from all
    /// of `u32`, a new one each time; the result is the live member at draw
    /// modulo the number of live ones.
    #[inline]
    pub fn lookup(&self, hash: u32) -> Option<usize> {
        self.locate(hash).map(|located| located.index)
    }

    /// Like [`lookup`](Self::lookup), with the point or slot that decided.
    #[inline]
    pub fn locate(&self, hash: u32) -> Option<Located> {
        match &self.owners {
            Owners::Ketama(continuum) => continuum.locate(hash),
            Owners::Modula(slots) => slots.locate(hash),
            Owners::Random(live) => live.locate(hash),
        }
    }

    /// How much the member at `index` owns: ring points under ketama, slots
    /// otherwise. 0 if it is not live, if its share is too small, or if there
    /// is no such member.
    pub fn points_of(&self, index: usize) -> usize {
        self.points_of
            .get(index)
            .map_or(0, |&points| points as usize)
    }

    /// Everything there is to own, in order: the points of the ring by value
    /// (equal values by member), or the slots by number.
    ///
    /// Under modula there are as many slots as the weights add up to, which
    /// may be thousands of millions; they are made as they are asked for.
    pub fn points(&self) -> impl Iterator<Item = Located> + '_ {
        let total = self.points_of.iter().map(|&points| u64::from(points)).sum();
        (0..total).map_while(|position| self.at(position))
    }

    /// The number of members the ring was built from, live or not.
    pub(crate) fn members(&self) -> usize {
        self.points_of.len()
    }

    fn at(&self, position: u64) -> Option<Located> {
        match &self.owners {
            Owners::Ketama(continuum) => continuum.at(usize::try_from(position).ok()?),
            Owners::Modula(slots) => slots.locate(u32::try_from(position).ok()?),
            Owners::Random(live) => live.locate(u32::try_from(position).ok()?),
        }
    }
}

/// The live members with their indices, in index order.
pub(crate) fn live<'m, 'a>(
    members: &'m [Member<'a>],
) -> impl Iterator<Item = (u32, &'m Member<'a>)> + Clone {
    (0..).zip(members).filter(|(_, member)| member.live)
}

fn shares(members: &[Member<'_>], share: impl Fn(&Member<'_>) -> u32) -> Vec<u32> {
    let share_of = |member: &Member<'_>| if member.live { share(member) } else { 0 };
    members.iter().map(share_of).collect()
}

#[cfg(test)]
mod tests;
