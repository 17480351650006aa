//! The trait that every distribution implements.

use crate::member::Member;

/// The result of looking up a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// The index of the member that owns it.
    pub index: usize,
    /// What the hash selected, see [`PlaceKind`].
    pub point: u32,
}

/// What the number in [`Located::point`] means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceKind {
    /// A point on a ring: any value of a hash.
    Point,
    /// A slot: slots are numbered from 0.
    Slot,
}

/// A distribution built for one set of members. An implementation is registered by one line in
/// `distribution.rs`, and nowhere else.
pub(crate) trait Shares: Sized {
    /// Its name in a configuration file.
    const NAME: &'static str;

    /// What it does, in a few words for the manual.
    const ABOUT: &'static str;

    /// Whether the server is drawn at random for each request, whatever the key.
    const IS_DRAWN: bool = false;

    /// What the number in [`Located::point`] means.
    const PLACES: PlaceKind;

    /// The largest sum of weights that it supports.
    const MAX_WEIGHTS: u64;

    /// Builds it.
    fn build(members: &[Member<'_>]) -> Self;

    /// The owner of a value (the hash of a key, or a random number), if there is one.
    fn locate(&self, value: u32) -> Option<Located>;

    /// Only the owner's index, which is all that a request needs.
    #[inline]
    fn owner(&self, value: u32) -> Option<usize> {
        self.locate(value).map(|located| located.index)
    }

    /// What can be owned at a position, in order.
    fn at(&self, position: u64) -> Option<Located>;

    /// How much each of the members owns.
    fn owned(&self, members: &[Member<'_>]) -> Vec<u32>;

    /// Calls `run` for each part of the values from `from` up to `until` (not included) that has one owner, in
    /// order. Nothing is called if there is no owner.
    fn runs(&self, from: u64, until: u64, run: &mut dyn FnMut(Run));

    /// Calls `part` with members and how many of the values from `from` up to `until` (not included) each has, in
    /// any order; a member can occur more than once.
    fn divide(&self, from: u64, until: u64, part: &mut dyn FnMut(usize, u64)) {
        self.runs(from, until, &mut |run| {
            part(run.owner, run.until - run.from)
        });
    }

    /// After how many values the owners repeat, if they do.
    fn period(&self) -> Option<u64>;
}

/// Consecutive values with one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The first value.
    pub(crate) from: u64,
    /// The value after the last.
    pub(crate) until: u64,
    /// The index of the member.
    pub(crate) owner: usize,
}
