//! Who may see the admin pages.
//!
//! A browser that somebody uses may reach the admin port though the web page that it shows may not. Such a page can
//! give its own name the address of the admin port (DNS rebinding) and then read it as its own. The `Host` of the request
//! still is the page's name, which is why it has to be one that belongs here.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Request, Version};
use subtle::ConstantTimeEq;

use crate::config::{HostPort, NamedHost};

/// The user under whose name a browser sends the token.
const USER: &str = "admin";

/// Decides on requests.
#[derive(Debug)]
pub(super) struct Guard {
    port: u16,
    hosts: Vec<NamedHost>,
    token: Option<Token>,
}

/// What has to be known to see most pages. It is not shown by `Debug`.
pub(super) struct Token {
    plain: Box<[u8]>,
    basic: Box<[u8]>,
}

impl Guard {
    /// For pages at `address`, which was configured as `admin`, and has further names.
    pub(super) fn new(
        admin: Option<&HostPort>,
        address: SocketAddr,
        further: &[NamedHost],
        token: Option<Token>,
    ) -> Self {
        let port = address.port();
        let own = [
            "localhost".to_owned(),
            address.ip().to_string(),
            admin.map_or_else(String::new, |admin| admin.host.to_ascii_lowercase()),
        ];
        let own = own.into_iter().map(|name| NamedHost {
            name,
            port: Some(port),
        });
        Self {
            port,
            hosts: own.chain(further.iter().cloned()).collect(),
            token,
        }
    }

    /// Whether a request came to one of our names. `local` is the address that its connection was made to.
    ///
    /// A request of HTTP/1.0 may have no `Host`: health checks send such ones, and browsers never do.
    pub(super) fn is_for_us<B>(&self, request: &Request<B>, local: SocketAddr) -> bool {
        let mut named = request.headers().get_all(HOST).iter();
        let host = match (named.next(), named.next()) {
            (None, _) => request.version() == Version::HTTP_10,
            (Some(host), None) => host.to_str().is_ok_and(|host| self.is_ours(host, local)),
            (Some(_), Some(_)) => false,
        };
        // An absolute address in the request line has a host as well.
        let authority = request.uri().authority();
        host && authority.is_none_or(|authority| self.is_ours(authority.as_str(), local))
    }

    fn is_ours(&self, host: &str, local: SocketAddr) -> bool {
        let Some(host) = NamedHost::parse(host) else {
            return false;
        };
        // Without a port it is that of the scheme.
        let port = host.port.unwrap_or(80);
        let is_named = |known: &NamedHost| {
            known.name == host.name && known.port.is_none_or(|known| known == port)
        };
        self.hosts.iter().any(is_named) || port == self.port && self.is_own_address(&host, local)
    }

    /// Whether `host` is an address of this machine that cannot be meant otherwise.
    fn is_own_address(&self, host: &NamedHost, local: SocketAddr) -> bool {
        let address: Option<IpAddr> = host.name.parse().ok();
        address.is_some_and(|it| it.is_loopback() || it == local.ip().to_canonical())
    }

    /// Whether a request has the token, if there is one.
    pub(super) fn has_token<B>(&self, request: &Request<B>) -> bool {
        let Some(token) = &self.token else {
            return true;
        };
        let mut given = request.headers().get_all(AUTHORIZATION).iter();
        given.next().is_some_and(|given| token.is(given.as_bytes()))
    }
}

impl Token {
    /// One that is `text`.
    pub(super) fn new(text: &str) -> Self {
        Self {
            plain: text.as_bytes().into(),
            basic: base64(format!("{USER}:{text}").as_bytes())
                .into_bytes()
                .into(),
        }
    }

