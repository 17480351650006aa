//! Replies to transactions.

use super::{Case, contains};
use crate::redis_server as redis;
use crate::server_transactions::DENIED;

/// The reply to a transaction whose keys may have changed.
const NULLS: [&[u8]; 2] = [b"*-1\r\n", b"_\r\n"];

/// How long keys may be watched, in microseconds.
const LONGEST_WATCH: u64 = 60_000_000;

impl Case<'_> {
    /// Whether the transaction was rightly not executed, as its keys may not be watched any more since `watch`: nobody
    /// ever changes them here.
    fn is_unwatched(&self, watch: usize) -> bool {
        let text = b": the WATCH before it was refused";
        if !NULLS.contains(&self.frame) && !contains(self.frame, text) {
            return false;
        }
        let before = Case {
            world: self.world,
            id: self.id,
            seq: watch,
            frame: self.frame,
        };
        let world = self.world;
        let time = world.clients[self.id].sent_at_time(watch);
        let has_failed = world.faults.any(before.victim(None)) || before.was_ejected(u32::MAX);
        let has_ended = world.plan_changed_at.is_some() || world.scenario.shutdown_at.is_some();
        has_failed || has_ended || world.scenario.is_stormy() || world.now - time >= LONGEST_WATCH
    }

    /// WATCH, or DISCARD after it.
    pub(super) fn watched(&self, key: &[u8]) -> Result<(), String> {
        let homes = self.homes(key);
        match self.frame == b"+OK\r\n" {
            true => Ok(()),
            false => self.failure(Some(&homes)),
        }
    }

    /// What all commands of a transaction have returned at one server, or why none was executed there.
    pub(super) fn transaction(&self, keys: &[Vec<u8>], watch: Option<usize>) -> Result<(), String> {
        if watch.is_some_and(|watch| self.is_unwatched(watch)) {
            return Ok(());
        }
        let homes = self.homes(&keys[0]);
        let version3 = self.world.clients[self.id].redis.version3;
        let is_answer = |server: &usize| {
            self.is_answered_by(*server) && redis::elements(*server, keys, version3) == self.frame
        };
        if homes.iter().any(is_answer) {
            return Ok(());
        }
        if !self.frame.starts_with(b"-EXECABORT ") {
            return match homes.len() == 1 && self.is_answered_by(homes[0]) && !self.was_late(&homes)
            {
                true => Err(format!("not what server {} answered", homes[0])),
                false if self.had_no_server_of_its_plan() => Ok(()),
                false => self.failure(Some(&homes)),
            };
        }
        let is_denied = contains(self.frame, DENIED.as_bytes());
        let is_elsewhere = contains(self.frame, b"served by the failover pool");
        let scenario = &self.world.scenario;
        match (is_denied, is_elsewhere) {
            (true, _) if scenario.denies_transactions => Ok(()),
            (_, true) if scenario.gutter.is_some() && self.was_ejected(u32::MAX) => Ok(()),
            _ => Err("no reason to abort it".into()),
        }
    }

    /// Whether it failed because all servers of an earlier plan were ejected. One that waits for the trial of its
    /// connection is placed by the plan that it was taken under, though another one is published meanwhile.
    fn had_no_server_of_its_plan(&self) -> bool {
        let oracle = &self.world.placement_oracle;
        let plans = oracle.plans_since(self.sent());
        let Some((_, earlier)) = plans.split_last() else {
            return false;
        };
        let servers = |weights: &[u32]| {
            let used = weights
                .iter()
                .enumerate()
                .filter(|(_, weight)| **weight > 0);
            used.fold(0_u32, |mask, (server, _)| mask | 1 << server)
        };
        let is_without = |weights: &std::rc::Rc<[u32]>| {
            let sets = oracle.sets_since(self.sent()).iter();
            sets.map(|set| set.mask)
                .any(|mask| mask & servers(weights) == 0)
        };
        let is_refused = contains(self.frame, b"Connection refused");
        is_refused && !self.world.scenario.keeps_keys() && earlier.iter().any(is_without)
    }
}
