//! What happens to the cluster: slots move, masters are replaced or fail, and the configuration changes.

use crate::nodes::News;
use crate::world::{Event, World};

/// One thing that happens, at its time. What is not possible then does not happen.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// A slot begins to move to another master ...
    Move {
        slot: usize,
    },
    /// ... one key after the other.
    MoveKey {
        slot: usize,
        from: usize,
        to: usize,
    },
    /// A replica takes the place of its master, which goes on as its replica.
    Replace {
        slot: usize,
    },
    /// A node dies, be it a master or a replica.
    Crash {
        node: usize,
    },
    /// The other nodes know that one is dead.
    Fail {
        dead: usize,
    },
    /// A replica takes the place of its master, which is dead.
    Promote {
        dead: usize,
        excuse: usize,
    },
    /// The dead node is back, and takes the cluster for one that is down ...
    Return {
        dead: usize,
        excuse: usize,
    },
    /// ... for a while.
    Recover {
        node: usize,
        excuse: usize,
    },
    Reload,
}

impl World {
    /// Decides what happens.
    pub(crate) fn draw_steps(&mut self) {
        for _ in 0..self.rng.between(0, 14) {
            let at = self.now + self.rng.micros(0, 1_500_000);
            let slot = self.rng.below(self.nodes.slots.len());
            let node = self.rng.below(self.nodes.all.len());
            let step = match self.rng.weighted(&[10, 4, 3, 2]) {
                0 => Step::Move { slot },
                1 => Step::Replace { slot },
                2 => Step::Crash { node },
                _ => Step::Reload,
            };
            self.step_at(at, step);
        }
    }

    fn step_at(&mut self, at: u64, step: Step) {
        self.steps += 1;
        self.plan(at, Event::Step(step));
    }

    fn step_within(&mut self, least: u64, most: u64, step: Step) {
        let at = self.now + self.rng.micros(least, most);
        self.step_at(at, step);
    }

    pub(crate) fn take_step(&mut self, step: Step) {
        self.steps -= 1;
        self.trace(|| format!("-- {step:?}"));
        match step {
            Step::Move { slot } => self.begin_move(slot),
            Step::MoveKey { slot, from, to } => self.move_key(slot, from, to),
            Step::Replace { slot } => self.replace(slot),
            Step::Crash { node } => self.crash(node),
            Step::Fail { dead } => {
                self.nodes.is_down =
                    !self.nodes.all[dead].is_alive && self.nodes.all[dead].master.is_none()
            }
            Step::Promote { dead, excuse } => self.promote(dead, excuse),
            Step::Return { dead, excuse } => self.bring_back(dead, excuse),
            Step::Recover { node, excuse } => {
                self.nodes.all[node].says_down = false;
                self.end_excuse(excuse);
            }
            Step::Reload => self.reload(),
        }
    }

    /// The other nodes hear it, each in its time.
    fn spread(&mut self, news: News) {
        for node in 0..self.nodes.all.len() {
            let at = self.now + self.rng.micros(0, self.gossip);
            self.plan(at, Event::News(node, news));
        }
    }

    fn begin_move(&mut self, slot: usize) {
        let Some(from) = self
            .nodes
            .owner(slot)
            .filter(|node| !self.nodes.moves_slots(*node))
        else {
            return;
        };
        let mut others = self.nodes.living();
        others.retain(|node| {
            let it = &self.nodes.all[*node];
            *node != from && it.master.is_none() && !it.says_down && !self.nodes.moves_slots(*node)
        });
        if others.is_empty() {
            return;
        }
        let to = self.rng.pick(&others);
        self.note_move();
        self.nodes.begin_move(slot, from, to);
        self.trace(|| format!("slot {slot} moves from node {from} to node {to}"));
        self.step_within(0, 30_000, Step::MoveKey { slot, from, to });
    }

    fn move_key(&mut self, slot: usize, from: usize, to: usize) {
        let now = self.now;
        if self.nodes.move_key(slot, from, to, now, &mut self.rng) {
            return self.step_within(100, 30_000, Step::MoveKey { slot, from, to });
        }
        let news = self.nodes.end_move(slot, to);
        self.spread(news);
    }

    /// A replica of the slot's master.
    fn heir(&mut self, master: usize) -> Option<usize> {
        let mut replicas = self.nodes.replicas_of(master);
        replicas.retain(|node| !self.nodes.all[*node].says_down);
        (!replicas.is_empty()).then(|| self.rng.pick(&replicas))
    }

    fn replace(&mut self, slot: usize) {
        let master = self
            .nodes
            .owner(slot)
            .filter(|node| !self.nodes.moves_slots(*node));
        let Some(replica) = master.and_then(|master| self.heir(master)) else {
            return;
        };
        self.counts.failovers += 1;
        for news in self.nodes.promote(replica) {
            self.spread(news);
        }
    }

    fn crash(&mut self, node: usize) {
        let it = &self.nodes.all[node];
        let is_fit = it.is_alive && !it.says_down && !self.nodes.moves_slots(node);
        let is_master = it.master.is_none();
        // Somebody is left to take the place of a master.
        let is_replaceable = match it.master {
            Some(master) => self.nodes.all[master].is_alive,
            None => self.heir(node).is_some(),
        };
        if !is_fit || !is_replaceable {
            return;
        }
        self.counts.crashes += 1;
        let excuse = self.excuse();
        self.nodes.all[node].is_alive = false;
        self.cut_links(node);
        if is_master && self.rng.chance(1, 2) {
            self.step_within(0, 700_000, Step::Fail { dead: node });
        }
        match is_master {
            true => self.step_within(1_000, 1_500_000, Step::Promote { dead: node, excuse }),
            false => self.step_within(1_000, 800_000, Step::Return { dead: node, excuse }),
        }
    }

    fn promote(&mut self, dead: usize, excuse: usize) {
        // The last one may be dead by now, and comes back.
        let Some(replica) = self.heir(dead) else {
            return self.step_within(10_000, 100_000, Step::Promote { dead, excuse });
        };
        for news in self.nodes.promote(replica) {
            self.spread(news);
        }
        self.nodes.all[dead].master = Some(replica);
        self.nodes.is_down = false;
        self.step_within(100_000, 900_000, Step::Return { dead, excuse });
    }

    fn bring_back(&mut self, dead: usize, excuse: usize) {
        let master = self.nodes.master_now(dead);
        if !self.nodes.all[master].is_alive {
            return self.step_within(10_000, 100_000, Step::Return { dead, excuse });
        }
        self.nodes.restart(dead, master);
        self.nodes.all[dead].says_down = true;
        self.step_within(1_000, 300_000, Step::Recover { node: dead, excuse });
    }
}
