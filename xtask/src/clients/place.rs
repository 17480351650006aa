//! What a script talks to: a server directly, or the proxy before one server or three.

use std::path::Path;

use testkit::{Endpoint, Proxy, Server, free_port};

use super::relay::Relay;
use super::subject::{Protocol, Subject};

/// Where a script runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// One server, without a proxy.
    Direct,
    /// The proxy before one server, with default settings.
    One,
    /// The proxy before three servers, with a hash tag.
    Three,
}

/// All places, in the order of the columns.
pub(super) const PLACES: [Place; 3] = [Place::Direct, Place::One, Place::Three];

impl Place {
    /// Its name for scripts (in the variable PLACE) and in the table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Place::Direct => "direct",
            Place::One => "one",
            Place::Three => "three",
        }
    }

    fn servers(self) -> usize {
        match self {
            Place::Direct | Place::One => 1,
            Place::Three => 3,
        }
    }
}

/// Running servers, the proxy, and the relay before them; they end when this is dropped.
pub(super) struct Stage {
    relay: Relay,
    _proxy: Option<Proxy>,
    _servers: Vec<Server>,
}

impl Stage {
    /// Starts them for one script.
    ///
    /// # Errors
    ///
    /// When a server is not installed.
    pub(super) fn set(subject: &Subject, place: Place, nuthatch: &Path) -> Result<Stage, String> {
        let servers = (0..place.servers()).map(|_| match subject.protocol {
            Protocol::Redis => testkit::redis(),
            Protocol::Memcached => testkit::memcached(),
        });
        let servers: Option<Vec<Server>> = servers.collect();
        let servers =
            servers.ok_or_else(|| format!("{} is not installed", subject.protocol.server()))?;
        let mut port = servers[0].port();
        let mut proxy = None;
        if place != Place::Direct {
            port = free_port();
            let endpoints: Vec<&Endpoint> = servers.iter().map(Server::endpoint).collect();
            let text = pool(subject, place, port, &endpoints);
            proxy = Some(testkit::nuthatch(nuthatch, &[], &text));
        }
        Ok(Stage {
            relay: Relay::to(port)?,
            _proxy: proxy,
            _servers: servers,
        })
    }

    /// The variables that tell a script where to connect.
    pub(super) fn variables(&self) -> [(&'static str, String); 2] {
        [
            ("PORT", self.relay.port.to_string()),
            ("CONTROL", self.relay.control.to_string()),
        ]
    }
}

/// The configuration of the proxy.
fn pool(subject: &Subject, place: Place, port: u16, servers: &[&Endpoint]) -> String {
    let mut text = format!("pool:\n  listen: 127.0.0.1:{port}\n");
    if subject.protocol == Protocol::Redis {
        text.push_str("  redis: true\n");
    }
    if place == Place::Three {
        text.push_str("  hash_tag: \"{}\"\n");
        for line in subject.settings {
            text.push_str(&format!("  {line}\n"));
        }
    }
    text.push_str("  servers:\n");
    for (index, server) in servers.iter().enumerate() {
        text.push_str(&format!("    - {server}:1 s{index}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::subject::{Language, SUBJECTS};
    use super::*;

    #[test]
    fn a_pool_of_one_server_has_default_settings_only() {
        let subject = Subject {
            settings: &["transactions: per_shard"],
            ..SUBJECTS[0]
        };
        assert!(matches!(subject.language, Language::Python));
        let server = Endpoint::loopback(7);
        let one = pool(&subject, Place::One, 5, &[&server]);
        let head = "pool:\n  listen: 127.0.0.1:5\n  redis: true\n";
        assert_eq!(one, format!("{head}  servers:\n    - {server}:1 s0\n"));
        let three = pool(&subject, Place::Three, 5, &[&server; 3]);
        let more = "  hash_tag: \"{}\"\n  transactions: per_shard\n";
        assert!(three.starts_with(&format!("{head}{more}")), "{three}");
    }
}
