//! What a new server connection is told first, and which version of the protocol a server speaks.

use super::decision::{Decider, Version};
use crate::cause::Cause;
use crate::share::Endpoint;

/// Handshakes, probes, and the change of a session's version.
pub(crate) trait Greeting: Decider {
    /// What a connection that carries requests is told first; nothing when it is ready at once.
    fn handshake(version: Version, database: u32, endpoint: &Endpoint) -> Vec<Step>;

    /// What an ejected server is asked, behind the handshake.
    fn probe() -> Step;

    /// Asks a server whether it can limit how long something lives, where not every server can.
    fn ttl_cap_test() -> Option<Step>;

    /// Judges the reply to one step.
    fn judge(step: &Step, kind: Self::Kind, reply: &[u8]) -> StepOutcome;

    /// Reads the error line with which a server ends a connection that it has been asked nothing on, as
    /// one does that has too many clients.
    fn unsolicited_error(data: &[u8]) -> Option<HandshakeError>;

    /// Whether sessions may change their version at all.
    fn may_upgrade(&self) -> bool;

    /// Whether a session's version changes has been decided; writes its reply.
    fn upgraded(&self, client: &mut Self::Client, granted: Result<bool, Cause>, out: &mut Vec<u8>);
}

/// One step of a server connection's handshake.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) request: Vec<u8>,
    pub(crate) kind: StepKind,
}

/// What a handshake step is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepKind {
    Auth,
    Hello,
    Select,
    Probe,
    /// Whether the server can limit how long something lives.
    TtlCap,
}

impl StepKind {
    /// The step as log lines name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            StepKind::Auth => "AUTH",
            StepKind::Hello => "HELLO",
            StepKind::Select => "SELECT",
            StepKind::Probe => "PING",
            StepKind::TtlCap => "PEXPIRE",
        }
    }
}

/// What follows from the reply to a handshake step.
#[derive(Debug)]
pub(crate) enum StepOutcome {
    /// On to the next step.
    Passed,
    /// Go on, but log a warning.
    Warn(String),
    /// The server does not speak the connection's version.
    NoSuchVersion,
    /// The connection is of no use: nothing may be sent on it.
    Refused(HandshakeError),
    /// The server cannot limit how long something lives.
    CannotCapTtl,
}

/// A server's error in the place of a connection that can be used.
#[derive(Debug)]
pub(crate) struct HandshakeError {
    /// What waits for the connection fails with this.
    pub(crate) cause: Cause,
    /// Whether it counts for the server's health: it cannot serve just now. A refused password does not,
    /// for the server is well.
    pub(crate) is_failure: bool,
}
