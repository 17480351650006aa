//! The embedded Redis server's commands about data.

use std::time::{Duration, Instant};

use redis_proto::encode::{self, Version};

use crate::store::{Full, Item, Store};

/// Why a command failed: the error text after `-`.
pub(super) type Refusal = String;

/// A command being executed: the store, the time and the reply.
pub(super) struct Work<'w> {
    pub(super) store: &'w mut Store,
    pub(super) now: Instant,
    pub(super) version: Version,
    pub(super) reply: &'w mut Vec<u8>,
}

/// The result of a command; if it is `Ok`, the reply has been written.
type Outcome = Result<(), Refusal>;

impl Work<'_> {
    /// Executes a command about data; `None` if it is another command or the number of arguments is wrong.
    pub(super) fn command(&mut self, name: &[u8], args: &[&[u8]]) -> Option<Outcome> {
        match (name, args) {
            (b"GET", [key]) => self.get(key),
            (b"GETDEL", [key]) => {
                self.get(key);
                self.store.remove(key);
            }
            (b"SET", [key, value, options @ ..]) => return Some(self.set(key, value, options)),
            (b"SETNX", [key, value]) => return Some(self.set_if_absent(key, value)),
            (b"SETEX", [key, time, value]) => return Some(self.set(key, value, &[b"EX", time])),
            (b"PSETEX", [key, time, value]) => return Some(self.set(key, value, &[b"PX", time])),
            (b"MSET", [_, _, ..]) if args.len().is_multiple_of(2) => {
                return Some(self.set_many(args));
            }
            (b"APPEND", [key, more]) => return Some(self.append(key, more)),
            (b"STRLEN", [key]) => {
                let length = self.item(key).map_or(0, |item| item.value.len());
                encode::integer(self.reply, length as i64);
            }
            (b"INCR", [key]) => return Some(self.add(key, Some(1))),
            (b"DECR", [key]) => return Some(self.add(key, Some(-1))),
            (b"INCRBY", [key, by]) => return Some(self.add(key, integer(by))),
            (b"DECRBY", [key, by]) => {
                return Some(self.add(key, integer(by).and_then(i64::checked_neg)));
            }
            _ => return self.key_command(name, args),
        }
        Some(Ok(()))
    }

    /// Commands about keys of any type.
    fn key_command(&mut self, name: &[u8], args: &[&[u8]]) -> Option<Outcome> {
        match (name, args) {
            (b"DEL" | b"UNLINK", [_, ..]) => {
                let removed = args.iter().filter(|key| self.remove(key)).count();
                encode::integer(self.reply, removed as i64);
            }
            (b"EXISTS" | b"TOUCH", [_, ..]) => {
                let there = args.iter().filter(|key| self.item(key).is_some()).count();
                encode::integer(self.reply, there as i64);
            }
            (b"TYPE", [key]) => {
                let there = self.item(key).is_some();
                encode::simple(self.reply, if there { "string" } else { "none" });
            }
            (b"EXPIRE" | b"PEXPIRE", [key, time]) => {
                return Some(self.expire(key, time, name == b"EXPIRE"));
            }
            (b"PERSIST", [key]) => {
                let had = self.item(key).is_some_and(|item| item.expires.is_some());
                self.store.expire(key, None, self.now);
                encode::integer(self.reply, i64::from(had));
            }
            (b"TTL" | b"PTTL", [key]) => {
                let now = self.now;
                let left = time_left(self.item(key), now, name == b"TTL");
                encode::integer(self.reply, left);
            }
            (b"DBSIZE", []) => encode::integer(self.reply, self.store.len() as i64),
            (b"FLUSHALL" | b"FLUSHDB", [] | [_]) => {
                self.store.clear();
                encode::simple(self.reply, "OK");
            }
            _ => return None,
        }
        Some(Ok(()))
    }

    fn item(&mut self, key: &[u8]) -> Option<&Item> {
        self.store.get(key, self.now)
    }

    fn get(&mut self, key: &[u8]) {
        let value = self.store.get(key, self.now).map(|item| &*item.value);
        value_or_null(self.reply, value, self.version);
    }

    /// SET with EX, PX, NX, XX, KEEPTTL and GET.
    fn set(&mut self, key: &[u8], value: &[u8], options: &[&[u8]]) -> Outcome {
        let old = self.item(key).cloned();
        let (mut expires, mut allowed, mut get_old) = (None, true, false);
        let mut rest = options;
        while let [word, after @ ..] = rest {
            rest = after;
            match (&*word.to_ascii_uppercase(), after) {
                (unit @ (b"EX" | b"PX"), [time, after @ ..]) => {
                    let time = integer(time).ok_or_else(not_an_integer)?;
                    let end = expiry(self.now, time, unit == b"EX");
                    expires = Some(end.ok_or("ERR invalid expire time in 'set' command")?);
                    rest = after;
                }
                (b"NX", _) => allowed &= old.is_none(),
                (b"XX", _) => allowed &= old.is_some(),
                (b"KEEPTTL", _) => expires = old.as_ref().and_then(|item| item.expires),
                (b"GET", _) => get_old = true,
                _ => return Err("ERR syntax error".into()),
            }
        }
        if allowed {
            self.put(
                key,
                Item {
                    expires,
                    ..plain(value)
                },
            )?;
        }
        let old = old.as_ref().map(|item| &*item.value);
        match (get_old, allowed) {
            (true, _) => value_or_null(self.reply, old, self.version),
            (false, true) => encode::simple(self.reply, "OK"),
            (false, false) => encode::null(self.reply, self.version),
        }
        Ok(())
    }

    fn set_if_absent(&mut self, key: &[u8], value: &[u8]) -> Outcome {
        let absent = self.item(key).is_none();
        if absent {
            self.put(key, plain(value))?;
        }
        encode::integer(self.reply, i64::from(absent));
        Ok(())
    }

    fn set_many(&mut self, pairs: &[&[u8]]) -> Outcome {
        for pair in pairs.chunks_exact(2) {
            self.put(pair[0], plain(pair[1]))?;
        }
        encode::simple(self.reply, "OK");
        Ok(())
    }

    fn append(&mut self, key: &[u8], more: &[u8]) -> Outcome {
        let mut item = self.item(key).cloned().unwrap_or_default();
        item.value.extend_from_slice(more);
        let length = item.value.len();
        self.put(key, item)?;
        encode::integer(self.reply, length as i64);
        Ok(())
    }

    fn add(&mut self, key: &[u8], by: Option<i64>) -> Outcome {
        let mut item = self.item(key).cloned().unwrap_or(plain(b"0"));
        let value = integer(&item.value).ok_or_else(not_an_integer)?;
        let by = by.ok_or_else(not_an_integer)?;
        let Some(sum) = value.checked_add(by) else {
            return Err("ERR increment or decrement would overflow".into());
        };
        item.value = sum.to_string().into_bytes();
        self.put(key, item)?;
        encode::integer(self.reply, sum);
        Ok(())
    }

    fn expire(&mut self, key: &[u8], time: &[u8], in_seconds: bool) -> Outcome {
        let time = integer(time).ok_or_else(not_an_integer)?;
        let changed = match expiry(self.now, time, in_seconds) {
            // A time in the past removes the key.
            None if time <= 0 => self.remove(key),
            None => return Err("ERR invalid expire time in 'expire' command".into()),
            end => self.store.expire(key, end, self.now),
        };
        encode::integer(self.reply, i64::from(changed));
        Ok(())
    }

    /// Whether there was anything to remove; an expired key does not count.
    fn remove(&mut self, key: &[u8]) -> bool {
        self.item(key).is_some() && self.store.remove(key)
    }

    fn put(&mut self, key: &[u8], item: Item) -> Outcome {
        let full = "OOM command not allowed when used memory > 'maxmemory'.";
        self.store.put(key, item).map_err(|Full| full.into())
    }
}

