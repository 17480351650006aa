//! TLS towards clients and towards servers, with Redis, memcached and OpenSSL as the other side.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};
use testkit::{Authority, Certificate, Client, Process, Proxy, Server, Signal, Tool, free_port};

use crate::need;
use crate::rig::{BIN, TIME_LIMIT, nuthatch, text, wait_for};

/// A client that speaks TLS.
struct Secure(StreamOwned<ClientConnection, TcpStream>);

/// How clients connect.
fn client_config(authority: &Authority, own: Option<&Certificate>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_file(authority.file()).expect("a certificate");
    roots.add(root).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    Arc::new(match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let chain = vec![CertificateDer::from_pem_file(&own.cert).expect("a certificate")];
            let key = PrivateKeyDer::from_pem_file(&own.key).expect("a key");
            builder.with_client_auth_cert(chain, key).expect("a pair")
        }
    })
}

impl Secure {
    fn connect(config: &Arc<ClientConfig>, port: u16) -> Self {
        let socket = TcpStream::connect(("127.0.0.1", port)).expect("the proxy listens");
        socket.set_read_timeout(Some(TIME_LIMIT)).expect("a limit");
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(Arc::clone(config), name).expect("a connection");
        Self(StreamOwned::new(connection, socket))
    }

    fn ask(&mut self, request: &str, reply: &str) {
        self.0.write_all(request.as_bytes()).expect("it is sent");
        let mut read = vec![0; reply.len()];
        if let Err(error) = self.0.read_exact(&mut read) {
            panic!("{request:?}: {error}");
        }
        assert_eq!(text(&read), reply, "{request:?}");
    }

    /// Whether the proxy lets it in.
    fn is_served(&mut self) -> bool {
        let mut reply = [0; 7];
        let written = self.0.write_all(b"*1\r\n$4\r\nPING\r\n");
        written.is_ok() && self.0.read_exact(&mut reply).is_ok() && reply == *b"+PONG\r\n"
    }
}

/// Redis with a port for TLS; its own port is without.
fn redis_with_tls(certificate: &Certificate, authority: &Authority) -> Option<(Server, u16)> {
    redis_with(certificate, authority, &[])
}

/// The same with further arguments.
fn redis_with(
    certificate: &Certificate,
    authority: &Authority,
    more: &[&str],
) -> Option<(Server, u16)> {
    let port = free_port();
    let (cert, key) = (certificate.cert.to_str()?, certificate.key.to_str()?);
    let (ca, number) = (authority.file(), port.to_string());
    let tls = [
        "--tls-port",
        &number,
        "--tls-cert-file",
        cert,
        "--tls-key-file",
        key,
        "--tls-ca-cert-file",
        ca.to_str()?,
        "--tls-auth-clients",
        "optional",
    ];
    let server = testkit::redis_with(&[&tls, more].concat())?;
    Some((server, port))
}

fn tls_of(certificate: &Certificate) -> String {
    let (cert, key) = (certificate.cert.display(), certificate.key.display());
    format!("cert: {cert}, key: {key}")
}

/// A Redis pool with more lines.
fn conf(port: u16, server: &str, lines: &[String]) -> String {
    let lines: String = lines.iter().map(|line| format!("  {line}\n")).collect();
    format!(
        "p:\n  listen: 127.0.0.1:{port}\n  redis: true\n{lines}  servers:\n    - {server}:1 s\n"
    )
}

fn proxy(conf: &str) -> Proxy {
    nuthatch(&[], conf)
}

