//! What is said on the control socket.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::explanation::hex;

/// Longest request, in bytes: a command with a name or two.
pub(super) const MAX_REQUEST: u64 = 64 << 10;

/// What is asked of the running proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Request {
    /// What is in force, and how it is.
    Status,
    /// The statistics document.
    Stats,
    /// The clients that hold most memory.
    Clients {
        /// Of this pool only.
        #[serde(default)]
        pool: Option<String>,
        /// At most so many.
        #[serde(default)]
        count: Option<usize>,
        /// Those that say the same of themselves together.
        #[serde(default)]
        by_name: bool,
    },
    /// Close the clients with this address.
    KillClient {
        /// As it is listed.
        address: String,
    },
    /// The latest slow requests.
    Slowlog {
        /// At most so many.
        #[serde(default)]
        count: Option<usize>,
    },
    /// The keys that count most.
    HotKeys {
        /// Of this pool only.
        #[serde(default)]
        pool: Option<String>,
        /// At most so many of each kind.
        #[serde(default)]
        count: Option<usize>,
    },
    /// The pools and servers with their states and all that is counted, for `nuthatch top`.
    Servers,
    /// Tell where a key goes, and why.
    Explain(KeyName),
    /// Put the configuration files in force.
    Reload {
        /// Only tell what would change.
        #[serde(default)]
        dry_run: bool,
    },
    /// Put the servers in force that were found and held back.
    AcceptServers {
        /// Of this pool; only needed if there are several.
        #[serde(default)]
        pool: Option<String>,
    },
    /// Start the program again, and have it serve in place of this process.
    Upgrade,
    /// Take a server out of use until it is undrained.
    Drain(ServerName),
    /// The opposite.
    Undrain(ServerName),
    /// Eject a server as if it had failed.
    Eject(ServerName),
    /// Use an ejected server again at once.
    Admit(ServerName),
    /// Tell the level of the log, and change it first if one is given.
    LogLevel {
        /// 0 to 11.
        #[serde(default)]
        level: Option<u8>,
    },
    /// End, as SIGTERM does.
    Shutdown {
        /// Drain first, whatever the configuration says.
        #[serde(default)]
        drain: bool,
    },
}

/// Which server is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServerName {
    /// The pool; not needed if only one has a server of that name.
    #[serde(default)]
    pub(crate) pool: Option<String>,
    /// The server's name in the statistics.
    pub(crate) server: String,
    /// Do it even if it leaves the pool without a server in use.
    #[serde(default)]
    pub(crate) force: bool,
}

/// Which key is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyName {
    /// The pool; all pools when absent.
    #[serde(default)]
    pub(crate) pool: Option<String>,
    /// The key, if it is text.
    #[serde(default)]
    key: Option<String>,
    /// Otherwise its bytes, in hexadecimal digits.
    #[serde(default)]
    key_hex: Option<String>,
}

impl KeyName {
    /// A key of any bytes.
    pub(crate) fn new(pool: Option<String>, key: &[u8]) -> Self {
        let (key, key_hex) = match std::str::from_utf8(key) {
            Ok(text) => (Some(text.to_owned()), None),
            Err(_) => (None, Some(hex(key))),
        };
        Self { pool, key, key_hex }
    }

    /// Its bytes.
    ///
    /// # Errors
    ///
    /// When there is not exactly one way to read them.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, String> {
        match (&self.key, &self.key_hex) {
            (Some(text), None) => Ok(text.as_bytes().to_vec()),
            (None, Some(digits)) => {
                unhex(digits).ok_or_else(|| format!("`key_hex` is not hexadecimal: {digits}"))
            }
            _ => Err("the request has either `key` or `key_hex`".into()),
        }
    }
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let digit = |digit: u8| char::from(digit).to_digit(16).map(|it| it as u8);
    let byte = |pair: &[u8; 2]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

/// What the proxy answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// Whether it was done.
    pub(crate) ok: bool,
    /// For people; lines.
    pub(crate) text: String,
    /// The same for programs.
    #[serde(default)]
    pub(crate) data: Value,
}

impl Answer {
    /// It was done.
    pub(super) fn done(text: impl Into<String>, data: impl Serialize) -> Self {
        Self {
            ok: true,
            text: text.into(),
            data: serde_json::to_value(data).unwrap_or_default(),
        }
    }

    /// It was not done, for this reason.
    pub(super) fn refused(text: impl Into<String>) -> Self {
        let text = text.into();
        let data = serde_json::json!({ "error": text });
        Self {
            ok: false,
            text,
            data,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_of_any_bytes() {
        for key in [
            &b""[..],
            b"user:1",
            "\u{e9}\0".as_bytes(),
            b"\0\xff\x80",
            b"\xfe",
        ] {
            let request = Request::Explain(KeyName::new(None, key));
            let written = serde_json::to_string(&request).unwrap();
            let Ok(Request::Explain(name)) = serde_json::from_str(&written) else {
                panic!("{written}");
            };
            assert_eq!(name.bytes().unwrap(), key, "{written}");
        }
        for bad in [
            r#"{}"#,
            r#"{"key":"a","key_hex":"61"}"#,
            r#"{"key_hex":"6"}"#,
            r#"{"key_hex":"6g"}"#,
            r#"{"key_hex":"+1"}"#,
        ] {
            let name: KeyName = serde_json::from_str(bad).unwrap();
            assert!(name.bytes().is_err(), "{bad}");
        }
    }

    #[test]
    fn requests_read_as_they_are_written() {
        let name = ServerName {
            pool: Some("a".into()),
            server: "s".into(),
            force: false,
        };
        let all = [
            (Request::Status, r#"{"command":"status"}"#),
            (
                Request::Reload { dry_run: false },
                r#"{"command":"reload"}"#,
            ),
            (
                Request::Drain(name),
                r#"{"command":"drain","server":"s","pool":"a"}"#,
            ),
            (
                Request::LogLevel { level: Some(7) },
                r#"{"command":"log-level","level":7}"#,
            ),
        ];
        for (request, text) in all {
            assert_eq!(serde_json::from_str::<Request>(text).unwrap(), request);
            let written = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<Request>(&written).unwrap(), request);
        }
        let unknown = serde_json::from_str::<Request>(r#"{"command":"explode"}"#).unwrap_err();
        assert!(unknown.to_string().contains("`explode`"), "{unknown}");
    }
}
