//! The tour: where keys are placed, and what the death and return of a server mean.

use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Answer, Client};
use crate::narrator::{Narrator, Stop};
use crate::pool::{DemoPool, FAILURE_LIMIT, RETRY_AFTER_MS};
use crate::setup::Setup;

/// Keys that are stored in each pool.
const KEYS: [&str; 12] = [
    "user:alice",
    "user:bob",
    "user:carol",
    "user:dave",
    "user:erin",
    "user:frank",
    "user:grace",
    "user:heidi",
    "user:ivan",
    "user:judy",
    "user:mallory",
    "user:niaj",
];

/// Index of the server that is killed in each pool.
const VICTIM: usize = 1;

/// How long the proxy may take for a change that it makes by itself.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Runs the whole tour in both pools.
pub(crate) fn run(setup: &mut Setup, narrator: &mut Narrator) -> Result<(), Stop> {
    let pools = setup.pools.len();
    for index in 0..pools {
        placement(setup, index, narrator)?;
    }
    for index in 0..pools {
        death(setup, index, narrator)?;
    }
    for index in 0..pools {
        recovery(setup, index, narrator)?;
    }
    statistics(setup, narrator)
}

/// Stores keys through the proxy, then looks for each one on every server.
fn placement(setup: &Setup, index: usize, narrator: &mut Narrator) -> Result<(), Stop> {
    let pool = &setup.pools[index];
    let name = pool.name();
    narrator.say(&format!("\n== {name}: twelve keys through the proxy ==\n"))?;
    let mut client = pool.client()?;
    let mut stored = 0;
    for key in KEYS {
        stored += usize::from(client.set(key, &value(key))? == Answer::Stored);
    }
    let read = count_readable(&mut client, &KEYS, value)?;
    let together = client.get_many(&KEYS)?;
    let expected = KEYS.iter().map(|key| Some(value(key))).collect();

    narrator.say("   key           locate says    found on")?;
    let mut in_place = 0;
    for key in KEYS {
        let located = setup.pools[index].locate(key, None);
        let holders = pool.holders(key, &value(key))?;
        in_place += usize::from(holders == [located]);
        narrator.say(&format!("   {key:<13} {located:<14} {}", holders.join(" ")))?;
    }
    narrator.check(stored == 12 && read == 12, "all were stored and read back")?;
    narrator.check(
        together == Answer::Values(expected),
        "one request for all twelve was split among the servers and joined in order",
    )?;
    narrator.check(
        in_place == KEYS.len(),
        "each key is on the server that `nuthatch locate` names, and on no other",
    )
}

/// Kills a server while a client is connected.
fn death(setup: &mut Setup, index: usize, narrator: &mut Narrator) -> Result<(), Stop> {
    let mut client = setup.pools[index].client()?;
    let before = count_readable(&mut client, &KEYS, value)?;
    let (theirs, others) = keys_of_victim(setup, index);
    let victim = victim(setup, index);
    narrator.say(&format!(
        "\n== {}: {victim} is killed ==\n",
        setup.pools[index].name()
    ))?;
    setup.pools[index].servers[VICTIM].kill();

    narrator.say("   The same client, still connected, asks for each key again:\n")?;
    let mut errors = Vec::new();
    for key in KEYS {
        let answer = client.get(key)?;
        let located = setup.pools[index].locate(key, None);
        narrator.say(&format!("   {key:<13} {located:<14} {}", shown(&answer)))?;
        if let Answer::Refused(line) = answer {
            errors.push((key, line));
        }
    }
    narrator.check(before == KEYS.len(), "before, all twelve were answered")?;
    narrator.check(
        !errors.is_empty() && errors.iter().all(|(key, _)| theirs.contains(key)),
        format!("only keys of {victim} saw an error; the connection stayed open"),
    )?;
    let alive = count_readable(&mut client, &others, value)?;
    narrator.check(
        alive == others.len(),
        format!(
            "the {} keys of the other servers were never disturbed",
            others.len()
        ),
    )?;
    ejection(setup, index, &mut client, &theirs, errors.len(), narrator)
}

