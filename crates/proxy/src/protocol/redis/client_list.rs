//! CLIENT INFO and CLIENT LIST.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use redis_proto::{Version, encode};

use super::client::RedisClient;
use super::request::{ARGUMENT_TOO_LONG, Request, shown};
use crate::limits::MAX_LISTED_CLIENTS;
use crate::process::Place;
use crate::protocol::channel::ChannelKind;
use crate::protocol::decision::Route;
use crate::protocol::report::{ClientView, PoolView, WorkerView};
use crate::settings::CrossShard;
use crate::share::PoolShare;
use crate::time::Time;

/// What the lines of all clients have in common.
pub(super) struct Around {
    now: Time,
    place: Arc<Place>,
}

impl Around {
    pub(super) fn new(now: Time, share: &PoolShare) -> Self {
        let place = share.place();
        Self { now, place }
    }
}

/// CLIENT INFO.
pub(super) fn info(pool: &PoolView<'_, RedisClient>, cross_shard: CrossShard, out: &mut Vec<u8>) {
    let mut text = String::new();
    let around = Around::new(pool.now, pool.share);
    write_line(&pool.asking, &around, cross_shard, &mut text);
    encode::text(out, &text, pool.asking.client.version);
}

/// The route of CLIENT LIST, which is checked here.
pub(super) fn route(request: &Request<'_>, out: &mut Vec<u8>) -> Route {
    if request.lacks_an_argument() {
        encode::error(out, ARGUMENT_TOO_LONG);
        return Route::Local;
    }
    match Wanted::read(request) {
        Ok(_) => Route::Workers,
        Err(error) => {
            encode::error(out, &error);
            Route::Local
        }
    }
}

/// The lines of a worker's clients.
pub(super) fn list(
    request: &Request<'_>,
    worker: &mut WorkerView<'_, RedisClient>,
    cross_shard: CrossShard,
    out: &mut Vec<u8>,
) {
    let Ok(wanted) = Wanted::read(request) else {
        return;
    };
    let around = Around::new(worker.now, worker.share);
    let mut text = String::new();
    let mut room = MAX_LISTED_CLIENTS;
    while room > 0 {
        let Some(client) = worker.clients.next() else {
            break;
        };
        if wanted.has(client.client) {
            write_line(&client, &around, cross_shard, &mut text);
            room -= 1;
        }
    }
    out.extend_from_slice(text.as_bytes());
}

/// The lines of all workers' clients, in the order in which these have connected, as with Redis.
pub(super) fn joined(parts: &[Vec<u8>], version: Version, out: &mut Vec<u8>) {
    let lines = parts
        .iter()
        .flat_map(|part| part.split_inclusive(|byte| *byte == b'\n'));
    let mut lines: Vec<(u64, &[u8])> = lines.map(|line| (number_in(line), line)).collect();
    lines.sort_unstable();
    lines.truncate(MAX_LISTED_CLIENTS);
    let text: Vec<u8> = lines.iter().flat_map(|(_, line)| *line).copied().collect();
    encode::text(out, &String::from_utf8_lossy(&text), version);
}

