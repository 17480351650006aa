//! Who connections to servers say that they are (AUTH).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

/// What a connection to a server gives with AUTH.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user; without one it is the server's default user.
    pub user: Option<Box<[u8]>>,
    /// The password.
    pub password: Box<[u8]>,
}

/// The logins of a pool's servers, which may be replaced while the pool is served: further connections give the new ones, and those that
/// are open stay.
pub struct ServerLogins(ArcSwap<LoginList>);

/// The logins of servers at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoginList {
    /// Those of single servers, by their names on the ring.
    pub servers: HashMap<Box<str>, Login>,
    /// That of all others.
    pub others: Option<Login>,
}

impl LoginList {
    /// The login of this server.
    pub fn of(&self, server: &str) -> Option<&Login> {
        self.servers.get(server).or(self.others.as_ref())
    }
}

impl ServerLogins {
    /// These, until they are replaced.
    pub fn new(list: LoginList) -> Self {
        Self(ArcSwap::from_pointee(list))
    }

    /// Others from now on; returns whether they are different.
    pub fn replace(&self, list: LoginList) -> bool {
        let is_different = **self.0.load() != list;
        if is_different {
            self.0.store(Arc::new(list));
        }
        is_different
    }

    /// As they are now.
    pub fn load(&self) -> Arc<LoginList> {
        self.0.load_full()
    }
}

/// Where an endpoint's login is.
#[derive(Debug, Clone)]
pub(crate) enum LoginSource {
    /// The password of the pool.
    Pool(Arc<[u8]>),
    /// In the list, under the name of this server.
    Listed(Arc<ServerLogins>, Box<str>),
}

impl LoginSource {
    pub(crate) fn login(&self) -> Option<Login> {
        match self {
            LoginSource::Pool(password) => Some(Login {
                user: None,
                password: (**password).into(),
            }),
            LoginSource::Listed(logins, server) => logins.0.load().of(server).cloned(),
        }
    }
}

/// The same password, or the same list: that may be replaced without another endpoint.
impl PartialEq for LoginSource {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (LoginSource::Pool(one), LoginSource::Pool(other)) => one == other,
            (LoginSource::Listed(one, _), LoginSource::Listed(other, _)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

/// The password is not shown.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerLogins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerLogins").finish_non_exhaustive()
    }
}
