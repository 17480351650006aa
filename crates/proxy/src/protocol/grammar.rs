//! How requests and replies are framed, and which replies are errors.

use crate::cause::Cause;
use crate::event::Event;
use crate::protocol::redirect::Redirect;

/// The framing of requests and replies, and what a reply tells about its server.
pub(crate) trait Grammar: Sized {
    /// Resumable parser of one request.
    type Parser: Default;
    /// Resumable scanner of one reply.
    type Scanner: Default;
    /// The kind of a scanned reply.
    type Kind: Copy + std::fmt::Debug + PartialEq;

    /// The error line for a client that is closed because there are too many.
    const TOO_MANY_CLIENTS: &'static [u8];

    /// The error line for a client that does not speak TLS where it has to.
    const TLS_REQUIRED: &'static [u8];

    /// Looks for a request at the start of `text`. After [`Parsed::Partial`], `text` must start with the same bytes
    /// as before; only the rest is looked at.
    fn parse(&self, parser: &mut Self::Parser, text: &[u8]) -> Parsed;

    /// The same for a client that has not given the pool's password, within narrower limits.
    fn parse_unauthenticated(&self, parser: &mut Self::Parser, text: &[u8]) -> Parsed;

    /// The body asked for by [`Parsed::Body`] has arrived (elsewhere); `tail` is its last two bytes.
    fn after_body(&self, parser: &mut Self::Parser, text: &[u8], tail: [u8; 2]) -> Parsed;

    /// At least this many bytes are missing after a partial parse of `len` bytes.
    fn missing(parser: &Self::Parser, len: usize) -> usize;

    /// The request's text, if the parser has rewritten it (inline commands).
    fn rewritten(parser: &Self::Parser) -> Option<&[u8]>;

    /// Forgets the request, ready for the next.
    fn reset(parser: &mut Self::Parser);

    /// Continues to scan a server's reply; `marks` collects the ends of its elements if a join needs them.
    fn scan(
        scanner: &mut Self::Scanner,
        data: &[u8],
        marks: Option<&mut Vec<u64>>,
    ) -> Result<Scan<Self::Kind>, BadReply>;

    /// Whether the next byte begins a reply.
    fn is_between_replies(scanner: &Self::Scanner) -> bool;

    /// Whether the next byte is within an aggregate that is an element of another.
    fn is_nested(scanner: &Self::Scanner) -> bool;

    /// Whether a frame that begins with `first` answers no request (a push of RESP3).
    fn is_push(first: u8) -> bool;

    /// Whether `bytes`, the beginning of a reply, has its whole first line. Until then the reply is not passed on,
    /// so that an error line can still be given instead.
    fn has_first_line(bytes: &[u8]) -> bool;

    /// Whether a reply that the proxy made is an error.
    fn is_error(reply: &[u8]) -> bool;

    /// Whether a server's reply of this kind is an error.
    fn is_error_kind(kind: Self::Kind) -> bool;

    /// Whether a reply says that the server cannot serve at present (LOADING, say); counts as a failure for its
    /// health.
    fn is_transient_failure(kind: Self::Kind, start: &[u8]) -> bool;

    /// Whether a server says so that it only takes reads, as one does that is the master no more.
    fn is_read_only(_kind: Self::Kind, _start: &[u8]) -> bool {
        false
    }

    /// Whether a server says so that it does not know a script.
    fn lacks_script(_kind: Self::Kind, _start: &[u8]) -> bool {
        false
    }

    /// Whether an error line of a server says that the request belongs elsewhere, or has to wait. It was not executed then.
    fn redirect(_line: &[u8]) -> Option<Redirect> {
        None
    }

    /// The request that has a server execute the next one though another has the hash slot. The reply to it is a status.
    const ASKING: &'static [u8] = b"";

    /// Whether a server's reply of this kind is the one that the client of a quiet request does not want.
    fn is_unwanted(kind: Self::Kind, unwanted: Unwanted) -> bool;

