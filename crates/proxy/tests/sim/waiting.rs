//! Clients that wait for what other clients push (BLPOP): which links their requests take, what ends a wait, and that
//! every element that a server gives is either a client's or reported.

use proxy::metrics::PoolMetric;

use crate::clients::{Client, Phase};
use crate::events::Event;
use crate::expected::Expected;
use crate::faults::LossCause;
use crate::keys::{self, Tag};
use crate::network::ProxySide;
use crate::redis_client::{Composed, command, salt};
use crate::redis_server::{Incoming, RedisTalk, Step, bulk, handshake};
use crate::rng::Rng;
use crate::scenario::{ClientPlan, Ending, Scenario, Theme};
use crate::world::World;

/// How long a leased link may be unused, in microseconds.
const LEAST_UNUSED: u64 = 60_000_000;

/// What the proxy answers when a wait has ended elsewhere than at its server.
const ENDED: &[u8] = b"-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n";

/// The same for a client that has ended its side, whose server has not ended the wait in time.
const NOT_ENDED: &[u8] = b"-ERR the wait of a client that has left could not be ended\r\n";

/// What a client remembers of its waits.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Its own random generator; none if it never waits.
    rng: Option<Rng>,
    /// How many requests that wait it has sent.
    asked: usize,
    /// Those that were answered with [`ENDED`].
    ended: Vec<usize>,
}

/// What happened to all waits.
#[derive(Debug)]
pub(crate) struct Waits {
    rng: Rng,
    /// Elements that the proxy has read for clients whose sessions it had closed.
    orphaned: usize,
    /// Those that it has read for clients that were there.
    given: Vec<Tag>,
    /// How many waits servers were told to end.
    cancelled: usize,
}

/// How often what concerns waits has happened.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tally {
    /// Elements that were given to clients that waited.
    pub(crate) given: usize,
    /// Those that were reported as lost.
    pub(crate) lost: usize,
    /// Waits that servers were told to end.
    pub(crate) cancelled: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.given += other.given;
        self.lost += other.lost;
        self.cancelled += other.cancelled;
    }
}

/// The server's end of a link that may be leased.
#[derive(Debug, Default)]
pub(crate) struct Leased {
    /// The server's number of the link.
    pub(crate) number: usize,
    /// CLIENT ID was asked: it takes nothing but requests that wait.
    pub(crate) is_leased: bool,
    /// A request to end its wait was sent.
    was_cancelled: bool,
}

impl Scenario {
    /// Has some clients of some Redis scenarios wait. Uses its own generator, so that the rest of each scenario stays
    /// the same.
    pub(crate) fn draw_waits(&mut self, rng: &mut Rng) {
        let may_wait = self.redis && !matches!(self.theme, Theme::Greedy | Theme::Deep);
        if !may_wait || self.gutter.is_some() || self.max_memory > 0 || !rng.chance(1, 3) {
            return;
        }
        for plan in &mut self.clients {
            let seed = rng.next();
            plan.waits = (!plan.greedy && rng.chance(1, 2)).then_some(seed);
        }
    }
}

impl State {
    pub(crate) fn new(plan: &ClientPlan) -> Self {
        Self {
            rng: plan.waits.map(Rng::new),
            asked: 0,
            ended: Vec::new(),
        }
    }
}

impl Waits {
    pub(crate) fn new(rng: Rng) -> Self {
        Self {
            rng,
            orphaned: 0,
            given: Vec::new(),
            cancelled: 0,
        }
    }
}

/// A request that waits, unless the client does something else next.
pub(crate) fn compose(client: &mut Client, scenario: &Scenario, tag: Tag) -> Option<Composed> {
    let rng = client.waiting.rng.as_mut()?;
    if !rng.chance(1, 6) {
        return None;
    }
    let size = rng.between(0, 90);
    let salt = salt(rng, scenario);
    let key = keys::key(&salt, tag, 0, 'q', size);
    client.waiting.asked += 1;
    Some(Composed {
        bytes: command(&[b"BLPOP", &key, b"0"]),
        want: Some(Expected::Popped(key)),
        ..Composed::default()
    })
}

/// `server`'s reply to a BLPOP of `key`.
pub(crate) fn popped(server: usize, key: &[u8]) -> Vec<u8> {
    let size = keys::read(key).map_or(0, |key| key.size);
    let element = bulk(&keys::payload(server, key, size));
    [b"*2\r\n", &bulk(key)[..], &element].concat()
}

/// The reply to a BLPOP that was ended.
fn nothing(version3: bool) -> &'static [u8] {
    if version3 { b"_\r\n" } else { b"*-1\r\n" }
}

