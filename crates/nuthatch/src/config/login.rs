//! What connections to servers say of themselves: reads the file that a setting names, and checks it.

use std::sync::Arc;

use proxy::ServerLogins;

use super::file::ReadPool;
use super::report::{Findings, Problem};
use super::system::System;
use super::table::theirs::REDIS;
use super::table::tls::SERVER_LOGIN;
use crate::logins::LoginFile;

/// The logins, and the file that they are in.
#[derive(Debug, Clone)]
pub(super) struct PoolLogins {
    /// The logins.
    pub(super) logins: Arc<ServerLogins>,
    /// The file.
    pub(super) file: LoginFile,
}

/// Reads and checks it; what is wrong is reported.
pub(super) fn check_login(
    pool: &ReadPool,
    system: System<'_>,
    findings: &mut Findings,
) -> Option<PoolLogins> {
    let parts = pool.values.value(&SERVER_LOGIN)?;
    let (_, position) = parts.get("file")?;
    let file = LoginFile {
        path: parts.text("file")?.into(),
        user: parts.text("user").map(str::to_owned),
        needs_user: !pool.values.get(&REDIS),
    };
    let mut refuse = |text: String, help: &str| {
        let message = format!(
            "`file` of `{}`: the file `{}` {text}",
            SERVER_LOGIN.name,
            file.path.display()
        );
        findings
            .problems
            .push(Problem::at(position, message).help(help));
    };
    let list = match file.load(system.read) {
        Ok(list) => list,
        Err(text) => {
            let help = match file.needs_user {
                false => "a line of it is `PASSWORD`, `USER PASSWORD`, or `SERVER USER PASSWORD`",
                true => {
                    "a line of it is `USER PASSWORD`, or `SERVER USER PASSWORD`, or `PASSWORD` with a `user` in the setting"
                }
            };
            refuse(text, help);
            return None;
        }
    };
    let servers = pool.server_lines().unwrap_or_default();
    let missing = servers
        .iter()
        .find(|(server, _)| list.of(&server.name).is_none());
    if let Some((server, _)) = missing {
        let help = "add a line for it, or one for all: `USER PASSWORD`";
        refuse(format!("has no line for server `{}`", server.name), help);
        return None;
    }
    let logins = Arc::new(ServerLogins::new(list));
    Some(PoolLogins { logins, file })
}
