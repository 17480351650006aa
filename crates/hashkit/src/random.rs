//! Random: any live member, by the caller's draw.

use crate::ring::{Located, Member, live};

/// The live members in index order, one slot each.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    owners: Vec<u32>,
}

impl Live {
    pub(crate) fn build(members: &[Member<'_>]) -> Self {
        Self {
            owners: live(members).map(|(index, _)| index).collect(),
        }
    }

    #[inline]
    pub(crate) fn locate(&self, draw: u32) -> Option<Located> {
        let slot = (draw as usize).checked_rem(self.owners.len())?;
        Some(Located {
            index: self.owners[slot] as usize,
            // No larger than the draw itself.
            point: slot as u32,
        })
    }
}
