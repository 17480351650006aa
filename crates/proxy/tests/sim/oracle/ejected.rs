//! Allowed replies when a server is ejected or was late.

use proxy::settings::EjectPolicy;

use super::{Case, contains};
use crate::keys;
use crate::memcached_meta;
use crate::scenario::Policy;

impl Case<'_> {
    fn policy(&self) -> &Policy {
        &self.world.scenario.policy
    }

    /// Whether any of `servers`, one bit each, was ejected at any time since the request was sent.
    pub(super) fn was_ejected(&self, servers: u32) -> bool {
        let own = self.world.scenario.weights.len();
        let mine = (1 << own) - 1;
        let other = self.world.gutter.as_ref();
        self.world
            .placement_oracle
            .was_ejected(servers & mine, self.sent())
            || other.is_some_and(|other| {
                other
                    .placement_oracle
                    .was_ejected(servers >> own, self.sent())
            })
    }

    /// Whether the failover pool, if there is one, may have been unable to serve the keys of ejected servers.
    fn has_no_substitute(&self) -> bool {
        let other = self
            .world
            .gutter
            .as_ref()
            .map(|other| &other.placement_oracle);
        other.is_none_or(|placement_oracle| {
            placement_oracle.was_ejected(placement_oracle.full(), self.sent())
        })
    }

    /// Whether a failure's text says that the failover pool's servers are of no use, which is known of each for a while.
    pub(super) fn is_of_old_servers(&self, text: &str) -> bool {
        let gutter = self.world.scenario.gutter.as_ref();
        gutter.is_some_and(|gutter| gutter.too_old)
            && text.starts_with("the failover server cannot limit the time to live")
    }

    /// Whether the reply is an error because some server was ejected.
    pub(super) fn is_refused_as_ejected(&self) -> bool {
        let refused = contains(self.frame, b"ERR") && contains(self.frame, b" Connection refused");
        refused && self.was_ejected(u32::MAX)
    }

    /// Whether requests to any of these servers failed for being late, possibly including this one.
    pub(super) fn was_late(&self, servers: &[usize]) -> bool {
        self.policy().answers && self.world.faults.any(self.victim(Some(servers)))
    }

    /// Whether the keys of a server may have been unavailable, because it was ejected and they stay with it.
    pub(super) fn stays_with_ejected(&self, server: usize) -> bool {
        self.world.scenario.keeps_keys()
            && self.was_ejected(1 << server)
            && self.has_no_substitute()
    }

    /// Whether a failure's text correctly names an ejected server: one of `servers`, if those are known.
    pub(super) fn is_named(&self, text: &str, servers: Option<&[usize]>) -> Result<bool, String> {
        let Some(rest) = text.strip_prefix("Connection refused: server '10.0.0.") else {
            return Ok(false);
        };
        if !rest.ends_with(": the server is ejected") {
            return Ok(false);
        }
        let name = rest.split(':').next().unwrap_or_default();
        let server: usize = name.parse().map_err(|_| format!("no server: {text}"))?;
        let may_be = servers.is_none_or(|servers| servers.contains(&server))
            && (servers.is_none()
                || (self.world.scenario.keeps_keys() && self.has_no_substitute()));
        match may_be && self.was_ejected(1 << server) {
            true => Ok(true),
            false => Err(format!("server {server} was not ejected, or not asked")),
        }
    }

    /// Whether the request was correctly answered as if its key did not exist.
    pub(super) fn is_missed(&self, verb: &str, key: &[u8]) -> Result<bool, String> {
        let miss = match verb {
            "mg" => Some(memcached_meta::miss(key)),
            _ => self.miss(verb).map(<[u8]>::to_vec),
        };
        let Some(miss) = miss.filter(|_| self.may_miss(key)) else {
            return Ok(false);
        };
        if contains(self.frame, b": the server is ejected") {
            return Err("a read was refused although it could be missed".into());
        }
        Ok(self.frame == miss)
    }

    /// A null, if the key may be missing from an MGET.
    pub(super) fn missing_element(&self, key: &[u8]) -> Option<&'static [u8]> {
        self.may_miss(key).then(|| self.null())
    }

    /// Whether the reply is the sum of the keys' weights, with or without those that may be missing.
    pub(super) fn is_sum(&self, reads: bool, keys: &[Vec<u8>]) -> bool {
        let weight = |key: &Vec<u8>| keys::read(key).map_or(0, |key| key.size);
        let mut sums = vec![0];
        for key in keys {
            let without = (reads && self.may_miss(key)).then(|| sums.clone());
            sums.iter_mut().for_each(|sum| *sum += weight(key));
            sums.extend(without.into_iter().flatten());
            sums.sort_unstable();
            sums.dedup();
        }
        let is = |sum: &usize| self.frame == format!(":{sum}\r\n").as_bytes();
        sums.iter().any(is)
    }

    /// Whether a read of the key may be answered as if it did not exist.
    pub(super) fn may_miss(&self, key: &[u8]) -> bool {
        let ejected = |server: &usize| self.was_ejected(1 << server);
        self.policy().eject == EjectPolicy::Miss
            && self.homes(key).iter().any(ejected)
            && self.has_no_substitute()
    }

    /// A server's reply for a key that does not exist, for the reads that the clients here use.
    fn miss(&self, verb: &str) -> Option<&'static [u8]> {
        let version3 = self.world.clients[self.id].redis.version3;
        Some(match verb {
            "get" | "gets" | "gat" | "gats" => b"END\r\n",
            "GET" => self.null(),
            "HGETALL" if version3 => b"%0\r\n",
            "SMEMBERS" if version3 => b"~0\r\n",
            "HGETALL" | "SMEMBERS" | "LRANGE" => b"*0\r\n",
            "TTL" => b":-2\r\n",
            "TYPE" => b"+none\r\n",
            "PFCOUNT" => b":0\r\n",
            _ => return None,
        })
    }

    fn null(&self) -> &'static [u8] {
        match self.world.clients[self.id].redis.version3 {
            true => b"_\r\n",
            false => b"$-1\r\n",
        }
    }
}