impl RedisTalk {
    /// CLIENT ID, at the end of the handshake of a leased link, or CLIENT UNBLOCK on a shared one.
    pub(crate) fn client(
        &mut self,
        args: &[Vec<u8>],
        whole: bool,
        is_fresh: bool,
    ) -> Result<Incoming, String> {
        let words: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        match words[1..] {
            [b"ID"] if is_fresh && !self.leased.is_leased => {
                self.leased.is_leased = true;
                let reply = format!(":{}\r\n", self.leased.number);
                Ok(Incoming {
                    step: Step::Number,
                    ..handshake(reply.as_bytes())
                })
            }
            [b"UNBLOCK", number, b"TIMEOUT"] if whole && !self.leased.is_leased => {
                let text = std::str::from_utf8(number).map_err(|error| error.to_string())?;
                let number = text.parse().map_err(|_| "a number that is none")?;
                Ok(Incoming {
                    handshake: false,
                    unblocks: Some(number),
                    ..handshake(b"")
                })
            }
            _ => Err(format!("CLIENT in the wrong way or place: {args:?}")),
        }
    }

    /// What waits has a link for itself, and nothing else is sent there.
    pub(crate) fn check_lease(&self, name: &str) -> Result<(), String> {
        match (name == "BLPOP", self.leased.is_leased) {
            (true, false) => Err("BLPOP on a link that clients share".into()),
            (false, true) if !self.multi.is_open() => Err(format!("{name} on a leased link")),
            _ => Ok(()),
        }
    }
}

impl World {
    /// When a server has something for a request that waits; never, for some whose client will leave.
    pub(crate) fn draw_wait(&mut self, incoming: &Incoming) -> u64 {
        let clients = incoming.keys.iter().filter_map(|key| keys::read(key));
        let mut clients = clients.map(|key| &self.clients[key.client]);
        let leaves = clients.any(|it| !it.plan.stays());
        let rng = &mut self.waits.rng;
        match rng.below(4) {
            0 if leaves => u64::MAX,
            0 | 1 => self.now,
            _ => self.now + rng.micros(1_000, 600_000),
        }
    }

    /// A server ends the wait of a link, if it waits, and tells so.
    pub(crate) fn unblock(&mut self, by: usize, number: usize) -> Vec<u8> {
        let server = self.links[by].server().index;
        let is_it = |link: &usize| self.links[*link].server().talk.leased.number == number;
        let found = self.open_links_to(server).into_iter().find(is_it);
        let Some(link) = found else {
            return b":0\r\n".to_vec();
        };
        self.links[link].server_mut().talk.leased.was_cancelled = true;
        let (now, version3) = (self.now, self.links[link].server().talk.version3);
        let Some(tag) = self.links[link]
            .server_mut()
            .end_wait(now, nothing(version3))
        else {
            return b":0\r\n".to_vec();
        };
        assert!(
            self.has_stopped_waiting(tag) || self.may_have_ended(server, tag),
            "the wait of {tag:?} on link {link} was ended for no reason"
        );
        self.waits.cancelled += 1;
        self.events.plan(now, Event::Serve { link });
        b":1\r\n".to_vec()
    }

    /// Whether a client has left, or has ended its side.
    fn has_stopped_waiting(&self, tag: Tag) -> bool {
        let client = &self.clients[tag.client];
        let gone = |link: usize| self.links[link].side == ProxySide::Gone;
        matches!(client.phase, Phase::Ended | Phase::Over) || client.link.is_none_or(gone)
    }

    /// Whether the core may have ended a wait because its key is served elsewhere, or by nobody.
    pub(crate) fn may_have_ended(&self, server: usize, tag: Tag) -> bool {
        let sent = self.clients[tag.client].sent_at_step(tag.seq);
        let has_changed = self.placement_oracle.sets_since(sent).len() > 1;
        let was_out = self.placement_oracle.was_ejected(1 << server, sent);
        let is_replanned = self.plan_changed_at.is_some_and(|step| step >= sent);
        has_changed || was_out || is_replanned || self.shutting_down
    }

    /// The proxy has read an element that a server has given to a client's wait.
    pub(crate) fn note_given(&mut self, tag: Tag) {
        let link = self.clients[tag.client].link;
        match link.is_some_and(|link| self.links[link].side == ProxySide::Gone) {
            true => self.waits.orphaned += 1,
            false => self.waits.given.push(tag),
        }
    }

