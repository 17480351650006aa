//! What is put in force of what is found, and what is held back.

use std::sync::mpsc::Receiver;

use proxy::Memory;
use proxy::settings::{MemcachedSettings, PoolSettings, ProtocolSettings};

use super::*;
use crate::discovery::Turn;
use crate::pool::{PoolId, PoolShare};
use crate::standing::Wake;

fn servers(names: &str) -> Vec<ServerSettings> {
    let server = |name: &str| ServerSettings {
        name: name.into(),
        pname: format!("{name}:1:1"),
        address: Address::tcp(name, 1),
        weight: 1,
        db: 0,
        replication: Default::default(),
    };
    names.split(' ').map(server).collect()
}

struct Stage {
    pool: Arc<PoolShare>,
    publisher: Publisher,
    found: Found,
    standing: Arc<Standing>,
    woken: Receiver<()>,
}

impl Stage {
    fn new(names: &str, max_removed: u8) -> Self {
        let protocol = ProtocolSettings::Memcached(MemcachedSettings::default());
        let settings = PoolSettings::new("alpha", servers(names), protocol);
        let core = proxy::PoolShare::new(settings, None, &Arc::new(Memory::new(0)), 1);
        let pool = Arc::new(PoolShare::new(PoolId::new(0), core, false, 1));
        let (wake, woken) = Wake::new();
        let standing = Arc::new(Standing::new("file f".into(), wake));
        Self {
            publisher: Publisher::new(&pool, &[], &Turn::default()),
            found: Found::new(&standing, max_removed),
            pool,
            standing,
            woken,
        }
    }

    fn find(&self, names: &str) -> String {
        self.found.take(&self.publisher, Ok(servers(names)));
        self.names()
    }

    fn names(&self) -> String {
        let plan = self.pool.core().plan();
        let names: Vec<&str> = plan.servers.iter().map(|it| it.share.name()).collect();
        names.join(" ")
    }
}

#[test]
fn a_plan_is_published_only_if_something_changed() {
    let stage = Stage::new("a b", 50);
    assert_eq!(stage.find("a b"), "a b");
    assert_eq!(stage.pool.core().plan().number, 1);
    let a = Arc::clone(&stage.pool.core().plan().servers[0].share);
    assert_eq!(stage.find("a b c"), "a b c");
    let plan = stage.pool.core().plan();
    assert_eq!(plan.number, 2);
    assert!(Arc::ptr_eq(&plan.servers[0].share, &a));
    let known = stage.standing.known();
    assert_eq!((known.found, known.failures, known.problem), (3, 0, None));
    assert!(known.last_success.is_some());
}

#[test]
fn what_is_bad_or_empty_changes_nothing() {
    let stage = Stage::new("a b", 100);
    stage.found.take(&stage.publisher, Err("line 1: no".into()));
    stage.found.take(&stage.publisher, Err("line 1: no".into()));
    let known = stage.standing.known();
    assert_eq!(
        (known.failures, known.problem.as_deref()),
        (2, Some("line 1: no"))
    );
    stage.found.take(&stage.publisher, Ok(Vec::new()));
    assert_eq!(
        stage.standing.known().problem.as_deref(),
        Some("it lists no server")
    );
    assert_eq!(stage.names(), "a b");
    assert_eq!(stage.find("b"), "b");
    assert_eq!(stage.standing.known().problem, None);
}

#[test]
fn too_many_at_once_are_held_back_until_they_are_accepted() {
    let stage = Stage::new("a b c d", 50);
    assert_eq!(stage.find("a x y z"), "a b c d");
    let reason = stage.standing.known().held_back.unwrap();
    assert!(
        reason.starts_with("3 of 4 are missing in the new list of 4 (b, c, d)"),
        "{reason}"
    );
    assert_eq!(stage.find("c d"), "c d", "half of them may go");
    assert_eq!(stage.standing.known().held_back, None);
    assert!(!stage.standing.accept(), "nothing is held back");
    stage.woken.try_recv().unwrap();
    assert_eq!(stage.find("x"), "c d");
    assert!(stage.standing.accept());
    stage.woken.try_recv().unwrap();
    assert_eq!(stage.find("x"), "x");
    assert_eq!(stage.find("y"), "x", "that was good for once");
}
