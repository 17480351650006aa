//! Names whose look-ups the test begins and answers.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};

use super::*;

const REFRESH: Duration = Duration::from_secs(30);

/// A server that counts what it is told: failures, changes, and how often it has followed.
#[derive(Clone, Default)]
struct Server {
    counts: Arc<[AtomicUsize; 3]>,
    follows: bool,
    has_left: Arc<AtomicBool>,
}

impl Server {
    fn counts(&self) -> [usize; 3] {
        [0, 1, 2].map(|index: usize| self.counts[index].load(Ordering::Relaxed))
    }

    fn count(&self, index: usize) {
        self.counts[index].fetch_add(1, Ordering::Relaxed);
    }
}

impl Watch for Server {
    fn label(&self) -> &str {
        "server 's'"
    }

    fn is_over(&self) -> bool {
        self.has_left.load(Ordering::Relaxed)
    }

    fn refresh(&self) -> Option<Duration> {
        Some(REFRESH)
    }

    fn follows(&self) -> bool {
        self.follows
    }

    fn count_failure(&self) {
        self.count(0);
    }

    fn count_change(&self) {
        self.count(1);
    }

    fn follow(&self) {
        self.count(2);
    }
}

/// One name, `cache`, of one server, and the test as name server.
struct World {
    names: Names,
    server: Server,
    now: Instant,
}

type Answer = Receiver<Option<Resolved>>;

impl World {
    fn new(follows: bool) -> Self {
        let server = Server {
            follows,
            ..Server::default()
        };
        let (mut names, now) = (Names::default(), Instant::now());
        names.watch(&"cache".into(), Box::new(server.clone()), now);
        Self { names, server, now }
    }

    /// Somebody connects to port 7.
    fn ask(&mut self) -> Answer {
        let (sender, answer) = channel();
        let reply = Box::new(move |resolved| sender.send(resolved).unwrap());
        self.names.ask(&"cache".into(), 7, reply, self.now);
        self.wait(Duration::ZERO);
        answer
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.names.handle_timeout(self.now);
    }

    /// Whether a look-up begins.
    fn looks_up(&mut self) -> bool {
        let host = self.names.next_look_up(self.now);
        host.is_some()
    }

    /// The look-up under way ends with these addresses; with none it fails.
    fn answer(&mut self, hosts: &[&str]) {
        let address = |host: &&str| SocketAddr::new(host.parse().unwrap(), 0);
        let answer = match hosts {
            [] => Err(io::Error::other("nobody knows")),
            hosts => Ok(hosts.iter().map(address).collect()),
        };
        self.names.take_answer(&"cache".into(), answer, self.now);
    }

    /// Somebody connects while the name leads to these addresses; what is tried.
    fn connect(&mut self, hosts: &[&str]) -> String {
        let answer = self.ask();
        assert!(self.looks_up());
        self.answer(hosts);
        tried(&answer)
    }

    /// The name is looked up because it is time.
    fn refresh(&mut self, hosts: &[&str]) {
        self.wait(REFRESH - Duration::from_millis(1));
        assert!(!self.looks_up());
        self.wait(Duration::from_millis(30));
        assert!(self.looks_up());
        self.answer(hosts);
    }

    fn lines(&mut self) -> Vec<String> {
        let lines = self.names.take_lines();
        lines.into_iter().map(|line| line.text).collect()
    }
}

fn tried(answer: &Answer) -> String {
    match answer.try_recv() {
        Err(_) => "waits".into(),
        Ok(None) => "none".into(),
        Ok(Some(resolved)) => {
            let all: Vec<_> = resolved
                .addresses
                .iter()
                .map(SocketAddr::to_string)
                .collect();
            all.join(" ")
        }
    }
}

