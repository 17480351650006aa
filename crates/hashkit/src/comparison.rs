//! Which part of the keys another configuration of a pool moves, and how the keys are divided.

use std::collections::HashMap;

use crate::distribution::Distribution;
use crate::member::Member;
use crate::placement::Placement;
use crate::ring::Ring;
use crate::sample::{Form, Keys};

/// The most pairs of members that a comparison lists: all of 512 old and 512 new members, in about 10 MB. What moves
/// between others is only summed up.
pub const MAX_FLOWS: usize = 1 << 18;

/// The keys of a sample. What it says of a share is off by at most 0.1 percentage points in 95 of 100 cases.
const SAMPLED: u64 = 1_000_000;

/// The most parts of the hash space that are compared one by one, in about a second; where there are more (modula with
/// thousands of servers whose weights have no common divisor) keys are sampled.
const MAX_STEPS: u64 = 1 << 26;

/// A pool's configuration as far as it places keys.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// Its settings.
    pub placement: &'a Placement,
    /// Its servers, in index order.
    pub members: &'a [Member<'a>],
}

/// How the keys are divided among the members of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divided {
    /// What each member has, by its index.
    pub parts: Vec<u64>,
    /// What all of them have: how many values the hash can have, or how many members there are where no hash decides.
    pub whole: u64,
}

/// What a change moves.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// What the numbers count.
    pub basis: Basis,
    /// How many hashes or keys were compared; 0 if keys have no member of their own.
    pub whole: u64,
    /// How many of them have another member afterwards.
    pub moved: u64,
    /// From where to where they move, the largest first.
    pub flows: Vec<Flow>,
    /// How many of them move between members that `flows` does not list (see [`MAX_FLOWS`]).
    pub unlisted: u64,
    /// Keys of which another part moves than of all others.
    pub peculiar: Vec<(Peculiar, Comparison)>,
}

/// What a comparison counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// All values that a hash can have.
    Hashes,
    /// A sample of keys, as the two sides hash differently or have too many parts to compare one by one.
    Sample,
    /// Nothing: at least one side draws the server at random for each request.
    Drawn,
}

/// Keys that a change of settings treats differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peculiar {
    /// They have a hash tag by the old or the new setting.
    Tagged,
    /// They have bytes of 0x80 and above.
    HighBytes,
}

/// What moves from one member to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Index of the old side's member.
    pub from: usize,
    /// Index of the new side's member.
    pub to: usize,
    /// How many hashes or keys.
    pub amount: u64,
}

impl Divided {
    /// The share of a member, from 0 to 1.
    pub fn share(&self, index: usize) -> f64 {
        fraction(self.parts.get(index).copied().unwrap_or(0), self.whole)
    }
}

impl Comparison {
    /// The share of the keys that moves, from 0 to 1; `None` if keys have no member of their own.
    pub fn moved_share(&self) -> Option<f64> {
        (self.basis != Basis::Drawn).then(|| self.share(self.moved))
    }

    /// The share of an amount, from 0 to 1.
    pub fn share(&self, amount: u64) -> f64 {
        fraction(amount, self.whole)
    }
}

/// How a pool's keys are divided. It is exact for keys of many different bytes, whose hashes are spread evenly.
pub fn shares(side: Side<'_>) -> Divided {
    let count = side.members.len();
    let live = side.members.iter().map(|member| u64::from(member.live));
    match Rule::of(side) {
        Rule::Nobody => Divided {
            parts: vec![0; count],
            whole: 0,
        },
        Rule::Only | Rule::Drawn => Divided {
            parts: live.clone().collect(),
            whole: live.sum(),
        },
        Rule::Hashed(ring) => {
            let whole = side.placement.hash.values();
            let mut parts = vec![0; count];
            ring.divide(0, whole, &mut |member, amount| parts[member] += amount);
            Divided { parts, whole }
        }
    }
}

