//! What a Redis session remembers.

use std::sync::Arc;

use redis_proto::{Command, Version};

use super::cross_shard::Beginning;
use super::in_force::InForce;
use super::replies::Replies;
use super::told::Told;
use super::tracking::Tracking;
use crate::limits::MAX_CLIENT_NAME;
use crate::protocol::channel::Counts;
use crate::protocol::decision::Selected;
use crate::time::Time;
use crate::users::{DEFAULT_USER, User};

/// A Redis client between two requests.
#[derive(Debug)]
pub(crate) struct RedisClient {
    pub(crate) id: u64,
    pub(crate) authenticated: bool,
    /// It has given the password at some time.
    pub(super) has_authenticated: bool,
    /// Who it is, in a pool with users.
    pub(super) user: Option<Arc<User>>,
    pub(crate) version: Version,
    /// The database that it has selected; none if that is the first.
    pub(super) database: Selected,
    pub(super) name: Option<Box<[u8]>>,
    /// The name that a HELLO under way will set.
    pub(crate) next_name: Option<Box<[u8]>>,
    pub(super) replies: Replies,
    pub(super) in_force: InForce,
    pub(super) beginning: Beginning,
    /// When it connected.
    pub(super) connected: Time,
    /// Its last request.
    pub(super) last: Option<&'static Command>,
    /// CLIENT SETINFO.
    pub(super) library: Library,
    pub(super) tracking: Tracking,
    /// What it is told when the proxy leaves.
    pub(super) told: Told,
    /// How many subscriptions it has.
    pub(super) subscriptions: Counts,
}

/// The library that a client uses, as far as it says.
#[derive(Debug, Default)]
pub(super) struct Library {
    pub(super) name: Box<[u8]>,
    pub(super) version: Box<[u8]>,
}

impl RedisClient {
    pub(crate) fn new(id: u64, authenticated: bool, connected: Time) -> Self {
        Self {
            id,
            authenticated,
            has_authenticated: false,
            user: None,
            version: Version::Resp2,
            database: Selected::NONE,
            name: None,
            next_name: None,
            replies: Replies::default(),
            in_force: InForce::default(),
            beginning: Beginning::default(),
            connected,
            last: None,
            library: Library::default(),
            tracking: Tracking::default(),
            told: Told::default(),
            subscriptions: Counts::default(),
        }
    }

    /// Makes it as new, as RESET does. Its library is the same still.
    pub(super) fn reset(&mut self, authenticated: bool) {
        *self = Self {
            replies: self.replies.after_reset(),
            last: self.last,
            has_authenticated: self.has_authenticated,
            library: std::mem::take(&mut self.library),
            ..Self::new(self.id, authenticated, self.connected)
        };
    }

    /// It is this user from now on.
    pub(super) fn enter(&mut self, user: &Arc<User>) {
        self.in_force.limit(!user.permissions().is_whole());
        self.authenticated = true;
        self.user = Some(Arc::clone(user));
    }

    /// It is nobody any more, until it says who it is.
    pub(super) fn leave(&mut self) {
        self.in_force.limit(false);
        self.authenticated = false;
        self.user = None;
    }

    /// The name of its user.
    pub(super) fn user_name(&self) -> &str {
        self.user.as_ref().map_or(DEFAULT_USER, |user| user.name())
    }

    /// It has so many subscriptions now.
    pub(super) fn set_subscriptions(&mut self, counts: Counts) {
        self.subscriptions = counts;
        self.restrict();
    }

    /// It speaks this version from now on.
    pub(super) fn set_version(&mut self, version: Version) {
        self.version = version;
        self.restrict();
    }

    /// With RESP2, what is sent to a subscriber cannot be told from replies: so hardly any command is allowed.
    fn restrict(&mut self) {
        let is_restricted = self.version == Version::Resp2 && self.subscriptions.is_any();
        self.in_force.restrict_to_subscriptions(is_restricted);
    }

    pub(crate) fn set_name(&mut self, name: &[u8]) {
        self.name = (!name.is_empty()).then(|| name.into());
    }
}

/// Whether Redis would accept it as a client's name (or that of its library), and we keep it.
pub(crate) fn is_valid_name(name: &[u8]) -> bool {
    name.len() <= MAX_CLIENT_NAME && name.iter().all(|byte| (b'!'..=b'~').contains(byte))
}
