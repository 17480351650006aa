//! Modula: the hash modulo the sum of the live weights.

use crate::member::{Member, live, shares};
use crate::shares::{Located, PlaceKind, Run, Shares};

/// One slot per unit of weight; the members' slots follow one another in index order.
///
/// nutcracker stores every slot, in an array as large as the sum of the weights. Here each live member has
/// one entry, the number of the slot after its last, so that weights cost no memory. If the sum exceeds a
/// `u32`, where nutcracker wrote past its array, the sum stays exact and every slot up to `u32::MAX` can be
/// selected.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    ends: Vec<u64>,
    owners: Vec<u32>,
}

impl Shares for Slots {
    const NAME: &'static str = "modula";
    const ABOUT: &'static str = "the remainder, by weight";
    const PLACES: PlaceKind = PlaceKind::Slot;
    /// Each unit of weight is a slot, which takes memory in the C program.
    const MAX_WEIGHTS: u64 = 1 << 24;

    fn build(members: &[Member<'_>]) -> Self {
        let mut end = 0;
        let ends = live(members).map(|(_, member)| {
            end += u64::from(member.weight);
            end
        });
        Self {
            ends: ends.collect(),
            owners: live(members).map(|(index, _)| index).collect(),
        }
    }

    #[inline]
    fn locate(&self, hash: u32) -> Option<Located> {
        let total = *self.ends.last()?;
        let slot = u64::from(hash).checked_rem(total)?;
        let position = self.ends.partition_point(|&end| end <= slot);
        Some(Located {
            index: self.owners[position] as usize,
            // The slot is not larger than the hash itself.
            point: slot as u32,
        })
    }

    fn at(&self, position: u64) -> Option<Located> {
        self.locate(u32::try_from(position).ok()?)
    }

    fn owned(&self, members: &[Member<'_>]) -> Vec<u32> {
        shares(members, |member| member.weight)
    }

    fn runs(&self, from: u64, until: u64, run: &mut dyn FnMut(Run)) {
        let Some(total) = self.period() else {
            return;
        };
        let mut from = from;
        let mut round = from - from % total;
        while from < until {
            let first = self.ends.partition_point(|&end| round + end <= from);
            for (&end, &owner) in self.ends[first..].iter().zip(&self.owners[first..]) {
                let until = until.min(round + end);
                // A member without weight has no slot.
                if until > from {
                    let owner = owner as usize;
                    run(Run { from, until, owner });
                    from = until;
                }
            }
            round += total;
        }
    }

    /// Whole rounds are not walked but counted.
    fn divide(&self, from: u64, until: u64, part: &mut dyn FnMut(usize, u64)) {
        let Some(total) = self.period() else {
            return;
        };
        let rounds = (until - from) / total;
        let mut each = |run: Run, times: u64| part(run.owner, (run.until - run.from) * times);
        if rounds > 0 {
            self.runs(0, total, &mut |run| each(run, rounds));
        }
        self.runs(from + rounds * total, until, &mut |run| each(run, 1));
    }

    fn period(&self) -> Option<u64> {
        self.ends.last().copied().filter(|&total| total > 0)
    }
}
