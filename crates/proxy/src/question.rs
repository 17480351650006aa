//! What one worker asks the others of the same pool: an engine gives the question to the shell, which has the other workers'
//! engines answer it and brings the answers back.

/// A question, as other workers get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    number: u64,
    worker: usize,
    only: Option<usize>,
    asker: u64,
    request: Box<[u8]>,
}

impl Question {
    /// The question with this number of a worker, for all others or for `only` one. `asker` is the number of the client that
    /// has sent the request.
    pub(crate) fn new(
        number: u64,
        worker: usize,
        only: Option<usize>,
        asker: u64,
        request: &[u8],
    ) -> Self {
        Self {
            number,
            worker,
            only,
            asker,
            request: request.into(),
        }
    }

    /// Its number, which no other question of the same worker and pool has.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The worker that asks.
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// Whether this worker is asked.
    pub fn is_for(&self, worker: usize) -> bool {
        worker != self.worker && self.only.is_none_or(|only| only == worker)
    }

    /// The number of the client that asks.
    pub(crate) fn asker(&self) -> u64 {
        self.asker
    }

    /// Its request.
    pub(crate) fn request(&self) -> &[u8] {
        &self.request
    }
}
