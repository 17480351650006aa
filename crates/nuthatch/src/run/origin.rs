//! What the process was given when it was started.

use super::{RunOptions, process};
use crate::failure::Failure;
use crate::net::Inherited;
use crate::upgrade::{Predecessor, StartedAs};

/// What the process was given when it was started.
pub(super) struct Origin {
    /// The command that started it.
    pub(super) started_as: StartedAs,
    /// The process that it replaces.
    pub(super) predecessor: Option<Predecessor>,
    /// Listening sockets.
    pub(super) inherited: Inherited,
}

impl Origin {
    /// Finds out.
    pub(super) fn find(options: &RunOptions) -> Result<Self, Failure> {
        let started_as = StartedAs::of_this_process();
        let (predecessor, inherited) = match Predecessor::find()? {
            Some((predecessor, inherited)) => {
                // It was started through a descriptor, whose number is its name otherwise.
                process::set_name(options.program.name());
                (Some(predecessor), inherited)
            }
            None => (None, Inherited::default()),
        };
        Ok(Self {
            started_as,
            predecessor,
            inherited,
        })
    }
}
