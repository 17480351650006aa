//! How connections to a server are secured, which the shell alone knows.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// How the shell secures connections to servers. The core hands it back with each connection that it asks for
/// ([`Action::Connect`](crate::Action::Connect)). Two are equal if they are clones of the same one: another one is another way to
/// reach a server, so that new connections are made.
#[derive(Clone)]
pub struct Security(Arc<dyn Any + Send + Sync>);

impl Security {
    /// One that holds what the shell knows of it.
    pub fn new(known: Arc<dyn Any + Send + Sync>) -> Self {
        Self(known)
    }

    /// What the shell knows of it.
    pub fn known(&self) -> &(dyn Any + Send + Sync) {
        &*self.0
    }
}

impl PartialEq for Security {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Security {}

/// What it holds may be secret.
impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Security").finish_non_exhaustive()
    }
}
