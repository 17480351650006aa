//! Maps as nodes give them, and as nodes should not.

use super::*;

const REACH: Reach<'_> = Reach {
    host: "asked",
    tls: false,
};

fn text(text: &str) -> Reply {
    Reply::Text(text.into())
}

fn list(items: impl IntoIterator<Item = Reply>) -> Reply {
    Reply::List(items.into_iter().collect())
}

fn node(endpoint: Reply, ip: &str, port: i64, role: &str, health: &str) -> Reply {
    list([
        text("id"),
        text("0123"),
        text("port"),
        Reply::Integer(port),
        text("tls-port"),
        Reply::Integer(port + 1),
        text("ip"),
        text(ip),
        text("endpoint"),
        endpoint,
        text("role"),
        text(role),
        text("replication-offset"),
        Reply::Integer(1),
        text("health"),
        text(health),
        text("availability-zone"),
        text("z"),
    ])
}

fn shard(slots: &[i64], nodes: impl IntoIterator<Item = Reply>) -> Reply {
    let slots = slots.iter().map(|slot| Reply::Integer(*slot));
    list([text("slots"), list(slots), text("nodes"), list(nodes)])
}

fn master(host: &str) -> Reply {
    node(text(host), "", 7, "master", "online")
}

fn owner(map: &ClusterMap, slot: u16) -> Option<String> {
    let owner = map.slots.owner(slot)?;
    Some(map.masters[owner].to_string())
}

#[test]
fn replicas_that_work_are_told_with_their_zones() {
    let replica = |host: &str, health| node(text(host), "", 7, "replica", health);
    let nodes = [
        replica("r2", "online"),
        master("a"),
        replica("r1", "online"),
        replica("r3", "loading"),
        replica("r4", "fail"),
    ];
    let reply = list([shard(&[0, 99], nodes), shard(&[100, 199], [master("b")])]);
    let map = ClusterMap::of_shards(&reply, REACH).unwrap();
    let (servers, _) = map.plan(&[]);
    let told = |server: &ServerSettings| {
        let replicas = server.replication.replicas.iter();
        let replicas = replicas.map(|it| (it.name.clone(), it.zone.clone()));
        replicas.collect::<Vec<_>>()
    };
    let zone = Some(Box::from("z"));
    let expected = ["r1:7", "r2:7"].map(|name| (name.to_owned(), zone.clone()));
    assert_eq!(told(&servers[0]), expected);
    assert_eq!(told(&servers[1]), []);
    assert_eq!(servers[1].replication.zone, zone);

    let at = |host: &str| list([text(host), Reply::Integer(7), text("0123")]);
    let range = [
        Reply::Integer(0),
        Reply::Integer(9),
        at("a"),
        at("r2"),
        at("r1"),
    ];
    let map = ClusterMap::of_slots(&list([list(range)]), REACH).unwrap();
    let names = told(&map.plan(&[]).0[0]).into_iter().map(|(name, _)| name);
    assert_eq!(names.collect::<Vec<_>>(), ["r1:7", "r2:7"]);
}

#[test]
fn no_more_replicas_are_taken_than_are_read() {
    let many = (0..100).map(|number| node(text(&format!("r{number}")), "", 7, "replica", "online"));
    let reply = list([shard(&[0, 99], [master("a")].into_iter().chain(many))]);
    let map = ClusterMap::of_shards(&reply, REACH).unwrap();
    let (servers, _) = map.plan(&[]);
    assert_eq!(servers[0].replication.replicas.len(), MAX_REPLICAS);
}

#[test]
fn shards_name_the_master_of_each_range() {
    let replica = node(text("r"), "", 7, "replica", "online");
    let failed = node(text("old"), "", 7, "master", "fail");
    let reply = list([
        shard(&[0, 99, 200, 200], [replica, master("a")]),
        shard(&[100, 199], [failed, master("b")]),
        shard(&[], [master("c")]),
        shard(&[], [node(text("gone"), "", 7, "master", "fail")]),
    ]);
    let map = ClusterMap::of_shards(&reply, REACH).unwrap();
    let owners = [0, 99, 100, 199, 200, 201].map(|slot| owner(&map, slot));
    let expected = [Some("a"), Some("a"), Some("b"), Some("b"), Some("a"), None];
    assert_eq!(
        owners,
        expected.map(|host| host.map(|host| format!("{host}:7")))
    );
    // Slots may be moving to one that has none.
    let masters = map.masters().iter().map(ToString::to_string);
    assert_eq!(masters.collect::<Vec<_>>(), ["a:7", "b:7", "c:7"]);
    assert_eq!(map.problem().unwrap(), "16183 slots without a master");
}

