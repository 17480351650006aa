//! What the program is called, and what it then says it is.

/// The names under which the program can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// As itself.
    Nuthatch,
    /// In place of nutcracker: it then also says so.
    Nutcracker,
}

impl Program {
    /// The name that stands before messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nuthatch => "nuthatch",
            Self::Nutcracker => "nutcracker",
        }
    }

    /// The version that goes with the name. Under nutcracker's it is that of the release whose place is
    /// taken, because scripts look for it.
    pub fn version(self) -> &'static str {
        match self {
            Self::Nuthatch => env!("CARGO_PKG_VERSION"),
            Self::Nutcracker => "0.5.0",
        }
    }
}
