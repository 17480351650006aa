//! Commands that a pool's settings add.

use proxy::settings::{CommandSettings, PoolSettings, ProtocolSettings, RedisSettings};

use crate::alone::Alone;
use crate::stage::{Stage, redis_pool};
use crate::words::{bulk, redis};

fn command(name: &str, arity: i16, keys: (u8, i8, u8), is_read: bool) -> CommandSettings {
    CommandSettings {
        name: name.to_owned(),
        arity,
        first: keys.0,
        last: keys.1,
        step: keys.2,
        is_read,
    }
}

fn settings() -> RedisSettings {
    RedisSettings {
        commands: vec![
            command("mymodule.get", 2, (1, 1, 1), true),
            command("put", -4, (2, -2, 2), false),
        ],
        ..RedisSettings::default()
    }
}

fn pool(redis: RedisSettings) -> PoolSettings {
    let mut pool = redis_pool(2);
    pool.protocol = ProtocolSettings::Redis(redis);
    pool
}

#[test]
fn an_added_command_goes_to_the_server_of_its_keys() {
    let mut stage = Stage::new(pool(settings()));
    let client = stage.client();
    for server in [0, 1] {
        let key = stage.key(server);
        for name in ["mymodule.get", "MyModule.GET"] {
            let get = redis(&[name, &key]);
            stage.say(client, &get);
            let link = stage.link(server);
            assert_eq!(stage.heard(link), get);
            stage.answer(link, bulk("v"));
            assert_eq!(stage.hear(client), bulk("v"));
        }
        let put = redis(&["PUT", "option", &key, "v", &key, "w"]);
        stage.say(client, &put);
        let link = stage.link(server);
        assert_eq!(stage.heard(link), put);
        stage.answer(link, "+OK\r\n");
        assert_eq!(stage.hear(client), "+OK\r\n");
    }
    let apart = redis(&["put", "option", &stage.key(0), "v", &stage.key(1), "w"]);
    assert!(stage.ask(client, apart).starts_with("-CROSSSLOT"));
    // It may change its connection, as far as anybody knows.
    stage.say(
        client,
        redis(&["MULTI"]) + &redis(&["mymodule.get", "k"]) + &redis(&["EXEC"]),
    );
    let heard = stage.hear(client);
    assert!(heard.starts_with("+OK\r\n-ERR "), "{heard}");
    assert!(heard.contains("-EXECABORT "), "{heard}");
    let wrong = stage.ask(client, redis(&["mymodule.get", "k", "v"]));
    assert_eq!(
        wrong,
        "-ERR wrong number of arguments for 'mymodule.get' command\r\n"
    );
    let unknown = stage.ask(client, redis(&["mymodule.set", "k"]));
    assert_eq!(unknown, "-ERR unknown command 'mymodule.set'\r\n");
    // Without the settings, from the next request on.
    stage.publish(pool(RedisSettings::default()));
    let unknown = stage.ask(client, redis(&["mymodule.get", "k"]));
    assert_eq!(unknown, "-ERR unknown command 'mymodule.get'\r\n");
    stage.publish(pool(settings()));
    stage.say(client, redis(&["mymodule.get", &stage.key(0)]));
    let link = stage.link(0);
    assert!(stage.heard(link).contains("mymodule.get"));
}

#[test]
fn command_tells_of_it() {
    let mut plain = Alone::new();
    let mut alone = Alone::with(settings());
    let count = |alone: &mut Alone| -> usize {
        let reply = alone.ask("COMMAND COUNT");
        reply[1..].trim_end().parse().expect("a number")
    };
    assert_eq!(count(&mut alone), count(&mut plain) + 2);
    let get = "*10\r\n$12\r\nmymodule.get\r\n:2\r\n*1\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n*2\r\n+@read\r\n+@slow\r\n*0\r\n\
        *1\r\n*6\r\n$5\r\nflags\r\n*2\r\n+RO\r\n+access\r\n$12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n$5\r\nindex\r\n\
        $4\r\nspec\r\n*2\r\n$5\r\nindex\r\n:1\r\n$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n\
        *6\r\n$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n*0\r\n";
    assert_eq!(
        alone.ask("COMMAND INFO MYMODULE.get"),
        format!("*1\r\n{get}")
    );
    assert!(alone.ask("COMMAND").contains(get));
    assert!(!plain.ask("COMMAND").contains("mymodule"));
    assert_eq!(plain.ask("COMMAND INFO mymodule.get"), "*1\r\n*-1\r\n");
    assert_eq!(
        alone.ask("COMMAND LIST FILTERBY PATTERN mymodule.*"),
        format!("*1\r\n{}", bulk("mymodule.get"))
    );
    assert!(
        alone
            .ask("COMMAND DOCS put")
            .contains("Answered by the server that has the key")
    );
    assert_eq!(
        alone.ask("COMMAND GETKEYS put o a 1 b 2"),
        format!("*2\r\n{}{}", bulk("a"), bulk("b"))
    );
    let header = format!("*{}\r\n", count(&mut plain) + 2);
    assert!(alone.ask("COMMAND").starts_with(&header));
}
