//! redis-rs, its blocking connection.

use std::thread;
use std::time::Duration;

use redis::{Client, Commands, Connection, ErrorKind, RedisResult, ServerErrorKind, pipe};

use crate::section::{Outcome, expect, order, port, report, version};

pub(crate) fn sections() -> Outcome {
    println!("version redis-rs {}", version("redis"));
    let client = Client::open(format!("redis://127.0.0.1:{}/", port("PORT")?))?;
    let mut connection = connected(&client)?;
    report("connect", connecting(&mut connection));
    report("strings", strings(&mut connection));
    report("pipelines", pipelines(&mut connection));
    report("multi-key", multi_key(&mut connection));
    report("binary values", binary(&mut connection));
    report("an error keeps the connection", errors(&mut connection));
    report("reconnect", reconnect(&client, &mut connection));
    report("transactions", transactions(&mut connection));
    report("watch", watch(&client, &mut connection));
    let mut connection = connected(&client)?;
    report("blocking pops", blocking(&client, &mut connection));
    let mut connection = connected(&client)?;
    report("publish/subscribe", subscribing(&client, &mut connection));
    report("scans", scans(&mut connection));
    report("scripts", scripts(&mut connection));
    Ok(())
}

fn connected(client: &Client) -> RedisResult<Connection> {
    let connection = client.get_connection()?;
    connection.set_read_timeout(Some(Duration::from_secs(15)))?;
    Ok(connection)
}

fn connecting(connection: &mut Connection) -> Outcome {
    let pong: String = redis::cmd("PING").query(connection)?;
    expect(pong, "PONG".into())
}

fn strings(connection: &mut Connection) -> Outcome {
    let _: () = connection.set_ex("s", 1, 100)?;
    let number: i64 = connection.incr("s", 1)?;
    expect(number, 2)?;
    let none: Option<String> = connection.get("none")?;
    expect(none, None)?;
    let _: () = connection.hset_multiple("h", &[("f", "v"), ("g", "w")])?;
    let mut values: Vec<String> = connection.hvals("h")?;
    values.sort();
    expect(values, vec!["v".into(), "w".into()])?;
    let score: i64 = connection.zadd("z", "m", 1.5)?;
    expect(score, 1)
}

fn pipelines(connection: &mut Connection) -> Outcome {
    let mut commands = pipe();
    for number in 0..500 {
        commands.set(format!("p{number}"), number).ignore();
        commands.get(format!("p{number}"));
    }
    let replies: Vec<i64> = commands.query(connection)?;
    expect(replies, (0..500).collect())
}

fn multi_key(connection: &mut Connection) -> Outcome {
    let names: Vec<String> = (0..50).map(|number| format!("m{number}")).collect();
    let pairs: Vec<(&String, &String)> = names.iter().zip(&names).collect();
    let _: () = connection.mset(&pairs)?;
    let values: Vec<String> = connection.mget(&names)?;
    expect(values, names.clone())?;
    let deleted: usize = connection.del(&names)?;
    expect(deleted, 50)
}

fn binary(connection: &mut Connection) -> Outcome {
    let value: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    let _: () = connection.set(b"\x00\xff\r\n", &value)?;
    let got: Vec<u8> = connection.get(b"\x00\xff\r\n")?;
    expect(got == value, true)
}

fn errors(connection: &mut Connection) -> Outcome {
    let before = order("count")?;
    let _: i64 = connection.hset("hash", "f", "v")?;
    let outcome: RedisResult<i64> = connection.incr("hash", 1);
    let error = outcome.err().ok_or("a hash was counted up")?;
    expect(error.code() == Some("WRONGTYPE"), true)?;
    let outcome: RedisResult<i64> = redis::cmd("NOSUCHCOMMAND").query(connection);
    let kind = outcome.err().map(|error| error.kind());
    expect(
        kind,
        Some(ErrorKind::Server(ServerErrorKind::ResponseError)),
    )?;
    let none: Option<String> = connection.get("none")?;
    expect(none, None)?;
    expect(order("count")?, before)
}

/// The blocking connection does not come back by itself: the client opens another one.
fn reconnect(client: &Client, connection: &mut Connection) -> Outcome {
    let _: () = connection.set("r", 1)?;
    order("cut")?;
    let lost: RedisResult<i64> = connection.get("r");
    expect(lost.is_err(), true)?;
    *connection = connected(client)?;
    let value: i64 = connection.get("r")?;
    expect(value, 1)
}

fn transactions(connection: &mut Connection) -> Outcome {
    let mut commands = pipe();
    commands
        .atomic()
        .set("{t}a", 1)
        .ignore()
        .incr("{t}a", 1)
        .set("{t}b", 2)
        .ignore();
    let (number,): (i64,) = commands.query(connection)?;
    expect(number, 2)
}

fn watch(client: &Client, connection: &mut Connection) -> Outcome {
    let mut other = connected(client)?;
    let mut attempts = 0;
    let (number,): (i64,) = redis::transaction(connection, &["{w}a"], |connection, commands| {
        attempts += 1;
        if attempts == 1 {
            let _: () = other.set("{w}a", 5)?;
        }
        let _: Option<i64> = connection.get("{w}a")?;
        commands.incr("{w}a", 1).query(connection)
    })?;
    expect((attempts, number), (2, 6))
}

fn blocking(client: &Client, connection: &mut Connection) -> Outcome {
    let none: Option<(String, String)> = connection.blpop("{b}none", 0.2)?;
    expect(none, None)?;
    let mut other = connected(client)?;
    let pusher = thread::spawn(move || -> RedisResult<i64> {
        thread::sleep(Duration::from_millis(200));
        other.rpush("{b}list", "x")
    });
    let popped: Option<(String, String)> = connection.blpop(&["{b}none", "{b}list"], 5.0)?;
    expect(popped, Some(("{b}list".into(), "x".into())))?;
    let _ = pusher.join();
    Ok(())
}

fn subscribing(client: &Client, connection: &mut Connection) -> Outcome {
    let mut other = connected(client)?;
    let mut subscriber = other.as_pubsub();
    subscriber.set_read_timeout(Some(Duration::from_secs(5)))?;
    subscriber.subscribe("channel")?;
    let _: i64 = connection.publish("channel", "x")?;
    let message: String = subscriber.get_message()?.get_payload()?;
    expect(message, "x".into())
}

fn scans(connection: &mut Connection) -> Outcome {
    for number in 0..300 {
        let _: () = connection.set(format!("scan:{number}"), 1)?;
    }
    let mut found: Vec<String> = Vec::new();
    for key in connection.scan_match("scan:*")? {
        found.push(key?);
    }
    found.sort();
    found.dedup();
    expect(found.len(), 300)
}

fn scripts(connection: &mut Connection) -> Outcome {
    let double = redis::Script::new("return 2 * redis.call('GET', KEYS[1])");
    let _: () = connection.set("two", 2)?;
    for _ in 0..2 {
        let number: i64 = double.key("two").invoke(connection)?;
        expect(number, 4)?;
    }
    Ok(())
}
