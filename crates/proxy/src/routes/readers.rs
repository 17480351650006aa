//! Which server of several with the same data a read goes to: the one that takes the writes, or a replica of it.
//!
//! Of those that the rule admits, two are drawn at random and the one with fewer requests outstanding is taken; with
//! `fastest` the one that has answered faster lately.

use std::time::Duration;

use crate::id::ServerId;
use crate::limits::{MEASURE_READERS_EVERY, READERS_FORGET};
use crate::settings::{ReadFrom, ReadSettings};
use crate::share::PoolPlan;
use crate::time::Time;

/// The replicas of a pool's servers, as one worker uses them.
#[derive(Debug)]
pub(crate) struct Readers {
    settings: ReadSettings,
    /// By the index of the id of the server whose replicas they are.
    groups: Vec<Option<Group>>,
}

/// A server and its replicas.
#[derive(Debug)]
struct Group {
    server: ServerId,
    /// The server itself is the first.
    readers: Vec<Reader>,
}

#[derive(Debug)]
struct Reader {
    server: ServerId,
    /// It is in the proxy's zone, as far as that is known.
    is_near: bool,
    pace: Pace,
}

/// How many reads a server has answered, and how long they took together.
pub(crate) type Answered = (u64, Duration);

/// Where a read goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chosen {
    /// To the server itself.
    Itself,
    /// To this replica of it.
    Replica(ServerId),
    /// Nowhere: only replicas are to be read, and none is in use.
    Nowhere,
}

impl Readers {
    /// Those of a plan, whose servers and replicas have these ids.
    pub(crate) fn new(
        settings: &ReadSettings,
        plan: &PoolPlan,
        servers: &[ServerId],
        replicas: &[ServerId],
    ) -> Self {
        let is_near = |zone: &Option<Box<str>>| zone.is_some() && *zone == settings.zone;
        let mut groups = Vec::new();
        for ((place, server), planned) in servers.iter().enumerate().zip(&plan.settings.servers) {
            let reader = |server: ServerId, zone: &Option<Box<str>>| Reader {
                server,
                is_near: is_near(zone),
                pace: Pace::default(),
            };
            let own = plan.replicas.iter().zip(replicas);
            let own = own.filter(|(replica, _)| replica.of == place);
            let own = own.map(|(replica, id)| reader(*id, &replica.zone));
            let itself = reader(*server, &planned.replication.zone);
            let group = Group {
                server: *server,
                readers: [itself].into_iter().chain(own).collect(),
            };
            if groups.len() <= server.index() {
                groups.resize_with(server.index() + 1, || None);
            }
            groups[server.index()] = Some(group);
        }
        Self {
            settings: settings.clone(),
            groups,
        }
    }

    /// The settings.
    pub(crate) fn settings(&self) -> &ReadSettings {
        &self.settings
    }

    /// All replicas.
    pub(crate) fn replicas(&self) -> impl Iterator<Item = ServerId> {
        let groups = self.groups.iter().flatten();
        groups.flat_map(|group| group.replicas())
    }

    /// Those of a server.
    pub(crate) fn replicas_of(&self, server: ServerId) -> impl Iterator<Item = ServerId> {
        self.group(server).into_iter().flat_map(Group::replicas)
    }

    fn group(&self, server: ServerId) -> Option<&Group> {
        let group = self.groups.get(server.index())?.as_ref();
        group.filter(|group| group.server == server)
    }

    /// Where a read goes whose key is at `server`. `outstanding` tells how many requests are outstanding at a server, and `None`
    /// of one that is not to be used, and `answered` what it has answered; `chances` are random.
    pub(crate) fn choose(
        &mut self,
        server: ServerId,
        now: Time,
        chances: [u32; 2],
        outstanding: impl Fn(ServerId) -> Option<usize>,
        answered: impl Fn(ServerId) -> Answered,
    ) -> Chosen {
        let from = self.settings.from;
        let group = self.groups.get_mut(server.index());
        let group = group.and_then(Option::as_mut);
        let Some(group) = group.filter(|group| group.server == server) else {
            return Chosen::Itself;
        };
        let chosen = match from {
            ReadFrom::Replica | ReadFrom::PreferReplica => group.any_replica(chances, &outstanding),
            ReadFrom::Zone => {
                let near = group.least_busy(chances, &outstanding, |reader| reader.is_near);
                near.or_else(|| group.any_replica(chances, &outstanding))
            }
            ReadFrom::Fastest => group.fastest(now, &outstanding, answered),
        };
        match chosen {
            Some(id) if id != server => Chosen::Replica(id),
            None if from == ReadFrom::Replica => Chosen::Nowhere,
            Some(_) | None => Chosen::Itself,
        }
    }
}

