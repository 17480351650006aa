//! `nuthatch ctl clients`: who is there, and who is to go.

use serde_json::json;

use super::message::Answer;
use crate::clients::{self, Asked};
use crate::live::Live;
use crate::logger::{NOTICE, log};

/// Who is there.
pub(super) fn list(live: &Live, asked: &Asked) -> Answer {
    match clients::show(live, asked) {
        Ok((text, json)) => Answer::done(text, json),
        Err(reason) => Answer::refused(reason),
    }
}

/// Closes the client with this address. Those of a unix socket have none of their own, and one is never closed for another.
pub(super) fn kill(live: &Live, address: &str) -> Answer {
    if !address.contains(':') {
        return Answer::refused(format!(
            "'{address}' is not the address of one client (host:port); with admin_commands, CLIENT KILL ID closes one of a unix socket"
        ));
    }
    match live.kill_clients(address) {
        0 => Answer::refused(format!("there is no client {address}")),
        killed => {
            log!(NOTICE, "control: {killed} clients {address} closed");
            Answer::done(format!("{killed} closed"), json!({ "closed": killed }))
        }
    }
}