#[test]
fn those_who_wait_for_the_same_name_share_an_answer() {
    let mut world = World::new(false);
    let answers = [world.ask(), world.ask(), world.ask()];
    assert!(world.looks_up() && !world.looks_up());
    world.answer(&["10.0.0.1"]);
    assert_eq!(answers.each_ref().map(tried), ["10.0.0.1:7"; 3]);
    assert!(!world.looks_up());
    assert_eq!(world.server.counts(), [0, 0, 0]);
}

#[test]
fn the_last_good_address_serves_when_a_look_up_fails_or_is_late() {
    let mut world = World::new(true);
    assert_eq!(world.connect(&[]), "none");
    assert_eq!(world.connect(&["10.0.0.1"]), "10.0.0.1:7");
    assert_eq!(world.connect(&[]), "10.0.0.1:7");
    let late = world.ask();
    assert!(world.looks_up());
    world.wait(KNOWN_TIME_LIMIT - Duration::from_millis(1));
    assert_eq!(tried(&late), "waits");
    world.wait(Duration::from_millis(30));
    assert_eq!(tried(&late), "10.0.0.1:7");
    // Nobody waits again for a look-up that is late already, and it is counted once.
    let later = world.ask();
    assert_eq!(tried(&later), "10.0.0.1:7");
    assert!(!world.looks_up());
    assert_eq!(world.server.counts(), [3, 0, 0]);
    // The log limits them.
    let lines = world.lines();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].contains("'cache' (server 's') failed: nobody knows; no address"));
    assert!(lines[1].contains("failed: nobody knows; its last address, 10.0.0.1, is used"));
    assert!(lines[2].contains("failed: there is no answer yet; its last address, 10.0.0.1"));
    // What it brings after all is taken.
    world.answer(&["10.0.0.2"]);
    assert_eq!(world.server.counts(), [3, 1, 1]);
    world.wait(Duration::from_secs(10));
    assert_eq!(world.connect(&[]), "10.0.0.2:7");
}

#[test]
fn without_a_known_address_one_waits_longer_but_not_for_ever() {
    let mut world = World::new(false);
    let answer = world.ask();
    assert!(world.looks_up());
    world.wait(KNOWN_TIME_LIMIT * 2);
    assert_eq!(tried(&answer), "waits");
    world.wait(FIRST_TIME_LIMIT);
    assert_eq!(tried(&answer), "none");
    assert_eq!(world.server.counts(), [1, 0, 0]);
}

#[test]
fn a_name_that_changes_is_told_of_once_and_used_by_the_next_connection() {
    let mut world = World::new(false);
    assert_eq!(world.connect(&["10.0.0.1"]), "10.0.0.1:7");
    world.refresh(&["10.0.0.2"]);
    world.refresh(&["10.0.0.2"]);
    assert_eq!(world.server.counts(), [0, 1, 0]);
    let lines = world.lines();
    assert_eq!(lines.len(), 1);
    let told =
        "name 'cache' (server 's') no longer leads to 10.0.0.1 but to 10.0.0.2: connections stay";
    assert!(lines[0].starts_with(told), "{lines:?}");
    assert_eq!(world.connect(&["10.0.0.2"]), "10.0.0.2:7");
    assert_eq!((world.server.counts(), world.lines().len()), ([0, 1, 0], 0));
    assert_eq!(world.connect(&["10.0.0.3"]), "10.0.0.3:7");
    assert_eq!((world.server.counts(), world.lines().len()), ([0, 2, 0], 1));
}

#[test]
fn a_name_is_followed_whoever_notices() {
    let mut world = World::new(true);
    assert_eq!(world.connect(&["10.0.0.1"]), "10.0.0.1:7");
    world.refresh(&["10.0.0.2"]);
    assert_eq!(world.server.counts(), [0, 1, 1]);
    assert_eq!(world.connect(&["10.0.0.2"]), "10.0.0.2:7");
    assert_eq!(world.connect(&["10.0.0.3"]), "10.0.0.3:7");
    assert_eq!(world.server.counts(), [0, 2, 2]);
}

