//! Commands that the table does not have, at real servers: known ones under another name.

use crate::need;
use crate::rig::Rig;

#[test]
fn a_command_of_a_module_is_forwarded_by_its_keys() {
    let renamed = [
        "--rename-command",
        "get",
        "mymodule.get",
        "--rename-command",
        "rename",
        "mymodule.move",
    ];
    let servers = (0..3).map(|_| testkit::redis_with(&renamed));
    let servers = need!(servers.collect::<Option<Vec<_>>>(), "redis-server");
    let lines = [
        "commands:",
        "  - {name: MyModule.Get, arity: 2, access: read}",
        "  - {name: mymodule.move, arity: 3, first: 1, last: 2}",
    ];
    let rig = Rig::before_redis(servers, &lines, &[]);
    let mut client = rig.client();
    for number in 0..50 {
        let (key, value) = (format!("key:{number}"), format!("{number:04}"));
        assert_eq!(client.ask(&["SET", &key, &value]), "+OK\r\n");
        let found = client.ask(&["MYMODULE.GET", &key]);
        assert_eq!(found, format!("$4\r\n{value}\r\n"));
        assert_eq!(client.ask(&["mymodule.move", &key, &key]), "+OK\r\n");
    }
    let moves =
        (0..50).map(|number| client.ask(&["mymodule.move", "key:0", &format!("to:{number}")]));
    let apart = moves
        .filter(|reply| reply.starts_with("-CROSSSLOT"))
        .count();
    assert!(apart > 0, "some keys belong to other servers");
    let info = client.ask(&["COMMAND", "INFO", "mymodule.move"]);
    assert!(
        info.contains("mymodule.move\r\n:3\r\n") && info.contains("+write"),
        "{info}"
    );
}