/// After enough failures the keys of the dead server move to the other servers.
fn ejection(
    setup: &Setup,
    index: usize,
    client: &mut Client,
    theirs: &[&'static str],
    mut errors: usize,
    narrator: &mut Narrator,
) -> Result<(), Stop> {
    let (pool, victim) = (&setup.pools[index], victim(setup, index));
    let end = Instant::now() + TIME_LIMIT;
    for key in theirs.iter().cycle() {
        let refused = matches!(client.get(key)?, Answer::Refused(_));
        errors += usize::from(refused);
        if !refused || Instant::now() > end {
            break;
        }
    }
    narrator.check(
        errors <= FAILURE_LIMIT as usize,
        format!("{victim} was ejected; requests that failed until then: {errors}"),
    )?;
    let mut moved = 0;
    for key in theirs {
        let missing = client.get(key)?.is_missing();
        let stored = client.set(key, &moved_value(key))? == Answer::Stored;
        let heir = pool.locate(key, Some(&victim));
        let holders = pool.holders(key, &moved_value(key))?;
        moved += usize::from(missing && stored && holders == [heir]);
        let now_on = holders.join(" ");
        narrator.say(&format!(
            "   {key:<13} a miss, stored again, now on {now_on}"
        ))?;
    }
    narrator.check(
        moved == theirs.len(),
        format!("the keys of {victim} can be used again at once, on the living servers"),
    )
}

/// The server returns, empty, and gets its own keys back.
fn recovery(setup: &mut Setup, index: usize, narrator: &mut Narrator) -> Result<(), Stop> {
    let (theirs, _) = keys_of_victim(setup, index);
    let victim = victim(setup, index);
    setup.pools[index].servers[VICTIM].revive()?;
    let pool = &setup.pools[index];
    narrator.say(&format!(
        "\n== {}: {victim} is back, empty ==\n",
        pool.name()
    ))?;

    let mut client = pool.client()?;
    let began = Instant::now();
    let mut returned = false;
    while !returned && began.elapsed() < TIME_LIMIT && !narrator.is_interrupted() {
        client.set(theirs[0], &back_value(theirs[0]))?;
        returned = pool
            .holders(theirs[0], &back_value(theirs[0]))?
            .contains(&&*victim);
        thread::sleep(Duration::from_millis(50));
    }
    narrator.check(
        returned,
        format!("it was taken back within its server_retry_timeout of {RETRY_AFTER_MS} ms"),
    )?;
    let mut home = 0;
    for key in KEYS {
        let stored = client.set(key, &back_value(key))? == Answer::Stored;
        let located = setup.pools[index].locate(key, None);
        let holders = pool.holders(key, &back_value(key))?;
        home += usize::from(stored && holders.contains(&located));
    }
    let read = count_readable(&mut client, &KEYS, back_value)?;
    narrator.check(
        home == KEYS.len() && read == KEYS.len(),
        "all twelve keys are written and read where they were in the beginning",
    )
}

/// Shows the statistics.
fn statistics(setup: &Setup, narrator: &mut Narrator) -> Result<(), Stop> {
    narrator.say("\n== the stats document ==\n")?;
    let end = Instant::now() + TIME_LIMIT;
    loop {
        let document = setup.stats()?;
        let ejects = |pool: &DemoPool| document[pool.name()]["server_ejects"].as_i64();
        let counts: Vec<_> = setup.pools.iter().map(ejects).collect();
        let all_counted = counts
            .iter()
            .all(|count| count.is_some_and(|count| count >= 1));
        if !all_counted && Instant::now() < end && !narrator.is_interrupted() {
            thread::sleep(Duration::from_millis(200));
            continue;
        }
        for (pool, count) in setup.pools.iter().zip(&counts) {
            let (name, count) = (pool.name(), count.unwrap_or(-1));
            narrator.say(&format!("   {name:<10} server_ejects {count}"))?;
        }
        return narrator.check(all_counted, "the stats count the ejections");
    }
}

fn victim(setup: &Setup, index: usize) -> String {
    setup.pools[index].servers[VICTIM].name.clone()
}

/// The keys of the server that is killed, and all others.
fn keys_of_victim(setup: &Setup, index: usize) -> (Vec<&'static str>, Vec<&'static str>) {
    let (pool, victim) = (&setup.pools[index], victim(setup, index));
    KEYS.iter()
        .partition(|key| pool.locate(key, None) == victim)
}

fn count_readable(
    client: &mut Client,
    keys: &[&str],
    value: fn(&str) -> String,
) -> Result<usize, Stop> {
    let mut readable = 0;
    for key in keys {
        readable += usize::from(client.get(key)?.is_value(&value(key)));
    }
    Ok(readable)
}

fn value(key: &str) -> String {
    format!("the value of {key}")
}

fn moved_value(key: &str) -> String {
    format!("the new value of {key}")
}

fn back_value(key: &str) -> String {
    format!("the last value of {key}")
}

fn shown(answer: &Answer) -> String {
    match answer {
        Answer::Values(values) => match values.first() {
            Some(Some(value)) => format!("\"{value}\""),
            _ => "a miss (its server is ejected already)".into(),
        },
        Answer::Refused(line) | Answer::Strange(line) => line.clone(),
        Answer::Stored => "stored".into(),
    }
}

#[cfg(test)]
mod tests {
    use hashkit::{Member, Placement};

    use super::*;
    use crate::kind::Kind;

    #[test]
    fn every_server_owns_keys_to_show() {
        for kind in [Kind::Redis, Kind::Memcached] {
            let names: Vec<String> = (1..=3).map(|n| format!("{}-{n}", kind.name())).collect();
            let members = names.iter().map(|name| Member {
                name: name.as_bytes(),
                weight: 1,
                live: true,
            });
            let members: Vec<Member<'_>> = members.collect();
            let placement = Placement::default();
            let ring = placement.ring(&members);
            for (server, name) in names.iter().enumerate() {
                let owns =
                    |key: &&&str| placement.place(&ring, key.as_bytes(), || 0) == Some(server);
                assert!(KEYS.iter().filter(owns).count() >= 2, "{name}");
            }
        }
    }
}
