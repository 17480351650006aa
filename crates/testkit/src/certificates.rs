//! Certificates and keys in files, signed by an authority of the test's own.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// An authority, and the directory with the files of what it has signed. The files go when it is dropped.
#[derive(Debug)]
pub struct Authority {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// The files of a certificate.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Authority {
    /// A new one.
    ///
    /// # Panics
    ///
    /// When its file cannot be written.
    pub fn new() -> Authority {
        let dir = TempDir::with_prefix("testkit-").expect("a temporary directory");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // No two are called alike.
        let name = dir.path().display().to_string();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        fs::write(dir.path().join("ca.pem"), certificate.pem()).expect("a file");
        let issuer = Issuer::new(params, key);
        Authority { dir, issuer }
    }

    /// The directory with the files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The file with its own certificate.
    pub fn file(&self) -> PathBuf {
        self.dir().join("ca.pem")
    }

    /// A certificate for hosts, names or addresses, in files that begin with `name`.
    ///
    /// # Panics
    ///
    /// When a host is no host, or a file cannot be written.
    pub fn sign(&self, name: &str, hosts: &[&str]) -> Certificate {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(hosts).expect("names of hosts");
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let file = |end: &str| self.dir().join(format!("{name}.{end}"));
        let files = Certificate {
            cert: file("pem"),
            key: file("key"),
        };
        fs::write(&files.cert, certificate.pem()).expect("a file");
        fs::write(&files.key, key.serialize_pem()).expect("a file");
        files
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
