//! From a key to the server that owns it now.

pub(crate) mod router;