#[test]
fn endpoints_may_be_missing() {
    let host_of = |endpoint: Reply, ip: &str, tls| {
        let reply = list([shard(&[0, 0], [node(endpoint, ip, 7, "master", "online")])]);
        let map = ClusterMap::of_shards(&reply, Reach { host: "asked", tls }).unwrap();
        owner(&map, 0)
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(host_of(Reply::Nil, "10.0.0.1", false), some("asked:7"));
    assert_eq!(host_of(text(""), "10.0.0.1", false), some("10.0.0.1:7"));
    assert_eq!(host_of(text(""), "", false), some("asked:7"));
    assert_eq!(host_of(text("?"), "10.0.0.1", false), some("10.0.0.1:7"));
    assert_eq!(host_of(text("?"), "", false), None);
    assert_eq!(host_of(text("fd00::1"), "", false), some("[fd00::1]:7"));
    assert_eq!(
        host_of(text("n.example"), "10.0.0.1", true),
        some("n.example:8")
    );
    assert_eq!(host_of(text("a b"), "10.0.0.1", true), None);
}

#[test]
fn slots_of_older_servers() {
    let range = |from, to, host: Reply, port| {
        let node = |host, port| list([host, Reply::Integer(port), text("id"), list([])]);
        let replica = node(text("r"), 9);
        list([
            Reply::Integer(from),
            Reply::Integer(to),
            node(host, port),
            replica,
        ])
    };
    let reply = list([
        range(0, 8_000, text("10.0.0.1"), 7_000),
        range(8_001, 16_383, Reply::Nil, 7_001),
    ]);
    let map = ClusterMap::of_slots(&reply, REACH).unwrap();
    assert_eq!(owner(&map, 8_000).unwrap(), "10.0.0.1:7000");
    assert_eq!(owner(&map, 8_001).unwrap(), "asked:7001");
    assert_eq!(map.problem(), None);
}

#[test]
fn masters_without_slots_of_older_servers() {
    let range = [
        Reply::Integer(0),
        Reply::Integer(9),
        list([text("a"), Reply::Integer(7), text("0123")]),
    ];
    let mut map = ClusterMap::of_slots(&list([list(range)]), REACH).unwrap();
    let nodes = "\
        01 a:7@17 master - 0 1 1 connected 0-9\n\
        02 :8@18,name myself,master - 0 1 2 connected\n\
        03 ::1:9@19 master - 0 1 3 connected\n\
        04 r:7@17 slave 01 0 1 1 connected\n\
        05 f:7@17 master,fail - 0 1 4 disconnected\n\
        06 :0@0 master,noaddr - 0 1 5 disconnected\n\
        nonsense\n";
    map.add_nodes(&text(nodes), REACH).unwrap();
    let masters = map.masters().iter().map(ToString::to_string);
    assert_eq!(masters.collect::<Vec<_>>(), ["a:7", "asked:8", "[::1]:9"]);
    assert_eq!(owner(&map, 9).unwrap(), "a:7");
}

#[test]
fn holes_overlaps_and_nonsense_are_told_and_the_rest_is_used() {
    let reply = list([
        shard(&[0, 10], [master("a")]),
        shard(&[5, 15], [master("b")]),
        shard(&[20, 19, 16_000, 20_000, -3, 4, 7], [master("c")]),
        shard(&[16, 18], [node(text("?"), "", 7, "master", "online")]),
    ]);
    let map = ClusterMap::of_shards(&reply, REACH).unwrap();
    assert_eq!(owner(&map, 7).unwrap(), "a:7");
    assert_eq!(owner(&map, 11).unwrap(), "b:7");
    assert_eq!(owner(&map, 16_000), None);
    let problem = map.problem().unwrap();
    let expected = "16368 slots without a master, 6 slots with several masters, 5 ranges of slots that cannot be used";
    assert_eq!(problem, expected);
}

#[test]
fn a_cluster_of_ten_thousand_masters_is_refused() {
    let shards = (0..10_000).map(|slot| shard(&[slot, slot], [master(&format!("n{slot}"))]));
    let error = ClusterMap::of_shards(&list(shards), REACH).unwrap_err();
    assert_eq!(error, "it names more than 1000 masters");
}

#[test]
fn what_is_no_map_is_refused() {
    let error = Reply::Error("ERR This instance has cluster support disabled".into());
    let told = ClusterMap::of_shards(&error, REACH).unwrap_err();
    assert!(told.ends_with("cluster support disabled"), "{told}");
    for reply in [Reply::Nil, text("x"), list([text("x")]), list([list([])])] {
        assert!(ClusterMap::of_shards(&reply, REACH).is_err());
        assert!(ClusterMap::of_slots(&reply, REACH).is_err());
    }
}

#[test]
fn masters_keep_their_places_and_others_take_those_that_are_free() {
    let names = |map: &ClusterMap, before: &[ServerSettings]| {
        let (servers, slots) = map.plan(before);
        let of = |index: usize| slots.count_of(index);
        let named = servers.iter().enumerate();
        let named = named.map(|(index, server)| format!("{} {}", server.name, of(index)));
        (named.collect::<Vec<_>>(), servers)
    };
    let map = |masters: &[(&str, &[i64])]| {
        let shards = masters
            .iter()
            .map(|(host, slots)| shard(slots, [master(host)]));
        ClusterMap::of_shards(&list(shards), REACH).unwrap()
    };
    let first = map(&[("a", &[0, 9]), ("b", &[10, 29]), ("c", &[30, 59])]);
    let (told, servers) = names(&first, &[]);
    assert_eq!(told, ["a:7 10", "b:7 20", "c:7 30"]);
    // One takes over from another, in another order.
    let second = map(&[("c", &[30, 59]), ("d", &[0, 9]), ("b", &[10, 29])]);
    let (told, servers) = names(&second, &servers);
    assert_eq!(told, ["d:7 10", "b:7 20", "c:7 30"]);
    // One leaves, and two come.
    let third = map(&[("e", &[0, 4]), ("c", &[30, 59]), ("f", &[5, 29])]);
    let (told, servers) = names(&third, &servers);
    assert_eq!(told, ["e:7 5", "f:7 25", "c:7 30"]);
    let fourth = map(&[("c", &[0, 59])]);
    assert_eq!(names(&fourth, &servers).0, ["c:7 60"]);
}
