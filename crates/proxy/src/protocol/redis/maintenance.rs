//! CLIENT MAINT_NOTIFICATIONS: clients that are told when the proxy is about to leave, so that they go elsewhere first.
//!
//! The notification is a push, `MOVING number seconds endpoint`: within so many seconds the client should connect to the
//! endpoint instead; if that is null, it connects to where it has connected before, when half of the time has passed, and
//! is expected to arrive somewhere else (behind a load balancer, or by another meaning of a name). Format and meaning are
//! those that redis-py 8, node-redis 6 and go-redis 9 implement.

use redis_proto::{Version, encode};

use super::client::RedisClient;
use super::request::Request;
use super::state::Redis;
use super::told::Told;
use crate::departure::Departure;

/// What a client may ask for as the kind of the endpoint.
const KINDS: [&str; 5] = [
    "internal-ip",
    "internal-fqdn",
    "external-ip",
    "external-fqdn",
    "none",
];

impl Redis {
    /// Answers CLIENT MAINT_NOTIFICATIONS. An endpoint is promised only where the pool has one (`drain_to`): libraries that
    /// have asked for one may not go on if they get none.
    pub(super) fn maintenance(
        &self,
        request: &Request<'_>,
        client: &mut RedisClient,
        out: &mut Vec<u8>,
    ) {
        let word = request.arg(2);
        if word.eq_ignore_ascii_case(b"off") {
            client.told = Told::Nothing;
            return encode::simple(out, "OK");
        }
        let Some(kind) = word
            .eq_ignore_ascii_case(b"on")
            .then(|| kind(request))
            .flatten()
        else {
            return encode::error(out, "ERR syntax error");
        };
        let has_endpoint = self.settings.drain_to.is_some();
        client.told = match kind {
            _ if client.version == Version::Resp2 => {
                let error = "ERR unsupported command 'client maint_notifications on': it needs RESP3 (HELLO 3)";
                return encode::error(out, error);
            }
            Kind::None => Told::When,
            Kind::Any if has_endpoint => Told::Where,
            Kind::Any => Told::When,
            Kind::Some if has_endpoint => Told::Where,
            Kind::Some => {
                let error = "ERR unsupported command 'client maint_notifications on': the pool has no address to tell \
                             (the setting drain_to); moving-endpoint-type none is granted";
                return encode::error(out, error);
            }
        };
        encode::simple(out, "OK");
    }

    /// Appends the notification of a departure, if the client wants to be told.
    pub(super) fn push_moving(
        &self,
        client: &RedisClient,
        departure: Departure,
        out: &mut Vec<u8>,
    ) {
        if client.told == Told::Nothing || client.version == Version::Resp2 {
            return;
        }
        out.extend_from_slice(b">4\r\n");
        encode::bulk(out, b"MOVING");
        encode::integer(out, departure.number);
        encode::integer(out, i64::try_from(departure.seconds).unwrap_or(i64::MAX));
        match self.settings.drain_to.as_deref() {
            Some(endpoint) if client.told == Told::Where && !departure.stays => {
                encode::bulk(out, endpoint.as_bytes());
            }
            _ => encode::null(out, client.version),
        }
    }
}

/// The kind of endpoint that a client asks for.
enum Kind {
    None,
    Some,
    /// It does not say.
    Any,
}

/// The kind after ON; nothing if the arguments are none that are known.
fn kind(request: &Request<'_>) -> Option<Kind> {
    match request.args.len() {
        3 => Some(Kind::Any),
        5 if request.arg(3).eq_ignore_ascii_case(b"moving-endpoint-type") => {
            let asked = request.arg(4);
            let known = KINDS
                .iter()
                .find(|kind| asked.eq_ignore_ascii_case(kind.as_bytes()))?;
            match *known {
                "none" => Some(Kind::None),
                _ => Some(Kind::Some),
            }
        }
        _ => None,
    }
}
