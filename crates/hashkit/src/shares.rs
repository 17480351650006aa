//! What makes a distribution.

use crate::member::Member;

/// Where a hash value was found to belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// The index of the member that owns it.
    pub index: usize,
    /// What led there: with ketama the value of the point on the ring, with
    /// modula and random the number of the slot.
    pub point: u32,
}

/// What the number of a found place means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceKind {
    /// A point of a ring: one of all values of a hash.
    Point,
    /// A slot: slots are numbered from 0.
    Slot,
}

/// A distribution worked out for one set of members. Whoever implements it is
/// registered in `distribution.rs`, by one line, and nowhere else.
pub(crate) trait Shares: Sized {
    /// The name by which a configuration file asks for it.
    const NAME: &'static str;

    /// Whether a draw decides, a new one for each request, and not the key.
    const IS_DRAWN: bool = false;

    /// What the number of a found place means.
    const PLACES: PlaceKind;

    /// The largest sum of weights that it is meant to share by.
    const MAX_WEIGHTS: u64;

    /// Works out which member owns what.
    fn build(members: &[Member<'_>]) -> Self;

    /// Who owns a value (the hash of a key, or a draw), if anybody.
    fn locate(&self, value: u32) -> Option<Located>;

    /// The index of the owner alone, which is all that a request needs.
    #[inline]
    fn owner(&self, value: u32) -> Option<usize> {
        self.locate(value).map(|located| located.index)
    }

    /// What there is to own at a position, in order.
    fn at(&self, position: u64) -> Option<Located>;

    /// How much each of the members that it was built from owns.
    fn owned(&self, members: &[Member<'_>]) -> Vec<u32>;
}
