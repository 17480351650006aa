//! Handshakes with servers: what is sent first on a new connection, and which version of the protocol a server
//! supports.

use super::decision::{Decider, Version};
use crate::cause::Cause;
use crate::departure::Departure;
use crate::release::Release;
use crate::share::Endpoint;

/// Handshakes, probes, and the change of a session's version.
pub(crate) trait Greeting: Decider {
    /// The handshake of a connection that carries requests; empty if it is ready at once.
    fn handshake(version: Version, database: u32, endpoint: &Endpoint) -> Vec<Step>;

    /// The request that tests an ejected server, sent after the handshake.
    fn probe() -> Step;

    /// A step that tests whether a server can cap TTLs, if not every server can.
    fn ttl_cap_test() -> Option<Step>;

    /// The request that asks a server for its release, if clients are told that.
    fn release_question(&self) -> Option<Step>;

    /// What follows from the reply to one step.
    fn step_outcome(step: &Step, kind: Self::Kind, reply: &[u8]) -> StepOutcome;

    /// Parses the error line that a server sends, before it was asked anything, to refuse a connection: it has too
    /// many clients.
    fn unsolicited_error(data: &[u8]) -> Option<HandshakeError>;

    /// Appends what tells a client of the proxy's departure, if it wants to be told.
    fn announce(&self, client: &Self::Client, departure: Departure, out: &mut Vec<u8>);

    /// Whether sessions may change their version at all.
    fn may_upgrade(&self) -> bool;

    /// It was decided whether the session's version changes to RESP3: changes it, and writes the reply.
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
    /// The same for a database that clients have selected, which is of no use if the server does not have it.
    SelectOther,
    /// Reads are wanted of a replica in a Redis Cluster.
    ReadOnly,
    Probe,
    /// Whether the server can cap TTLs.
    TtlCap,
    /// Which release it is.
    Release,
    /// Which number the connection has.
    Number,
}

impl StepKind {
    /// The step as log lines name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            StepKind::Auth => "AUTH",
            StepKind::Hello => "HELLO",
            StepKind::Select | StepKind::SelectOther => "SELECT",
            StepKind::ReadOnly => "READONLY",
            StepKind::Probe => "PING",
            StepKind::TtlCap => "PEXPIRE",
            StepKind::Release => "INFO",
            StepKind::Number => "CLIENT ID",
        }
    }
}

/// The result of a handshake step.
#[derive(Debug)]
pub(crate) enum StepOutcome {
    /// The handshake goes on.
    Passed,
    /// The handshake goes on, but a warning is logged.
    Warn(String),
    /// The server does not support the connection's version.
    NoSuchVersion,
    /// The connection cannot be used: it is closed.
    Refused(HandshakeError),
    /// The server cannot cap TTLs.
    CannotCapTtl,
    /// The server has told its release.
    Release(Release),
    /// The server has told its number of the connection.
    Number(u64),
}

/// An error of a server that makes a new connection unusable.
#[derive(Debug)]
pub(crate) struct HandshakeError {
    /// The cause with which requests on the connection fail.
    pub(crate) cause: Cause,
    /// Whether it counts as a failure of the server: it cannot serve at present. A refused password does not count,
    /// as the server itself works.
    pub(crate) is_failure: bool,
}
