//! The versions of TLS.

use std::sync::Arc;

use rustls::SupportedProtocolVersion;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::version::{TLS12, TLS13};

static SINCE_12: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

/// The lowest version that is spoken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) enum MinVersion {
    /// 1.2 and 1.3.
    #[default]
    Tls12,
    /// 1.3 only.
    Tls13,
}

impl MinVersion {
    /// This version and those above it.
    pub(super) fn and_above(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            MinVersion::Tls12 => &SINCE_12,
            MinVersion::Tls13 => &SINCE_12[..1],
        }
    }
}

/// What encrypts and signs.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
