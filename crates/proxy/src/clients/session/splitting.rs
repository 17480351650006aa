//! A session's request of very many keys.

use super::Session;
use crate::clients::holds::Hold;
use crate::clients::large_split::LargeSplit;
use crate::protocol::Protocol;

impl<P: Protocol> Session<P> {
    /// Keeps a request that is being split; nothing after it is parsed meanwhile.
    pub(crate) fn keep_split(&mut self, split: Box<LargeSplit<P>>) {
        self.split = Some(split);
        self.hold(Hold::Splitting);
    }

    /// Takes that request, to go on with it.
    pub(crate) fn take_split(&mut self) -> Option<Box<LargeSplit<P>>> {
        let split = self.split.take()?;
        self.release(Hold::Splitting);
        Some(split)
    }

    /// Whether a request is being split.
    pub(crate) fn has_split(&self) -> bool {
        self.split.is_some()
    }
}
