//! Certificates and keys as they are written in files: PEM (RFC 7468).

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::fault::{Fault, Which};

const CHAIN_HELP: &str = "expected PEM: `-----BEGIN CERTIFICATE-----`, first the certificate and then those that signed it";
const KEY_HELP: &str =
    "expected a key that is not encrypted, in PEM: `-----BEGIN PRIVATE KEY-----`";
const ROOTS_HELP: &str = "expected PEM: one or more `-----BEGIN CERTIFICATE-----`";

/// The certificates in a file, at least one.
pub(super) fn chain(file: &[u8]) -> Result<Vec<CertificateDer<'static>>, Fault> {
    certificates(file).map_err(|text| Fault::new(Which::Certificate, text, CHAIN_HELP))
}

/// The key in a file.
pub(super) fn key(file: &[u8]) -> Result<PrivateKeyDer<'static>, Fault> {
    PrivateKeyDer::from_pem_slice(file).map_err(|error| {
        let is_encrypted = file
            .windows(ENCRYPTED.len())
            .any(|part| part == ENCRYPTED.as_bytes());
        let text = match error {
            pem::Error::NoItemsFound if is_encrypted => "holds a key that is encrypted".into(),
            pem::Error::NoItemsFound => "holds no key".into(),
            error => format!("is not PEM: {error}"),
        };
        Fault::new(Which::Key, text, KEY_HELP)
    })
}

/// What a key says of itself that needs a password.
const ENCRYPTED: &str = "ENCRYPTED";

/// The roots in a file, at least one.
pub(super) fn roots(file: &[u8]) -> Result<RootCertStore, Fault> {
    let fault = |text| Fault::new(Which::Roots, text, ROOTS_HELP);
    let mut store = RootCertStore::empty();
    for certificate in certificates(file).map_err(fault)? {
        let added = store.add(certificate);
        added
            .map_err(|error| fault(format!("holds a certificate that cannot be used: {error}")))?;
    }
    Ok(store)
}

fn certificates(file: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(file).collect();
    match found {
        Ok(found) if found.is_empty() => Err("holds no certificate".into()),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("is not PEM: {error}")),
    }
}

/// What rustls says of a certificate and its key.
pub(super) fn mismatch(error: &rustls::Error) -> Fault {
    match error {
        rustls::Error::InconsistentKeys(_) => Fault::new(
            Which::Key,
            "holds the key of another certificate",
            "certificate and key must belong together",
        ),
        rustls::Error::InvalidCertificate(_) => {
            Fault::new(Which::Certificate, format!("{error}"), CHAIN_HELP)
        }
        _ => Fault::new(Which::Key, format!("cannot be used: {error}"), KEY_HELP),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_file_is_told() {
        let said = |fault: Fault| fault.text;
        assert_eq!(said(chain(b"").unwrap_err()), "holds no certificate");
        assert_eq!(said(key(b"x").unwrap_err()), "holds no key");
        let encrypted =
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert_eq!(
            said(key(encrypted).unwrap_err()),
            "holds a key that is encrypted"
        );
        let broken = b"-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n";
        assert!(said(chain(broken).unwrap_err()).starts_with("is not PEM"));
        let empty = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let text = said(roots(empty).unwrap_err());
        assert!(
            text.starts_with("holds a certificate that cannot be used"),
            "{text}"
        );
    }
}
