//! Who is there, for people and programs: each client, or all that say the same of themselves together.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use proxy::{ClientGroup, ClientKind};
use serde_json::{Value as Json, json};

use crate::live::Live;
use crate::logger::escape;
use crate::pool::PoolShare;
use crate::worker::{Grouped, Listed};

/// Clients that are shown if no number is given.
const SHOWN: usize = 50;

/// Maximum clients that are shown: their list has a few megabytes then.
const MOST: usize = 10_000;

/// Groups that are shown at most; all others are one more.
const MOST_GROUPS: usize = 64;

/// What is to be shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    /// Of this pool only.
    pub(crate) pool: Option<String>,
    /// At most so many.
    pub(crate) count: Option<usize>,
    /// Those that say the same of themselves together.
    pub(crate) by_name: bool,
}

/// What is shown, for people and for programs.
///
/// # Errors
///
/// When there is no such pool.
pub(crate) fn show(live: &Live, asked: &Asked) -> Result<(String, Json), String> {
    let pools = &live.directory().in_force().pools;
    if let Some(name) = &asked.pool
        && !pools.iter().any(|it| it.name() == name)
    {
        return Err(format!("there is no pool '{name}'"));
    }
    Ok(match asked.by_name {
        true => {
            let grouped = groups(live, asked);
            (group_text(&grouped), group_json(&grouped))
        }
        false => {
            let listed = list(live, asked);
            (text(&listed), json(&listed))
        }
    })
}

fn is_of(asked: &Asked, pool: &PoolShare) -> bool {
    let name = asked.pool.as_deref();
    name.is_none_or(|name| pool.name() == name)
}

/// The clients that hold most memory.
fn list(live: &Live, asked: &Asked) -> Listed {
    let most = asked.count.unwrap_or(SHOWN).min(MOST);
    let mut listed = live.list_clients(most);
    listed.retain(|(share, _)| is_of(asked, share));
    listed.sort_by_key(|(_, client)| Reverse(client.held));
    listed.truncate(most);
    listed
}

/// The groups with most requests; the last one has all others, if there are any.
fn groups(live: &Live, asked: &Asked) -> Grouped {
    let most = asked.count.unwrap_or(MOST_GROUPS).min(MOST_GROUPS);
    let mut sums: HashMap<(String, Option<ClientKind>), (Arc<PoolShare>, ClientGroup)> =
        HashMap::new();
    for (share, group) in live.group_clients() {
        if is_of(asked, &share) {
            let key = (share.name().to_owned(), group.kind.clone());
            match sums.get_mut(&key) {
                Some((_, sum)) => sum.add(&group),
                None => {
                    sums.insert(key, (share, group));
                }
            }
        }
    }
    let mut grouped: Grouped = sums.into_values().collect();
    // What is not told apart by its worker comes last.
    grouped.sort_by(|(one_pool, one), (other_pool, other)| {
        let key = |group: &ClientGroup| (group.kind.is_none(), Reverse(group.traffic.requests));
        let by_requests = key(one).cmp(&key(other));
        by_requests
            .then_with(|| (one_pool.name(), &one.kind).cmp(&(other_pool.name(), &other.kind)))
    });
    let rest = grouped.split_off(most.min(grouped.len()));
    let mut others: Grouped = Vec::new();
    for (share, group) in rest {
        let known = others.iter_mut().find(|(it, _)| it.name() == share.name());
        match known {
            Some((_, sum)) => sum.add(&group),
            None => others.push((
                share,
                ClientGroup {
                    kind: None,
                    ..group
                },
            )),
        }
    }
    grouped.extend(others);
    grouped
}

fn group_json(grouped: &Grouped) -> Json {
    let one = |(share, group): &(Arc<PoolShare>, ClientGroup)| {
        let kind = group.kind.as_ref();
        json!({
            "pool": share.name(),
            "name": kind.map(|kind| kind.name.escape_ascii().to_string()),
            "library": kind.map(|kind| kind.library.escape_ascii().to_string()),
            "clients": group.clients,
            "requests": group.traffic.requests,
            "bytes_in": group.traffic.bytes_in,
            "bytes_out": group.traffic.bytes_out,
            "requests_per_second": group.requests_per_second.round(),
            "bytes_per_second": group.bytes_per_second.round(),
            "outstanding": group.outstanding,
            "held_bytes": group.held,
        })
    };
    grouped.iter().map(one).collect()
}

/// A line each.
fn group_text(grouped: &Grouped) -> String {
    let mut text = String::new();
    for (share, group) in grouped {
        let who = match &group.kind {
            None => "all others".to_owned(),
            Some(kind) => {
                let or = |text: &[u8], none: &str| match text.is_empty() {
                    true => none.to_owned(),
                    false => text.escape_ascii().to_string(),
                };
                let (name, library) = (or(&kind.name, "no name"), or(&kind.library, "no library"));
                format!("{name} ({library})")
            }
        };
        // Writing to a text does not fail.
        let _ = writeln!(
            text,
            "{who} pool {}: {} clients, {:.0} requests/s and {:.0} bytes/s on average, {} requests, {} bytes in, {} bytes out, {} \
             requests outstanding, {} bytes held",
            share.name(),
            group.clients,
            group.requests_per_second,
            group.bytes_per_second,
            group.traffic.requests,
            group.traffic.bytes_in,
            group.traffic.bytes_out,
            group.outstanding,
            group.held,
        );
    }
    if text.is_empty() {
        text.push_str("no clients\n");
    }
    escape::lines(&text).into_owned()
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
            "user": about.user,
            "library": about.library.0.escape_ascii().to_string(),
            "library_version": about.library.1.escape_ascii().to_string(),
            "last_command": about.last_command,
            "age_seconds": client.age.as_secs(),
            "requests": client.traffic.requests,
            "bytes_in": client.traffic.bytes_in,
            "bytes_out": client.traffic.bytes_out,
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
            "{} pool {}: {} bytes held, {} requests outstanding, {} bytes unread, {} unparsed, idle for {} s, {} requests in {} s",
            client.address,
            share.name(),
            client.held,
            client.outstanding,
            client.unread,
            client.unparsed,
            client.idle.as_secs(),
            client.traffic.requests,
            client.age.as_secs(),
        );
        let known = [
            ("user", about.user.clone().unwrap_or_default().into()),
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
