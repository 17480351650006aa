//! What the process was given when it was started.

use super::{RunOptions, process};
use crate::failure::Failure;
use crate::net::{Inherited, error_text};
use crate::supervisor::{self, Store};
use crate::upgrade::{Predecessor, StartedAs};

/// What the process was given when it was started.
pub(super) struct Origin {
    /// The command that started it.
    pub(super) started_as: StartedAs,
    /// The process that it replaces.
    pub(super) predecessor: Option<Predecessor>,
    /// Listening sockets.
    pub(super) inherited: Inherited,
    /// What its supervisor keeps.
    pub(super) store: Store,
}

impl Origin {
    /// Finds out.
    pub(super) fn find(options: &RunOptions) -> Result<Self, Failure> {
        let started_as = StartedAs::of_this_process();
        let mut store = Store::of_supervisor();
        let (predecessor, inherited) = match Predecessor::find()? {
            Some((predecessor, inherited)) => {
                // It was started through a descriptor, whose number is its name otherwise.
                process::set_name(options.program.name());
                (Some(predecessor), inherited)
            }
            None => (None, activated(options, &mut store)?),
        };
        Ok(Self {
            started_as,
            predecessor,
            inherited,
            store,
        })
    }
}

/// The sockets that the supervisor has opened, or has kept. A process that goes into the background has none.
fn activated(options: &RunOptions, store: &mut Store) -> Result<Inherited, Failure> {
    let mut inherited = Inherited::default();
    if options.daemonize {
        return Ok(inherited);
    }
    for passed in supervisor::passed() {
        // The file of a socket that the supervisor has made is its own.
        let is_kept = store.note_kept(&passed.name);
        inherited.add(passed.socket, !is_kept).map_err(|error| {
            let (name, text) = (passed.name, error_text(&error));
            Failure::new(format!(
                "the socket '{name}' that the supervisor has passed cannot be used: {text}"
            ))
        })?;
    }
    Ok(inherited)
}
