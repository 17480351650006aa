//! Redis clients whose requests depend on earlier ones: transactions, refused databases, and replies that are not
//! wanted. Each client computes the expected results independently.

use std::collections::HashSet;

use crate::client_transactions::{self, Open};
use crate::clients::Client;
use crate::expected::Expected;
use crate::keys::Tag;
use crate::redis_client::{self, Composed, command, local_answer};
use crate::rng::Rng;
use crate::scenario::{ClientPlan, Scenario};

/// The state of such a client's connection.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Its own random generator; none if requests do not depend on each other.
    rng: Option<Rng>,
    refused: Refused,
    transaction: Option<Open>,
    /// No reply is wanted; none to the next request; none to the one after that.
    off: bool,
    skip: bool,
    skip_next: bool,
    /// Requests that must not reach any server.
    barred: HashSet<usize>,
    /// Number of requests whose reply was not wanted.
    pub(crate) muted: usize,
}

/// What was refused, and how many requests are still sent as if it had succeeded.
#[derive(Debug, Default, Clone, Copy)]
enum Refused {
    #[default]
    Nothing,
    Database(usize, usize),
}

impl Scenario {
    /// Makes some clients of some Redis scenarios such clients. Uses its own generator, so that the rest of
    /// each scenario stays the same.
    pub(crate) fn draw_dependent(&mut self, rng: &mut Rng) {
        if !self.redis || !rng.chance(1, 3) {
            return;
        }
        for plan in &mut self.clients {
            let seed = rng.next();
            let may_be = !plan.greedy && rng.chance(2, 3);
            plan.dependent = may_be.then_some(seed);
        }
        self.denies_transactions = rng.chance(1, 8);
    }
}

impl State {
    pub(crate) fn new(plan: &ClientPlan) -> Self {
        Self {
            rng: plan.dependent.map(Rng::new),
            ..Self::default()
        }
    }

    pub(crate) fn is_barred(&self, seq: usize) -> bool {
        self.barred.contains(&seq)
    }

    /// Whether the reply to the next request is not wanted.
    fn is_muted(&self) -> bool {
        self.off || self.skip
    }
}

/// The next request, unless it is one that depends on nothing.
pub(crate) fn compose(client: &mut Client, scenario: &Scenario, tag: Tag) -> Option<Composed> {
    let mut rng = client.dependent.rng.take()?;
    if let Some(open) = client.dependent.transaction.take() {
        let composed = go_on(client, open, scenario, &mut rng);
        client.dependent.rng = Some(rng);
        return Some(composed);
    }
    let composed = match client.dependent.refused {
        Refused::Database(_, 0) => Some(end_database(client, scenario, &mut rng)),
        Refused::Database(number, left) => {
            client.dependent.refused = Refused::Database(number, left - 1);
            Some(in_database(client, scenario, tag, number, &mut rng))
        }
        Refused::Nothing if rng.chance(1, 4) => Some(begin(client, scenario, tag, &mut rng)),
        // Requests that are checked by their replies are not made while replies are turned off.
        Refused::Nothing if client.dependent.is_muted() => {
            Some(some_request(client, scenario, tag, &mut rng))
        }
        Refused::Nothing => None,
    };
    client.dependent.rng = Some(rng);
    composed
}

/// Removes the expected reply to a request if none is wanted.
pub(crate) fn mute(client: &mut Client, composed: Composed) -> Composed {
    let state = &mut client.dependent;
    let muted = state.is_muted();
    state.skip = std::mem::take(&mut state.skip_next);
    if !muted {
        return composed;
    }
    state.muted += usize::from(composed.want.is_some());
    let reaches_servers = matches!(
        composed.want,
        Some(
            Expected::Keyed { .. }
                | Expected::Transaction { .. }
                | Expected::Popped(_)
                | Expected::Elements(_)
                | Expected::Sum { .. }
                | Expected::AllOk(_)
        )
    );
    Composed {
        want: None,
        is_quiet: reaches_servers,
        ..composed
    }
}

