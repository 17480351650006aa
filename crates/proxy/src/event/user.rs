//! Events about who clients are.

use std::fmt;

/// Something about who a client is, in a pool with users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserEvent {
    /// The user of a client may not send a request.
    NotPermitted {
        /// Its name.
        user: Box<str>,
        /// The command, and what of it is not permitted.
        reason: String,
    },
    /// A client has given a wrong name or password.
    LoginFailed,
    /// A client must wait before it may try another password.
    LoginRefused,
}

impl UserEvent {
    /// Its name, for filters.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            UserEvent::NotPermitted { .. } => "not_permitted",
            UserEvent::LoginFailed => "login_failed",
            UserEvent::LoginRefused => "login_refused",
        }
    }
}

impl fmt::Display for UserEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UserEvent::NotPermitted { user, reason } => {
                write!(f, "user '{user}' may not send {reason}")
            }
            UserEvent::LoginFailed => f.write_str("refused a client: wrong name or password"),
            UserEvent::LoginRefused => f.write_str(
                "refused a client unheard: too many of its address's attempts to authenticate have failed",
            ),
        }
    }
}
