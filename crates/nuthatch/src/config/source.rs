//! `servers` as a mapping: where they are found.

use std::sync::Arc;

use proxy::settings::Address;

use super::address::{ListenLine, listen_tcp};
use super::fault::faulty;
use super::fields::{Fields, Items};
use super::kind::{Kind, expected};
use super::node::{Content, Node};
use super::number::{NUMBER_MAX, digits};
use super::report::{Findings, Position, Problem};
use super::types::{SentinelSource, ServerSource};

/// What the mapping may say.
pub(super) const KEYS: [&str; 8] = [
    "file", "sentinel", "shards", "user", "password", "srv", "dns", "port",
];

/// Maximum number of Sentinels that are listed.
pub(super) const SEEDS_MAX: usize = 32;

/// Longest name of a domain, in bytes (RFC 1035), with the length that precedes it.
const DOMAIN_MAX: usize = 255;

/// Maximum number of masters.
pub(super) const SHARDS_MAX: usize = 256;

const ITEMS: Items = Items {
    noun: "mapping of servers",
    keys: &KEYS,
    kind: Kind::Servers,
    most: 1,
};

/// Reads the mapping of `owner` ("pool `alpha`"); `None` if anything is wrong with it, which has been reported.
pub(super) fn read_source(
    node: &Node,
    owner: &str,
    findings: &mut Findings,
) -> Option<ServerSource> {
    let items = (node, std::slice::from_ref(node));
    let name = |_: &ServerSource| String::new();
    let mut sources = ITEMS.read(items, owner, findings, read_one, name)?;
    sources.pop()
}

/// The keys that say where, of which there is one.
const PLACES: [&str; 4] = ["file", "sentinel", "srv", "dns"];

fn read_one(fields: &Fields<'_>, findings: &mut Findings) -> Option<ServerSource> {
    let given = PLACES.iter().filter(|key| fields.value(key).is_some());
    let given: Vec<&str> = given.copied().collect();
    if let [one, other, ..] = given[..] {
        let message = format!("`{one}` and `{other}` are two places to find servers");
        let problem = Problem::at(fields.position(other), message);
        findings.problems.push(problem.help("remove one of them"));
        return None;
    }
    let read = match given.first() {
        Some(&"sentinel") => return read_sentinel(fields, findings),
        Some(&"srv") => read_srv(fields),
        Some(&"dns") => read_dns(fields),
        _ => read_file(fields),
    };
    read.map_err(|problem| findings.problems.push(problem)).ok()
}

fn read_srv(fields: &Fields<'_>) -> Result<ServerSource, Problem> {
    refuse(fields, &["port"], "dns")?;
    refuse(fields, &["shards", "user", "password"], "sentinel")?;
    domain(fields, "srv").map(ServerSource::Srv)
}

fn read_dns(fields: &Fields<'_>) -> Result<ServerSource, Problem> {
    refuse(fields, &["shards", "user", "password"], "sentinel")?;
    let name = domain(fields, "dns")?;
    let port = fields.number("port", 1..=i64::from(u16::MAX))?;
    let port = port.and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or_else(|| fields.missing("port"))?;
    Ok(ServerSource::Dns(name, port))
}

/// The name of a domain, whole: nothing is added to it.
fn domain(fields: &Fields<'_>, key: &str) -> Result<String, Problem> {
    let name = fields.text(key)?.ok_or_else(|| fields.missing(key))?;
    let is_sound = |it: u8| it.is_ascii_alphanumeric() || b"-_".contains(&it);
    let labels = name.strip_suffix('.').unwrap_or(name).split('.');
    let mut labels =
        labels.map(|label| (1..=63).contains(&label.len()) && label.bytes().all(is_sound));
    match name.len() < DOMAIN_MAX && labels.all(|is_sound| is_sound) {
        true => Ok(name.to_owned()),
        false => Err(fields.cannot_be(key, name, "expected the whole name of a domain")),
    }
}

fn read_file(fields: &Fields<'_>) -> Result<ServerSource, Problem> {
    refuse(fields, &["shards", "user", "password"], "sentinel")?;
    refuse(fields, &["port"], "dns")?;
    let file = fields.text("file")?.ok_or_else(|| fields.missing("file"))?;
    Ok(ServerSource::File(file.into()))
}

