//! How the connections to servers are secured.

use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use super::fault::{Fault, Which};
use super::files::{ReadFile, Reading};
use super::pem::{chain, key, mismatch, roots};
use super::session::{Peer, Session};
use super::versions::{MinVersion, provider};

/// What of a server's certificate is verified.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Verify {
    /// That it leads to a root, and is for the server's name.
    #[default]
    Full,
    /// Nothing.
    Nothing,
}

/// What [`Protection`] is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProtectionSource {
    /// The file with the roots of the servers' certificates; without it those of the system.
    pub(crate) ca: Option<PathBuf>,
    /// The files with our own certificate and its key, for servers that ask for one.
    pub(crate) own: Option<(PathBuf, PathBuf)>,
    /// The name in the servers' certificates, if it is not that of their addresses.
    pub(crate) server_name: Option<ServerName<'static>>,
    /// The lowest version.
    pub(crate) min_version: MinVersion,
    /// What is verified.
    pub(crate) verify: Verify,
}

/// How the connections to the servers of a pool are secured. The files may be replaced while it is in use.
#[derive(Debug)]
pub(crate) struct Protection {
    source: ProtectionSource,
    made: ArcSwap<Made>,
}

/// What was made of the files.
#[derive(Debug)]
struct Made {
    /// The same for files with the same content.
    fingerprint: u64,
    config: Arc<ClientConfig>,
}

/// How one connection to a server is secured.
#[derive(Debug, Clone)]
pub(crate) struct Secured {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Protection {
    /// By the files of `source`.
    ///
    /// # Errors
    ///
    /// When one of them cannot be read, or is not what it should be.
    pub(crate) fn new(source: ProtectionSource, read: ReadFile<'_>) -> Result<Self, Fault> {
        let made = ArcSwap::from_pointee(make(&source, read)?);
        Ok(Self { source, made })
    }

    /// What a [`proxy::Security`] holds.
    pub(crate) fn of(any: &(dyn Any + Send + Sync)) -> Option<&Self> {
        any.downcast_ref()
    }

    /// Its files.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let ProtectionSource { ca, own, .. } = &self.source;
        let (cert, key) = own.as_ref().map(|(cert, key)| (cert, key)).unzip();
        [ca.as_ref(), cert, key]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
    }

    /// Whether it comes from the same setting, whose files may have changed.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.source == other.source
    }

    /// Further connections are made with the files as `newer` has read them.
    pub(crate) fn follow(&self, newer: &Self) {
        self.put(newer.made.load_full());
    }

    /// Further connections are made with the files as they are now; returns whether they are different.
    ///
    /// # Errors
    ///
    /// As with [`Protection::new`]; nothing changes then.
    pub(crate) fn renew(&self, read: ReadFile<'_>) -> Result<bool, Fault> {
        let made = make(&self.source, read)?;
        Ok(self.put(Arc::new(made)))
    }

    /// What is the same stays, so that sessions can be resumed.
    fn put(&self, made: Arc<Made>) -> bool {
        let is_different = made.fingerprint != self.made.load().fingerprint;
        if is_different {
            self.made.store(made);
        }
        is_different
    }

    /// A connection to a server whose address has this host; `None` if its certificate cannot be for that.
    pub(crate) fn to(&self, host: Option<&str>) -> Option<Secured> {
        let name = match &self.source.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host?.to_owned()).ok()?,
        };
        Some(Secured {
            config: Arc::clone(&self.made.load().config),
            name,
        })
    }
}

impl Secured {
    /// The connection, which begins with a handshake.
    ///
    /// # Errors
    ///
    /// When there is no memory or randomness for it.
    pub(crate) fn begin(&self) -> io::Result<Session> {
        Ok(Session::new(self.connection()?, Peer::Server))
    }

    /// The same for a thread that waits for what the server says.
    ///
    /// # Errors
    ///
    /// As with [`Secured::begin`].
    pub(crate) fn connection(&self) -> io::Result<ClientConnection> {
        let connection = ClientConnection::new(Arc::clone(&self.config), self.name.clone());
        connection.map_err(io::Error::other)
    }
}

fn make(source: &ProtectionSource, read: ReadFile<'_>) -> Result<Made, Fault> {
    let mut files = Reading::new(read);
    let config = Arc::new(config(source, &mut files)?);
    let fingerprint = files.fingerprint();
    Ok(Made {
        fingerprint,
        config,
    })
}

fn config(source: &ProtectionSource, files: &mut Reading<'_>) -> Result<ClientConfig, Fault> {
    let provider = provider();
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(source.min_version.and_above())
        .map_err(|error| mismatch(&error))?;
    let verifier: Arc<dyn ServerCertVerifier> = match source.verify {
        Verify::Nothing => Arc::new(Unverified(provider)),
        Verify::Full => {
            let roots = match &source.ca {
                Some(file) => roots(&files.file(Which::Roots, file)?)?,
                None => system_roots()?,
            };
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
            verifier.build().map_err(|error| {
                let text = format!("cannot be used: {error}");
                Fault::new(Which::Roots, text, "expected certificates in PEM")
            })?
        }
    };
    // The verifier above is webpki's, unless nothing is to be verified.
    let builder = builder
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let Some((cert, own_key)) = &source.own else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = chain(&files.file(Which::Certificate, cert)?)?;
    let key = key(&files.file(Which::Key, own_key)?)?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|error| mismatch(&error))
}

/// The roots that the system trusts.
fn system_roots() -> Result<RootCertStore, Fault> {
    let mut store = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    store.add_parsable_certificates(found.certs);
    match store.is_empty() {
        false => Ok(store),
        true => Err(Fault::new(
            Which::Roots,
            "is missing, and the system has no certificates of its own",
            "install them (Debian: ca-certificates), or name the file with those that signed the servers' certificates: `ca`",
        )),
    }
}

/// Takes every certificate; what the server signs with it is checked.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.0.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