    /// Whether a reply that begins with `start` can be such a one.
    fn may_be_unwanted(start: &[u8], unwanted: Unwanted) -> bool;

    /// Whether a server answers so to a command that it does not know.
    fn is_unknown_command(kind: Self::Kind) -> bool;

    /// Appends the error line for `cause`.
    fn error_line(out: &mut Vec<u8>, cause: &Cause, detail: Option<&str>);
}

/// What was found at the start of a text.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// A whole request.
    Request { len: usize },
    /// Bytes that are no request and need no reply (blank lines).
    Skip { len: usize },
    /// Not yet a whole request.
    Partial,
    /// A large argument of `len` bytes starts at `at` and is to be collected elsewhere.
    Body { at: usize, len: usize },
    /// A request that is refused. `len` bytes of text and then `skip` more bytes are dropped.
    Refused {
        len: usize,
        skip: u64,
        reply: Reply,
        refusal: Box<Refusal>,
    },
    /// Bytes that cannot be parsed: where the next request begins is unknown, so the session ends.
    Fatal { reply: Reply, refusal: Box<Refusal> },
}

/// Why a request is refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The error line for the client.
    pub(crate) reply: Vec<u8>,
    /// What is logged.
    pub(crate) event: Event,
}

/// What a client is sent that speaks TLS where there is none: a record with the alert `handshake_failure` (RFC 8446, 6), which is all that it
/// understands.
const NO_TLS: [u8; 7] = [21, 3, 1, 0, 2, 2, 40];

/// Refuses what begins with a record of a TLS handshake (RFC 8446, 5.1: type 22, and a version that begins with 3). No request of either
/// protocol begins so.
pub(crate) fn refuse_tls(text: &[u8]) -> Option<Parsed> {
    if !text.starts_with(&[22, 3]) {
        return None;
    }
    let reason = "TLS, which this address does not speak (setting `tls`)".into();
    Some(Parsed::Fatal {
        reply: Reply::Wanted,
        refusal: Box::new(Refusal {
            reply: NO_TLS.into(),
            event: Event::BadRequest { reason },
        }),
    })
}

/// Whether the reply to a request is wanted, whether a server or the proxy makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The client gets it, in the order of its requests.
    Wanted,
    /// The client wants none (`noreply`, CLIENT REPLY OFF). The request has no slot.
    Dropped,
}

/// What is special about the reply to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mark {
    /// Nothing.
    #[default]
    None,
    /// It is made by a client's script, and says nothing of the server's health.
    Script,
    /// The client wants none if nothing was found (`q` of a meta get).
    QuietMiss,
    /// The client wants none if the request has done what it should (`q` of the other meta commands).
    QuietSuccess,
    /// A server that does not know the command takes the data behind it for further requests.
    Data,
    /// Both of these.
    QuietData,
    /// It ends a transaction, or the connection cannot be used any more (see [`super::transaction`]).
    Transaction,
    /// It is the last of the replies that tell whether the connection takes transactions.
    Trial,
}

impl Mark {
    /// Which reply the client does not want.
    pub(crate) fn unwanted(self) -> Option<Unwanted> {
        match self {
            Self::None | Self::Script | Self::Data | Self::Transaction | Self::Trial => None,
            Self::QuietMiss => Some(Unwanted::Miss),
            Self::QuietSuccess | Self::QuietData => Some(Unwanted::Success),
        }
    }
}

/// A reply that the client of a quiet request does not want. Any other, errors above all, it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unwanted {
    /// That nothing was found.
    Miss,
    /// That it was done.
    Success,
}

/// Result of scanning a reply.
#[derive(Debug)]
pub(crate) enum Scan<K> {
    /// The reply ends after `len` bytes.
    Complete { len: usize, kind: K },
    /// All bytes belong to it and more are to come.
    Partial,
}

/// The server broke the protocol.
#[derive(Debug)]
pub(crate) struct BadReply;
