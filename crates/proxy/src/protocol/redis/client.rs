//! What a Redis session remembers, and the CLIENT command.

use redis_proto::{Version, encode};

use super::in_force::InForce;
use super::replies::Replies;
use super::{Request, shown};
use crate::limits::MAX_CLIENT_NAME;
use crate::protocol::planner::{PlanOutput, Route};

/// A Redis client between two requests.
#[derive(Debug)]
pub(crate) struct RedisClient {
    pub(crate) id: u64,
    pub(crate) authenticated: bool,
    pub(crate) version: Version,
    name: Option<Box<[u8]>>,
    /// The name that a HELLO under way will set.
    pub(crate) next_name: Option<Box<[u8]>>,
    pub(super) replies: Replies,
    pub(super) in_force: InForce,
}

impl RedisClient {
    pub(crate) fn new(id: u64, authenticated: bool) -> Self {
        Self {
            id,
            authenticated,
            version: Version::Resp2,
            name: None,
            next_name: None,
            replies: Replies::default(),
            in_force: InForce::default(),
        }
    }

    /// Makes it as new, as RESET does.
    pub(super) fn reset(&mut self, authenticated: bool) {
        let replies = self.replies.after_reset();
        *self = Self {
            replies,
            ..Self::new(self.id, authenticated)
        };
    }

    pub(crate) fn set_name(&mut self, name: &[u8]) {
        self.name = (!name.is_empty()).then(|| name.into());
    }
}

/// Whether Redis would accept it as a client's name, and we keep it.
pub(crate) fn is_valid_name(name: &[u8]) -> bool {
    name.len() <= MAX_CLIENT_NAME && name.iter().all(|byte| (b'!'..=b'~').contains(byte))
}

/// CLIENT: what today's client libraries send when they connect.
pub(crate) fn client(
    request: &Request<'_>,
    client: &mut RedisClient,
    output: &mut PlanOutput,
) -> Route {
    let sub = request.arg(1).to_ascii_lowercase();
    let out = &mut output.reply;
    match (sub.as_slice(), request.args.len()) {
        (b"setname", 3) => match is_valid_name(request.arg(2)) {
            true => {
                client.set_name(request.arg(2));
                encode::simple(out, "OK");
            }
            false => encode::error(
                out,
                "ERR Client names cannot contain spaces, newlines or special characters.",
            ),
        },
        (b"getname", 2) => match &client.name {
            Some(name) => encode::bulk(out, name),
            None => encode::null(out, client.version),
        },
        (b"id", 2) => encode::integer(out, client.id as i64),
        (b"setinfo", 4) => set_info(request, out),
        (b"info", 2) => info(client, out),
        (b"reply", 3) => client.replies.set(request.arg(2), out),
        (b"setname" | b"getname" | b"id" | b"setinfo" | b"info" | b"reply", _) => {
            let sub = String::from_utf8_lossy(&sub);
            encode::error(
                out,
                &format!("ERR wrong number of arguments for 'client|{sub}' command"),
            );
        }
        _ => encode::error(
            out,
            &format!(
                "ERR unsupported command 'client {}': connections to the servers are shared",
                shown(request.arg(1))
            ),
        ),
    }
    Route::Local
}

fn set_info(request: &Request<'_>, out: &mut Vec<u8>) {
    let option = request.arg(2).to_ascii_lowercase();
    let known = matches!(option.as_slice(), b"lib-name" | b"lib-ver");
    let clean = request
        .arg(3)
        .iter()
        .all(|byte| (b'!'..=b'~').contains(byte));
    match (known, clean) {
        (true, true) => encode::simple(out, "OK"),
        (true, false) => {
            let option = String::from_utf8_lossy(&option).into_owned();
            encode::error(
                out,
                &format!("ERR {option} cannot contain spaces, newlines or special characters."),
            );
        }
        (false, _) => encode::error(
            out,
            &format!("ERR Unrecognized option '{}'", shown(request.arg(2))),
        ),
    }
}

fn info(client: &RedisClient, out: &mut Vec<u8>) {
    let resp = match client.version {
        Version::Resp2 => 2,
        Version::Resp3 => 3,
    };
    let name = client
        .name
        .as_deref()
        .map(String::from_utf8_lossy)
        .unwrap_or_default();
    encode::bulk(
        out,
        format!("id={} name={name} db=0 resp={resp}\n", client.id).as_bytes(),
    );
}
