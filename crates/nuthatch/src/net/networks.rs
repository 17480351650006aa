//! Sets of addresses that clients connect from.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// Maximum number of networks in a list.
const NETWORKS_MAX: usize = 64;

/// Networks, and perhaps unix sockets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Networks {
    networks: Vec<IpNet>,
    with_unix: bool,
}

impl Networks {
    /// Whether the client is in one of them. `None` is one that has connected to a unix socket.
    pub(crate) fn contain(&self, client: Option<IpAddr>) -> bool {
        match client {
            None => self.with_unix,
            Some(address) => {
                // A socket for both families shows IPv4 addresses as those of IPv6.
                let address = address.to_canonical();
                self.networks.iter().any(|it| it.contains(&address))
            }
        }
    }
}

/// Words with blanks or commas between them: networks (`10.0.0.0/8`), addresses, or `unix`.
impl FromStr for Networks {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut found = Networks::default();
        let words = text.split([' ', ',', '\t']).filter(|word| !word.is_empty());
        for word in words {
            match word {
                "unix" => found.with_unix = true,
                word => {
                    let address = word.parse::<IpAddr>().map(IpNet::from);
                    let network = word.parse().or(address).map_err(drop)?;
                    found.networks.push(network);
                }
            }
        }
        let count = found.networks.len();
        let is_sound = (count > 0 || found.with_unix) && count <= NETWORKS_MAX;
        is_sound.then_some(found).ok_or(())
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let networks = self.networks.iter().map(IpNet::to_string);
        let unix = self.with_unix.then(|| "unix".to_owned());
        let words: Vec<String> = networks.chain(unix).collect();
        f.write_str(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_in_a_network_or_not() {
        let networks: Networks = "10.0.0.0/8, 192.168.1.5 fd00::/8".parse().unwrap();
        let has = |address: &str| networks.contain(Some(address.parse().unwrap()));
        assert!(has("10.255.0.1") && has("192.168.1.5") && has("fd00::1"));
        assert!(has("::ffff:10.0.0.1"));
        assert!(!has("11.0.0.1") && !has("192.168.1.6") && !has("fe80::1"));
        assert!(!networks.contain(None));
        assert!("unix".parse::<Networks>().unwrap().contain(None));
        assert_eq!(networks.to_string(), "10.0.0.0/8 192.168.1.5/32 fd00::/8");
        for text in ["", ",", "10.0.0.0/33", "cache", "10.0.0.0/8 x"] {
            assert!(text.parse::<Networks>().is_err(), "{text}");
        }
    }
}
