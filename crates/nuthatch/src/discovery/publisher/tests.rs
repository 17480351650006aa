//! A source that finds something else each time.

use std::sync::mpsc::{Sender, channel};

use proxy::Memory;
use proxy::settings::{Address, MemcachedSettings, PoolSettings, ProtocolSettings, ServerSettings};

use super::*;
use crate::pool::PoolId;

const LONG: Duration = Duration::from_secs(20);

fn server(name: &str, port: u16) -> ServerSettings {
    ServerSettings {
        name: name.into(),
        pname: format!("127.0.0.1:{port}:1"),
        address: Address::tcp("127.0.0.1", port),
        weight: 1,
        db: 0,
        replication: Default::default(),
    }
}

fn settings(servers: Vec<ServerSettings>) -> PoolSettings {
    let protocol = ProtocolSettings::Memcached(MemcachedSettings::default());
    PoolSettings::new("alpha", servers, protocol)
}

fn pool() -> Arc<PoolShare> {
    let memory = Arc::new(Memory::new(0));
    let core = proxy::PoolShare::new(settings(vec![server("a", 1)]), None, &memory, 1);
    Arc::new(PoolShare::new(PoolId::new(0), core, false, 10))
}

/// Counts its looks, and has a server on a further port each time.
struct Counting {
    looks: u16,
    told: Sender<(u16, bool, bool)>,
    every: Duration,
}

impl Source for Counting {
    fn look(&mut self, publisher: &Publisher, told: bool) -> Duration {
        self.looks += 1;
        let servers = vec![server("a", self.looks)];
        let is_published = publisher.publish(|pool| {
            pool.publish_servers(servers);
            true
        });
        let _ = self.told.send((self.looks, told, is_published));
        self.every
    }
}

#[test]
fn it_looks_by_time_and_when_it_is_told() {
    let (pool, turn) = (pool(), Turn::default());
    let (worker, messages) = Handle::for_tests();
    let (told, looks) = channel();
    let publisher = Publisher::new(&pool, &[worker], &turn);
    let every = Duration::from_secs(3_600);
    let source = |_| Counting {
        looks: 1,
        told,
        every,
    };
    let discovery = Discovery::start(publisher, source).unwrap();
    assert!(discovery.wait(Instant::now() + LONG));
    assert_eq!(looks.recv_timeout(LONG), Ok((2, false, true)));
    assert!(matches!(messages.recv_timeout(LONG), Ok(Message::Planned)));
    discovery.wake().wake();
    assert_eq!(looks.recv_timeout(LONG), Ok((3, true, true)));
    let address = &pool.core().plan().servers[0].endpoint.address;
    assert_eq!(*address, Address::tcp("127.0.0.1", 3));
    discovery.end(&turn.take());
    // The thread has ended when its sender is gone.
    assert!(looks.recv_timeout(LONG).is_err());
}

#[test]
fn a_reload_and_what_is_found_do_not_undo_each_other() {
    let (pool, turn) = (pool(), Turn::default());
    let (told, looks) = channel();
    let publisher = Publisher::new(&pool, &[], &turn);
    let every = Duration::ZERO;
    let source = |_| Counting {
        looks: 1,
        told,
        every,
    };
    let discovery = Discovery::start(publisher, source).unwrap();
    for backlog in 1..=20 {
        let turn = turn.take();
        let plan = pool.core().plan();
        let mut settings = settings(plan.settings.servers.clone());
        settings.clients.backlog = backlog;
        pool.core().publish(settings, None).unwrap();
        assert_eq!(
            pool.core().plan().servers[0].endpoint.number,
            plan.servers[0].endpoint.number
        );
        drop(turn);
        looks.recv_timeout(LONG).unwrap();
        assert_eq!(pool.core().plan().settings.clients.backlog, backlog);
    }
    let turn = turn.take();
    discovery.end(&turn);
    let last = pool.core().plan().number;
    drop(turn);
    while let Ok((_, _, is_published)) = looks.recv_timeout(LONG) {
        let plan = pool.core().plan().number;
        assert!(!is_published || plan == last);
    }
    assert_eq!(pool.core().plan().number, last);
}
