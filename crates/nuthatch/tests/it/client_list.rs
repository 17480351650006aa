//! Clients as operators see them.

use serde_json::Value;

use crate::admin::rig;
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
