//! The pages as they are answered, without a socket.

use std::fs;
use std::time::Instant;

use proxy::settings::{Address, MemcachedSettings, PoolSettings, ProtocolSettings, ServerSettings};
use proxy::{Memory, Process};

use super::*;
use crate::clock::Clock;
use crate::connections::ConnectionCounts;
use crate::live::Directory;
use crate::pool::{PoolId, PoolShare};
use crate::stats::Source;

fn pool(name: &str, servers: usize) -> Arc<PoolShare> {
    let server = |index| ServerSettings {
        name: format!("cache-{index}.example:11211"),
        pname: format!("cache-{index}.example:11211:1"),
        address: Address::tcp("cache.example", 11211),
        weight: 1,
        db: 0,
        replication: Default::default(),
    };
    let protocol = ProtocolSettings::Memcached(MemcachedSettings::default());
    let mut settings = PoolSettings::new(name, (0..servers).map(server).collect(), protocol);
    // A ketama ring of thousands of servers takes long to make without optimisation.
    settings.placement.distribution = hashkit::Distribution::Modula;
    let core = proxy::PoolShare::new(settings, None, &Arc::new(Memory::new(0)), 1);
    Arc::new(PoolShare::new(PoolId::new(0), core, false, usize::MAX))
}

fn view(pools: Vec<Arc<PoolShare>>) -> Arc<View> {
    let source = Source {
        version: "0",
        hostname: "machine".into(),
        started: Instant::now(),
        clock: Clock::start(),
        counts: ConnectionCounts::new(1),
        directory: Arc::new(Directory::of(pools, false)),
        recent: Arc::default(),
    };
    View::new(Arc::new(source), Arc::new(Process::default()))
}

#[test]
fn pages_are_bounded_and_say_what_they_leave_out() {
    let large = view((0..3).map(|n| pool(&format!("pool-{n}"), 1_000)).collect());
    let page = metrics::page(&large, true);
    assert!(page.contains("\nnuthatch_left_out 952\n"));
    assert_eq!(page.matches("\nnuthatch_server_live{").count(), 2_048);
    assert!(page.contains("\nnuthatch_pool_servers{pool=\"pool-2\"} 1000\n"));
    assert!(page.len() < 20 << 20, "{} bytes", page.len());
    assert!(
        json::servers(&large)
            .to_string()
            .contains("\"left_out\":952")
    );
    let many = view((0..1_100).map(|n| pool(&format!("pool-{n}"), 1)).collect());
    let page = metrics::page(&many, false);
    assert_eq!(page.matches("\nnuthatch_pool_ready{").count(), 1_024);
    assert!(page.contains("\nnuthatch_left_out 152\n"));
    for _ in 0..3 {
        many.take_sample(Instant::now());
    }
    let history = many.history().json(0);
    assert_eq!(
        history["series"].as_array().map(Vec::len),
        Some(history::MOST)
    );
}

#[test]
fn a_token_is_read_from_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    let read = |text: &str| {
        fs::write(&path, text).unwrap();
        read_token(&path).ok()
    };
    assert_eq!(read("  secret\n"), Some("secret".into()));
    assert_eq!(read(" \n"), None);
    assert_eq!(read(&"x".repeat(5000)), None);
    let globals = Globals {
        admin_token_file: Some(dir.path().join("none")),
        ..Globals::default()
    };
    let error = token(&globals).unwrap_err().to_string();
    let expected = format!(
        "`admin_token_file`, which is '{}': No such file or directory",
        dir.path().join("none").display()
    );
    assert_eq!(error, expected);
    let both = Globals {
        admin_token: Some("secret".into()),
        ..globals
    };
    let error = token(&both).unwrap_err().to_string();
    assert!(error.contains("remove one of them"), "{error}");
}

#[test]
fn drained_servers_and_reloads_are_told_of() {
    let pool = pool("pool", 2);
    let view = view(vec![Arc::clone(&pool)]);
    pool.core().hold(&pool.core().plan().servers[1]);
    view.source().directory.note_refused();
    let page = metrics::page(&view, false);
    for line in [
        "nuthatch_server_drained{pool=\"pool\",server=\"cache-0.example:11211\"} 0",
        "nuthatch_server_drained{pool=\"pool\",server=\"cache-1.example:11211\"} 1",
        "nuthatch_server_live{pool=\"pool\",server=\"cache-1.example:11211\"} 0",
        "nuthatch_pool_servers_live{pool=\"pool\"} 1",
        "nuthatch_config_reloads_total 0",
        "nuthatch_config_reloads_refused_total 1",
    ] {
        assert!(page.lines().any(|it| it == line), "{line} in {page}");
    }
    let servers = json::servers(&view).to_string();
    assert_eq!(servers.matches("\"drained\":true").count(), 1);
}
