//! `nuthatch ctl clients`: who is there, and who is to go.

use std::cmp::Reverse;
use std::fmt::Write;

use serde_json::{Value as Json, json};

use super::message::Answer;
use crate::live::Live;
use crate::logger::{NOTICE, escape, log};
use crate::worker::Listed;

/// Clients that are shown if no number is given.
const SHOWN: usize = 50;

/// Maximum clients that are shown: their list has a few megabytes then.
const MOST: usize = 10_000;

/// The clients that hold most memory, of one pool or of all.
pub(super) fn list(live: &Live, pool: Option<&str>, count: Option<usize>) -> Answer {
    if let Some(name) = pool
        && !live
            .directory()
            .in_force()
            .pools
            .iter()
            .any(|it| it.name() == name)
    {
        return Answer::refused(format!("there is no pool '{name}'"));
    }
    let most = count.unwrap_or(SHOWN).min(MOST);
    let mut listed = live.list_clients(most);
    listed.retain(|(share, _)| pool.is_none_or(|name| share.name() == name));
    listed.sort_by_key(|(_, client)| Reverse(client.held));
    listed.truncate(most);
    Answer::done(text(&listed), json(&listed))
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

fn json(listed: &Listed) -> Json {
    let one = |(share, client): &(_, proxy::ClientInfo)| {
        let share: &std::sync::Arc<crate::pool::PoolShare> = share;
        let about = &client.about;
        json!({
            "pool": share.name(),
            "address": client.address,
            "number": about.number,
            "name": about.name.escape_ascii().to_string(),
            "library": about.library.0.escape_ascii().to_string(),
            "library_version": about.library.1.escape_ascii().to_string(),
            "last_command": about.last_command,
            "idle_seconds": client.idle.as_secs(),
            "outstanding": client.outstanding,
            "unparsed_bytes": client.unparsed,
            "unread_bytes": client.unread,
            "held_bytes": client.held,
            "transaction": client.does.transaction,
            "subscribed": client.does.subscribed,
            "waits": client.does.waits,
        })
    };
    listed.iter().map(one).collect()
}

/// A line each.
fn text(listed: &Listed) -> String {
    let mut text = String::new();
    for (share, client) in listed {
        let about = &client.about;
        // Writing to a text does not fail.
        let _ = write!(
            text,
            "{} pool {}: {} bytes held, {} requests outstanding, {} bytes unread, {} unparsed, idle for {} s",
            client.address,
            share.name(),
            client.held,
            client.outstanding,
            client.unread,
            client.unparsed,
            client.idle.as_secs(),
        );
        let known = [
            ("name", about.name.escape_ascii().to_string()),
            ("library", about.library.0.escape_ascii().to_string()),
            ("last command", about.last_command.to_owned()),
        ];
        for (what, value) in known.iter().filter(|(_, value)| !value.is_empty()) {
            let _ = write!(text, ", {what} {value}");
        }
        let does = [
            (client.does.transaction, "in a transaction"),
            (client.does.subscribed, "subscribed"),
            (client.does.waits, "waits for others"),
        ];
        for (_, what) in does.iter().filter(|(is, _)| *is) {
            let _ = write!(text, ", {what}");
        }
        text.push('\n');
    }
    if text.is_empty() {
        text.push_str("no clients\n");
    }
    escape::lines(&text).into_owned()
}
