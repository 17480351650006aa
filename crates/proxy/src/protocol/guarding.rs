//! What guardrails ask a protocol about a request.

use super::decision::{Decider, DecisionOutput, Key, Request};
use super::grammar::Reply;
use crate::guardrails::Forbidden;

/// What guardrails look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Looked {
    /// The name of the command, as `container|subcommand` if it has one.
    pub(crate) command: &'static str,
    /// Its key is [`DecisionOutput::decoded_key`]; otherwise its keys are [`DecisionOutput::keys`].
    pub(crate) has_decoded_key: bool,
}

/// How guardrails look at requests.
pub(crate) trait Guarding: Decider {
    /// What guardrails look at, whose keys are written to `out`; `None` for a request that none may refuse: one that ends what
    /// was begun before, or that the protocol refuses by itself.
    fn look(
        &self,
        request: Request<'_, Self>,
        client: &Self::Client,
        out: &mut DecisionOutput,
    ) -> Option<Looked>;

    /// Whether the request with these keys has a value of more than `bytes` bytes.
    fn has_longer_value(request: Request<'_, Self>, keys: &[Key], bytes: u64) -> bool;

    /// Whether the request changes nothing.
    fn is_pure_read(&self, request: Request<'_, Self>) -> bool;

    /// A request is refused, so that what its client sends next must not be executed as if it were not. Writes its error line,
    /// and returns whether that is wanted.
    fn forbid(
        &self,
        request: Request<'_, Self>,
        why: &Forbidden,
        client: &mut Self::Client,
        out: &mut DecisionOutput,
    ) -> Reply;
}
