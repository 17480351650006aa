//! The two kinds of value that hold an address: `listen` and the lines of `servers`. Both are parsed from the
//! right, exactly as in nutcracker 0.5.0, because the resulting server name decides where keys live.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use proxy::settings::{Address, ServerSettings};

use super::fault::Fault;
use super::number::{NUMBER_MAX, digits};
use super::report::reason;

/// The port that is left out of a server's default name: memcached's own (libmemcached does the same).
const UNNAMED_PORT: u16 = 11211;

/// Longest path of a unix socket, in bytes: 108 with the NUL that ends it (unix(7)).
pub(super) const SOCKET_PATH_MAX: usize = 107;

/// Highest mode of a unix socket.
const MODE_MAX: u32 = 0o777;

/// Where a pool listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A TCP address.
    Tcp {
        /// The address that the host resolved to.
        addr: SocketAddr,
        /// As written.
        text: String,
    },
    /// A unix socket.
    Unix {
        /// Its path.
        path: PathBuf,
        /// Its file mode, if one is set; otherwise the umask decides.
        mode: Option<u32>,
        /// As written.
        text: String,
    },
}

impl Listen {
    /// The address as written.
    pub fn text(&self) -> &str {
        match self {
            Self::Tcp { text, .. } | Self::Unix { text, .. } => text,
        }
    }
}

/// A `listen` value, parsed but not resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ListenLine {
    /// `host:port`.
    Tcp {
        /// The host, without brackets.
        host: String,
        /// The port, at least 1.
        port: u16,
        /// As written.
        text: String,
    },
    /// A unix socket, which needs no resolving.
    Unix(Listen),
}

impl ListenLine {
    /// The address as written.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Tcp { text, .. } => text,
            Self::Unix(listen) => listen.text(),
        }
    }

    /// The address, with the host resolved by `resolve`.
    pub(super) fn resolve(&self, resolve: Resolve<'_>) -> Result<Listen, Fault> {
        let (host, port, text) = match self {
            Self::Tcp { host, port, text } => (host, *port, text),
            Self::Unix(listen) => return Ok(listen.clone()),
        };
        let unresolved = |error: io::Error| {
            let host = 0..text.len() - port_text(text).len() - 1;
            let reason = reason(&error);
            let message = format!("has a host that cannot be resolved: {reason}");
            Fault::new(message, LISTEN_HELP).in_part(host)
        };
        let addr = resolve(host, port).map_err(unresolved)?;
        let text = text.clone();
        Ok(Listen::Tcp { addr, text })
    }
}

/// A function that turns a host and port into the address to listen on.
pub(super) type Resolve<'r> = &'r dyn Fn(&str, u16) -> io::Result<SocketAddr>;

/// Resolves with the system's resolver and takes the first address. May block.
pub(super) fn resolve_by_system(host: &str, port: u16) -> io::Result<SocketAddr> {
    let none = || io::Error::other("it has no address");
    (host, port).to_socket_addrs()?.next().ok_or_else(none)
}

/// One line of `servers`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerLine {
    /// The server's identity on the ring and in the statistics.
    pub(super) name: String,
    /// The line without an explicit name at its end, for log lines.
    pub(super) pname: String,
    /// Its share of the keys, from 1 to 2147483647.
    pub(super) weight: u32,
    /// Where it is.
    pub(super) address: Address,
    /// Whether its name is written; otherwise it is made of the address.
    pub(super) is_named: bool,
}

impl ServerLine {
    /// A server of which only the name and the weight are known.
    pub(super) fn unknown(name: &str, weight: u32) -> Self {
        Self {
            name: name.to_owned(),
            pname: name.to_owned(),
            weight,
            address: Address::Unknown,
            is_named: true,
        }
    }

    /// The server as the core needs it, with its data in the database `db`.
    pub(super) fn settings(&self, db: u32) -> ServerSettings {
        ServerSettings {
            name: self.name.clone(),
            pname: self.pname.clone(),
            address: self.address.clone(),
            weight: self.weight,
            db,
            replication: Default::default(),
        }
    }
}