#[test]
fn clients_and_servers_speak_tls() {
    let authority = Authority::new();
    let own = authority.sign("proxy", &["localhost", "127.0.0.1"]);
    let theirs = authority.sign("server", &["127.0.0.1"]);
    let (server, secure) = need!(redis_with_tls(&theirs, &authority), "redis-server");
    let (port, tls_port) = (free_port(), free_port());
    let ca = authority.file();
    let lines = [
        format!("tls: {{{}, listen: 127.0.0.1:{tls_port}}}", tls_of(&own)),
        format!("server_tls: {{ca: {}}}", ca.display()),
    ];
    let _proxy = proxy(&conf(port, &format!("127.0.0.1:{secure}"), &lines));
    let config = client_config(&authority, None);
    let mut client = Secure::connect(&config, tls_port);
    client.ask("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n", "+OK\r\n");
    // It is the same pool as that without TLS, and has arrived at the server.
    assert_eq!(Client::to_port(port).ask(&["GET", "k"]), "$1\r\nv\r\n");
    assert_eq!(server.client().ask(&["GET", "k"]), "$1\r\nv\r\n");
    // More than a record, and more than the socket's buffers hold.
    let large = "x".repeat(5_000_000);
    let set = format!("*3\r\n$3\r\nSET\r\n$1\r\nl\r\n$5000000\r\n{large}\r\n");
    client.ask(&set, "+OK\r\n");
    client.ask(
        "*2\r\n$3\r\nGET\r\n$1\r\nl\r\n",
        &format!("$5000000\r\n{large}\r\n"),
    );
    let pipelined = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n".repeat(5_000);
    client.ask(&pipelined, &"$1\r\nv\r\n".repeat(5_000));
    // The second connection needs no new key exchange.
    let mut again = Secure::connect(&config, tls_port);
    assert!(again.is_served());
    assert_eq!(again.0.conn.handshake_kind(), Some(HandshakeKind::Resumed));
}

#[test]
fn redis_cli_and_openssl_are_served() {
    let authority = Authority::new();
    let own = authority.sign("proxy", &["localhost", "127.0.0.1"]);
    let server = need!(testkit::redis(), "redis-server");
    let openssl = need!(Tool::find("openssl"), "openssl");
    let cli = need!(Tool::find("redis-cli"), "redis-cli");
    let port = free_port();
    let lines = [format!("tls: {{{}}}", tls_of(&own))];
    let _proxy = proxy(&conf(port, &server.endpoint().to_string(), &lines));
    let mut command = cli.command();
    command.args(["--tls", "--cacert"]).arg(authority.file());
    command.args(["-h", "localhost", "-p", &port.to_string(), "SET", "k", "v"]);
    let output = command.output().expect("redis-cli runs");
    assert_eq!(text(&output.stdout), "OK\n", "{}", text(&output.stderr));
    for version in ["-tls1_2", "-tls1_3"] {
        let mut command = openssl.command();
        command.args(["s_client", "-quiet", "-verify_return_error", version]);
        command
            .args(["-servername", "localhost", "-CAfile"])
            .arg(authority.file());
        command.args(["-connect", &format!("127.0.0.1:{port}")]);
        assert_eq!(
            fed(command, "GET k\r\nQUIT\r\n"),
            "$1\r\nv\r\n+OK\r\n",
            "{version}"
        );
    }
    let mut command = openssl.command();
    command.args(["s_client", "-quiet", "-tls1_1", "-connect"]);
    command.arg(format!("127.0.0.1:{port}"));
    assert_eq!(fed(command, "GET k\r\nQUIT\r\n"), "", "1.1 is not spoken");
}

/// The output of a command that is given an input.
fn fed(mut command: Command, input: &str) -> String {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().expect("it runs");
    // It may have ended already.
    let _ = child
        .stdin
        .take()
        .expect("its input")
        .write_all(input.as_bytes());
    text(&child.wait_with_output().expect("its output").stdout)
}

#[test]
fn clients_may_need_a_certificate() {
    let authority = Authority::new();
    let own = authority.sign("proxy", &["localhost"]);
    let server = need!(testkit::redis(), "redis-server");
    let port = free_port();
    let ca = authority.file();
    let lines = [format!(
        "tls: {{{}, client_ca: {}}}",
        tls_of(&own),
        ca.display()
    )];
    let proxy = proxy(&conf(port, &server.endpoint().to_string(), &lines));
    let known = authority.sign("client", &["client"]);
    let elsewhere = Authority::new();
    let stranger = elsewhere.sign("stranger", &["client"]);
    let served = |own| Secure::connect(&client_config(&authority, own), port).is_served();
    assert!(served(Some(&known)));
    assert!(!served(None));
    assert!(!served(Some(&stranger)));
    wait_for("the log tells", || {
        proxy
            .stderr()
            .contains("the handshake with client 127.0.0.1:")
    });
}