fn plain(value: &[u8]) -> Item {
    Item {
        value: value.to_vec(),
        ..Item::default()
    }
}

/// Appends a value, or the null of the client's protocol version.
pub(super) fn value_or_null(reply: &mut Vec<u8>, value: Option<&[u8]>, version: Version) {
    match value {
        Some(value) => encode::bulk(reply, value),
        None => encode::null(reply, version),
    }
}

fn integer(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse().ok().filter(|_| !text.starts_with('+'))
}

fn not_an_integer() -> Refusal {
    "ERR value is not an integer or out of range".into()
}

/// The expiry time after this many seconds or milliseconds; `None` if it has passed or exceeds the clock's
/// range.
fn expiry(now: Instant, time: i64, in_seconds: bool) -> Option<Instant> {
    let time = u64::try_from(time).ok().filter(|&time| time > 0)?;
    let life = match in_seconds {
        true => Duration::from_secs(time),
        false => Duration::from_millis(time),
    };
    now.checked_add(life)
}

/// -2 without a key, -1 without an expiry time, else the time left, with seconds rounded as Redis does.
fn time_left(item: Option<&Item>, now: Instant, in_seconds: bool) -> i64 {
    let Some(item) = item else { return -2 };
    let Some(end) = item.expires else { return -1 };
    let millis = end.saturating_duration_since(now).as_millis();
    let left = if in_seconds {
        (millis + 500) / 1000
    } else {
        millis
    };
    i64::try_from(left).unwrap_or(i64::MAX)
}
