//! TLS of a pool: reads the files that its settings name, and checks them.

use std::path::PathBuf;
use std::sync::Arc;

use proxy::Security;
use proxy::settings::Address;
use rustls::pki_types::ServerName;

use super::address::Listen;
use super::choice::Choice;
use super::fault::{Fault, faulty};
use super::file::ReadPool;
use super::kind::{Parts, Value};
use super::report::{Findings, Problem};
use super::system::System;
use super::table::tls::{SERVER_TLS, TLS};
use super::values::Given;
use crate::tls::{
    self, Acceptance, AcceptanceSource, MinVersion, Protection, ProtectionSource, Verify, Which,
};

/// What of a pool concerns TLS.
#[derive(Debug, Clone, Default)]
pub(super) struct PoolTls {
    /// How the connections of clients are secured, if they are.
    pub(super) acceptance: Option<Acceptance>,
    /// The address of these clients, if it is not the pool's own.
    pub(super) listen: Option<Listen>,
    /// How the connections to servers are secured, if they are.
    pub(super) security: Option<Security>,
}

/// Reads and checks it; what is wrong is reported.
pub(super) fn check_tls(pool: &ReadPool, system: System<'_>, findings: &mut Findings) -> PoolTls {
    let mut found = PoolTls::default();
    if let (Some(parts), Some(given)) = (pool.values.value(&TLS), pool.values.given(&TLS)) {
        let mut reader = Reader::new(given, &parts, system, findings);
        found.acceptance = reader.acceptance();
        found.listen = reader.listen();
    }
    let given = pool.values.given(&SERVER_TLS);
    if let (Some(parts), Some(given)) = (pool.values.value(&SERVER_TLS), given) {
        let mut reader = Reader::new(given, &parts, system, findings);
        found.security = reader.security(pool);
    }
    found
}

/// Reads what one setting says.
struct Reader<'r> {
    given: &'r Given,
    parts: &'r Parts,
    system: System<'r>,
    findings: &'r mut Findings,
}

impl<'r> Reader<'r> {
    fn new(
        given: &'r Given,
        parts: &'r Parts,
        system: System<'r>,
        findings: &'r mut Findings,
    ) -> Self {
        Self {
            given,
            parts,
            system,
            findings,
        }
    }

    fn acceptance(&mut self) -> Option<Acceptance> {
        let source = AcceptanceSource {
            cert: self.path("cert")?,
            key: self.path("key")?,
            client_ca: self.path("client_ca"),
            min_version: self.min_version(),
        };
        let made = Acceptance::new(source, self.system.read);
        made.map_err(|fault| self.report(&fault, "client_ca")).ok()
    }

    fn listen(&mut self) -> Option<Listen> {
        let (Value::Listen(line), position) = self.parts.get("listen")? else {
            return None;
        };
        let resolved = line.resolve(self.system.resolve);
        resolved
            .map_err(|fault| {
                let subject = self.subject("listen");
                let problem = faulty(&subject, line.text(), position, fault);
                self.findings.problems.push(problem);
            })
            .ok()
    }

    fn security(&mut self, pool: &ReadPool) -> Option<Security> {
        let server_name = self.server_name(pool)?;
        let is_insecure = matches!(self.parts.get("insecure"), Some((Value::Bool(true), _)));
        if let Some((_, position)) = self.parts.get("insecure").filter(|_| is_insecure) {
            let text = format!(
                "pool `{}`: the certificates of the servers are not verified; anybody between may read and change everything",
                pool.name
            );
            self.findings.warn(position, text);
        }
        let source = ProtectionSource {
            ca: self.path("ca"),
            own: self.own()?,
            server_name,
            min_version: self.min_version(),
            verify: match is_insecure {
                true => Verify::Nothing,
                false => Verify::Full,
            },
        };
        let made = Protection::new(source, self.system.read);
        let made = made.map_err(|fault| self.report(&fault, "ca")).ok()?;
        Some(Security::new(Arc::new(made)))
    }

    /// Our own certificate and key: both or none.
    fn own(&mut self) -> Option<Option<(PathBuf, PathBuf)>> {
        match (self.path("cert"), self.path("key")) {
            (None, None) => Some(None),
            (Some(cert), Some(key)) => Some(Some((cert, key))),
            _ => {
                let (_, position) = self.parts.get("cert").or(self.parts.get("key"))?;
                let message = "`cert` and `key` of `server_tls` need each other".to_owned();
                let problem = Problem::at(position, message).help("give both, or none");
                self.findings.problems.push(problem);
                None
            }
        }
    }

    /// The name that is to be in the servers' certificates, if it is not that of their addresses. `None` if there is something
    /// wrong.
    fn server_name(&mut self, pool: &ReadPool) -> Option<Option<ServerName<'static>>> {
        if let Some((text, (_, position))) = self
            .parts
            .text("server_name")
            .zip(self.parts.get("server_name"))
        {
            return match ServerName::try_from(text.to_owned()) {
                Ok(name) => Some(Some(name)),
                Err(_) => {
                    let help = "expected the name of a host, or an IP address";
                    let fault = Fault::new("is no name of a host", help);
                    let problem = faulty(&self.subject("server_name"), text, position, fault);
                    self.findings.problems.push(problem);
                    None
                }
            };
        }
        let servers = pool.server_lines().unwrap_or_default();
        let nameless = servers.iter().find(|(server, _)| match &server.address {
            Address::Tcp { host, .. } => ServerName::try_from(&**host).is_err(),
            Address::Unix(_) => true,
            // It is verified when it is known.
            Address::Unknown => false,
        });
        let Some((_, position)) = nameless else {
            return Some(None);
        };
        let message = "no certificate can be for the address of this server";
        let help =
            "give the name in its certificate: `server_tls: {server_name: cache.example.com}`";
        let problem = Problem::at(position, message.to_owned()).help(help);
        self.findings.problems.push(problem);
        None
    }

    fn min_version(&self) -> MinVersion {
        match self.parts.get("min_version") {
            Some((Value::Choice(index), _)) => MinVersion::ALL[*index],
            _ => MinVersion::default(),
        }
    }

    fn path(&self, part: &str) -> Option<PathBuf> {
        self.parts.text(part).map(PathBuf::from)
    }

    /// Reports what is wrong with a file; `roots` is the part that names the roots.
    fn report(&mut self, fault: &tls::Fault, roots: &str) {
        let part = match fault.which {
            Which::Certificate => "cert",
            Which::Key => "key",
            Which::Roots => roots,
        };
        let mut message = format!("{}: the file ", self.subject(part));
        if let Some(path) = self.parts.text(part) {
            message += &format!("`{path}` ");
        }
        message += &fault.text;
        let position = self.parts.get(part);
        let position = position.map_or(&self.given.key, |(_, position)| position);
        let problem = Problem::at(position, message).help(fault.help);
        self.findings.problems.push(problem);
    }

    fn subject(&self, part: &str) -> String {
        format!("`{part}` of `{}`", self.given.setting.name)
    }
}
