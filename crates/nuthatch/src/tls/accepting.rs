//! How the connections of clients are secured.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::WebPkiClientVerifier;
use rustls::{ServerConfig, ServerConnection};

use super::fault::{Fault, Which};
use super::files::{ReadFile, Reading};
use super::pem::{chain, key, mismatch, roots};
use super::session::{Peer, Session};
use super::versions::{MinVersion, provider};

/// What [`Acceptance`] is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AcceptanceSource {
    /// The file with the certificate, and those that lead to its root.
    pub(crate) cert: PathBuf,
    /// The file with its key.
    pub(crate) key: PathBuf,
    /// The file with the roots of the certificates that clients must have, if they must have one.
    pub(crate) client_ca: Option<PathBuf>,
    /// The lowest version.
    pub(crate) min_version: MinVersion,
}

/// How the connections of clients are secured. Sessions are resumed by tickets, which every worker can read.
#[derive(Debug, Clone)]
pub(crate) struct Acceptance {
    source: AcceptanceSource,
    /// The same for files with the same content.
    fingerprint: u64,
    config: Arc<ServerConfig>,
}

impl Acceptance {
    /// By the files of `source`.
    ///
    /// # Errors
    ///
    /// When one of them cannot be read, or is not what it should be.
    pub(crate) fn new(source: AcceptanceSource, read: ReadFile<'_>) -> Result<Self, Fault> {
        let mut files = Reading::new(read);
        let provider = provider();
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(source.min_version.and_above())
            .map_err(|error| mismatch(&error))?;
        let builder = match &source.client_ca {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let roots = Arc::new(roots(&files.file(Which::Roots, file)?)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                let verifier = verifier.build().map_err(|error| {
                    let text = format!("cannot be used: {error}");
                    Fault::new(Which::Roots, text, "expected certificates in PEM")
                })?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let chain = chain(&files.file(Which::Certificate, &source.cert)?)?;
        let key = key(&files.file(Which::Key, &source.key)?)?;
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| mismatch(&error))?;
        config.ticketer = Ticketer::new().map_err(|error| mismatch(&error))?;
        Ok(Self {
            source,
            fingerprint: files.fingerprint(),
            config: Arc::new(config),
        })
    }

    /// The same by its files as they are now.
    ///
    /// # Errors
    ///
    /// As with [`Acceptance::new`].
    pub(crate) fn renewed(&self, read: ReadFile<'_>) -> Result<Self, Fault> {
        Self::new(self.source.clone(), read)
    }

    /// Its files.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let AcceptanceSource {
            cert,
            key,
            client_ca,
            ..
        } = &self.source;
        [Some(cert), Some(key), client_ca.as_ref()]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
    }

    /// Whether it comes from the same setting, and the files are the same. Then the one that is there stays, so that sessions can be resumed.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.source == other.source && self.fingerprint == other.fingerprint
    }

    /// The connection of a client that has been accepted. One that does not speak TLS is sent `refusal`.
    ///
    /// # Errors
    ///
    /// When there is no memory or randomness for it.
    pub(crate) fn accept(&self, refusal: &'static [u8]) -> io::Result<Session> {
        let connection = ServerConnection::new(Arc::clone(&self.config));
        let connection = connection.map_err(io::Error::other)?;
        Ok(Session::new(connection, Peer::Client(refusal)))
    }
}