#[test]
fn what_does_not_speak_tls_is_told_so() {
    let authority = Authority::new();
    let own = authority.sign("proxy", &["localhost"]);
    let server = need!(testkit::redis(), "redis-server");
    let (port, other) = (free_port(), free_port());
    let tls = format!("tls: {{{}}}", tls_of(&own));
    let endpoint = server.endpoint().to_string();
    let memcached =
        format!("m:\n  listen: 127.0.0.1:{other}\n  {tls}\n  servers: [{endpoint}:1]\n");
    let _proxy = proxy(&(conf(port, &endpoint, &[tls]) + &memcached));
    let mut client = Client::to_port(port);
    client.command(&[b"PING"]);
    assert_eq!(
        text(&client.rest()),
        "-ERR this port takes TLS connections only\r\n"
    );
    let mut client = Client::to_port(other);
    client.send(b"version\r\n");
    assert_eq!(
        text(&client.rest()),
        "SERVER_ERROR this port takes TLS connections only\r\n"
    );
    // Others are not disturbed.
    assert!(Secure::connect(&client_config(&authority, None), port).is_served());
}

#[test]
fn a_server_is_verified() {
    let (authority, other) = (Authority::new(), Authority::new());
    let named = authority.sign("server", &["cache.example.com"]);
    let (server, secure) = need!(redis_with_tls(&named, &authority), "redis-server");
    let (ca, wrong) = (authority.file(), other.file());
    let said = |port: u16, tls: &str| {
        let lines = [
            "error_detail: true".into(),
            format!("server_tls: {{{tls}}}"),
        ];
        let _proxy = proxy(&conf(free_port(), &format!("127.0.0.1:{port}"), &lines));
        let listen = _proxy.conf().to_owned();
        ask(&listen)
    };
    let ca = ca.display();
    assert_eq!(
        said(secure, &format!("ca: {ca}, server_name: cache.example.com")),
        "$-1\r\n"
    );
    assert_eq!(said(secure, "insecure: true"), "$-1\r\n");
    let refused = said(secure, &format!("ca: {ca}"));
    assert!(
        refused.contains("certificate not valid for name"),
        "{refused}"
    );
    let refused = said(
        secure,
        &format!("ca: {}, server_name: cache.example.com", wrong.display()),
    );
    assert!(refused.contains("UnknownIssuer"), "{refused}");
    // Redis asks nothing and answers what it takes for a command.
    let refused = said(server.port(), &format!("ca: {ca}"));
    assert!(!refused.starts_with('$'), "{refused}");
}

/// The reply to a GET of the pool in this file.
fn ask(conf: &Path) -> String {
    let text = std::fs::read_to_string(conf).expect("the file");
    let port = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("listen: 127.0.0.1:"));
    let port = port.expect("a port").parse().expect("a number");
    let mut client = Client::to_port(port);
    // A handshake that is not answered takes ten seconds.
    client.set_time_limit(Duration::from_secs(30));
    client.ask(&["GET", "absent"])
}

#[test]
fn a_server_may_need_a_certificate() {
    let authority = Authority::new();
    let both = authority.sign("both", &["127.0.0.1"]);
    let (server, secure) = need!(redis_with_tls(&both, &authority), "redis-server");
    let mut direct = server.client();
    assert_eq!(
        direct.ask(&["CONFIG", "SET", "tls-auth-clients", "yes"]),
        "+OK\r\n"
    );
    let ca = authority.file();
    let ca = ca.display();
    for (own, is_served) in [
        (format!(", {}", tls_of(&both)), true),
        (String::new(), false),
    ] {
        let lines = [format!("server_tls: {{ca: {ca}{own}}}")];
        let proxy = proxy(&conf(free_port(), &format!("127.0.0.1:{secure}"), &lines));
        assert_eq!(ask(proxy.conf()).starts_with('$'), is_served, "{own}");
    }
}

