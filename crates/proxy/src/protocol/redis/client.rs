//! What a Redis session remembers.

use redis_proto::Version;

use super::in_force::InForce;
use super::replies::Replies;
use crate::limits::MAX_CLIENT_NAME;

/// A Redis client between two requests.
#[derive(Debug)]
pub(crate) struct RedisClient {
    pub(crate) id: u64,
    pub(crate) authenticated: bool,
    pub(crate) version: Version,
    pub(super) name: Option<Box<[u8]>>,
    /// The name that a HELLO under way will set.
    pub(crate) next_name: Option<Box<[u8]>>,
    pub(super) replies: Replies,
    pub(super) in_force: InForce,
}

impl RedisClient {
    pub(crate) fn new(id: u64, authenticated: bool) -> Self {
        Self {
            id,
            authenticated,
            version: Version::Resp2,
            name: None,
            next_name: None,
            replies: Replies::default(),
            in_force: InForce::default(),
        }
    }

    /// Makes it as new, as RESET does.
    pub(super) fn reset(&mut self, authenticated: bool) {
        let replies = self.replies.after_reset();
        *self = Self {
            replies,
            ..Self::new(self.id, authenticated)
        };
    }

    pub(crate) fn set_name(&mut self, name: &[u8]) {
        self.name = (!name.is_empty()).then(|| name.into());
    }
}

/// Whether Redis would accept it as a client's name, and we keep it.
pub(crate) fn is_valid_name(name: &[u8]) -> bool {
    name.len() <= MAX_CLIENT_NAME && name.iter().all(|byte| (b'!'..=b'~').contains(byte))
}
