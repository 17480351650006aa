//! Reads certificates, keys and passwords again when their files change, as programs that renew them write them and tell nobody.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use proxy::Security;

use crate::file_changes::{Changes, look_at};
use crate::live::Directory;
use crate::logger::{ALERT, NOTICE, log};
use crate::pool::PoolShare;
use crate::tls::{Fault, Protection, read_file};

/// How often the files are looked at, and how long they must not have changed before they are read.
const EVERY: Duration = Duration::from_secs(1);

/// Looks at the files of all pools, on a thread of its own, for as long as the process runs.
///
/// # Errors
///
/// When no thread can be created.
pub(crate) fn watch(directory: Arc<Directory>) -> io::Result<()> {
    let mut watched = Watched::default();
    watched.look(&directory.in_force().pools);
    thread::Builder::new()
        .name("secrets".into())
        .spawn(move || {
            loop {
                thread::sleep(EVERY);
                watched.look(&directory.in_force().pools);
            }
        })?;
    Ok(())
}

/// The files, and what they looked like.
#[derive(Debug, Default)]
struct Watched {
    paths: Vec<PathBuf>,
    changes: Option<Changes>,
}

impl Watched {
    fn look(&mut self, pools: &[Arc<PoolShare>]) {
        let paths: Vec<PathBuf> = pools.iter().flat_map(|pool| files(pool)).collect();
        let looks = look_at(&paths);
        match &mut self.changes {
            Some(changes) if paths == self.paths => {
                if changes.note(looks) {
                    pools.iter().for_each(|pool| renew(pool));
                }
            }
            // A reload has just read them.
            _ => {
                self.paths = paths;
                self.changes = Some(Changes::new(looks));
            }
        }
    }
}

fn files(pool: &PoolShare) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    if let Some(acceptance) = pool.acceptance() {
        files.extend(acceptance.files().map(PathBuf::from));
    }
    if let Some(file) = pool.login_file() {
        files.push(file.path.clone());
    }
    let security = security(pool);
    if let Some(protection) = security.as_ref().and_then(|it| Protection::of(it.known())) {
        files.extend(protection.files().map(PathBuf::from));
    }
    files
}

fn security(pool: &PoolShare) -> Option<Security> {
    pool.core().plan().settings.server_security.clone()
}

/// Reads the files of a pool again. What is wrong with them is told, and those that were read before stay in force.
fn renew(pool: &PoolShare) {
    let name = pool.name();
    match pool.renew_acceptance(&read_file) {
        Ok(true) => {
            log!(NOTICE, { pool: name }, "pool '{name}': the certificate for clients was read anew")
        }
        Ok(false) => {}
        Err(fault) => refuse(name, "tls", &fault),
    }
    match pool.renew_logins(&read_file) {
        Ok(true) => {
            log!(NOTICE, { pool: name }, "pool '{name}': the logins of its servers were read anew")
        }
        Ok(false) => {}
        Err(text) => log!(
            ALERT,
            { pool: name, cause: &*text },
            "pool '{name}': the file of `server_login` has changed and is not used: it {text}"
        ),
    }
    let security = security(pool);
    let Some(protection) = security.as_ref().and_then(|it| Protection::of(it.known())) else {
        return;
    };
    match protection.renew(&read_file) {
        Ok(true) => {
            log!(NOTICE, { pool: name }, "pool '{name}': the certificates for servers were read anew")
        }
        Ok(false) => {}
        Err(fault) => refuse(name, "server_tls", &fault),
    }
}

fn refuse(pool: &str, setting: &str, fault: &Fault) {
    let (which, text) = (fault.which.name(), &fault.text);
    log!(
        ALERT,
        { pool: pool, cause: &**text },
        "pool '{pool}': a file of `{setting}` has changed and is not used: the one with the {which} {text}"
    );
}