/// Parses a `listen` value. The text beside it is a warning.
pub(super) fn listen(text: &str) -> Result<(ListenLine, Option<String>), Fault> {
    match text.starts_with('/') {
        true => listen_unix(text).map(|(listen, warning)| (ListenLine::Unix(listen), warning)),
        false => listen_tcp(text).map(|line| (line, None)),
    }
}

/// Parses a server line.
pub(super) fn server(text: &str) -> Result<ServerLine, Fault> {
    // An explicit name follows the last blank.
    let (pname, name) = match text.rsplit_once(' ') {
        Some((pname, name)) => (pname, Some(name)),
        None => (text, None),
    };
    if name == Some("") {
        let fault = Fault::new("has an empty name", SERVER_HELP);
        return Err(fault.in_part(pname.len()..text.len()));
    }
    if text.starts_with('/') && name.is_some_and(|name| name.starts_with(':')) {
        // The blank stands before the weight.
        refuse_blank_end(&text[..=pname.len()])?;
    }
    refuse_scheme(text, "a server is `host:port:weight [name]`")?;
    let (address, weight_text) = pname.rsplit_once(':').ok_or_else(bad_server)?;
    refuse_odd_name(text, address.len() + 1, weight_text)?;
    let unix = text.starts_with('/');
    if unix == address.contains(':') {
        return Err(bad_server());
    }
    if unix {
        refuse_blank_end(address)?;
    }
    let weight = weight(weight_text, address.len() + 1)?;
    let (address, own_name) = match unix {
        // nutcracker splits off `host:port` here; for a path, the rest is the path with the colon.
        true => (Address::unix(address.as_ref()), format!("{address}:")),
        false => server_tcp(address)?,
    };
    Ok(ServerLine {
        name: name.map_or(own_name, str::to_owned),
        pname: pname.to_owned(),
        weight,
        address,
        is_named: name.is_some(),
    })
}

const LISTEN_HELP: &str = "expected `host:port` or `/path/of/socket [mode]`";
const PORT_HELP: &str = "a port is a number from 1 to 65535";
const SERVER_HELP: &str = "expected `host:port:weight [name]` or `/path/of/socket:weight [name]`";
const WEIGHT_HELP: &str = "a weight is a number from 1 to 2147483647";

/// A name begins after the only blank of its line, so a further one is blamed on it, not on the weight that then
/// seems to have it; `start` is where the weight begins.
fn refuse_odd_name(text: &str, start: usize, weight: &str) -> Result<(), Fault> {
    let Some((number, rest)) = weight.split_once(' ') else {
        return Ok(());
    };
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(());
    }
    let blank = start + number.len();
    let fault = match rest.trim_start_matches(' ') {
        "" => {
            let message = "has more than one blank before its name";
            Fault::new(message, SERVER_HELP).in_part(blank..blank + 1 + rest.len() + 1)
        }
        _ => {
            let message = "has a blank in its name";
            let help = "a name is one word after the weight";
            Fault::new(message, help).in_part(blank + 1..text.len())
        }
    };
    Err(fault)
}

/// A URL is no address; `form` says what is.
fn refuse_scheme(text: &str, form: &str) -> Result<(), Fault> {
    let Some((scheme, _)) = text.split_once("://") else {
        return Ok(());
    };
    if !scheme
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    {
        return Ok(());
    }
    let scheme = scheme.to_ascii_lowercase();
    let help = match scheme.as_str() {
        "rediss" | "tls" | "ssl" => format!("{form}, and connections are not encrypted"),
        "redis" | "valkey" => {
            format!("{form}; password and database are the settings `redis_auth` and `redis_db`")
        }
        _ => form.to_owned(),
    };
    Err(Fault::new("is a URL", help).in_part(0..scheme.len() + "://".len()))
}