#[test]
fn memcached_with_tls_is_served() {
    let memcached = need!(Tool::find("memcached"), "memcached");
    let authority = Authority::new();
    let both = authority.sign("both", &["localhost", "127.0.0.1"]);
    let (port, secure) = (free_port(), free_port());
    let mut command = memcached.command();
    let (cert, key) = (both.cert.display(), both.key.display());
    command.args([
        "-u",
        "root",
        "-Z",
        "-l",
        "127.0.0.1",
        "-p",
        &secure.to_string(),
        "-o",
    ]);
    command.arg(format!("ssl_chain_cert={cert},ssl_key={key}"));
    let _server = Process::spawn(command);
    let tls = tls_of(&both);
    let ca = authority.file();
    let text = format!(
        "m:\n  listen: 127.0.0.1:{port}\n  tls: {{{tls}}}\n  server_tls: {{ca: {}}}\n  servers: ['127.0.0.1:{secure}:1']\n",
        ca.display()
    );
    let _proxy = proxy(&text);
    let config = client_config(&authority, None);
    wait_for("memcached answers", || {
        let mut client = Secure::connect(&config, port);
        let mut reply = [0; 8];
        client
            .0
            .write_all(b"set k 0 0 1\r\nv\r\n")
            .expect("it is sent");
        client.0.read_exact(&mut reply).is_ok() && reply == *b"STORED\r\n"
    });
    let mut client = Secure::connect(&config, port);
    client.ask("get k\r\n", "VALUE k 0 1\r\nv\r\nEND\r\n");
}

#[test]
fn a_reload_takes_other_files_and_what_is_wrong_changes_nothing() {
    let (old, new) = (Authority::new(), Authority::new());
    let own = old.sign("proxy", &["localhost"]);
    let server = need!(testkit::redis(), "redis-server");
    let port = free_port();
    let lines = [format!("tls: {{{}}}", tls_of(&own))];
    let mut proxy = proxy(&conf(port, &server.endpoint().to_string(), &lines));
    let mut before = Secure::connect(&client_config(&old, None), port);
    assert!(before.is_served());
    let newer = new.sign("proxy", &["localhost"]);
    std::fs::copy(&newer.cert, &own.cert).expect("the certificate");
    // The key is still that of the other one.
    proxy.signal(Signal::USR1);
    wait_for("the log tells", || {
        proxy
            .stderr()
            .contains("holds the key of another certificate")
    });
    assert!(Secure::connect(&client_config(&old, None), port).is_served());
    // Nobody tells that it has changed.
    std::fs::copy(&newer.key, &own.key).expect("the key");
    wait_for("the new one is in force", || {
        Secure::connect(&client_config(&new, None), port).is_served()
    });
    assert!(!Secure::connect(&client_config(&old, None), port).is_served());
    assert!(before.is_served(), "connections stay");
}

#[test]
fn files_that_cannot_be_used_are_told_with_their_place() {
    let authority = Authority::new();
    let own = authority.sign("proxy", &["localhost"]);
    let other = authority.sign("other", &["localhost"]);
    let check = |lines: &str| {
        let file = authority.dir().join("n.yml");
        let written =
            format!("p:\n  listen: 127.0.0.1:1\n  servers: ['127.0.0.1:2:1']\n  {lines}\n");
        std::fs::write(&file, written).expect("a file");
        let output = Command::new(BIN).args(["-t", "-c"]).arg(&file).output();
        let output = output.expect("it runs");
        assert!(!output.status.success(), "{lines}");
        text(&output.stderr)
    };
    let (cert, key) = (own.cert.display(), other.key.display());
    let said = check(&format!("tls: {{cert: {cert}, key: {key}}}"));
    assert!(
        said.contains("holds the key of another certificate"),
        "{said}"
    );
    assert!(said.contains("n.yml:4:"), "{said}");
    let said = check(&format!("tls: {{cert: {cert}, key: /nowhere}}"));
    assert!(
        said.contains("the file `/nowhere` cannot be read"),
        "{said}"
    );
    let said = check(&format!("tls: {{cert: {cert}}}"));
    assert!(said.contains("`key` of `tls` is missing"), "{said}");
    let said = check(&format!("tls: {{cert: {key}, key: {key}}}"));
    assert!(said.contains("holds no certificate"), "{said}");
    let said = check("server_tls: {ca: /dev/zero}");
    assert!(said.contains("it is not a regular file"), "{said}");
    let said = check("server_tls: {sni: x}");
    assert!(said.contains("`sni` is unknown in `server_tls`"), "{said}");
    let said = check("server_tls: {server_name: 'a b', insecure: true}");
    assert!(said.contains("is no name of a host"), "{said}");
}

