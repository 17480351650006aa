//! Which servers count as the same, and what is said of whole pools.

use hashkit::{Distribution, HashTag};
use proxy::settings::{Address, MemcachedSettings, ProtocolSettings};

use super::*;

/// A pool of `name host weight` lines.
fn pool(servers: &[(&str, &str, u32)]) -> PoolSettings {
    let server = |&(name, host, weight): &(&str, &str, u32)| ServerSettings {
        name: name.into(),
        pname: String::new(),
        address: Address::tcp(host, 1),
        weight,
        db: 0,
        replication: Default::default(),
    };
    let servers = servers.iter().map(server).collect();
    let protocol = ProtocolSettings::Memcached(MemcachedSettings::default());
    PoolSettings::new("p", servers, protocol)
}

fn share(diff: &RingDiff) -> f64 {
    match diff.moved {
        Moved::Exact(share) => share,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_name_is_worth_more_than_an_address() {
    let old = pool(&[("a", "h1", 1), ("b", "h2", 1), ("c", "h3", 1)]);
    // Names keep their servers although the addresses are exchanged, and `x` is at the address of the old `c`.
    let new = pool(&[("a", "h2", 1), ("b", "h1", 1), ("x", "h3", 1)]);
    let same = same_servers(&old.servers, &new.servers);
    assert_eq!(same, [Some(0), Some(1), Some(2)]);
    // One of them only, if both have that address.
    let new = pool(&[("x", "h3", 1), ("y", "h3", 1), ("z", "h4", 1)]);
    assert_eq!(
        same_servers(&old.servers, &new.servers),
        [Some(2), None, None]
    );
    // An address whose server goes on under its name is free for nobody.
    let new = pool(&[("a", "h9", 1), ("x", "h1", 1)]);
    assert_eq!(same_servers(&old.servers, &new.servers), [Some(0), None]);
}

#[test]
fn another_address_under_the_same_name_moves_nothing() {
    let old = pool(&[("a", "h1", 1), ("b", "h2", 1)]);
    let new = pool(&[("a", "h1", 1), ("b", "h9", 1)]);
    let diff = diff(&old, &new);
    assert_eq!((share(&diff), diff.moves.len()), (0.0, 0));
    let [_, b] = &diff.servers[..] else {
        panic!("{:?}", diff.servers);
    };
    let address = |placed: &Option<Placed>| placed.as_ref().unwrap().address.clone();
    assert_eq!(
        (address(&b.before), address(&b.after)),
        ("h2:1".into(), "h9:1".into())
    );
}

/// A key moves between the points of a server's old and new name only if another server owned it in between.
#[test]
fn a_renamed_server_moves_keys_that_its_new_points_give_it_or_take_from_it() {
    let old = pool(&[("a", "h1", 1), ("b", "h2", 1), ("c", "h3", 1)]);
    let new = pool(&[("a", "h1", 1), ("b", "h2", 1), ("x", "h3", 1)]);
    let diff = diff(&old, &new);
    let moved = share(&diff);
    assert!((0.3..0.6).contains(&moved), "{moved}");
    let sum: f64 = diff.moves.iter().map(|it| it.share).sum();
    assert!((sum - moved).abs() < 1e-9);
    assert!(
        diff.moves.iter().all(|it| it.from == "c" || it.to == "x"),
        "{:?}",
        diff.moves
    );
    assert!(
        diff.servers
            .iter()
            .all(|it| it.before.is_some() && it.after.is_some())
    );
    assert!(diff.exceeds(moved - 0.01) && !diff.exceeds(moved));
}

#[test]
fn shares_are_told_before_and_after() {
    let old = pool(&[("a", "h1", 1), ("b", "h2", 1)]);
    let new = pool(&[("b", "h2", 1), ("c", "h3", 2)]);
    let diff = diff(&old, &new);
    let all = |of: fn(&ServerShare) -> &Option<Placed>| -> (Vec<&str>, f64) {
        let placed: Vec<&Placed> = diff
            .servers
            .iter()
            .filter_map(|it| of(it).as_ref())
            .collect();
        let names = placed.iter().map(|it| &it.name[..]).collect();
        (names, placed.iter().map(|it| it.share).sum())
    };
    let (names, sum) = all(|server| &server.before);
    assert_eq!(names, ["b", "a"]);
    assert!((sum - 1.0).abs() < 1e-9);
    let (names, sum) = all(|server| &server.after);
    assert_eq!(names, ["b", "c"]);
    assert!((sum - 1.0).abs() < 1e-9);
    for balance in [diff.balance.0, diff.balance.1] {
        assert!((1.0..1.5).contains(&balance), "{balance}");
    }
}

#[test]
fn where_keys_have_no_server_nothing_is_said_of_moving() {
    let fixed = pool(&[("a", "h1", 1), ("b", "h2", 3)]);
    let mut drawn = fixed.clone();
    drawn.placement.distribution = Distribution::Random;
    let lost = diff(&fixed, &drawn);
    let (before, after) = (false, true);
    assert_eq!(lost.moved, Moved::NoPlaces { before, after });
    assert!(lost.exceeds(0.99) && !lost.exceeds(1.0) && lost.worst().is_none());
    assert!(!diff(&drawn, &drawn).exceeds(0.0));
    // The weights do not matter.
    assert_eq!(
        (lost.balance.1, server_shares(&drawn)),
        (1.0, vec![0.5, 0.5])
    );
}

#[test]
fn the_worst_of_all_keys_counts() {
    let old = pool(&[("a", "h1", 1), ("b", "h2", 1)]);
    let mut new = old.clone();
    let (open, close) = (b'{', b'}');
    new.placement.tag = Some(HashTag { open, close });
    let diff = diff(&old, &new);
    assert_eq!(share(&diff), 0.0);
    assert!(
        diff.worst()
            .is_some_and(|worst| (0.4..0.6).contains(&worst))
    );
    assert!(diff.exceeds(0.1));
}