/// A path that ends with a blank is a slip; nobody would see it.
fn refuse_blank_end(path: &str) -> Result<(), Fault> {
    if !path.ends_with(' ') {
        return Ok(());
    }
    let blanks = path.trim_end_matches(' ').len()..path.len();
    let fault = Fault::new("has a path that ends with a blank", "remove the blank");
    Err(fault.in_part(blanks))
}

fn listen_unix(text: &str) -> Result<(Listen, Option<String>), Fault> {
    let (path, mode_text) = match text.rsplit_once(' ') {
        Some((path, mode)) => (path, Some(mode)),
        None => (text, None),
    };
    refuse_blank_end(match mode_text {
        Some("") => text,
        _ => path,
    })?;
    if path.len() > SOCKET_PATH_MAX {
        let message = format!("has a path of {} bytes", path.len());
        let help = format!("the path of a unix socket has at most {SOCKET_PATH_MAX} bytes");
        return Err(Fault::new(message, help).in_part(0..path.len()));
    }
    let (mode, warning) = match mode_text {
        Some(mode_text) => {
            socket_mode(mode_text).map_err(|fault| fault.in_part(path.len() + 1..text.len()))?
        }
        None => (None, None),
    };
    let listen = Listen::Unix {
        path: PathBuf::from(path),
        mode,
        text: text.to_owned(),
    };
    Ok((listen, warning))
}

/// The file mode of a unix socket, parsed as C's `strtol` parses octal, which nutcracker uses: digits up to
/// the first other character. 0 means that no mode is set.
fn socket_mode(text: &str) -> Result<(Option<u32>, Option<String>), Fault> {
    let help = "a mode is an octal number up to 0777, such as 0660";
    let fault = || Fault::new("has an invalid file permission", help);
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let end = unsigned
        .find(|c| !('0'..='7').contains(&c))
        .unwrap_or(unsigned.len());
    let significant = unsigned[..end].trim_start_matches('0');
    if text.starts_with('-') && text.len() > 1 || significant.len() > 3 {
        return Err(fault());
    }
    let mode = significant
        .bytes()
        .fold(0, |mode, digit| mode * 8 + u32::from(digit - b'0'));
    debug_assert!(mode <= MODE_MAX);
    let warning = (end == 0 || end < unsigned.len()).then(|| match mode {
        0 => format!("`{text}` is not a mode and is ignored ({help})"),
        _ => format!("`{text}` is taken for the mode {mode:04o} ({help})"),
    });
    Ok(((mode > 0).then_some(mode), warning))
}

/// Parses `host:port`.
pub(super) fn listen_tcp(text: &str) -> Result<ListenLine, Fault> {
    refuse_scheme(text, LISTEN_HELP)?;
    let bad = || Fault::new("has an invalid \"hostname:port\" format", LISTEN_HELP);
    let (host, port_text) = text.rsplit_once(':').ok_or_else(bad)?;
    let port = port(port_text).ok_or_else(|| {
        Fault::new("has an invalid port", PORT_HELP).in_part(host.len() + 1..text.len())
    })?;
    if host.is_empty() {
        let help = "write `0.0.0.0` for every IPv4 address, or `::`";
        return Err(Fault::new("has no host before the port", help));
    }
    Ok(ListenLine::Tcp {
        host: bare(host).to_owned(),
        port,
        text: text.to_owned(),
    })
}

fn port_text(text: &str) -> &str {
    text.rsplit_once(':').map_or("", |(_, port)| port)
}

/// `host` without the brackets of an IPv6 address. nutcracker treats them as part of the name and then fails
/// to resolve it, so no working file changes its meaning.
fn bare(host: &str) -> &str {
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    inner.filter(|inner| inner.contains(':')).unwrap_or(host)
}

fn port(text: &str) -> Option<u16> {
    let port = digits(text, u64::from(u16::MAX)).ok()?;
    u16::try_from(port).ok().filter(|port| *port > 0)
}

fn bad_server() -> Fault {
    Fault::new("is not a server", SERVER_HELP)
}

