//! Random: any live member, selected by the caller's random number.

use crate::member::{Member, live, shares};
use crate::shares::{Located, PlaceKind, Run, Shares};

/// The live members in index order, one slot each.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    owners: Vec<u32>,
}

impl Shares for Live {
    const NAME: &'static str = "random";
    const ABOUT: &'static str = "any server at each request, regardless of key and weight";
    const IS_DRAWN: bool = true;
    const PLACES: PlaceKind = PlaceKind::Slot;
    /// Weights do not matter.
    const MAX_WEIGHTS: u64 = u64::MAX;

    fn build(members: &[Member<'_>]) -> Self {
        Self {
            owners: live(members).map(|(index, _)| index).collect(),
        }
    }

    #[inline]
    fn locate(&self, draw: u32) -> Option<Located> {
        let slot = (draw as usize).checked_rem(self.owners.len())?;
        Some(Located {
            index: self.owners[slot] as usize,
            // The slot is not larger than the number itself.
            point: slot as u32,
        })
    }

    fn at(&self, position: u64) -> Option<Located> {
        self.locate(u32::try_from(position).ok()?)
    }

    fn owned(&self, members: &[Member<'_>]) -> Vec<u32> {
        shares(members, |_| 1)
    }

    fn runs(&self, from: u64, until: u64, run: &mut dyn FnMut(Run)) {
        let Some(count) = self.period() else {
            return;
        };
        for from in from..until {
            let (until, owner) = (from + 1, self.owners[(from % count) as usize] as usize);
            run(Run { from, until, owner });
        }
    }

    fn period(&self) -> Option<u64> {
        let count = self.owners.len() as u64;
        (count > 0).then_some(count)
    }
}
