//! Guardrails of Redis pools.

use redis_proto::command::Flags;
use redis_proto::encode;

use super::client::RedisClient;
use super::decision::request_of;
use super::permitting::note_refused;
use super::state::Redis;
use crate::guardrails::{Forbidden, Why};
use crate::protocol::decision::{self, Decider, DecisionOutput, Key};
use crate::protocol::grammar::Reply;
use crate::protocol::guarding::{Guarding, Looked};

impl Guarding for Redis {
    /// A client that has to give the password is told that, and uses up no rate.
    fn look(
        &self,
        asked: decision::Request<'_, Self>,
        client: &RedisClient,
        out: &mut DecisionOutput,
    ) -> Option<Looked> {
        if self.must_authenticate(client) {
            return None;
        }
        let request = request_of(asked);
        let command = self.find_command(&request).ok()?;
        if command.is_end() {
            return None;
        }
        match command.single_key() {
            Some(index) => out.keys.extend(request.key(index)),
            // One whose keys cannot be found is refused later.
            None => drop(self.collect_keys(command, &request, out)),
        }
        Some(Looked {
            command: command.name,
            has_decoded_key: false,
        })
    }

    /// Every argument counts but the name and the keys.
    fn has_longer_value(asked: decision::Request<'_, Self>, keys: &[Key], bytes: u64) -> bool {
        let args = asked.parser.args().iter().skip(1);
        let long = args.filter(|arg| u64::from(arg.len) > bytes).count();
        let long_keys = keys.iter().filter(|key| u64::from(key.len) > bytes);
        long > long_keys.count()
    }

    fn is_pure_read(&self, asked: decision::Request<'_, Self>) -> bool {
        let command = self.find_command(&request_of(asked));
        command.is_ok_and(|command| command.flags.contains(Flags::READONLY))
    }

    fn forbid(
        &self,
        asked: decision::Request<'_, Self>,
        why: &Forbidden,
        client: &mut RedisClient,
        out: &mut DecisionOutput,
    ) -> Reply {
        client.replies.begin();
        let request = request_of(asked);
        if let Ok(command) = self.find_command(&request) {
            client.last = Some(command);
            client.beginning.note_other(command, request.args.len());
            note_refused(command, &request, client);
        }
        let code = match why.why {
            Why::Denied => "NOPERM",
            Why::Value(_) | Why::Rate(_) => "ERR",
        };
        encode::error(&mut out.reply, &format!("{code} {why}"));
        client.replies.present()
    }
}