#[test]
fn who_never_completes_a_handshake_is_closed() {
    let authority = Authority::new();
    let own = authority.sign("proxy", &["localhost"]);
    let server = need!(testkit::redis(), "redis-server");
    let port = free_port();
    let lines = [format!("tls: {{{}}}", tls_of(&own))];
    let _proxy = proxy(&conf(port, &server.endpoint().to_string(), &lines));
    let mut silent = Client::to_port(port);
    silent.set_time_limit(Duration::from_secs(30));
    // The beginning of a record that never ends.
    silent.send(&[0x16, 3, 1, 1, 0]);
    assert_eq!(silent.rest(), b"");
}

#[test]
fn tls_where_there_is_none_is_answered_with_an_alert() {
    let authority = Authority::new();
    let server = need!(testkit::redis(), "redis-server");
    let (port, other) = (free_port(), free_port());
    let endpoint = server.endpoint().to_string();
    let memcached = format!("m:\n  listen: 127.0.0.1:{other}\n  servers: ['{endpoint}:1']\n");
    let proxy = proxy(&(conf(port, &endpoint, &[]) + &memcached));
    for port in [port, other] {
        let mut client = Secure::connect(&client_config(&authority, None), port);
        let error = client.0.write_all(b"x").expect_err("there is no TLS");
        assert!(error.to_string().contains("HandshakeFailure"), "{error}");
    }
    wait_for("the log tells", || {
        proxy
            .stderr()
            .matches("TLS, which this address does not speak")
            .count()
            == 2
    });
}

/// The node of a cluster of one, and what Sentinels would ask: the proxy asks over TLS, too, and goes to the port that is announced
/// for that.
#[test]
fn a_cluster_with_tls_is_asked_and_reached_over_it() {
    let authority = Authority::new();
    let theirs = authority.sign("server", &["127.0.0.1"]);
    // Otherwise it wants a port 10,000 above its own.
    let bus = free_port().to_string();
    let arguments = [
        "--cluster-enabled",
        "yes",
        "--tls-cluster",
        "yes",
        "--cluster-port",
        &bus,
    ];
    let node = redis_with(&theirs, &authority, &arguments);
    let (server, secure) = need!(node, "redis-server");
    let mut direct = server.client();
    let slots = direct.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    assert_eq!(slots, "+OK\r\n");
    let port = free_port();
    let conf = format!(
        "p:\n  listen: 127.0.0.1:{port}\n  redis: true\n  cluster: ['127.0.0.1:{secure}']\n  server_tls: {{ca: {}}}\n",
        authority.file().display()
    );
    let proxy = proxy(&conf);
    let mut client = Client::to_port(port);
    wait_for("the cluster serves", || {
        client.ask(&["SET", "k", "v"]) == "+OK\r\n"
    });
    assert_eq!(direct.ask(&["GET", "k"]), "$1\r\nv\r\n");
    wait_for("the map is known", || {
        proxy.stderr().contains("follows the map of node")
    });
}

