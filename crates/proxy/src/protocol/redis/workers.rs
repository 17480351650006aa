//! What all workers of a pool are asked, as each of them has its own clients: CLIENT LIST, KILL, UNBLOCK, PAUSE and UNPAUSE,
//! PUBSUB NUMSUB, SHARDNUMSUB and NUMPAT.

use redis_proto::command::{Action as CommandAction, Admin};
use redis_proto::{Version, encode};

use super::client::RedisClient;
use super::request::Request;
use super::state::Redis;
use super::{client_kill, client_list, client_pause, pubsub, waiting};
use crate::protocol::report::{Deed, WorkerView};

/// The request as other workers read it: an array, also where its client has sent a line.
pub(super) fn question(request: &Request<'_>, out: &mut Vec<u8>) {
    let args: Vec<&[u8]> = (0..request.args.len())
        .map(|index| request.arg(index))
        .collect();
    encode::command(out, &args);
}

/// What a worker contributes.
pub(super) fn part(
    redis: &Redis,
    request: &Request<'_>,
    asker: u64,
    worker: &mut WorkerView<'_, RedisClient>,
    out: &mut Vec<u8>,
) -> Deed {
    let Ok(command) = redis.find_command(request) else {
        return Deed::None;
    };
    match command.action {
        CommandAction::PubSub(asked) => pubsub::part(asked, request, worker, out),
        CommandAction::Admin(Admin::Kill) => {
            return Deed::Close(client_kill::victims(request, asker, worker, out));
        }
        CommandAction::Admin(Admin::Pause) => {
            return Deed::Pause(client_pause::read(request, worker.now).ok());
        }
        CommandAction::Admin(Admin::Unpause) => return Deed::Pause(None),
        _ if command.sub_name() == "unblock" => {
            let found = waiting::read_unblock(request).ok();
            let unblock = |(client, with_error)| Deed::Unblock { client, with_error };
            return found.map_or(Deed::None, unblock);
        }
        _ => client_list::list(request, worker, redis.settings.cross_shard, out),
    }
    Deed::None
}

/// The reply, of what all of them have contributed.
pub(super) fn joined(
    redis: &Redis,
    request: &Request<'_>,
    version: Version,
    parts: &[Vec<u8>],
    out: &mut Vec<u8>,
) {
    let Ok(command) = redis.find_command(request) else {
        return;
    };
    match command.action {
        CommandAction::PubSub(asked) => pubsub::joined(asked, request, parts, out),
        CommandAction::Admin(Admin::Kill) => client_kill::joined(request, parts, out),
        CommandAction::Admin(_) => encode::simple(out, "OK"),
        _ if command.sub_name() == "unblock" => {
            let is_ended = parts.iter().any(|part| part.contains(&1));
            encode::integer(out, i64::from(is_ended));
        }
        _ => client_list::joined(parts, version, out),
    }
}