#[test]
fn an_address_is_kept_while_it_is_in_the_answer() {
    let mut world = World::new(true);
    assert_eq!(world.connect(&["10.0.0.1", "10.0.0.2"]), "10.0.0.1:7");
    assert_eq!(world.connect(&["10.0.0.2", "10.0.0.1"]), "10.0.0.1:7");
    world.refresh(&["10.0.0.2", "10.0.0.1"]);
    assert_eq!(world.server.counts(), [0, 0, 0]);
    let lines = world.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("several addresses: 10.0.0.1 is used, and not 10.0.0.2"));
    world.refresh(&["10.0.0.2"]);
    assert_eq!(world.server.counts(), [0, 1, 1]);
}

#[test]
fn the_address_that_was_reached_is_tried_first() {
    let mut world = World::new(false);
    let both = ["::1", "127.0.0.1"];
    assert_eq!(world.connect(&both), "[::1]:7 127.0.0.1:7");
    let (host, address) = ("cache".into(), "127.0.0.1:7".parse().unwrap());
    world.names.note_attempt(&host, address, true);
    assert_eq!(world.connect(&both), "127.0.0.1:7 [::1]:7");
    world.names.note_attempt(&host, address, false);
    assert_eq!(world.connect(&both), "[::1]:7 127.0.0.1:7");
    // It is not the first any more.
    world.names.note_attempt(&host, address, false);
    assert_eq!(world.connect(&both), "[::1]:7 127.0.0.1:7");
    assert_eq!((world.server.counts(), world.lines().len()), ([0, 0, 0], 0));
}

#[test]
fn a_line_names_few_of_many_servers() {
    let mut world = World::new(false);
    for _ in 0..100 {
        let server = Box::new(world.server.clone());
        world.names.watch(&"cache".into(), server, world.now);
    }
    assert_eq!(world.connect(&[]), "none");
    let lines = world.lines();
    let told = "(server 's', server 's', server 's' and 98 more) failed: nobody knows";
    assert!(lines[0].contains(told), "{lines:?}");
    assert_eq!(world.server.counts(), [101, 0, 0]);
}

#[test]
fn look_ups_that_hang_leave_room_for_others() {
    let mut world = World::new(false);
    for number in 0..MAX_LOOK_UPS + 1 {
        let host: Arc<str> = format!("name-{number}").into();
        world.names.ask(&host, 1, Box::new(|_| {}), world.now);
    }
    let started = (0..MAX_LOOK_UPS + 1).filter(|_| world.looks_up()).count();
    assert_eq!(started, MAX_LOOK_UPS);
    world
        .names
        .take_answer(&"name-3".into(), Ok(Vec::new()), world.now);
    assert!(world.looks_up());
    for _ in 0..MAX_WAITING {
        world.ask();
    }
    assert_eq!(tried(&world.ask()), "none", "too many wait");
}

#[test]
fn servers_that_have_left_are_forgotten_with_their_names() {
    let mut world = World::new(true);
    world.connect(&["10.0.0.1"]);
    world.names.forget();
    assert_eq!(world.names.names.len(), 1, "nobody has left");
    // Another configuration has the same server, now and again: the look-up is not put off by that.
    for _ in 0..3 {
        world.wait(REFRESH / 2 - Duration::from_millis(1));
        let next = Server {
            follows: true,
            ..Server::default()
        };
        world.server.has_left.store(true, Ordering::Relaxed);
        world.server = next.clone();
        let watch = Box::new(next);
        world.names.watch(&"cache".into(), watch, world.now);
        world.names.forget();
        if world.looks_up() {
            world.answer(&["10.0.0.2"]);
        }
    }
    assert_eq!(world.server.counts(), [0, 1, 1]);
    world.wait(REFRESH);
    assert!(world.looks_up());
    world.answer(&["10.0.0.3"]);
    assert_eq!(world.server.counts(), [0, 2, 2]);
    world.server.has_left.store(true, Ordering::Relaxed);
    world.names.forget();
    assert!(world.names.names.is_empty());
}
