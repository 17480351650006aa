//! Requests that the guardrails of the pool refuse. Nothing of such a request is sent, and nothing is decided for it.

use super::sending::Asked;
use super::state::Engine;
use crate::event::Event;
use crate::guardrails::Guarded;
use crate::protocol::Protocol;
use crate::protocol::decision::{DecisionOutput, Request};
use crate::protocol::guarding::Looked;

/// A request as guardrails look at it.
struct GuardedRequest<'a, P: Protocol> {
    request: Request<'a, P>,
    looked: Looked,
    /// It has its keys.
    output: &'a DecisionOutput,
}

impl<P: Protocol> Engine<P> {
    /// Whether guardrails refuse a request; it is answered then. Other plans may have others, so that they must be followed
    /// before.
    pub(super) fn is_refused(&mut self, asked: &Asked<'_, P>) -> bool {
        !self.guardrails.is_empty() && self.refuse_forbidden(asked).is_some()
    }

    fn refuse_forbidden(&mut self, asked: &Asked<'_, P>) -> Option<()> {
        self.guardrails.begin();
        let session = self.clients.get_mut(asked.id)?;
        self.output.clear();
        let client = session.client_mut();
        let looked = self
            .protocol
            .look(asked.request, client, &mut self.output)?;
        let guarded = GuardedRequest {
            request: asked.request,
            looked,
            output: &self.output,
        };
        let forbidden = self.guardrails.check(&guarded, self.now).err()?;
        self.requests_seen += 1;
        self.counters.add(forbidden.why.metric(), 1);
        self.output.clear();
        let reply = self
            .protocol
            .forbid(asked.request, &forbidden, client, &mut self.output);
        self.output.event = Some(Event::Forbidden {
            reason: forbidden.to_string(),
        });
        self.respond(asked.id, reply);
        self.output.shrink();
        Some(())
    }
}

impl<P: Protocol> Guarded for GuardedRequest<'_, P> {
    fn command(&self) -> &str {
        self.looked.command
    }

    fn has_key(&self, prefix: &[u8]) -> bool {
        if self.looked.has_decoded_key {
            return self.output.decoded_key.starts_with(prefix);
        }
        let text = self.request.text;
        let mut keys = self.output.keys.iter();
        keys.any(|key| text[key.range()].starts_with(prefix))
    }

    fn has_longer_value(&self, bytes: u64) -> bool {
        P::has_longer_value(self.request, &self.output.keys, bytes)
    }
}
