//! A Redis command as its client wrote it.

use redis_proto::Arg;

use crate::limits::MAX_KEY;
use crate::protocol::decision::Key;

/// A request's text and arguments.
pub(crate) struct Request<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) args: &'a [Arg],
    /// Whether nothing of the client is outstanding.
    pub(crate) is_idle: bool,
}

impl<'a> Request<'a> {
    /// The argument's bytes; empty if there is none, or if it was so long that it was collected outside the text.
    pub(crate) fn arg(&self, index: usize) -> &'a [u8] {
        self.args
            .get(index)
            .and_then(|arg| arg.bytes(self.text))
            .unwrap_or_default()
    }

    /// Whether an argument was so long that it was collected outside the text: [`Request::arg`] does not give it.
    pub(crate) fn lacks_an_argument(&self) -> bool {
        self.args.iter().any(|arg| arg.diverted)
    }

    pub(crate) fn name(&self) -> &'a [u8] {
        self.arg(0)
    }

    /// The argument as a key, if it is short enough to be one.
    pub(crate) fn key(&self, index: usize) -> Option<Key> {
        let arg = self.args.get(index)?;
        let routable = !arg.diverted && arg.len as usize <= MAX_KEY;
        routable.then_some(Key {
            start: arg.start,
            len: arg.len,
            arg: index as u32,
        })
    }
}

/// What is said where the proxy would have to repeat or to keep an argument that is not in the text.
pub(super) const ARGUMENT_TOO_LONG: &str =
    "ERR an argument is too long for a command that the proxy answers itself";

/// A word that a client sent, escaped and shortened for an error line or the log.
pub(super) fn shown(word: &[u8]) -> String {
    let short = &word[..word.len().min(64)];
    short.escape_ascii().to_string()
}