/// Reports the first of these keys that is given, as it is only for `other`.
fn refuse(fields: &Fields<'_>, keys: &[&str], other: &str) -> Result<(), Problem> {
    match keys.iter().find(|key| fields.value(key).is_some()) {
        None => Ok(()),
        Some(key) => {
            let message = format!("`{key}` is only valid with `{other}`");
            Err(Problem::at(fields.position(key), message).help(expected(&Kind::Servers)))
        }
    }
}

fn read_sentinel(fields: &Fields<'_>, findings: &mut Findings) -> Option<ServerSource> {
    let mut note = |problem: Problem| findings.problems.push(problem);
    refuse(fields, &["port"], "dns").unwrap_or_else(&mut note);
    let seeds = words(fields, "sentinel", SEEDS_MAX).and_then(|words| {
        let seeds = words
            .into_iter()
            .map(|(text, position)| seed(text, position));
        seeds.collect::<Result<Vec<Address>, Problem>>()
    });
    let shards = words(fields, "shards", SHARDS_MAX).and_then(shards);
    let user = fields.text("user").map_err(&mut note).ok();
    let password = fields.text("password").map_err(&mut note).ok();
    let (seeds, shards) = (
        seeds.map_err(&mut note).ok(),
        shards.map_err(&mut note).ok(),
    );
    if let (Some(Some(_)), Some(None)) = (&user, &password) {
        note(fields.missing("password"));
    }
    Some(ServerSource::Sentinel(Arc::new(SentinelSource {
        seeds: seeds?,
        shards: shards?,
        user: user?.map(str::to_owned),
        password: password?.map(str::to_owned),
    })))
}

/// The words of a list, each at its position.
fn words<'n>(
    fields: &Fields<'n>,
    key: &str,
    most: usize,
) -> Result<Vec<(&'n str, &'n Position)>, Problem> {
    let node = fields.value(key).ok_or_else(|| fields.missing(key))?;
    let wrong = |position: &Position| {
        let message = format!("`{key}` must be a list of 1 to {most} words");
        Problem::at(position, message).help(expected(&Kind::Servers))
    };
    let items = match &node.content {
        Content::List(items) if (1..=most).contains(&items.len()) => items,
        _ => return Err(wrong(&node.position)),
    };
    let word = |item: &'n Node| match &item.content {
        Content::Text(text) if !text.is_empty() => Ok((text.as_str(), &item.position)),
        _ => Err(wrong(&item.position)),
    };
    items.iter().map(word).collect()
}

fn seed(text: &str, position: &Position) -> Result<Address, Problem> {
    match listen_tcp(text) {
        Ok(ListenLine::Tcp { host, port, .. }) => Ok(Address::tcp(&host, port)),
        Ok(ListenLine::Unix(_)) => Err(Problem::at(position, "a Sentinel is at `host:port`")),
        Err(fault) => Err(faulty(&format!("Sentinel `{text}`"), text, position, fault)),
    }
}

/// Masters, each `name` or `name:weight`, with names as Sentinels take them.
fn shards(words: Vec<(&str, &Position)>) -> Result<Vec<(String, u32)>, Problem> {
    let mut shards: Vec<(String, u32)> = Vec::with_capacity(words.len());
    for (text, position) in words {
        let (name, weight) = text.split_once(':').unwrap_or((text, "1"));
        let is_sound = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let weight = digits(weight, NUMBER_MAX).ok().filter(|it| *it > 0);
        let weight = weight.and_then(|it| u32::try_from(it).ok());
        let Some(weight) = weight.filter(|_| !name.is_empty() && name.bytes().all(is_sound)) else {
            let message = format!("shard `{text}` is not valid");
            let help = "expected the name of a master as Sentinels have it (letters, digits, `.`, `-` and `_`), or `name:weight`";
            return Err(Problem::at(position, message).help(help));
        };
        if shards.iter().any(|(other, _)| other == name) {
            let message = format!("shard `{name}` is listed twice");
            return Err(Problem::at(position, message).help("remove one of the two"));
        }
        shards.push((name.to_owned(), weight));
    }
    Ok(shards)
}