impl Group {
    fn replicas(&self) -> impl Iterator<Item = ServerId> {
        self.readers.iter().skip(1).map(|reader| reader.server)
    }

    fn any_replica(
        &self,
        chances: [u32; 2],
        outstanding: impl Fn(ServerId) -> Option<usize>,
    ) -> Option<ServerId> {
        self.least_busy(chances, outstanding, |reader| reader.server != self.server)
    }

    /// Of two that are drawn among those that `is_it` admits and that are in use, the one with fewer requests outstanding.
    fn least_busy(
        &self,
        chances: [u32; 2],
        outstanding: impl Fn(ServerId) -> Option<usize>,
        is_it: impl Fn(&Reader) -> bool,
    ) -> Option<ServerId> {
        let usable = || {
            let admitted = self.readers.iter().filter(|reader| is_it(reader));
            admitted.filter_map(|reader| Some((reader.server, outstanding(reader.server)?)))
        };
        let count = usable().count();
        if count == 0 {
            return None;
        }
        let first = chances[0] as usize % count;
        // Another one, if there is one.
        let second = match count {
            1 => first,
            _ => (first + 1 + chances[1] as usize % (count - 1)) % count,
        };
        let drawn = [usable().nth(first), usable().nth(second)];
        let drawn = drawn.into_iter().flatten();
        drawn
            .min_by_key(|(_, outstanding)| *outstanding)
            .map(|(id, _)| id)
    }

    /// The one that has answered fastest lately. Those with the same pace, such as those that nothing is known of, are
    /// taken by their outstanding requests.
    fn fastest(
        &mut self,
        now: Time,
        outstanding: impl Fn(ServerId) -> Option<usize>,
        answered: impl Fn(ServerId) -> Answered,
    ) -> Option<ServerId> {
        let usable = self.readers.iter_mut().filter_map(|reader| {
            let outstanding = outstanding(reader.server)?;
            let answered = || answered(reader.server);
            reader.pace.follow(answered, now);
            let before = u32::try_from(outstanding).unwrap_or(u32::MAX);
            let wait = reader.pace.mean.saturating_mul(before.saturating_add(1));
            Some((reader.server, (wait, outstanding)))
        });
        let best = usable.min_by_key(|(_, wait)| *wait);
        best.map(|(server, _)| server)
    }
}

/// How fast a server has answered lately.
#[derive(Debug, Default)]
struct Pace {
    /// As of the last measurement.
    answered: Answered,
    measured: Option<Time>,
    /// Of what was answered lately; zero of a server that nothing is known of, so that it is tried.
    mean: Duration,
}

impl Pace {
    /// Takes into account what was answered since the last measurement, if that is long enough ago. Where nothing was, the
    /// mean shrinks, so that a server that was slow once is tried again.
    fn follow(&mut self, answered: impl Fn() -> Answered, now: Time) {
        let is_over = |at: Time| at + MEASURE_READERS_EVERY <= now;
        if !self.measured.is_none_or(is_over) {
            return;
        }
        let is_first = self.measured.replace(now).is_none();
        let answered = answered();
        let (count, sum) = answered;
        let (known, known_sum) = std::mem::replace(&mut self.answered, answered);
        let count = u32::try_from(count.saturating_sub(known)).unwrap_or(u32::MAX);
        // What was answered before this worker had an eye on it may be long ago.
        if is_first {
            return;
        }
        match sum.saturating_sub(known_sum).checked_div(count) {
            Some(mean) if self.mean.is_zero() => self.mean = mean,
            Some(mean) => self.mean = (self.mean * 3 + mean) / 4,
            None => self.mean = self.mean * (READERS_FORGET - 1) / READERS_FORGET,
        }
    }
}
