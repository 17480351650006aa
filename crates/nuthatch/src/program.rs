//! The program's name and version.

/// The names under which the program can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `nuthatch`.
    Nuthatch,
    /// `nutcracker`: the version also names Nuthatch.
    Nutcracker,
}

impl Program {
    /// The name at the start of messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nuthatch => "nuthatch",
            Self::Nutcracker => "nutcracker",
        }
    }

    /// The version that goes with the name. As nutcracker it is the version of the release that is replaced,
    /// because scripts look for it.
    pub fn version(self) -> &'static str {
        match self {
            Self::Nuthatch => env!("CARGO_PKG_VERSION"),
            Self::Nutcracker => "0.5.0",
        }
    }
}
