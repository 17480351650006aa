//! Plans that replace each other while everything else goes on: servers that come, leave, move, weigh more or
//! less, and have more or fewer connections.

use std::sync::Arc;

use proxy::{Endpoint, PlannedServer, ServerShare};

use crate::events::Event;
use crate::network::ProxySide;
use crate::rng::Rng;
use crate::scenario::Scenario;
use crate::world::World;

/// How long a connection may take to answer what it has when its server has left or moved, in microseconds.
const LEAVE_WITHIN: u64 = 60_000_000;

impl Scenario {
    /// Has the plan change now and then. With a generator of its own, and only where that is asked for, so
    /// that recorded seeds mean what they meant.
    pub(crate) fn draw_plans(&mut self, rng: &mut Rng) {
        for _ in 0..rng.between(0, 3) {
            self.weights.push(rng.between(1, 3) as u32);
            self.planned.push(0);
            self.moves.push(0);
        }
        let count = rng.between(1, 8);
        let longest = rng.pick(&[3_000, 40_000, 400_000]);
        self.plans = (0..count).map(|_| rng.micros(500, longest)).collect();
    }

    /// Changes one thing of the plan.
    fn change_plan(&mut self, rng: &mut Rng) {
        let server = rng.below(self.planned.len());
        let is_last = self.planned.iter().filter(|weight| **weight > 0).count() == 1;
        match (self.planned[server], rng.below(5)) {
            (_, 0) => self.connections = rng.pick(&[1, 1, 2, 3]),
            (_, 1) => self.preconnect = !self.preconnect,
            (0, _) => self.planned[server] = self.weights[server],
            (_, 2) if !is_last => self.planned[server] = 0,
            (_, 3) => self.moves[server] += 1,
            (weight, _) => self.planned[server] = 1 + weight % 3,
        }
    }
}

impl World {
    /// Another plan is put in force. Some workers are told at once.
    pub(crate) fn change_plan(&mut self) {
        for _ in 0..self.plans_rng.between(1, 3) {
            self.scenario.change_plan(&mut self.plans_rng);
        }
        let settings = self.scenario.settings();
        let failover = self.share.plan().failover.clone();
        let plan = self.share.publish(settings, failover);
        let plan = plan.expect("settings of the same pool");
        self.plan_changed_at = Some(self.step);
        self.counts.plans += 1;
        let mut planned = plan.servers.iter();
        for server in 0..self.scenario.planned.len() {
            let next = (self.scenario.planned[server] > 0).then(|| planned.next().cloned());
            self.follow(server, next.flatten());
        }
        self.trace(|| format!("plan {}: {:?}", plan.number, self.scenario.planned));
        let live = |server: &usize| u32::from(self.is_live(*server)) << server;
        let mask = (0..self.scenario.weights.len())
            .map(|server| live(&server))
            .sum();
        let due = self.ejection.due();
        let weights = self.scenario.planned.clone();
        self.placement_oracle.replan(self.step, weights, mask, due);
        for worker in 0..self.workers.len() {
            if self.plans_rng.chance(1, 2) {
                let now = self.time();
                self.workers[worker].pool.apply(now);
                self.observe_health();
                self.plan_tick(worker, self.now);
            }
        }
    }

    /// A server is now as the plan has it; `None` if it is not in it.
    fn follow(&mut self, server: usize, planned: Option<PlannedServer>) {
        let last = std::mem::replace(&mut self.servers[server], planned);
        let is_same = match (&last, &self.servers[server]) {
            (Some(last), Some(next)) => Arc::ptr_eq(&last.endpoint, &next.endpoint),
            (None, None) => true,
            _ => false,
        };
        if is_same {
            return;
        }
        self.former.extend(last.map(|last| (server, last.share)));
        self.ejection.forget(server);
        for link in self.open_links_to(server) {
            let step = self.step;
            let left = &mut self.links[link].server_mut().left;
            left.get_or_insert(step);
        }
    }

    /// The last link was opened to `endpoint`, where its server may be no more.
    pub(crate) fn note_endpoint(&mut self, server: usize, endpoint: &Arc<Endpoint>) {
        let is_current = self.servers[server]
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(&known.endpoint, endpoint));
        let (step, plan) = (self.step, self.share.plan().number);
        let Some(link) = self.links.last_mut() else {
            return;
        };
        link.server_mut().by_old_plan = self.workers[link.worker].plan < plan;
        if !is_current {
            link.server_mut().left = Some(step);
        }
    }

    /// The number of a server that is in the plan, or was.
    pub(crate) fn number_of(&self, share: &Arc<ServerShare>) -> Option<usize> {
        let is_it = |known: &Option<PlannedServer>| {
            known
                .as_ref()
                .is_some_and(|known| Arc::ptr_eq(&known.share, share))
        };
        let former = || {
            let mut former = self.former.iter();
            former
                .find(|(_, known)| Arc::ptr_eq(known, share))
                .map(|(number, _)| *number)
        };
        self.servers.iter().position(is_it).or_else(former)
    }

    /// Whether the plan has changed since a link to a server was opened, or before without its worker, so that the core may have taken it out
    /// of use.
    pub(crate) fn may_have_left(&self, link: usize) -> bool {
        let server = self.links[link].server();
        let is_older = |step| step >= server.opened_in || server.by_old_plan;
        self.plan_changed_at.is_some_and(is_older)
    }

    /// Whether the core may close a link for that. Where requests wait on it, they would wait for ever.
    pub(crate) fn may_leave(&self, link: usize) -> bool {
        let worker = self.links[link].worker;
        let is_young = matches!(self.links[link].side, ProxySide::Connecting(_))
            || !self.links[link].server().is_warm();
        self.may_have_left(link) && (is_young || self.owes_nothing(worker, link))
    }

    /// Whether it may close one that is not idle.
    pub(crate) fn must_leave(&self, link: usize) -> bool {
        self.may_have_left(link) && self.now >= self.links[link].server().opened + LEAVE_WITHIN
    }

    /// A request that was sent when its server had left or moved goes over no link from before.
    pub(crate) fn check_plan(&self, link: usize, sent: u64) {
        let left = self.links[link].server().left;
        let server = self.links[link].server().index;
        assert!(
            left.is_none_or(|left| sent <= left),
            "a request of step {sent} went over link {link} to server {server}, which had gone in step {left:?}"
        );
    }

    /// Looks forward to the changes of the plan.
    pub(crate) fn expect_plans(&mut self) {
        for at in self.scenario.plans.clone() {
            self.events.plan(self.now + at, Event::Plan);
        }
    }
}