    /// Whether it is what `Authorization` says: `Bearer TOKEN`, or `Basic` with the user `admin`. How long that takes
    /// tells at most the length of the token.
    fn is(&self, authorization: &[u8]) -> bool {
        let mut parts = authorization.splitn(2, |byte| *byte == b' ');
        let (scheme, given) = (parts.next().unwrap_or_default(), parts.next());
        let known = match scheme.to_ascii_lowercase().as_slice() {
            b"bearer" => &self.plain,
            b"basic" => &self.basic,
            _ => return false,
        };
        given.is_some_and(|given| known.ct_eq(given.trim_ascii()).into())
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

/// Base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at)) as usize & 63];
            let is_padding = at > group.len() as u32;
            text.push(if is_padding { '=' } else { char::from(letter) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(further: &str, token: Option<&str>) -> Guard {
        let address: SocketAddr = "127.0.0.1:22290".parse().unwrap();
        let admin = HostPort {
            host: "Proxy.Example".into(),
            port: 22290,
            text: "Proxy.Example:22290".into(),
        };
        let further: Vec<_> = further.split(' ').filter_map(NamedHost::parse).collect();
        Guard::new(Some(&admin), address, &further, token.map(Token::new))
    }

    fn is_for_us(guard: &Guard, host: &[&str], uri: &str, version: Version) -> bool {
        let mut request = Request::builder().uri(uri).version(version);
        for host in host {
            request = request.header(HOST, *host);
        }
        let local = "10.1.2.3:22290".parse().unwrap();
        guard.is_for_us(&request.body(()).unwrap(), local)
    }

    #[test]
    fn only_our_own_names_are_answered() {
        let guard = guard("admin.example cache.example:8443", None);
        let one = |host: &str| is_for_us(&guard, &[host], "/", Version::HTTP_11);
        for host in [
            "127.0.0.1:22290",
            "127.0.0.2:22290",
            "localhost:22290",
            "LOCALHOST:22290",
            "[::1]:22290",
            "proxy.example:22290",
            "10.1.2.3:22290",
            "admin.example",
            "admin.example:1234",
            "cache.example:8443",
        ] {
            assert!(one(host), "{host}");
        }
        for host in [
            "evil.example:22290",
            "127.0.0.1",
            "127.0.0.1:80",
            "localhost",
            "10.1.2.4:22290",
            "cache.example",
            "cache.example:8444",
            "127.0.0.1.evil.example:22290",
            "localhost:22290.evil.example",
            "evil@localhost:22290",
            "",
        ] {
            assert!(!one(host), "{host}");
        }
    }

    #[test]
    fn a_host_is_missing_in_http_1_0_only_and_never_doubled() {
        let guard = guard("", None);
        let good = "localhost:22290";
        assert!(is_for_us(&guard, &[], "/", Version::HTTP_10));
        assert!(!is_for_us(&guard, &[], "/", Version::HTTP_11));
        assert!(!is_for_us(&guard, &[good, good], "/", Version::HTTP_11));
        let evil = "http://evil.example/";
        assert!(!is_for_us(&guard, &[good], evil, Version::HTTP_11));
        let ours = "http://localhost:22290/";
        assert!(is_for_us(&guard, &[good], ours, Version::HTTP_11));
    }

    #[test]
    fn the_token_is_given_in_two_ways() {
        let guard = guard("", Some("a:b c"));
        let has = |value: &str| {
            let request = Request::builder().header(AUTHORIZATION, value).body(());
            guard.has_token(&request.unwrap())
        };
        let basic = format!("Basic {}", base64(b"admin:a:b c"));
        for right in ["Bearer a:b c", "bearer a:b c", &basic] {
            assert!(has(right), "{right}");
        }
        let other_user = format!("Basic {}", base64(b"root:a:b c"));
        for wrong in [
            "Bearer",
            "Bearer ",
            "Bearer a:b cd",
            "a:b c",
            "Basic a:b c",
            &other_user,
        ] {
            assert!(!has(wrong), "{wrong}");
        }
        assert!(!guard.has_token(&Request::new(())));
        assert!(!format!("{guard:?}").contains("a:b"));
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
