//! TLS on connections, towards clients and towards servers.
//!
//! [`Acceptance`] is how the connections of clients are secured, and [`Protection`] those to servers; both are made of the
//! files that a configuration names. [`Session`] is one connection.

mod accepting;
mod connecting;
mod fault;
mod files;
mod pem;
mod session;
mod versions;

pub(crate) use accepting::{Acceptance, AcceptanceSource};
pub(crate) use connecting::{Protection, ProtectionSource, Secured, Verify};
pub(crate) use fault::{Fault, Which};
pub(crate) use files::{ReadFile, read_file};
pub(crate) use session::{Raw, Session, Step};
pub(crate) use versions::MinVersion;
