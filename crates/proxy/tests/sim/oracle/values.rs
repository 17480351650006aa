//! Joined replies of memcached servers: retrievals over several servers, and statistics.

use proxy::limits::PASS_ON_AT_LEAST;

use super::Case;
use crate::keys;
use crate::memcached_server as memcached;
use crate::worker::shown;

/// Whether the joined reply may be so large that it is passed on before every server has answered.
pub(super) fn is_passed_on_early(keys: &[Vec<u8>]) -> bool {
    let size = |key: &Vec<u8>| keys::read(key).map_or(0, |key| key.size);
    keys.iter().map(size).sum::<usize>() + 64 * keys.len() >= PASS_ON_AT_LEAST
}

impl Case<'_> {
    /// The blocks of all hits, in each server's order; those of a failed server may be missing, or the last of them where
    /// the reply is large.
    pub(super) fn values(&self, verb: &str, keys: &[Vec<u8>]) -> Result<(), String> {
        let mark = |key: &Vec<u8>| keys::read(key).map_or(b'?', |key| key.mark);
        let failing: Vec<&Vec<u8>> = keys.iter().filter(|key| mark(key) == b'e').collect();
        let errors: Vec<usize> = failing.iter().flat_map(|key| self.homes(key)).collect();
        let homes: Vec<usize> = keys.iter().flat_map(|key| self.homes(key)).collect();
        if self.frame.starts_with(b"SERVER_ERROR") {
            let is_well = |server: &&usize| {
                self.is_answered_by(**server)
                    && !errors.contains(server)
                    && !self.was_late(&[**server])
            };
            if let Some(well) = homes.iter().find(is_well) {
                return Err(format!("an error although server {well} answered"));
            }
            let own = failing.iter().any(|key| {
                self.homes(key)
                    .iter()
                    .any(|server| memcached::error(*server, key) == self.frame)
            });
            return if own {
                Ok(())
            } else {
                self.failure(Some(&homes))
            };
        }
        let found = self.blocks(verb, keys)?;
        for (key, found) in keys.iter().zip(found) {
            let homes = self.homes(key);
            let lost = self.world.faults.any(self.victim(Some(&homes)));
            let excused = lost
                || homes
                    .iter()
                    .any(|server| errors.contains(server) || self.stays_with_ejected(*server));
            if mark(key) == b'b' && !found && !excused {
                return Err(format!("no block of {}", String::from_utf8_lossy(key)));
            }
        }
        Ok(())
    }

    /// Which keys have a block. Blocks of one server are in the order of its keys.
    fn blocks(&self, verb: &str, keys: &[Vec<u8>]) -> Result<Vec<bool>, String> {
        let mut rest = self.frame;
        let mut found = vec![false; keys.len()];
        let mut last = vec![None; self.world.condition.len()];
        while rest != b"END\r\n" {
            let hits = (0..keys.len()).filter(|at| !found[*at]);
            let mut matching = hits.flat_map(|at| {
                self.homes(&keys[at])
                    .into_iter()
                    .map(move |server| (at, server))
            });
            let next = matching.find_map(|(at, server)| {
                let block = memcached::block(server, verb, &keys[at]);
                (!block.is_empty() && rest.starts_with(&block)).then_some((at, server, block.len()))
            });
            let Some((at, server, len)) = next else {
                return Err(format!("a wrong block at {}", shown(rest)));
            };
            let has_answered = self.is_answered_by(server)
                || (is_passed_on_early(keys)
                    && self.world.faults.any(self.victim(Some(&[server]))));
            if !has_answered || last[server].is_some_and(|last| last > at) {
                return Err(format!(
                    "a block of server {server} out of turn at {}",
                    shown(rest)
                ));
            }
            (found[at], last[server]) = (true, Some(at));
            rest = &rest[len..];
        }
        Ok(found)
    }

    pub(super) fn stats(&self) -> Result<(), String> {
        if self.is_refused_as_ejected() {
            return Ok(());
        }
        let plans = self.world.placement_oracle.plans_since(self.sent());
        let mut judged = plans.iter().map(|weights| self.stats_of(weights));
        let last = || self.stats_of(plans.last().expect("there is a plan"));
        judged.find(Result::is_ok).unwrap_or_else(last)
    }

    /// Where the servers of these weights were asked.
    fn stats_of(&self, weights: &[u32]) -> Result<(), String> {
        let mut rest = self.frame;
        let asked = (0..weights.len()).filter(|server| weights[*server] > 0);
        for server in asked {
            let whole = memcached::stats(server);
            let whole = String::from_utf8_lossy(whole.strip_suffix(b"END\r\n").unwrap_or(&whole))
                .into_owned();
            let name = format!("STAT 10.0.0.{server}:7000:");
            let expected = whole.replace("STAT ", &name);
            match rest.strip_prefix(expected.as_bytes()) {
                Some(after) => rest = after,
                None => self.failure_happened(server)?,
            }
        }
        if rest == b"END\r\n" && self.frame != rest {
            Ok(())
        } else {
            self.failure(None)
        }
    }

    fn failure_happened(&self, server: usize) -> Result<(), String> {
        let lost = self.world.faults.any(self.victim(Some(&[server])));
        match lost || self.was_ejected(1 << server) {
            true => Ok(()),
            false => Err(format!(
                "server {server} is missing, and nothing had happened to it"
            )),
        }
    }
}
