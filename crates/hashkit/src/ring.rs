//! The ring: which member owns which hash values.

use crate::distribution::{Distribution, Owners};
use crate::member::Member;
use crate::shares::{Located, Run};

/// A distribution built for one set of members.
///
/// It never changes: when a server is ejected or returns, build another. A lookup allocates nothing.
#[derive(Clone, Debug)]
pub struct Ring {
    points_of: Vec<u32>,
    is_owned: bool,
    owners: Owners,
}

impl Ring {
    /// Builds the ring; a member that is not live owns nothing.
    ///
    /// `members` must be in index order (see [`index_order`](crate::index_order)). The size of the ring is
    /// bounded by their number, whatever the weights: with ketama by 160 points per live member plus 1,600.
    pub fn build(distribution: Distribution, members: &[Member<'_>]) -> Self {
        let owners = Owners::build(distribution, members);
        let points_of = owners.owned(members);
        Self {
            is_owned: points_of.iter().any(|&points| points > 0),
            points_of,
            owners,
        }
    }

    /// The index of the member that owns `hash`, or `None` if no member owns anything.
    ///
    /// For a distribution that is [drawn](Distribution::is_drawn), `hash` is a random number from the whole
    /// range of `u32`, a new one for each request: with `random` the result is the live member at that number
    /// modulo the number of live ones.
    #[inline]
    pub fn lookup(&self, hash: u32) -> Option<usize> {
        self.owners.owner(hash)
    }

    /// Like [`lookup`](Self::lookup), with the point or slot that decided.
    pub fn locate(&self, hash: u32) -> Option<Located> {
        self.owners.locate(hash)
    }

    /// How much the member at `index` owns: ring points under ketama, slots
    /// otherwise. 0 if it is not live, if its share is too small, or if there
    /// is no such member.
    pub fn points_of(&self, index: usize) -> usize {
        self.points_of
            .get(index)
            .map_or(0, |&points| points as usize)
    }

    /// Everything that can be owned, in order: the points of the ring by value (equal values by member), or
    /// the slots by number.
    ///
    /// With modula there are as many slots as the sum of the weights, possibly billions; they are generated
    /// lazily.
    pub fn points(&self) -> impl Iterator<Item = Located> + '_ {
        let total = self.points_of.iter().map(|&points| u64::from(points)).sum();
        (0..total).map_while(|position| self.owners.at(position))
    }

    /// The parts with one owner of the hashes from `from` up to `until` (not included), in order.
    pub(crate) fn runs(&self, from: u64, until: u64, run: &mut dyn FnMut(Run)) {
        self.owners.runs(from, until, run);
    }

    /// How many of the hashes from `from` up to `until` (not included) each member owns; a member can occur more than
    /// once.
    pub(crate) fn divide(&self, from: u64, until: u64, part: &mut dyn FnMut(usize, u64)) {
        self.owners.divide(from, until, part);
    }

    /// After how many hashes the owners repeat, if they do.
    pub(crate) fn period(&self) -> Option<u64> {
        self.owners.period()
    }

    /// The number of members the ring was built from, live or not.
    #[inline]
    pub(crate) fn members(&self) -> usize {
        self.points_of.len()
    }

    /// Whether any member owns anything.
    #[inline]
    pub(crate) fn is_owned(&self) -> bool {
        self.is_owned
    }
}

#[cfg(test)]
mod tests;
