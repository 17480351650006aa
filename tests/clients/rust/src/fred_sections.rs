//! fred.

use std::time::Duration;

use fred::prelude::*;
use tokio::time::{sleep, timeout};

use crate::section::{Outcome, expect, order, port, report, version};

const LIMIT: Duration = Duration::from_secs(15);

/// Runs a section within its time.
macro_rules! section {
    ($name:literal, $body:expr) => {
        let outcome = timeout(LIMIT, $body).await;
        report(
            $name,
            outcome.unwrap_or_else(|_| Err("took longer than 15 s".into())),
        );
    };
}

pub(crate) async fn sections() -> Outcome {
    println!("version fred {}", version("fred"));
    let client = connected().await?;
    section!("connect", connecting(&client));
    section!("strings", strings(&client));
    section!("pipelines", pipelines(&client));
    section!("multi-key", multi_key(&client));
    section!("binary values", binary(&client));
    section!("an error keeps the connection", errors(&client));
    section!("reconnect", reconnect(&client));
    section!("transactions", transactions(&client));
    section!("blocking pops", blocking(&client));
    section!("publish/subscribe", subscribing(&client));
    section!("scripts", scripts(&client));
    Ok(())
}

async fn connected() -> Result<Client, Box<dyn std::error::Error>> {
    let config = Config::from_url(&format!("redis://127.0.0.1:{}", port("PORT")?))?;
    let client = Builder::from_config(config)
        .set_policy(ReconnectPolicy::new_constant(10, 100))
        .build()?;
    timeout(LIMIT, client.init()).await??;
    Ok(client)
}

async fn connecting(client: &Client) -> Outcome {
    let pong: String = client.ping(None).await?;
    expect(pong, "PONG".into())
}

async fn strings(client: &Client) -> Outcome {
    let _: () = client
        .set("s", 1, Some(Expiration::EX(100)), None, false)
        .await?;
    let number: i64 = client.incr("s").await?;
    expect(number, 2)?;
    let none: Option<String> = client.get("none").await?;
    expect(none, None)?;
    let added: i64 = client.hset("h", [("f", "v"), ("g", "w")]).await?;
    expect(added, 2)?;
    let mut values: Vec<String> = client.hvals("h").await?;
    values.sort();
    expect(values, vec!["v".into(), "w".into()])
}

async fn pipelines(client: &Client) -> Outcome {
    let pipeline = client.pipeline();
    for number in 0..500 {
        let _: () = pipeline
            .set(format!("p{number}"), number, None, None, false)
            .await?;
    }
    for number in 0..500 {
        let _: () = pipeline.get(format!("p{number}")).await?;
    }
    let replies: Vec<String> = pipeline.all().await?;
    let mut wanted = vec!["OK".to_string(); 500];
    wanted.extend((0..500).map(|number| number.to_string()));
    expect(replies, wanted)
}

async fn multi_key(client: &Client) -> Outcome {
    let names: Vec<String> = (0..50).map(|number| format!("m{number}")).collect();
    let pairs: Vec<(String, String)> = names.iter().cloned().zip(names.iter().cloned()).collect();
    let _: () = client.mset(pairs).await?;
    let values: Vec<String> = client.mget(names.clone()).await?;
    expect(values, names.clone())?;
    let deleted: usize = client.del(names).await?;
    expect(deleted, 50)
}

async fn binary(client: &Client) -> Outcome {
    let value: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    let key: &[u8] = b"\x00\xff\r\n";
    let _: () = client.set(key, value.as_slice(), None, None, false).await?;
    let got: Vec<u8> = client.get(key).await?;
    expect(got == value, true)
}

async fn errors(client: &Client) -> Outcome {
    let before = order("count")?;
    let _: i64 = client.hset("hash", ("f", "v")).await?;
    let outcome: Result<i64, Error> = client.incr("hash").await;
    let error = outcome.err().ok_or("a hash was counted up")?;
    expect(error.details().contains("WRONGTYPE"), true)?;
    let none: Option<String> = client.get("none").await?;
    expect(none, None)?;
    expect(order("count")?, before)
}

async fn reconnect(client: &Client) -> Outcome {
    let _: () = client.set("r", 1, None, None, false).await?;
    order("cut")?;
    let value: i64 = client.get("r").await?;
    expect(value, 1)
}

async fn transactions(client: &Client) -> Outcome {
    let transaction = client.multi();
    let _: () = transaction.set("{t}a", 1, None, None, false).await?;
    let _: () = transaction.incr("{t}a").await?;
    let _: () = transaction.set("{t}b", 2, None, None, false).await?;
    let replies: (String, i64, String) = transaction.exec(true).await?;
    expect(replies, ("OK".into(), 2, "OK".into()))
}

async fn blocking(client: &Client) -> Outcome {
    let popper = connected().await?;
    // The reply that says that nothing came is an error in fred.
    let none: Result<(String, String), Error> = popper.blpop("{b}none", 1.0).await;
    let kind = none.err().map(|error| error.kind().clone());
    expect(kind, Some(ErrorKind::Timeout))?;
    let waiting = popper.blpop::<(String, String), _>(vec!["{b}none", "{b}list"], 5.0);
    let pushing = async {
        sleep(Duration::from_millis(200)).await;
        client.rpush::<i64, _, _>("{b}list", "x").await
    };
    let (popped, pushed) = tokio::join!(waiting, pushing);
    pushed?;
    expect(popped?, ("{b}list".into(), "x".into()))
}

async fn subscribing(client: &Client) -> Outcome {
    let subscriber = connected().await?;
    let mut messages = subscriber.message_rx();
    subscriber.subscribe("channel").await?;
    // subscribe() does not wait for the reply of the server.
    while client.publish::<i64, _, _>("channel", "x").await? == 0 {
        sleep(Duration::from_millis(50)).await;
    }
    let message = messages.recv().await?;
    let text: String = message.value.convert()?;
    expect(text, "x".into())
}

async fn scripts(client: &Client) -> Outcome {
    let _: () = client.set("two", 2, None, None, false).await?;
    let text = "return 2 * redis.call('GET', KEYS[1])";
    let number: i64 = client.eval(text, vec!["two"], Vec::<String>::new()).await?;
    expect(number, 4)?;
    let hash: String = client.script_load(text).await?;
    let number: i64 = client
        .evalsha(hash, vec!["two"], Vec::<String>::new())
        .await?;
    expect(number, 4)
}
