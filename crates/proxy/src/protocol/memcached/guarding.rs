//! Guardrails of memcached pools.

use memcached_proto::{Verb, encode, meta};

use super::client::MemcachedClient;
use super::refused::reply_after;
use super::{Memcached, stats};
use crate::guardrails::{Forbidden, Why};
use crate::protocol::decision::{DecisionOutput, Key, Request};
use crate::protocol::grammar::Reply;
use crate::protocol::guarding::{Guarding, Looked};

impl Guarding for Memcached {
    /// A client that has to say who it is is told that, and uses up no rate.
    fn look(
        &self,
        request: Request<'_, Self>,
        client: &MemcachedClient,
        out: &mut DecisionOutput,
    ) -> Option<Looked> {
        if client.is_nobody() {
            return None;
        }
        let verb = request.parser.request?.verb;
        if verb.is_end() {
            return None;
        }
        let keys = request.parser.inner.keys();
        let has_decoded_key = verb.has_flags() && meta::has_encoded_key(verb, request.text);
        if has_decoded_key {
            out.decoded_key.clear();
            let key = keys.first().map(|key| key.of(request.text));
            meta::decode_key(key.unwrap_or_default(), &mut out.decoded_key);
        } else {
            out.keys.extend(keys.iter().map(|key| Key::of(key.range())));
        }
        Some(Looked {
            command: verb.name(),
            has_decoded_key,
        })
    }

    fn has_longer_value(request: Request<'_, Self>, _keys: &[Key], bytes: u64) -> bool {
        let verb = request.parser.request.map(|found| found.verb);
        let place = match verb {
            Some(Verb::MetaSet) => 2,
            Some(verb) if verb.is_storage() => 4,
            _ => return false,
        };
        // The parser has read it already.
        let length = stats::word(request.text, place).map(|word| String::from_utf8_lossy(word));
        let length = length.and_then(|length| length.parse::<u64>().ok());
        length.is_none_or(|length| length > bytes)
    }

    /// Its servers have no replicas.
    fn is_pure_read(&self, _request: Request<'_, Self>) -> bool {
        false
    }

    fn forbid(
        &self,
        request: Request<'_, Self>,
        why: &Forbidden,
        _client: &mut MemcachedClient,
        out: &mut DecisionOutput,
    ) -> Reply {
        let reason = why.to_string();
        match why.why {
            Why::Denied => encode::client_error(&mut out.reply, &reason),
            // As memcached begins it.
            Why::Value(_) => {
                let reason = format!("object too large for cache: {reason}");
                encode::server_error(&mut out.reply, &reason);
            }
            Why::Rate(_) => encode::server_error(&mut out.reply, &reason),
        }
        let noreply = request.parser.request.and_then(|found| found.noreply);
        reply_after(noreply.is_some())
    }
}
