//! The project's own programs that are measured or used for measuring.

use std::path::PathBuf;

use super::options::Options;
use super::{figures, setup};

/// The programs built for a run.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) nuthatch: PathBuf,
    pub(super) loadgen: PathBuf,
    pub(super) placement: PathBuf,
    pub(super) floor: PathBuf,
}

impl Bench {
    /// Builds the proxy and the load generator with the release profile.
    pub(super) fn prepare(options: &Options) -> Result<Bench, String> {
        setup::check_essentials()?;
        figures::raise_descriptor_limit();
        let built = setup::build(
            &["nuthatch", "nuthatch-bench"],
            &["nuthatch", "loadgen", "placement", "floor"],
        )?;
        let [nuthatch, loadgen, placement, floor] = built
            .try_into()
            .map_err(|_| "cargo built another number of programs")?;
        Ok(Bench {
            nuthatch: options.nuthatch.clone().unwrap_or(nuthatch),
            loadgen,
            placement,
            floor,
        })
    }
}
