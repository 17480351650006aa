//! Bytes to requests, and bytes to replies.

use crate::cause::Cause;
use crate::event::Event;

/// How requests and replies are framed, and what a reply says of its server.
pub(crate) trait Grammar: Sized {
    /// Resumable parser of one request.
    type Parser: Default;
    /// Resumable scanner of one reply.
    type Scanner: Default;
    /// What kind of reply was scanned.
    type Kind: Copy + std::fmt::Debug + PartialEq;

    /// What a client is told that is one too many, before it is closed.
    const TOO_MANY_CLIENTS: &'static [u8];

    /// Looks for a request at the start of `text`, which holds what it held before and more.
    fn parse(&self, parser: &mut Self::Parser, text: &[u8]) -> Parsed;

    /// The body asked for by [`Parsed::Body`] has arrived (elsewhere); `tail` is its last two bytes.
    fn after_body(&self, parser: &mut Self::Parser, text: &[u8], tail: [u8; 2]) -> Parsed;

    /// At least this many bytes are missing after a partial parse of `len` bytes.
    fn missing(parser: &Self::Parser, len: usize) -> usize;

    /// The request's text, where the parser rewrote it (inline commands).
    fn rewritten(parser: &Self::Parser) -> Option<&[u8]>;

    /// Forgets the request, ready for the next.
    fn reset(parser: &mut Self::Parser);

    /// Reads on in a server's reply; `marks` collects the ends of its elements where a join needs them.
    fn scan(
        scanner: &mut Self::Scanner,
        data: &[u8],
        marks: Option<&mut Vec<u64>>,
    ) -> Result<Scan<Self::Kind>, BadReply>;

    /// Whether the next byte begins a reply.
    fn is_between_replies(scanner: &Self::Scanner) -> bool;

    /// Whether a frame that begins with `first` answers nobody (a push).
    fn is_push(first: u8) -> bool;

    /// Whether the first line of a reply that begins with `bytes` has ended. Until then an error line may
    /// still take its place.
    fn has_first_line(bytes: &[u8]) -> bool;

    /// Whether a reply that was made here is an error.
    fn is_error(reply: &[u8]) -> bool;

    /// Whether a server's reply of this kind is one.
    fn is_error_kind(kind: Self::Kind) -> bool;

    /// Whether a reply says that the server cannot serve just now; counted for its health.
    fn is_transient_failure(kind: Self::Kind, start: &[u8]) -> bool;

    /// Appends the error line for `cause`.
    fn error_line(out: &mut Vec<u8>, cause: &Cause, detail: Option<&str>);
}

/// What was found at the start of a text.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// A whole request.
    Request { len: usize },
    /// Bytes that ask for nothing.
    Skip { len: usize },
    /// Not yet a whole request.
    Partial,
    /// A large argument of `len` bytes starts at `at` and is to be gathered elsewhere.
    Body { at: usize, len: usize },
    /// A request that is not served. `len` bytes of text and then `skip` more bytes are dropped.
    Refused {
        len: usize,
        skip: u64,
        reply: Reply,
        refusal: Box<Refusal>,
    },
    /// Bytes that cannot be framed: nothing can follow them.
    Fatal(Box<Refusal>),
}

/// Why something is not served.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// What the client is told.
    pub(crate) reply: Vec<u8>,
    /// What is logged.
    pub(crate) event: Event,
}

/// What becomes of a reply, whoever makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The client gets it, in its turn.
    Wanted,
    /// The client has asked for none (`noreply`, CLIENT REPLY OFF). Nothing waits for it.
    Dropped,
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
