//! What a memcached session remembers.

use std::sync::Arc;

use crate::time::Time;
use crate::users::User;

/// A memcached client between two requests. Only a pool with users remembers anything.
#[derive(Debug, Default)]
pub(crate) struct MemcachedClient(Option<Box<Member>>);

/// Who a client is, in a pool with users.
#[derive(Debug)]
pub(super) struct Member {
    /// Its user; none until it has said who it is.
    pub(super) user: Option<Arc<User>>,
    /// It has said so at some time, or was there before the pool had users.
    pub(super) is_no_stranger: bool,
    /// When it connected.
    pub(super) connected: Time,
}

impl MemcachedClient {
    /// A client of a pool with users, which is this one from the beginning.
    pub(super) fn new(user: Option<&Arc<User>>, connected: Time) -> Self {
        Self(Some(Box::new(Member {
            user: user.cloned(),
            is_no_stranger: false,
            connected,
        })))
    }

    /// What is known of it, in a pool with users.
    #[inline]
    pub(super) fn member(&self) -> Option<&Member> {
        self.0.as_deref()
    }

    /// Whether it has to say who it is.
    #[inline]
    pub(super) fn is_nobody(&self) -> bool {
        self.member().is_some_and(|member| member.user.is_none())
    }

    /// It is this user from now on.
    pub(super) fn enter(&mut self, user: &Arc<User>) {
        let connected = self.member().map_or(Time::default(), |it| it.connected);
        self.0 = Some(Box::new(Member {
            user: Some(Arc::clone(user)),
            is_no_stranger: true,
            connected,
        }));
    }

    /// The pool has users now: it is this one, or nobody until it says who it is. It is no stranger, as it was there before.
    pub(super) fn begin_late(&mut self, user: Option<&Arc<User>>) {
        self.0 = Some(Box::new(Member {
            user: user.cloned(),
            is_no_stranger: true,
            connected: Time::default(),
        }));
    }

    /// The pool has no users any more.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }
}
