//! The admin pages: what the proxy tells of itself over HTTP. They only show, and change nothing.
//!
//! One thread of its own serves them. It reads what workers count (atomics) and the plans of the pools, and no worker
//! ever waits for it; its scheduling priority is lower than theirs.

mod aliases;
mod explain;
mod exposition;
mod guard;
mod history;
mod json;
mod key_share;
mod latency;
mod metrics;
mod pages;
mod server;
mod usage;
mod view;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use crate::config::Globals;
use crate::controller::Controller;
use crate::logger::{NOTICE, WARN, log};
use crate::net::{Listener, error_text};
use guard::{Guard, Token};
use pages::Pages;

pub(crate) use server::Stopper;
pub(crate) use view::View;

/// Descriptors that the admin port may use: its listener, its poll (which the runtime holds twice) with a waker, the
/// directory that is listed to count descriptors, and its connections.
pub(crate) const DESCRIPTORS: u64 = 5 + server::CONNECTIONS as u64;

/// Maximum bytes of a file with a token.
const LONGEST_TOKEN: u64 = 4096;

/// Serves the admin pages of `view` on `listener`, until it is stopped or the process ends.
///
/// # Errors
///
/// When the runtime or a thread cannot be created, or the file with the token is unusable.
pub(crate) fn start(
    listener: Listener,
    globals: &Globals,
    view: Arc<View>,
    controller: Controller,
) -> io::Result<Stopper> {
    let token = token(globals)?;
    let listener = listener.into_std()?;
    let address = listener.local_addr()?;
    log!(NOTICE, "the admin pages are at http://{address}/");
    if token.is_none() && !address.ip().is_loopback() {
        log!(
            WARN,
            "whoever can reach {address} sees the admin pages; `admin_token` asks for a token"
        );
    }
    let guard = Guard::new(globals.admin.as_ref(), address, &globals.admin_hosts, token);
    server::start(listener, Pages::new(guard, view, controller))
}

/// What `/servers` shows: the pools and servers with their states and all that is counted.
pub(crate) fn servers(view: &View) -> serde_json::Value {
    json::servers(view)
}

/// How many descriptors the admin port may need with these settings.
pub(crate) fn descriptors(globals: &Globals) -> u64 {
    globals.admin.as_ref().map_or(0, |_| DESCRIPTORS)
}

/// The token of the settings, or of the file that they name.
fn token(globals: &Globals) -> io::Result<Option<Token>> {
    let text = match (&globals.admin_token_file, &globals.admin_token) {
        (Some(_), Some(_)) => {
            let message = "there are `admin_token` and `admin_token_file`; remove one of them";
            return Err(io::Error::other(message));
        }
        (Some(path), None) => read_token(path).map_err(|error| {
            let (path, text) = (path.display(), error_text(&error));
            io::Error::other(format!("`admin_token_file`, which is '{path}': {text}"))
        })?,
        (None, Some(token)) => token.clone(),
        (None, None) => return Ok(None),
    };
    Ok(Some(Token::new(&text)))
}

fn read_token(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let mut file = File::open(path)?.take(LONGEST_TOKEN + 1);
    file.read_to_string(&mut text)?;
    let token = text.trim();
    if token.is_empty() || text.len() as u64 > LONGEST_TOKEN {
        let message = format!("a file with a token holds 1 to {LONGEST_TOKEN} bytes");
        return Err(io::Error::other(message));
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests;