/// stunnel on both sides: before the proxy for a client without TLS, and before a server without TLS.
#[test]
fn stunnel_is_a_peer_on_both_sides() {
    let stunnel = need!(Tool::find("stunnel4"), "stunnel4");
    let server = need!(testkit::redis(), "redis-server");
    let authority = Authority::new();
    let both = authority.sign("both", &["localhost", "127.0.0.1"]);
    let (plain, port, secure) = (free_port(), free_port(), free_port());
    let (cert, key) = (both.cert.display(), both.key.display());
    let (ca, endpoint) = (authority.file(), server.endpoint());
    let ca = ca.display();
    let text = format!(
        "foreground = yes\npid =\n[client]\nclient = yes\naccept = 127.0.0.1:{plain}\nconnect = 127.0.0.1:{port}\n\
         CAfile = {ca}\nverifyChain = yes\ncheckHost = localhost\n\
         [server]\naccept = 127.0.0.1:{secure}\nconnect = {endpoint}\ncert = {cert}\nkey = {key}\n"
    );
    let file = authority.dir().join("stunnel.conf");
    std::fs::write(&file, text).expect("a file");
    let mut command = stunnel.command();
    command.arg(&file);
    let _stunnel = Process::spawn(command);
    let lines = [
        format!("tls: {{{}}}", tls_of(&both)),
        format!("server_tls: {{ca: {ca}}}"),
    ];
    let _proxy = proxy(&conf(port, &format!("127.0.0.1:{secure}"), &lines));
    let mut client = None;
    wait_for("stunnel serves", || {
        client = Client::try_connect(&testkit::Endpoint::loopback(plain)).ok();
        client
            .as_mut()
            .is_some_and(|it| it.ask(&["SET", "k", "v"]) == "+OK\r\n")
    });
    assert_eq!(server.client().ask(&["GET", "k"]), "$1\r\nv\r\n");
}

/// The setting, the certificates and the logins are as before, so that a reload of something else opens no connection.
#[test]
fn a_reload_keeps_connections_that_are_secured_as_before() {
    let authority = Authority::new();
    let theirs = authority.sign("server", &["127.0.0.1"]);
    let (server, secure) = need!(redis_with_tls(&theirs, &authority), "redis-server");
    let mut direct = server.client();
    let rule = ["ACL", "SETUSER", "app", "on", ">one", "~*", "&*", "+@all"];
    assert_eq!(direct.ask(&rule), "+OK\r\n");
    let login = authority.dir().join("login");
    std::fs::write(&login, "app one").expect("a file");
    let lines = [
        format!("server_tls: {{ca: {}}}", authority.file().display()),
        format!("server_login: {{file: {}}}", login.display()),
    ];
    let text = conf(free_port(), &format!("127.0.0.1:{secure}"), &lines);
    let mut proxy = proxy(&text);
    assert_eq!(ask(proxy.conf()), "$-1\r\n");
    // The number of a connection, which counts all that there ever were.
    let mut own = || {
        let clients = direct.ask(&["CLIENT", "LIST"]);
        let line = clients.lines().find(|line| line.contains(" user=app "));
        let id = line.and_then(|line| line.split("id=").nth(1));
        id.and_then(|id| id.split(' ').next()).map(str::to_owned)
    };
    let before = own();
    assert!(before.is_some(), "it gives the user and is there");
    let longer = text.replace("redis: true\n", "redis: true\n  timeout: 5000\n");
    std::fs::write(proxy.conf(), longer).expect("a file");
    proxy.signal(Signal::USR1);
    wait_for("it is reloaded", || {
        proxy.stderr().contains("reloaded the configuration")
    });
    assert_eq!(ask(proxy.conf()), "$-1\r\n");
    assert_eq!(own(), before);
    // Another way to secure them is another way to reach the server.
    let other = text.replace("ca: ", "min_version: 1.3, ca: ");
    std::fs::write(proxy.conf(), other).expect("a file");
    proxy.signal(Signal::USR1);
    let path = proxy.conf().to_owned();
    wait_for("another connection is used", || {
        assert_eq!(ask(&path), "$-1\r\n");
        own().is_some_and(|own| Some(own) != before)
    });
}
