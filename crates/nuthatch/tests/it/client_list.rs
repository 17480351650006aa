//! Clients as operators see them.

use serde_json::Value;

use crate::admin::{ask, rig};
use crate::latency::ctl;
use crate::need;

#[test]
fn clients_of_all_workers_are_listed_and_closed_by_their_address() {
    let args = ["--control=control.sock", "--workers=2"];
    let (rig, _) = need!(rig(1, &[], &args), "redis-server");
    let control = rig.proxy.dir().join("control.sock");
    let mut clients: Vec<_> = (0..4).map(|_| rig.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let name = format!("app{number}");
        assert_eq!(client.ask(&["CLIENT", "SETNAME", &name]), "+OK\r\n");
    }
    let listed = |words: &[&str]| -> Vec<Value> {
        let said = ctl(&control, &[&["clients", "--json"], words].concat()).success();
        serde_json::from_str(&said).expect("JSON")
    };
    let all = listed(&[]);
    let mut names: Vec<&str> = all.iter().filter_map(|it| it["name"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["app0", "app1", "app2", "app3"]);
    assert_eq!(listed(&["-n", "3"]).len(), 3);
    assert_eq!(listed(&["--pool", "pool"]).len(), 4);
    let none = ctl(&control, &["clients", "--pool", "none"]);
    assert!(none.status == Some(1) && none.stderr.contains("there is no pool 'none'"));

    let victim = all
        .iter()
        .find(|it| it["name"] == "app2")
        .expect("it is listed");
    let address = victim["address"].as_str().expect("an address");
    let lines = ctl(&control, &["clients"]).success();
    let line = lines
        .lines()
        .find(|line| line.starts_with(address))
        .expect("a line");
    assert!(
        line.contains(" pool pool: ") && line.contains(", name app2, last command client"),
        "{line}"
    );
    ctl(&control, &["clients", "--kill", address]).success();
    assert_eq!(clients[2].rest(), b"");
    assert_eq!(clients[1].ask(&["PING"]), "+PONG\r\n");
    let all = ctl(&control, &["clients", "--kill", "on a unix socket"]);
    assert!(all.status == Some(1) && all.stderr.contains("is not the address of one client"));
    let again = ctl(&control, &["clients", "--kill", address]);
    assert!(
        again.status == Some(1) && again.stderr.contains("there is no client"),
        "{}",
        again.output()
    );
}

#[test]
fn clients_are_summed_up_by_name_and_library_and_shown_on_a_page() {
    let args = ["--control=control.sock", "--workers=2"];
    let (rig, port) = need!(rig(1, &[], &args), "redis-server");
    let control = rig.proxy.dir().join("control.sock");
    let mut clients: Vec<_> = (0..6).map(|_| rig.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        if number < 4 {
            let name = ["shop", "search"][number % 2];
            assert_eq!(client.ask(&["CLIENT", "SETNAME", name]), "+OK\r\n");
            let library = ["CLIENT", "SETINFO", "LIB-NAME", "lib"];
            assert_eq!(client.ask(&library), "+OK\r\n");
        }
    }
    for client in [0, 2] {
        for _ in 0..50 {
            clients[client].ask(&["GET", "k"]);
        }
    }
    let read = |text: &str| -> Vec<Value> { serde_json::from_str(text).expect("JSON") };
    let by_name = ctl(&control, &["clients", "--by-name", "--json"]).success();
    let groups = read(&by_name);
    assert_eq!(groups.len(), 3, "{by_name}");
    let shop = &groups[0];
    assert_eq!(
        (&shop["name"], &shop["library"]),
        (&"shop".into(), &"lib".into())
    );
    assert_eq!(
        (&shop["clients"], &shop["requests"]),
        (&2.into(), &104.into())
    );
    let bytes = |of: &str| shop[of].as_u64().expect("a number");
    // Each request has 20 bytes, and each reply 5.
    assert!(
        bytes("bytes_in") > 100 * 20 && bytes("bytes_out") > 100 * 5,
        "{shop}"
    );
    assert!(bytes("bytes_in") < 100 * 30, "{shop}");
    assert!(shop["requests_per_second"].as_f64() > Some(0.0), "{shop}");
    assert!(
        groups
            .iter()
            .any(|it| it["name"] == "" && it["clients"] == 2)
    );

    let cut = read(&ctl(&control, &["clients", "--by-name", "--json", "-n", "1"]).success());
    assert_eq!(
        (cut.len(), &cut[1]["name"], &cut[1]["clients"]),
        (2, &Value::Null, &4.into())
    );
    let text = ctl(&control, &["clients", "--by-name"]).success();
    assert!(
        text.starts_with("shop (lib) pool pool: 2 clients, "),
        "{text}"
    );
    assert!(
        text.contains("no name (no library) pool pool: 2 clients"),
        "{text}"
    );

    assert_eq!(read(&ask(port, "/clients?by=name", &[]).body).len(), 3);
    let page = read(&ask(port, "/clients", &[]).body);
    assert_eq!(page.len(), 6);
    let mut requests: Vec<_> = page.iter().map(|it| it["requests"].as_u64()).collect();
    requests.sort_unstable();
    assert_eq!(requests, [0, 0, 2, 2, 52, 52].map(Some));
}
