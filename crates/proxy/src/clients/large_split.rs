//! A request of very many keys that is being split. That takes so long that it is done in turns, so that other clients
//! are not kept waiting. Nothing of it is sent before all of it is ready.

use super::intake::Intake;
use crate::flow::buffer::Rope;
use crate::protocol::Protocol;
use crate::protocol::decision::{Facts, JoinKind, Key};
use crate::routes::grouping::Grouping;
use crate::routes::routing::RouteVersion;

/// What was decided for such a request.
pub(crate) struct Decided<C> {
    pub(crate) facts: Facts<C>,
    pub(crate) kind: JoinKind,
    pub(crate) keys: Vec<Key>,
}

/// The request, and how far it has been split.
pub(crate) struct LargeSplit<P: Protocol> {
    /// Its bytes.
    pub(crate) intake: Box<Intake<P>>,
    /// How many of them belong to it.
    pub(crate) len: usize,
    pub(crate) facts: Facts<P::Command>,
    pub(crate) kind: JoinKind,
    /// Its keys, and where they go.
    pub(crate) grouping: Grouping,
    /// By which routes.
    version: RouteVersion,
    /// The fragments that are written, or begun.
    pub(crate) written: Vec<Rope>,
    /// The next key to be written is in this one of them ...
    pub(crate) fragment: usize,
    /// ... and this one of its keys.
    pub(crate) key: usize,
}

impl<P: Protocol> LargeSplit<P> {
    /// A request that is the first `len` bytes of `intake`, to be split by the routes of this version.
    pub(crate) fn new(
        intake: Box<Intake<P>>,
        len: usize,
        decided: Decided<P::Command>,
        version: RouteVersion,
    ) -> Self {
        let mut grouping = Grouping::default();
        grouping.begin(decided.keys);
        Self {
            intake,
            len,
            facts: decided.facts,
            kind: decided.kind,
            grouping,
            version,
            written: Vec::new(),
            fragment: 0,
            key: 0,
        }
    }

    /// Begins anew if the routes are of another version by now.
    pub(crate) fn follow(&mut self, version: RouteVersion) {
        if self.version != version {
            self.version = version;
            self.grouping.restart();
            self.written.clear();
            (self.fragment, self.key) = (0, 0);
        }
    }

    /// Bytes of memory.
    pub(crate) fn footprint(&self) -> usize {
        let written = self.written.iter().map(Rope::footprint);
        let request = self.intake.footprint() + self.grouping.footprint();
        size_of::<Self>() + request + written.sum::<usize>()
    }
}
