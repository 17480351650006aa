//! CLIENT TRACKING: a client that keeps a cache of its own asks to be told when what it has read changes. Nobody is
//! told anything here; but some libraries ask when they connect for tracking that begins later (OPTIN), with CLIENT
//! CACHING YES, and are of no use without. That is granted, for nothing is tracked until then; CLIENT CACHING YES
//! is refused.

use redis_proto::{Version, encode};

use super::request::Request;

/// Whether a client has asked for tracking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Tracking {
    #[default]
    Off,
    /// It may ask request by request, and is refused each time.
    OptIn { noloop: bool },
}

impl Tracking {
    pub(super) fn is_on(self) -> bool {
        self != Self::Off
    }

    /// CLIENT TRACKING.
    pub(super) fn set(&mut self, request: &Request<'_>, out: &mut Vec<u8>) {
        let options = || (3..request.args.len()).map(|index| request.arg(index));
        let has = |word: &[u8]| options().any(|option| option.eq_ignore_ascii_case(word));
        let is_known = |option: &[u8]| {
            let known: [&[u8]; 2] = [b"optin", b"noloop"];
            known.iter().any(|word| option.eq_ignore_ascii_case(word))
        };
        let switch = request.arg(2).to_ascii_lowercase();
        match switch.as_slice() {
            b"off" => *self = Self::Off,
            b"on" if has(b"optin") && options().all(is_known) => {
                *self = Self::OptIn {
                    noloop: has(b"noloop"),
                };
            }
            b"on" => return encode::error(out, REFUSED),
            _ => return encode::error(out, "ERR syntax error"),
        }
        encode::simple(out, "OK");
    }

    /// CLIENT CACHING.
    pub(super) fn cache(self, request: &Request<'_>, out: &mut Vec<u8>) {
        let switch = request.arg(2).to_ascii_lowercase();
        let error = match (self, switch.as_slice()) {
            (Self::Off, _) => {
                "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled"
            }
            (Self::OptIn { .. }, b"yes") => {
                "ERR unsupported command 'client caching': the proxy tells no client when a key changes"
            }
            (Self::OptIn { .. }, b"no") => {
                "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."
            }
            _ => "ERR syntax error",
        };
        encode::error(out, error);
    }

    /// CLIENT TRACKINGINFO.
    pub(super) fn describe(self, version: Version, out: &mut Vec<u8>) {
        let flags: &[&str] = match self {
            Self::Off => &["off"],
            Self::OptIn { noloop: false } => &["on", "optin"],
            Self::OptIn { noloop: true } => &["on", "optin", "noloop"],
        };
        encode::map_header(out, 3, version);
        encode::bulk(out, b"flags");
        encode::set_header(out, flags.len(), version);
        for flag in flags {
            encode::bulk(out, flag.as_bytes());
        }
        encode::bulk(out, b"redirect");
        encode::integer(out, self.redirection());
        encode::bulk(out, b"prefixes");
        encode::array_header(out, 0);
    }

    /// The client that is told instead, as Redis has it: -1 without tracking, 0 for the client itself.
    pub(super) fn redirection(self) -> i64 {
        if self.is_on() { 0 } else { -1 }
    }
}

const REFUSED: &str = "ERR unsupported command 'client tracking on': the proxy tells no client when a key changes; \
    OPTIN is granted, as it tracks nothing until CLIENT CACHING YES, which is refused";
