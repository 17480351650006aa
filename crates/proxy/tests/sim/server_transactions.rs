//! What a server makes of transactions.

use crate::keys::{self, Tag};
use crate::redis_server::{Incoming, Step};
use crate::scenario::Scenario;

/// What a server answers to MULTI if it allows no transactions.
pub(crate) const DENIED: &str = "NOPERM no transactions here";

/// A server's side of the transactions on one connection. A trial is a transaction of nothing, and then DISCARD.
#[derive(Debug, Default)]
pub(crate) struct Multi {
    /// What is queued, while there is a transaction.
    queued: Option<Vec<Incoming>>,
    /// Whose requests these are.
    tag: Option<Tag>,
    /// MULTI was denied, and EXEC must follow.
    denied: bool,
    /// A trial has come up to its EXEC.
    within_trial: bool,
    /// A trial has passed.
    tried: bool,
    /// Whose keys are watched.
    watched: Option<Tag>,
    has_watched: bool,
}

impl Multi {
    pub(crate) fn is_open(&self) -> bool {
        self.queued.is_some()
    }

    pub(crate) fn begin(&mut self, scenario: &Scenario, args: usize) -> Result<Incoming, String> {
        if self.is_open() || self.denied || self.within_trial || args != 1 {
            return Err("MULTI out of turn".into());
        }
        if scenario.denies_transactions {
            self.denied = true;
            return Ok(part(format!("-{DENIED}\r\n")));
        }
        self.queued = Some(Vec::new());
        Ok(part("+OK\r\n".into()))
    }

    /// WATCH of one key, on a link that is leased.
    pub(crate) fn watch(&mut self, args: &[Vec<u8>], is_leased: bool) -> Result<Incoming, String> {
        let tag = args
            .get(1)
            .and_then(|key| keys::read(key))
            .map(|key| key.tag());
        if !is_leased || self.is_open() || self.expects_more() || self.watched.is_some() {
            return Err(format!("{args:?} while {:?} is watched", self.watched));
        }
        self.watched = Some(tag.ok_or("WATCH of nothing")?);
        self.has_watched = true;
        Ok(whole("+OK\r\n"))
    }

    pub(crate) fn unwatch(&mut self) -> Result<Incoming, String> {
        self.watched.take().ok_or("UNWATCH of nothing")?;
        Ok(whole("+OK\r\n"))
    }

    /// Whether keys were ever watched.
    pub(crate) fn has_watched(&self) -> bool {
        self.has_watched
    }

    pub(crate) fn queue(
        &mut self,
        incoming: Incoming,
        args: &[Vec<u8>],
    ) -> Result<Incoming, String> {
        let tag = incoming.keys.first().and_then(|key| keys::read(key));
        let tag = tag.map(|key| key.tag());
        let queued = self.queued.get_or_insert_default();
        if !self.tried || tag.is_none() || (!queued.is_empty() && self.tag != tag) {
            return Err(format!("{args:?} in the transaction of {:?}", self.tag));
        }
        self.tag = tag;
        queued.push(incoming);
        Ok(part("+QUEUED\r\n".into()))
    }

    pub(crate) fn execute(&mut self) -> Result<Incoming, String> {
        if std::mem::take(&mut self.denied) {
            self.within_trial = true;
            return Ok(part("-ERR EXEC without MULTI\r\n".into()));
        }
        let queued = self.queued.take().ok_or("EXEC without MULTI")?;
        let watched = self.watched.take();
        if watched.is_some() && (queued.is_empty() || watched != self.tag) {
            return Err(format!(
                "EXEC of {:?} ends the watch of {watched:?}",
                self.tag
            ));
        }
        let mut reply = format!("*{}\r\n", queued.len()).into_bytes();
        self.within_trial = queued.is_empty();
        queued.iter().for_each(|one| reply.extend(&one.reply));
        Ok(Incoming {
            keys: queued.into_iter().flat_map(|one| one.keys).collect(),
            reply,
            part: self.within_trial,
            ..part(String::new())
        })
    }

    pub(crate) fn discard(&mut self, scenario: &Scenario) -> Result<Incoming, String> {
        if !std::mem::take(&mut self.within_trial) {
            return Err("DISCARD that ends no trial".into());
        }
        self.tried = !scenario.denies_transactions;
        Ok(whole("-ERR DISCARD without MULTI\r\n"))
    }

    /// Whether nothing else may come now.
    pub(crate) fn expects_more(&self) -> bool {
        self.denied || self.within_trial
    }
}

fn whole(reply: &str) -> Incoming {
    Incoming {
        part: false,
        ..part(reply.into())
    }
}

fn part(reply: String) -> Incoming {
    Incoming {
        keys: Vec::new(),
        reply: reply.into_bytes(),
        handshake: false,
        step: Step::Other,
        probe: false,
        limit: false,
        part: true,
        unblocks: None,
    }
}
