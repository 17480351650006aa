//! Clients: what each has sent and not been answered.

pub(crate) mod backlog;
pub(crate) mod session;