/// A server's weight; `start` is where the text begins in the line.
fn weight(text: &str, start: usize) -> Result<u32, Fault> {
    let weight = digits(text, NUMBER_MAX)
        .ok()
        .and_then(|weight| u32::try_from(weight).ok());
    let message = match weight {
        None => "has an invalid weight",
        Some(0) => "has a zero weight",
        Some(weight) => return Ok(weight),
    };
    Err(Fault::new(message, WEIGHT_HELP).in_part(start..start + text.len()))
}

/// A TCP server's address, and its default name: the host, then the port as written unless that is 11211.
fn server_tcp(address: &str) -> Result<(Address, String), Fault> {
    let (host, port_text) = address.rsplit_once(':').ok_or_else(bad_server)?;
    let invalid =
        || Fault::new("has an invalid port", PORT_HELP).in_part(host.len() + 1..address.len());
    let port = port(port_text).ok_or_else(invalid)?;
    if host.is_empty() {
        return Err(bad_server());
    }
    let name = match port {
        UNNAMED_PORT => host,
        _ => address,
    };
    Ok((Address::tcp(bare(host), port), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_nutcrackers() {
        for (line, name, pname, weight, address) in [
            (
                "127.0.0.1:11211:1",
                "127.0.0.1",
                "127.0.0.1:11211:1",
                1,
                "127.0.0.1:11211",
            ),
            (
                "127.0.0.1:011211:1",
                "127.0.0.1",
                "127.0.0.1:011211:1",
                1,
                "127.0.0.1:11211",
            ),
            (
                "cache:6379:10",
                "cache:6379",
                "cache:6379:10",
                10,
                "cache:6379",
            ),
            (
                "cache:06379:1",
                "cache:06379",
                "cache:06379:1",
                1,
                "cache:6379",
            ),
            ("cache:6379:1 one", "one", "cache:6379:1", 1, "cache:6379"),
            (
                "cache:6379:1 a:b:c",
                "a:b:c",
                "cache:6379:1",
                1,
                "cache:6379",
            ),
            ("a:1:2:3", "a:1:2", "a:1:2:3", 3, "[a:1]:2"),
            ("::1:6379:1", "::1:6379", "::1:6379:1", 1, "[::1]:6379"),
            (
                "[::1]:6379:1",
                "[::1]:6379",
                "[::1]:6379:1",
                1,
                "[::1]:6379",
            ),
            (
                "/sock/a.sock:1",
                "/sock/a.sock:",
                "/sock/a.sock:1",
                1,
                "/sock/a.sock",
            ),
            ("/sock/a.sock:5 a", "a", "/sock/a.sock:5", 5, "/sock/a.sock"),
        ] {
            let server = server(line).unwrap_or_else(|fault| panic!("{line}: {fault:?}"));
            let read = (server.name.as_str(), server.pname.as_str(), server.weight);
            assert_eq!(read, (name, pname, weight), "{line}");
            assert_eq!(server.address.to_string(), address, "{line}");
        }
    }

    #[test]
    fn bad_servers_are_refused_with_the_part_to_blame() {
        for (line, message, part) in [
            ("cache", "is not a server", None),
            ("cache:6379", "is not a server", None),
            ("cache:6379 one", "is not a server", None),
            (":6379:1", "is not a server", None),
            ("/a:b:1", "is not a server", None),
            ("/a b:1", "is not a server", None),
            ("cache:6379:x", "has an invalid weight", Some("x")),
            ("cache:6379:", "has an invalid weight", Some("")),
            ("cache:6379:-1", "has an invalid weight", Some("-1")),
            (
                "cache:6379:4294967297",
                "has an invalid weight",
                Some("4294967297"),
            ),
            (
                "cache:6379:1  two",
                "has more than one blank before its name",
                Some("  "),
            ),
            ("cache:6379:1 a b", "has a blank in its name", Some("a b")),
            ("cache:6379:1 a b ", "has an empty name", Some(" ")),
            ("cache:6379:x a b", "has an invalid weight", Some("x a")),
            ("redis://cache:6379:1", "is a URL", Some("redis://")),
            ("REDISS://cache:6379:1", "is a URL", Some("REDISS://")),
            ("redis://cache:6379", "is a URL", Some("redis://")),
            (
                "/run/a.sock :1",
                "has a path that ends with a blank",
                Some(" "),
            ),
            (
                "/run/a.sock  :1 one",
                "has a path that ends with a blank",
                Some("  "),
            ),
            ("cache:0:0", "has a zero weight", Some("0")),
            ("cache:0:1", "has an invalid port", Some("0")),
            ("cache:65536:1", "has an invalid port", Some("65536")),
            ("cache::1", "has an invalid port", Some("")),
            ("cache:6379:1 ", "has an empty name", Some(" ")),
        ] {
            let fault = server(line).expect_err(line);
            assert_eq!(fault.message, message, "{line}");
            assert_eq!(fault.part.map(|part| &line[part]), part, "{line}");
        }
    }

    #[test]
    fn listen_takes_hosts_and_ports() {
        for (text, addr) in [
            ("127.0.0.1:22121", "127.0.0.1:22121"),
            ("0.0.0.0:1", "0.0.0.0:1"),
            ("::1:22121", "[::1]:22121"),
            ("[::1]:22121", "[::1]:22121"),
        ] {
            let expected = Listen::Tcp {
                addr: addr.parse().expect("an address"),
                text: text.into(),
            };
            let (line, warning) = listen(text).expect(text);
            assert_eq!(line.resolve(&resolve_by_system), Ok(expected), "{text}");
            assert_eq!((line.text(), warning), (text, None));
        }
    }

    #[test]
    fn a_host_may_not_resolve() {
        let (line, _) = listen("é[x]:1").expect("a line");
        let nobody = |_: &str, _: u16| Err(io::Error::other("nobody knows"));
        let fault = line.resolve(&nobody).expect_err("no address");
        let message = "has a host that cannot be resolved: nobody knows";
        assert_eq!((fault.message.as_str(), fault.part), (message, Some(0..5)));
    }

    #[test]
    fn listen_takes_paths_and_modes() {
        for (text, path, mode, warned) in [
            ("/run/a.sock", "/run/a.sock", None, false),
            ("/run/a.sock 0660", "/run/a.sock", Some(0o660), false),
            ("/run/a.sock 777", "/run/a.sock", Some(0o777), false),
            ("/run/a.sock 0", "/run/a.sock", None, false),
            ("/run/a.sock 66x", "/run/a.sock", Some(0o66), true),
            ("/run/a.sock rw", "/run/a.sock", None, true),
            ("/run/a b 0600", "/run/a b", Some(0o600), false),
        ] {
            let (listen, warning) =
                listen(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
            let expected = Listen::Unix {
                path: path.into(),
                mode,
                text: text.into(),
            };
            assert_eq!(listen, ListenLine::Unix(expected));
            assert_eq!(warning.is_some(), warned, "{text}");
        }
    }

    #[test]
    fn bad_listen_addresses_are_refused() {
        let long = format!("/{}", "a".repeat(107));
        assert!(listen(&long[..107]).is_ok());
        for (text, message) in [
            ("22121", "invalid \"hostname:port\""),
            ("redis://127.0.0.1:22121", "is a URL"),
            ("/run/a.sock ", "path that ends with a blank"),
            ("/run/a.sock  0660", "path that ends with a blank"),
            (":22121", "no host"),
            ("127.0.0.1:", "invalid port"),
            ("127.0.0.1:0", "invalid port"),
            ("127.0.0.1:65536", "invalid port"),
            ("127.0.0.1:4294989417", "invalid port"),
            ("127.0.0.1:22121 ", "invalid port"),
            ("/run/a.sock 1000", "invalid file permission"),
            ("/run/a.sock -1", "invalid file permission"),
            (
                "/run/a.sock 7777777777777777777777777",
                "invalid file permission",
            ),
            (long.as_str(), "path of 108 bytes"),
        ] {
            let fault = listen(text).expect_err(text);
            assert!(fault.message.contains(message), "{text}: {}", fault.message);
        }
    }
}