    /// Whether this is the right reply to a BLPOP besides that of the key's server, or a failure.
    pub(crate) fn ends_wait(&mut self, id: usize, seq: usize, frame: &[u8]) -> bool {
        let tag = Tag { client: id, seq };
        if frame == nothing(self.clients[id].redis.version3) {
            return self.has_stopped_waiting(tag);
        }
        let servers = 0..self.condition.len();
        let may_have = servers
            .into_iter()
            .any(|server| self.may_have_ended(server, tag));
        let has_stopped = self.has_stopped_waiting(tag);
        let is_ended =
            frame == ENDED && (may_have || has_stopped) || frame == NOT_ENDED && has_stopped;
        if is_ended {
            self.clients[id].waiting.ended.push(seq);
        }
        is_ended
    }

    /// Whether a client may wait without end, as no time-out ends a wait at a server that never answers.
    pub(crate) fn may_wait_there(&self, client: &Client) -> bool {
        let silent =
            |link: &usize| self.links[*link].worker == client.plan.worker && self.is_silent(*link);
        client.waiting.rng.is_some() && self.open_links.iter().any(silent)
    }

    /// Why the core may close a leased link: it was not used for long, its wait could not be ended, or a request to end it
    /// was lost.
    pub(crate) fn may_end_lease(&self, link: usize) -> bool {
        let side = self.links[link].server();
        let is_over = self.owes_nothing(self.links[link].worker, link);
        // A client may have left before its transaction was answered.
        let since = match side.is_warm() && !side.talk.multi.has_watched() {
            true => side.heard_at,
            false => side.opened,
        };
        // It may have been opened to be leased, and the server has not got to the end of its handshake.
        let may_be_leased = side.talk.leased.is_leased || !side.is_warm();
        if may_be_leased && is_over && self.now - since >= LEAST_UNUSED {
            return true;
        }
        let is_bad = self.reasons(link).contains(&LossCause::Garbage);
        if is_bad || !side.talk.leased.is_leased || (!side.is_warm() && self.is_late(link)) {
            return false;
        }
        let tags = side.unanswered(self.links[link].inbound.read).0;
        let stopped =
            |tag: &Tag| self.has_stopped_waiting(*tag) || self.may_have_ended(side.index, *tag);
        match is_over {
            // The request to end a wait may have been lost on its way.
            true => side.talk.leased.was_cancelled || self.has_stopped_waits(),
            // What is on its way there may be of anybody.
            false => tags.iter().all(stopped),
        }
    }

    /// Whether keys may be watched on a leased link, or have been: the core closes it when they are of no use any more, as
    /// nobody else may find what is watched there.
    pub(crate) fn may_end_watch(&self, link: usize) -> bool {
        let is_leased = self.links[link].server().talk.leased.is_leased;
        is_leased
            && self
                .scenario
                .clients
                .iter()
                .any(|it| it.dependent.is_some())
    }

    /// Whether some client that waits has ended its side, so that servers may have been told.
    fn has_stopped_waits(&self) -> bool {
        let has_ended = |it: &Client| matches!(it.phase, Phase::Ended | Phase::Over);
        let mut clients = self.clients.iter();
        clients.any(|it| it.waiting.rng.is_some() && has_ended(it))
    }

    /// Whether any client may have a leased link: it waits, or watches keys.
    pub(crate) fn has_leases(&self) -> bool {
        let mut clients = self.scenario.clients.iter();
        clients.any(|it| it.waits.is_some() || it.dependent.is_some())
    }

    /// Whether any client waits.
    pub(crate) fn has_waits(&self) -> bool {
        self.scenario.clients.iter().any(|it| it.waits.is_some())
    }

    /// Every element that the proxy has read has come to its client, or was reported.
    pub(crate) fn check_elements(&mut self) {
        let ended = |tag: &&Tag| self.clients[tag.client].waiting.ended.contains(&tag.seq);
        let late = self.waits.given.iter().filter(ended).count();
        let lost = self.counted_by_all(PoolMetric::ElementsLost);
        let least = (self.waits.orphaned + late) as i64;
        self.counts.waits = Tally {
            given: self.waits.given.len(),
            lost: lost as usize,
            cancelled: self.waits.cancelled,
        };
        assert!(
            lost >= least,
            "{lost} elements were reported as lost, and {least} are"
        );
        // Of clients that stay nothing can be lost.
        let leaves = |client: &&Client| {
            !client.plan.stays() || !matches!(client.plan.ending, Ending::Polite)
        };
        let asked = self.clients.iter().filter(leaves);
        let asked: usize = asked.map(|client| client.waiting.asked).sum();
        let ended: usize = self.clients.iter().map(|it| it.waiting.ended.len()).sum();
        let is_calm = self.scenario.theme == Theme::Calm && self.plan_changed_at.is_none();
        assert!(
            !is_calm || lost <= (asked + ended) as i64,
            "{lost} elements were reported as lost, though nobody has left"
        );
    }
}