fn begin(client: &mut Client, scenario: &Scenario, tag: Tag, rng: &mut Rng) -> Composed {
    if client.dependent.off && rng.chance(1, 3) {
        return reply_on(&mut client.dependent);
    }
    let what = rng.below(20);
    if !(3..10).contains(&what) {
        let (open, composed) = client_transactions::begin(client, scenario, tag, rng);
        client.dependent.transaction = Some(open);
        return composed;
    }
    let state = &mut client.dependent;
    match what {
        3 | 4 => {
            let number = rng.between(1, 2) + 3;
            state.refused = Refused::Database(number, rng.between(1, 6));
            refusal(&[b"SELECT", number.to_string().as_bytes()], "redis_db")
        }
        5 => refusal(&[b"WATCH"], "wrong number of arguments"),
        6 => match rng.below(3) {
            0 => refusal(&[b"EXEC"], "EXEC without MULTI"),
            1 => refusal(&[b"DISCARD"], "DISCARD without MULTI"),
            _ => local_answer(command(&[b"UNWATCH"]), b"+OK\r\n"),
        },
        7 => reply_on(state),
        8 => {
            state.off = true;
            nothing(&[b"CLIENT", b"REPLY", b"OFF"])
        }
        _ => {
            state.skip_next = !state.off;
            nothing(&[b"client", b"reply", b"skip"])
        }
    }
}

fn reply_on(state: &mut State) -> Composed {
    (state.off, state.skip) = (false, false);
    local_answer(command(&[b"CLIENT", b"REPLY", b"ON"]), b"+OK\r\n")
}

/// The next request of a transaction.
fn go_on(client: &mut Client, mut open: Open, scenario: &Scenario, rng: &mut Rng) -> Composed {
    if !open.is_over() {
        let composed = open.next(client, scenario, rng);
        client.dependent.transaction = Some(open);
        return composed;
    }
    let state = &mut client.dependent;
    match rng.below(8) {
        0 => {
            state.barred.insert(open.end());
            let bytes = command(&[b"discard"]);
            match open.watched() {
                None => local_answer(bytes, b"+OK\r\n"),
                Some(key) => Composed {
                    bytes,
                    want: Some(Expected::Watched(key.clone())),
                    ..Composed::default()
                },
            }
        }
        1 if !state.skip => {
            state.barred.insert(open.end());
            reset(client)
        }
        _ => {
            if open.is_barred() {
                state.barred.insert(open.end());
            }
            open.exec()
        }
    }
}

/// Ends the effect of the refused SELECT.
fn end_database(client: &mut Client, scenario: &Scenario, rng: &mut Rng) -> Composed {
    if scenario.password.is_none() && !client.dependent.skip && rng.chance(1, 4) {
        return reset(client);
    }
    client.dependent.refused = Refused::Nothing;
    local_answer(command(&[b"SELECT", b"0"]), b"+OK\r\n")
}

/// RESET, whose reply is wanted whatever was set before, except after SKIP.
fn reset(client: &mut Client) -> Composed {
    let state = &mut client.dependent;
    (state.refused, state.off) = (Refused::Nothing, false);
    client.redis.forget();
    Composed {
        bytes: command(&[b"RESET"]),
        want: Some(Expected::Reset),
        is_local: true,
        ..Composed::default()
    }
}

/// A request for another database, if it concerns data.
fn in_database(
    client: &mut Client,
    scenario: &Scenario,
    tag: Tag,
    number: usize,
    rng: &mut Rng,
) -> Composed {
    let composed = some_request(client, scenario, tag, rng);
    let is_flush = composed.bytes.ends_with(b"FLUSHALL\r\n");
    let is_placeholder = matches!(composed.want, Some(Expected::Placeholder));
    if (composed.is_local && !is_flush) || is_placeholder {
        return composed;
    }
    client.dependent.barred.insert(tag.seq);
    Composed {
        want: not_executed(&format!("SELECT {number}")),
        is_local: true,
        ..composed
    }
}

/// A request that does not change the connection.
fn some_request(client: &mut Client, scenario: &Scenario, tag: Tag, rng: &mut Rng) -> Composed {
    match rng.weighted(&[30, 25, 20, 10, 5, 10]) {
        0 => redis_client::single(client, scenario, tag),
        1 => redis_client::write(client, scenario, tag),
        2 => redis_client::several(client, scenario, tag),
        3 => local_answer(command(&[b"PING"]), b"+PONG\r\n"),
        4 => redis_client::odd(client, scenario, tag),
        _ => redis_client::together(client, scenario, tag),
    }
}

fn not_executed(mentions: &str) -> Option<Expected> {
    Some(Expected::Line {
        begins: "-ERR not executed: ",
        mentions: mentions.into(),
    })
}

fn refusal(args: &[&[u8]], mentions: &str) -> Composed {
    line(args, "-ERR ", mentions)
}

fn line(args: &[&[u8]], begins: &'static str, mentions: &str) -> Composed {
    Composed {
        want: Some(Expected::Line {
            begins,
            mentions: mentions.into(),
        }),
        ..nothing(args)
    }
}

/// A request without a reply.
fn nothing(args: &[&[u8]]) -> Composed {
    Composed {
        bytes: command(args),
        is_local: true,
        ..Composed::default()
    }
}
