//! Handshakes with Redis servers.

use redis_proto::encode;
use redis_proto::response::ReplyKind;

use super::client::RedisClient;
use super::handshake;
use super::state::Redis;
use crate::cause::Cause;
use crate::departure::Departure;
use crate::protocol::decision::Version;
use crate::protocol::greeting::{Greeting, HandshakeError, Step, StepKind, StepOutcome};
use crate::settings::Resp3;
use crate::share::Endpoint;

impl Greeting for Redis {
    fn handshake(version: Version, database: u32, endpoint: &Endpoint) -> Vec<Step> {
        handshake::steps(version, database, endpoint)
    }

    fn probe() -> Step {
        let mut request = Vec::new();
        encode::command(&mut request, &[b"PING"]);
        Step {
            request,
            kind: StepKind::Probe,
        }
    }

    fn ttl_cap_test() -> Option<Step> {
        let mut request = Vec::new();
        redis_proto::cap::question(&mut request);
        Some(Step {
            request,
            kind: StepKind::TtlCap,
        })
    }

    fn release_question(&self) -> Option<Step> {
        let mut request = Vec::new();
        encode::command(&mut request, &[b"INFO", b"server"]);
        self.settings.ask_release.then_some(Step {
            request,
            kind: StepKind::Release,
        })
    }

    fn step_outcome(step: &Step, kind: ReplyKind, reply: &[u8]) -> StepOutcome {
        handshake::step_outcome(step, kind, reply)
    }

    fn unsolicited_error(data: &[u8]) -> Option<HandshakeError> {
        handshake::unsolicited(data)
    }

    fn announce(&self, client: &RedisClient, departure: Departure, out: &mut Vec<u8>) {
        self.push_moving(client, departure, out);
    }

    fn may_upgrade(&self) -> bool {
        self.settings.resp3 != Resp3::Off
    }

    fn upgraded(&self, client: &mut RedisClient, granted: Result<bool, Cause>, out: &mut Vec<u8>) {
        self.answer_upgrade(client, granted, out);
    }
}