/// The number that a line begins with: `id=7 `.
fn number_in(line: &[u8]) -> u64 {
    let digits = line.iter().skip(3).take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

/// Which clients are asked for.
enum Wanted {
    All,
    Nobody,
    /// Those that are subscribed to anything, or those that are not.
    Subscribers(bool),
    /// In ascending order.
    Ids(Vec<u64>),
}

impl Wanted {
    fn read(request: &Request<'_>) -> Result<Self, String> {
        let count = request.args.len();
        let option = request.arg(2).to_ascii_lowercase();
        match option.as_slice() {
            b"" if count == 2 => Ok(Self::All),
            b"type" if count == 4 => match request.arg(3).to_ascii_lowercase().as_slice() {
                b"normal" => Ok(Self::Subscribers(false)),
                b"pubsub" => Ok(Self::Subscribers(true)),
                b"master" | b"replica" | b"slave" => Ok(Self::Nobody),
                _ => Err(format!(
                    "ERR Unknown client type '{}'",
                    shown(request.arg(3))
                )),
            },
            b"id" if count > 3 => {
                let id = |index| {
                    let text = std::str::from_utf8(request.arg(index)).ok();
                    text.and_then(|text| text.parse().ok())
                };
                let ids: Option<Vec<u64>> = (3..count).map(id).collect();
                let mut ids = ids.ok_or("ERR Invalid client ID")?;
                ids.sort_unstable();
                Ok(Self::Ids(ids))
            }
            _ => Err("ERR syntax error".into()),
        }
    }

    fn has(&self, client: &RedisClient) -> bool {
        match self {
            Self::All => true,
            Self::Nobody => false,
            Self::Subscribers(are) => client.subscriptions.is_any() == *are,
            Self::Ids(ids) => ids.binary_search(&client.id).is_ok(),
        }
    }
}

/// One client with the fields of Redis 7.2, in its order, and then the proxy's own: what becomes of its commands with
/// keys of several servers. The descriptor and the sizes of buffers that there are not here are -1 and 0.
fn write_line(
    view: &ClientView<'_, RedisClient>,
    around: &Around,
    cross_shard: CrossShard,
    text: &mut String,
) {
    let client = view.client;
    let (age, idle) = (
        around.now.since(client.connected),
        around.now.since(view.active),
    );
    let (addr, laddr) = around.addresses(view);
    let flags = flags(view, around);
    // Nothing is held of a transaction that will not be executed.
    let multi = match client.in_force.is_within_transaction() {
        true => view.queued as i64,
        false => -1,
    };
    let subscribed = ChannelKind::ALL.map(|kind| client.subscriptions.of(kind));
    let resp = match client.version {
        Version::Resp2 => 2,
        Version::Resp3 => 3,
    };
    let cross_shard = match client.beginning.rule(cross_shard) {
        CrossShard::Auto => "undecided",
        CrossShard::FirstKey => "first_key",
        CrossShard::Error => "error",
    };
    // Nothing is written in vain: a String takes everything.
    let _ = write!(
        text,
        "id={} addr={addr} laddr={laddr} fd=-1 name={} age={} idle={} flags={flags} db={} sub={} psub={} ssub={} multi={multi}",
        client.id,
        shown_name(client.name.as_deref().unwrap_or_default()),
        age.as_secs(),
        idle.as_secs(),
        client.database.or(0),
        subscribed[0],
        subscribed[1],
        subscribed[2],
    );
    let _ = write!(
        text,
        " qbuf={} qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll={} omem={} tot-mem={} events=r",
        view.unparsed,
        usize::from(view.unread > 0),
        view.unread,
        view.held,
    );
    let _ = writeln!(
        text,
        " cmd={} user={} redir={} resp={resp} lib-name={} lib-ver={} cross-shard={cross_shard}",
        client.last.map_or("NULL", |command| command.name),
        client.user_name(),
        client.tracking.redirection(),
        shown_name(&client.library.name),
        shown_name(&client.library.version),
    );
}

/// What a client is and does, as Redis writes it.
fn flags(view: &ClientView<'_, RedisClient>, around: &Around) -> String {
    let client = view.client;
    let all = [
        ('P', client.subscriptions.is_any()),
        ('x', client.in_force.is_within_transaction()),
        ('b', view.waits),
        ('t', client.tracking.is_on()),
        ('U', around.place.port == 0),
    ];
    let set = all.into_iter().filter(|(_, is)| *is).map(|(flag, _)| flag);
    let flags: String = set.collect();
    match flags.is_empty() {
        true => "N".into(),
        false => flags,
    }
}

impl Around {
    /// The addresses of both ends of a client's connection. A unix socket is called `path:0` at both, as in Redis, unless
    /// a load balancer has told where the client is.
    pub(super) fn addresses(&self, view: &ClientView<'_, RedisClient>) -> (String, String) {
        let place = &self.place;
        match place.port {
            0 if !view.name.contains(':') => {
                (format!("{}:0", place.listen), format!("{}:0", place.listen))
            }
            _ => (view.name.to_owned(), place.listen.to_string()),
        }
    }
}

/// Names are checked when they are given: they have no blanks.
fn shown_name(name: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(name)
}