/// What moves if `new` follows `old`. For each new member, in order, `same` has the index of the old one that is the
/// same server, if there is one.
pub fn compare(old: Side<'_>, new: Side<'_>, same: &[Option<usize>]) -> Comparison {
    let (before, after) = match (Rule::of(old), Rule::of(new)) {
        (Rule::Nobody, _) | (_, Rule::Nobody) => return Tally::new(same).total(Basis::Hashes, 0),
        (Rule::Drawn, _) | (_, Rule::Drawn) => return Tally::new(same).total(Basis::Drawn, 0),
        (before, after) => (before.ring(), after.ring()),
    };
    let pair = Pair {
        old: (old.placement, &before),
        new: (new.placement, &after),
        same,
    };
    let single = before.members() == 1 || after.members() == 1;
    let hash = match before.members() == 1 {
        true => new.placement.hash,
        false => old.placement.hash,
    };
    let walk = Walk::new(&before, &after, hash.values());
    let mut comparison = match (single || new.placement.hash == hash) && walk.steps() <= MAX_STEPS {
        true => pair.walk(&walk),
        false => pair.sample(Form::Plain),
    };
    if !single {
        comparison.peculiar = pair.peculiar();
    }
    comparison
}

/// How a side finds a key's member; see [`Placement::place`].
enum Rule {
    Nobody,
    Only,
    Drawn,
    Hashed(Ring),
}

impl Rule {
    fn of(side: Side<'_>) -> Self {
        let ring = side.placement.ring(side.members);
        match ring.members() {
            _ if !ring.is_owned() => Self::Nobody,
            1 => Self::Only,
            _ if side.placement.distribution.is_drawn() => Self::Drawn,
            _ => Self::Hashed(ring),
        }
    }

    /// The ring that decides.
    fn ring(self) -> Ring {
        match self {
            Self::Hashed(ring) => ring,
            // One member owns all hashes, whatever the function.
            Self::Only | Self::Nobody | Self::Drawn => Ring::build(Distribution::Modula, &[ONLY]),
        }
    }
}

/// A member that owns everything.
const ONLY: Member<'_> = Member {
    name: b"",
    weight: 1,
    live: true,
};

/// Two sides whose keys have members.
struct Pair<'a> {
    old: (&'a Placement, &'a Ring),
    new: (&'a Placement, &'a Ring),
    same: &'a [Option<usize>],
}

impl Pair<'_> {
    /// Compares all values of a hash.
    fn walk(&self, walk: &Walk<'_>) -> Comparison {
        let mut tally = Tally::new(self.same);
        walk.each(&mut |from, to, amount| tally.add(from, to, amount));
        tally.total(Basis::Hashes, walk.values)
    }

    /// Compares keys of a form.
    fn sample(&self, form: Form) -> Comparison {
        let tags = [self.old.0.tag, self.new.0.tag].into_iter().flatten();
        let mut keys = Keys::new(form, tags);
        let mut tally = Tally::new(self.same);
        for number in 0..SAMPLED {
            let key = keys.key(number);
            let owner =
                |(placement, ring): (&Placement, &Ring)| ring.lookup(placement.hash_of(key));
            if let (Some(from), Some(to)) = (owner(self.old), owner(self.new)) {
                tally.add(from, to, 1);
            }
        }
        tally.total(Basis::Sample, SAMPLED)
    }

    /// The keys of which another part may move than of plain ones.
    fn peculiar(&self) -> Vec<(Peculiar, Comparison)> {
        let (old, new) = (self.old.0, self.new.0);
        let tagged = (old.tag != new.tag).then(|| (Peculiar::Tagged, self.sample(Form::Tagged)));
        let high =
            (old.sign != new.sign).then(|| (Peculiar::HighBytes, self.sample(Form::HighBytes)));
        tagged.into_iter().chain(high).collect()
    }
}

