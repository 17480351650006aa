//! The two kinds of value that the admin port needs: the address that it listens on, and names of hosts.

use std::fmt;

use super::address::{ListenLine, listen_tcp};
use super::fault::Fault;
use super::number::digits;

/// Maximum number of names in a list.
pub(super) const NAMES_MAX: usize = 64;

/// An address of TCP to listen on, not resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// The host, without brackets.
    pub host: String,
    /// The port, at least 1.
    pub port: u16,
    /// As written.
    pub text: String,
}

/// A host as HTTP names it: a name or an address, and maybe a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedHost {
    /// In lower case; an IPv6 address has no brackets.
    pub name: String,
    /// The port, if there is one.
    pub port: Option<u16>,
}

impl NamedHost {
    /// Parses `name`, `name:port`, `[IPv6]` or `[IPv6]:port`.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, rest, is_name_char): (_, _, fn(u8) -> bool) = match text.strip_prefix('[') {
            Some(text) => {
                let (name, rest) = text.split_once(']')?;
                (name, rest, |byte| {
                    byte.is_ascii_hexdigit() || b":.".contains(&byte)
                })
            }
            None => {
                let end = text.find(':').unwrap_or(text.len());
                let is_name_char =
                    |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
                (&text[..end], &text[end..], is_name_char)
            }
        };
        let is_sound = !name.is_empty() && name.bytes().all(is_name_char);
        let port = match rest.strip_prefix(':') {
            Some(port) => Some(u16::try_from(digits(port, u64::from(u16::MAX)).ok()?).ok()?),
            None if rest.is_empty() => None,
            None => return None,
        };
        let name = name.to_ascii_lowercase();
        is_sound.then_some(Self { name, port })
    }
}

impl fmt::Display for NamedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.contains(':') {
            true => write!(f, "[{}]", self.name)?,
            false => f.write_str(&self.name)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

pub(super) const HOST_PORT_HELP: &str = "expected `host:port`, such as 127.0.0.1:22290";
pub(super) const HOSTS_HELP: &str = "expected names of hosts with blanks or commas between them, each with a port if only that one is meant";

/// Parses an address to listen on.
pub(super) fn host_port(text: &str) -> Result<HostPort, Fault> {
    let refused = |fault: Fault| Fault {
        help: HOST_PORT_HELP.into(),
        ..fault
    };
    match listen_tcp(text) {
        Ok(ListenLine::Tcp { host, port, text }) => Ok(HostPort { host, port, text }),
        Ok(ListenLine::Unix(_)) => Err(Fault::new("is no address of TCP", HOST_PORT_HELP)),
        Err(fault) => Err(refused(fault)),
    }
}

/// Parses a list of names of hosts.
pub(super) fn named_hosts(text: &str) -> Result<Vec<NamedHost>, Fault> {
    let mut hosts = Vec::new();
    let words = text.split([',', ' ', '\t']).filter(|word| !word.is_empty());
    for word in words {
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        let part = start..start + word.len();
        let Some(host) = NamedHost::parse(word) else {
            return Err(Fault::new("has what is no name of a host", HOSTS_HELP).in_part(part));
        };
        if hosts.len() == NAMES_MAX {
            let help = format!("there can be at most {NAMES_MAX}");
            return Err(Fault::new("has too many names", help).in_part(part));
        }
        hosts.push(host);
    }
    match hosts.is_empty() {
        true => Err(Fault::new("has no name", HOSTS_HELP)),
        false => Ok(hosts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_a_name_and_maybe_a_port() {
        let host = |name: &str, port| {
            let name = name.into();
            Some(NamedHost { name, port })
        };
        for (text, expected) in [
            ("Cache.Example", host("cache.example", None)),
            ("a_b-1:80", host("a_b-1", Some(80))),
            ("[::1]:8080", host("::1", Some(8080))),
            ("[FE80::1]", host("fe80::1", None)),
            ("", None),
            (":80", None),
            ("a:", None),
            ("a:80:90", None),
            ("a:99999", None),
            ("a b", None),
            ("user@a", None),
            ("[::1", None),
            ("[::1]x", None),
            ("[]", None),
            ("a/b", None),
        ] {
            assert_eq!(NamedHost::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_list_points_to_what_is_wrong() {
        let hosts = named_hosts("a.example, b:80  c").expect("three names");
        assert_eq!(hosts.len(), 3);
        let fault = named_hosts("a.example, b/c").expect_err("a slash");
        assert_eq!(fault.part, Some(11..14));
        assert!(named_hosts(" ,").is_err());
        assert!(named_hosts(&"a ".repeat(NAMES_MAX + 1)).is_err());
    }

    #[test]
    fn the_address_is_one_of_tcp() {
        let address = host_port("[::1]:22290").expect("an address");
        assert_eq!((address.host.as_str(), address.port), ("::1", 22290));
        for text in ["", "1234", "/run/n.sock", "a:0", ":80", "http://a:80"] {
            assert!(host_port(text).is_err(), "{text}");
        }
    }
}
