//! The address of a server, as it is written in messages.

use std::path::Path;

use proxy::settings::Address;
use serde::{Deserialize, Serialize};

/// An address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum WrittenAddress {
    Tcp { host: String, port: u16 },
    Unix { path: String },
}

impl From<&Address> for WrittenAddress {
    fn from(address: &Address) -> Self {
        match address {
            Address::Tcp { host, port } => Self::Tcp {
                host: host.to_string(),
                port: *port,
            },
            // No host has this name.
            Address::Unknown => Self::Tcp {
                host: String::new(),
                port: 0,
            },
            Address::Unix(path) => Self::Unix {
                path: path.to_string_lossy().into_owned(),
            },
        }
    }
}

impl From<&WrittenAddress> for Address {
    fn from(written: &WrittenAddress) -> Self {
        match written {
            WrittenAddress::Tcp { host, .. } if host.is_empty() => Address::Unknown,
            WrittenAddress::Tcp { host, port } => Address::tcp(host, *port),
            WrittenAddress::Unix { path } => Address::unix(Path::new(path)),
        }
    }
}