/// Both rings, walked side by side: the outer one part by part, and for each part what it is on the inner one.
struct Walk<'a> {
    outer: &'a Ring,
    inner: &'a Ring,
    /// Whether the outer ring is the new one.
    swapped: bool,
    /// How many values there are.
    values: u64,
    /// After how many of them both rings repeat, or all of them.
    round: u64,
}

impl<'a> Walk<'a> {
    fn new(old: &'a Ring, new: &'a Ring, values: u64) -> Self {
        // Whole rounds of a ring that repeats are counted at once, if it is the inner one.
        let (swapped, round) = match (old.period(), new.period()) {
            (Some(a), Some(b)) => (b > a, lcm(a, b).map_or(values, |both| both.min(values))),
            (Some(_), None) => (true, values),
            (None, _) => (false, values),
        };
        let (outer, inner) = if swapped { (new, old) } else { (old, new) };
        Self {
            outer,
            inner,
            swapped,
            values,
            round,
        }
    }

    /// About how many parts there are to compare, at most.
    fn steps(&self) -> u64 {
        let parts = |ring: &Ring| match ring.period() {
            Some(period) => (ring.members() as u64).saturating_mul(self.round / period + 1),
            None => (0..ring.members()).fold(1, |sum, it| sum + ring.points_of(it) as u64),
        };
        let (outer, inner) = (parts(self.outer), parts(self.inner));
        let counted = outer.saturating_mul(2 * self.inner.members() as u64);
        let inner = match self.inner.period() {
            Some(_) => inner.min(counted),
            None => inner,
        };
        outer.saturating_add(inner)
    }

    /// Calls `pair` with the old and the new member of each part, and its size.
    fn each(&self, pair: &mut dyn FnMut(usize, usize, u64)) {
        let mut stretch = |until: u64, times: u64| {
            self.outer.runs(0, until, &mut |run| {
                self.inner
                    .divide(run.from, run.until, &mut |other, amount| {
                        let (from, to) = match self.swapped {
                            true => (other, run.owner),
                            false => (run.owner, other),
                        };
                        pair(from, to, amount * times);
                    });
            });
        };
        stretch(self.round, self.values / self.round);
        stretch(self.values % self.round, 1);
    }
}

/// What moves, as far as it was counted.
struct Tally<'a> {
    same: &'a [Option<usize>],
    moved: u64,
    flows: HashMap<(usize, usize), u64>,
    unlisted: u64,
}

impl<'a> Tally<'a> {
    fn new(same: &'a [Option<usize>]) -> Self {
        Self {
            same,
            moved: 0,
            flows: HashMap::new(),
            unlisted: 0,
        }
    }

    fn add(&mut self, from: usize, to: usize, amount: u64) {
        if self.same.get(to) == Some(&Some(from)) {
            return;
        }
        self.moved += amount;
        if let Some(flow) = self.flows.get_mut(&(from, to)) {
            *flow += amount;
        } else if self.flows.len() < MAX_FLOWS {
            self.flows.insert((from, to), amount);
        } else {
            self.unlisted += amount;
        }
    }

    fn total(self, basis: Basis, whole: u64) -> Comparison {
        let flow = |((from, to), amount)| Flow { from, to, amount };
        let mut flows: Vec<Flow> = self.flows.into_iter().map(flow).collect();
        flows.sort_by_key(|flow| (std::cmp::Reverse(flow.amount), flow.from, flow.to));
        Comparison {
            basis,
            whole,
            moved: self.moved,
            flows,
            unlisted: self.unlisted,
            peculiar: Vec::new(),
        }
    }
}

fn fraction(part: u64, whole: u64) -> f64 {
    match whole {
        0 => 0.0,
        whole => part as f64 / whole as f64,
    }
}

/// The least common multiple, if it fits.
fn lcm(a: u64, b: u64) -> Option<u64> {
    let (mut x, mut y) = (a, b);
    while y > 0 {
        (x, y) = (y, x % y);
    }
    (a / x).checked_mul(b)
}

#[cfg(test)]
mod tests;
