//! Ketama: consistent hashing on a ring with about 160 points per server.

mod counts;

use crate::md5;
use crate::member::{Member, live};
use crate::shares::{Located, PlaceKind, Run, Shares};

/// nutcracker hashes at most this many bytes of `NAME-i`.
const MAX_LABEL: usize = 272;

/// The points of all live members, sorted by value.
///
/// Values and owners are stored separately, so that a search reads values only. `starts` is an index into
/// them: for each group of hashes with the same top bits it holds the position of the first point that is not
/// below the group. There are about as many groups as points, so one or two points are left to search.
#[derive(Clone, Debug)]
pub(crate) struct Continuum {
    values: Vec<u32>,
    owners: Vec<u32>,
    starts: Vec<u32>,
    shift: u32,
}

impl Shares for Continuum {
    const NAME: &'static str = "ketama";
    const ABOUT: &'static str = "consistent hashing";
    const PLACES: PlaceKind = PlaceKind::Point;
    /// The C program adds weights in 32 bits; a larger sum would give wrong shares.
    const MAX_WEIGHTS: u64 = u32::MAX as u64;

    fn build(members: &[Member<'_>]) -> Self {
        Self::from_points(sorted_points(members))
    }

    /// The first point at or above `hash`; past the last point it is the first one of the ring.
    fn locate(&self, hash: u32) -> Option<Located> {
        let position = self.lower_bound(hash);
        self.point(position).or_else(|| self.point(0))
    }

    #[inline]
    fn owner(&self, hash: u32) -> Option<usize> {
        let position = self.lower_bound(hash);
        let owner = self.owners.get(position).or(self.owners.first())?;
        Some(*owner as usize)
    }

    fn at(&self, position: u64) -> Option<Located> {
        self.point(usize::try_from(position).ok()?)
    }

    fn owned(&self, members: &[Member<'_>]) -> Vec<u32> {
        let mut points = vec![0; members.len()];
        for &owner in &self.owners {
            points[owner as usize] += 1;
        }
        points
    }

    /// A point owns the values above the point before it, up to its own; what is above the last point belongs to
    /// the first one.
    fn runs(&self, from: u64, until: u64, run: &mut dyn FnMut(Run)) {
        let Some(&first) = self.owners.first() else {
            return;
        };
        let mut from = from;
        let begin = u32::try_from(from).map_or(self.values.len(), |from| self.lower_bound(from));
        for (&value, &owner) in self.values[begin..].iter().zip(&self.owners[begin..]) {
            let end = until.min(u64::from(value) + 1);
            // Of points with the same value the first owns everything.
            if end > from {
                let (until, owner) = (end, owner as usize);
                run(Run { from, until, owner });
                from = end;
            }
            if from >= until {
                return;
            }
        }
        if until > from {
            let owner = first as usize;
            run(Run { from, until, owner });
        }
    }

    fn period(&self) -> Option<u64> {
        None
    }
}

impl Continuum {
    /// The point at a position of the sorted ring.
    fn point(&self, position: usize) -> Option<Located> {
        Some(Located {
            index: *self.owners.get(position)? as usize,
            point: *self.values.get(position)?,
        })
    }

    /// How many points lie below `hash`.
    #[inline]
    fn lower_bound(&self, hash: u32) -> usize {
        let run = (hash >> self.shift) as usize;
        let (first, end) = (self.starts[run] as usize, self.starts[run + 1] as usize);
        let values = &self.values[first..end];
        // Most groups have one or two points, and none has many unless the ring is very large.
        let below = match values.len() {
            ..=8 => values.iter().take_while(|&&value| value < hash).count(),
            _ => values.partition_point(|&value| value < hash),
        };
        first + below
    }

    fn from_points(points: Vec<(u32, u32)>) -> Self {
        let (values, owners): (Vec<u32>, Vec<u32>) = points.into_iter().unzip();
        let bits = run_bits(values.len());
        let shift = u32::BITS - bits;
        Self {
            starts: run_starts(&values, bits),
            values,
            owners,
            shift,
        }
    }
}

/// Value and owner of every point in ring order. Equal values stay in index order, as glibc's `qsort` (a
/// merge sort) leaves them.
fn sorted_points(members: &[Member<'_>]) -> Vec<(u32, u32)> {
    let groups = counts::groups(live(members).map(|(_, member)| member.weight));
    let mut points = Vec::new();
    for ((owner, member), groups) in live(members).zip(groups) {
        for group in 0..groups {
            points.extend(group_values(member.name, group).map(|value| (value, owner)));
        }
    }
    points.sort_by_key(|&(value, _)| value);
    points
}

/// The four points derived from the digest of `NAME-i`.
fn group_values(name: &[u8], group: u32) -> [u32; 4] {
    let mut label = name.to_vec();
    label.extend_from_slice(format!("-{group}").as_bytes());
    label.truncate(MAX_LABEL);
    md5::words(&label)
}

/// Number of top bits that form a group: at least 1, so that a hash can be shifted by the rest, and at most
/// 16, which makes `starts` 256 KiB.
fn run_bits(points: usize) -> u32 {
    points.max(1).ilog2().clamp(1, 16)
}

/// For each group, and for the end of the last one, the position of the first point that is not below it.
fn run_starts(values: &[u32], bits: u32) -> Vec<u32> {
    let shift = u32::BITS - bits;
    let runs = 1_u64 << bits;
    let below = |run: u64| values.partition_point(|&value| u64::from(value >> shift) < run);
    // A ring has 160 points per member, so a u32 can count them.
    (0..=runs).map(|run| below(run) as u32).collect()
}

#[cfg(test)]
mod tests;
