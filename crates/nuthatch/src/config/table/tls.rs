//! Settings of a pool that concern what is below the protocol: TLS, and headers of load balancers.

use super::super::choice::{Choice, choices};
use super::super::kind::{Kind, Part, Parts, Value};
use super::super::typed::{NETWORKS, Typed, choice};
use super::row::{Absent, AnyRow, Row, rows};
use crate::net::Networks;
use crate::tls::MinVersion;

choices!(MinVersion, "version of TLS", "1.2" => Tls12, "1.3" => Tls13);

const fn text(name: &'static str) -> Part {
    Part {
        name,
        kind: Kind::Text,
        is_required: false,
    }
}

const fn required(mut part: Part) -> Part {
    part.is_required = true;
    part
}

const MIN_VERSION: Part = Part {
    name: "min_version",
    kind: choice::<MinVersion>().kind,
    is_required: false,
};

static TLS_PARTS: [Part; 5] = [
    required(text("cert")),
    required(text("key")),
    text("client_ca"),
    MIN_VERSION,
    Part {
        name: "listen",
        kind: Kind::Listen,
        is_required: false,
    },
];

static SERVER_LOGIN_PARTS: [Part; 2] = [required(text("file")), text("user")];

static SERVER_TLS_PARTS: [Part; 6] = [
    text("ca"),
    text("cert"),
    text("key"),
    text("server_name"),
    MIN_VERSION,
    Part {
        name: "insecure",
        kind: Kind::Bool,
        is_required: false,
    },
];

const fn mapping(parts: &'static [Part], example: &'static str) -> Typed<Parts> {
    Typed {
        kind: Kind::Mapping { parts, example },
        read: |value| match value {
            Value::Mapping(parts) => Some(parts.clone()),
            _ => None,
        },
    }
}

rows! {
    TLS: Parts = Row::ours(
        "tls",
        mapping(
            &TLS_PARTS,
            "{cert: /path/cert.pem, key: /path/key.pem, client_ca: /path/ca.pem, min_version: 1.3}",
        ),
        Absent::Nothing,
        "Clients speak TLS. `cert` is the file with the certificate, followed by those that lead to its root, and `key` that with its \
         key, both in PEM. With `client_ca` clients must have a certificate that leads to one of those in this file. \
         `min_version` is `1.2` (the default) or `1.3`. All clients of the pool speak TLS then, unless there is a `listen` \
         here, too: that is a further address, for clients that speak TLS, beside the pool's own, for those that do not. \
         The files are read again by a reload, and when they change; connections stay, and \
         what cannot be used is told in the log and changes nothing. A client that does not speak TLS is told so in its own protocol. \
         See [tls.md](tls.md).\n\n```yaml\n  listen: 127.0.0.1:22121\n  tls: {listen: 0.0.0.0:22122, cert: \
         /etc/nuthatch/cert.pem, key: /etc/nuthatch/key.pem}\n```",
    );

    SERVER_TLS: Parts = Row::ours(
        "server_tls",
        mapping(
            &SERVER_TLS_PARTS,
            "{ca: /path/ca.pem, server_name: cache.example.com}",
        ),
        Absent::Nothing,
        "Connections to the servers of this pool use TLS. `ca` is the file with the root certificates that those of the servers must \
         lead to, in PEM; without it those of the system are taken. A server's certificate must be for the host of its \
         address as it is written under `servers` (a name or an IP address), or for `server_name` if that is given, which is also what servers \
         are told (SNI). `cert` and `key` are our own certificate and its key, for servers that ask for one. `min_version` is \
         `1.2` (the default) or `1.3`. With `insecure: true` nothing of a certificate is verified, so that \
         anybody between may read and change everything. The files are read again by a reload, and when they \
         change; connections that are open stay. `{}` is TLS with the defaults. See [tls.md](tls.md).\n\n```yaml\n  server_tls: {ca: \
         /etc/nuthatch/ca.pem}\n```",
    );

    SERVER_LOGIN: Parts = Row::ours(
        "server_login",
        mapping(&SERVER_LOGIN_PARTS, "{file: /path/password, user: app}"),
        Absent::Nothing,
        "What connections to the servers give with AUTH, in place of the password of `redis_auth`, which is that of clients then. The `file` \
         has a line with the password, or with a user and the password; without a user in the file it is `user`, and \
         without that the server's default user. A line of three words is for one server: its name, user and password. Lines that are \
         empty or begin with `#` and a blank count for nothing. The file is looked at every second and read again once it has changed, \
         so that whatever renews tokens only has to write it: further connections give the new password, and those that are \
         open stay. What cannot be used is told in the log and changes nothing. No password is ever shown. Servers of a memcached pool \
         run with `-Y` then, and need a user; a connection begins with a `set` of the key `nuthatch:server_login`, whose time has passed already, \
         so that a server without `-Y` keeps nothing of it.\n\n```yaml\n  \
         server_login: {user: app, file: /run/secrets/cache-token}\n```",
    );

    PROXY_PROTOCOL: Networks = Row::ours(
        "proxy_protocol",
        NETWORKS,
        Absent::Nothing,
        "Networks of load balancers that tell whom they connect with the PROXY protocol (version 1 or 2), so that logs, \
         `nuthatch ctl clients` and CLIENT LIST have the addresses of clients. Each connection from there has to begin with such a header, before \
         TLS if that is in use; one without is closed. From anywhere else a header is not accepted: it would be \
         a request that nobody knows. Networks (`10.0.0.0/8`) and addresses have blanks or commas between them, at most 64; `unix` \
         are the clients of a unix socket. A load balancer's own checks (command LOCAL) keep its address.\n\n```yaml\n  \
         proxy_protocol: 10.0.3.0/24\n```",
    )
    .fills(|pool, networks| pool.balancers = Some(networks));
}
