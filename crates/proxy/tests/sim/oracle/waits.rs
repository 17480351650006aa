//! The expected replies to requests that wait.

use super::Case;
use crate::waiting;

impl Case<'_> {
    /// A request that waits, and whose wait was not ended.
    pub(super) fn popped(&self, key: &[u8]) -> Result<(), String> {
        let homes = self.homes(key);
        let right = |server: &usize| {
            self.is_answered_by(*server) && waiting::popped(*server, key) == self.frame
        };
        match homes.iter().any(right) {
            true => Ok(()),
            false => self.failure(Some(&homes)),
        }
    }
}
