//! What clients send between MULTI and EXEC. All keys of a transaction name the request that is its EXEC, which the
//! number of requests before it tells in advance.

use crate::clients::Client;
use crate::expected::Expected;
use crate::keys::{self, Tag};
use crate::redis_client::{self, Composed, command, local_answer};
use crate::rng::Rng;
use crate::scenario::Scenario;

/// A transaction that a client has begun.
#[derive(Debug)]
pub(crate) struct Open {
    /// How many requests come before its end.
    left: usize,
    /// Its EXEC.
    tag: Tag,
    salt: String,
    /// The keys of its commands; one key may be there several times.
    keys: Vec<Vec<u8>>,
    /// A request was wrong, so that EXEC must fail.
    is_aborted: bool,
    /// The WATCH before it.
    watch: Option<usize>,
    /// Its MULTI comes next.
    needs_multi: bool,
}

/// MULTI, as the request `tag`; or WATCH, and then MULTI.
pub(crate) fn begin(
    client: &mut Client,
    scenario: &Scenario,
    tag: Tag,
    rng: &mut Rng,
) -> (Open, Composed) {
    let watches = scenario.gutter.is_none() && rng.chance(1, 3);
    let left = rng.between(usize::from(watches), 6);
    let mut open = Open {
        left,
        tag: Tag {
            seq: tag.seq + left + 1 + usize::from(watches),
            ..tag
        },
        salt: redis_client::salt(&mut client.rng, scenario),
        keys: Vec::new(),
        is_aborted: false,
        watch: watches.then_some(tag.seq),
        needs_multi: watches,
    };
    if !watches {
        return (open, multi());
    }
    let key = keys::key(&open.salt, open.tag, 0, 'b', rng.between(0, 90));
    open.keys.push(key.clone());
    let composed = Composed {
        bytes: command(&[b"WATCH", &key]),
        want: Some(Expected::Watched(key)),
        ..Composed::default()
    };
    (open, composed)
}

fn multi() -> Composed {
    local_answer(command(&[b"MULTI"]), b"+OK\r\n")
}

impl Open {
    /// Whether the next request ends it.
    pub(crate) fn is_over(&self) -> bool {
        self.left == 0 && !self.needs_multi
    }

    /// The key that is watched, if any.
    pub(crate) fn watched(&self) -> Option<&Vec<u8>> {
        self.watch.and(self.keys.first())
    }

    /// Which request is its EXEC.
    pub(crate) fn end(&self) -> usize {
        self.tag.seq
    }

    /// A request within it.
    pub(crate) fn next(
        &mut self,
        client: &mut Client,
        scenario: &Scenario,
        rng: &mut Rng,
    ) -> Composed {
        if std::mem::take(&mut self.needs_multi) {
            return multi();
        }
        self.left -= 1;
        // Of one that watches something, the first command is sent in any case.
        let is_first = self.watch.is_some() && self.keys.len() == 1;
        match rng.below(16) {
            _ if is_first => self.command(client, scenario, rng).unwrap_or(at_once(rng)),
            0 => self.wrong(rng),
            1 => at_once(rng),
            _ => self.command(client, scenario, rng).unwrap_or(at_once(rng)),
        }
    }

    /// One that makes EXEC fail.
    fn wrong(&mut self, rng: &mut Rng) -> Composed {
        self.is_aborted = true;
        let line = rng.pick(&[
            "GET",
            "CLIENT REPLY OFF",
            "SELECT 0",
            "PUBSUB NUMPAT",
            "NOSUCH",
        ]);
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let mentions = line.split(' ').next().unwrap_or_default();
        error(&args, mentions)
    }

    fn command(
        &mut self,
        client: &mut Client,
        scenario: &Scenario,
        rng: &mut Rng,
    ) -> Option<Composed> {
        let key = match self.keys.last() {
            // Others would belong to other servers.
            Some(key) if !scenario.tagged => key.clone(),
            _ => self.key(client, rng),
        };
        let is_write = keys::read(&key).is_some_and(|key| key.mark == b'w');
        // Each is executed once at most.
        if is_write && self.keys.contains(&key) {
            return None;
        }
        let value = keys::value(&key, keys::read(&key).map_or(0, |key| key.size));
        let name: &[u8] = match is_write {
            true => rng.pick(&[b"SET".as_slice(), b"APPEND", b"SETNX"]),
            false => rng.pick(&[b"GET".as_slice(), b"ttl", b"HGETALL"]),
        };
        let mut args = vec![name, &key];
        args.extend(is_write.then_some(&value[..]));
        let bytes = command(&args);
        self.keys.push(key);
        Some(local_answer(bytes, b"+QUEUED\r\n"))
    }

    fn key(&self, client: &mut Client, rng: &mut Rng) -> Vec<u8> {
        let mark = rng.pick(&[
            'b', 'b', 'n', 'i', 's', 'e', 'o', 'a', 'm', 'z', 'w', 'w', 'w',
        ]);
        let size = match mark {
            'z' => rng.below(9),
            _ => redis_client::size(client).min(200_000),
        };
        keys::key(&self.salt, self.tag, self.keys.len(), mark, size)
    }

    /// EXEC.
    pub(crate) fn exec(self) -> Composed {
        let failed = self.is_aborted.then_some("previous errors");
        let bytes = command(&[b"EXEC"]);
        let watch = self.watch;
        let keys = self.keys.into_iter().skip(usize::from(watch.is_some()));
        let keys: Vec<Vec<u8>> = keys.collect();
        let Some(mentions) = failed else {
            return match keys.is_empty() {
                true => local_answer(bytes, b"*0\r\n"),
                false => Composed {
                    bytes,
                    want: Some(Expected::Transaction { keys, watch }),
                    ..Composed::default()
                },
            };
        };
        Composed {
            bytes,
            want: Some(Expected::Line {
                begins: "-EXECABORT ",
                mentions: mentions.into(),
            }),
            is_local: true,
            ..Composed::default()
        }
    }

    /// Whether its EXEC would send nothing.
    pub(crate) fn is_barred(&self) -> bool {
        self.is_aborted
    }
}

/// One that a server would execute at once, with an error that changes nothing.
fn at_once(rng: &mut Rng) -> Composed {
    match rng.below(2) {
        0 => error(&[b"MULTI"], "nested"),
        _ => error(&[b"watch", b"k"], "inside MULTI"),
    }
}

fn error(args: &[&[u8]], mentions: &str) -> Composed {
    Composed {
        bytes: command(args),
        want: Some(Expected::Line {
            begins: "-ERR ",
            mentions: mentions.into(),
        }),
        is_local: true,
        ..Composed::default()
    }
}
