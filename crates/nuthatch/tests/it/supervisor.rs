//! What a supervisor is told over NOTIFY_SOCKET, as systemd gives it.

use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::cmsg_space;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::Signal;
use testkit::{Client, Endpoint, Process, free_port};

use crate::latency::ctl;
use crate::need;
use crate::rig::{BIN, TIME_LIMIT, pool, wait_for};

#[test]
fn it_is_told_when_the_proxy_serves_reloads_and_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    let (socket, conf, control) = (
        dir.path().join("notify"),
        dir.path().join("nutcracker.yml"),
        dir.path().join("control"),
    );
    let supervisor = UnixDatagram::bind(&socket).expect("a socket");
    supervisor
        .set_read_timeout(Some(TIME_LIMIT))
        .expect("a socket");
    let hear = || {
        let mut buffer = [0; 4096];
        let count = supervisor.recv(&mut buffer).expect("a message");
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    };
    let text = format!(
        "p:\n  listen: 127.0.0.1:{}\n  redis: true\n  servers:\n    - 127.0.0.1:1:1\n",
        free_port()
    );
    std::fs::write(&conf, &text).expect("a file");
    let mut command = Command::new(BIN);
    command.arg("-c").arg(&conf).arg("--control").arg(&control);
    command.args(["-a", "127.0.0.1", "-s", &free_port().to_string()]);
    command.env("NOTIFY_SOCKET", &socket);
    let mut proxy = Process::spawn(command);
    let ready = format!("MAINPID={}\nREADY=1\n", proxy.pid());
    assert_eq!(hear(), ready);
    ctl(&control, &["reload"]).success();
    assert!(hear().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(hear(), ready);
    // One that is refused is over, too.
    std::fs::write(&conf, "p: [").expect("a file");
    assert_eq!(ctl(&control, &["reload"]).status, Some(1));
    assert!(hear().starts_with("RELOADING=1\n"));
    assert_eq!(hear(), ready);
    proxy.signal(Signal::TERM);
    assert_eq!(hear(), "STOPPING=1\nSTATUS=ending\n");
    assert_eq!(proxy.wait_exit(TIME_LIMIT).code(), Some(0));
}

/// The proxy as systemd starts it: with sockets from descriptor 3 on, and told so by variables. Killed when it is dropped.
struct Service(Child);

impl Service {
    /// At most three sockets, each with the name that systemd gives to it.
    fn start(dir: &Path, sockets: &[(&str, &OwnedFd)], stats: u16) -> Self {
        let names: Vec<&str> = sockets.iter().map(|(name, _)| *name).collect();
        let mut command = Command::new("sh");
        // They come as the standard streams, which `Command` can pass.
        command.args([
            "-c",
            "exec 3<&0 4<&1 5<&2 0</dev/null >log 2>&1; LISTEN_PID=$$ exec \"$@\"",
            "sh",
        ]);
        command.args([
            BIN,
            "-c",
            "n.yml",
            "-a",
            "127.0.0.1",
            "-s",
            &stats.to_string(),
        ]);
        command.args(["--control=control", "--upgrade-drain=0", "-p", "pid"]);
        command
            .current_dir(dir)
            .env("LISTEN_FDNAMES", names.join(":"));
        command.env("LISTEN_FDS", sockets.len().to_string());
        command
            .env("NOTIFY_SOCKET", dir.join("notify"))
            .env("FDSTORE", "16");
        let stream = |at: usize| match sockets.get(at) {
            Some((_, socket)) => Stdio::from(socket.try_clone().expect("a descriptor")),
            None => Stdio::null(),
        };
        command.stdin(stream(0)).stdout(stream(1)).stderr(stream(2));
        Self(command.spawn().expect("a shell"))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What systemd is told next, and the socket that comes with it.
fn hear(supervisor: &UnixDatagram) -> (String, Option<OwnedFd>) {
    let mut text = [0; 4096];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let into = &mut [IoSliceMut::new(&mut text)];
    let received = recvmsg(supervisor, into, &mut control, RecvFlags::CMSG_CLOEXEC);
    let count = received.expect("a message").bytes;
    let socket = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
        _ => None,
    });
    (String::from_utf8_lossy(&text[..count]).into_owned(), socket)
}

/// Notes which socket systemd is to keep, or to keep no more.
fn note(kept: &mut Vec<(String, OwnedFd)>, text: &str, socket: Option<OwnedFd>) {
    let Some(name) = text.lines().find_map(|line| line.strip_prefix("FDNAME=")) else {
        return;
    };
    match socket {
        Some(socket) => {
            assert!(text.contains("FDSTORE=1\n"), "{text}");
            kept.push((name.to_owned(), socket));
        }
        None => {
            assert!(text.contains("FDSTOREREMOVE=1\n"), "{text}");
            kept.retain(|(it, _)| it != name);
        }
    }
}

/// The sockets that systemd is to keep, by name, when it knows that the proxy is ready.
fn until_ready(supervisor: &UnixDatagram) -> Vec<(String, OwnedFd)> {
    let mut kept = Vec::new();
    loop {
        let (text, socket) = hear(supervisor);
        note(&mut kept, &text, socket);
        if text.contains("READY=1") {
            return kept;
        }
    }
}

fn supervisor(dir: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(dir.join("notify")).expect("a socket");
    let limit = Some(TIME_LIMIT);
    socket.set_read_timeout(limit).expect("a socket");
    socket
}

#[test]
fn sockets_that_systemd_has_opened_are_used() {
    let server = need!(testkit::redis(), "redis-server");
    let dir = tempfile::tempdir().expect("a directory");
    let supervisor = supervisor(dir.path());
    let unix = dir.path().join("pool.sock");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (stats, address) = (free_port(), tcp.local_addr().expect("an address"));
    let lines = ["redis: true"];
    let conf = pool("tcp", &address.to_string(), &[server.endpoint()], &lines)
        + &pool(
            "unix",
            &unix.display().to_string(),
            &[server.endpoint()],
            &lines,
        );
    std::fs::write(dir.path().join("n.yml"), conf).expect("a file");
    let unused = TcpListener::bind("127.0.0.1:0").expect("a port");
    let unused_at = unused.local_addr().expect("an address").to_string();
    let sockets = [
        OwnedFd::from(tcp),
        OwnedFd::from(UnixListener::bind(&unix).expect("a socket")),
        OwnedFd::from(unused),
    ];
    // Somebody connects before there is a process.
    let mut early = TcpStream::connect(address).expect("systemd listens");
    early.write_all(b"PING\r\n").expect("it is sent");
    let [tcp, unix_socket, unused] = &sockets;
    let named = [
        ("a.socket", tcp),
        ("b.socket", unix_socket),
        ("c.socket", unused),
    ];
    let mut service = Service::start(dir.path(), &named, stats);
    until_ready(&supervisor);
    let mut reply = [0; 7];
    early.read_exact(&mut reply).expect("a reply");
    assert_eq!(&reply, b"+PONG\r\n");
    let mut client = Client::connect(&Endpoint::Unix(unix.clone()));
    assert_eq!(client.ask(&["PING"]), "+PONG\r\n");
    let log = || std::fs::read_to_string(dir.path().join("log")).expect("a log");
    wait_for("the socket that nobody needs is told", || {
        log().contains(&format!("nothing here listens on {unused_at}"))
    });
    // The file is systemd's, which still listens.
    assert_eq!(
        ctl(&dir.path().join("control"), &["shutdown"]).status,
        Some(0)
    );
    assert!(service.0.wait().expect("it ends").success(), "{}", log());
    assert!(unix.exists());
}

#[test]
fn sockets_are_kept_over_a_crash_and_clients_wait_for_the_next_process() {
    let server = need!(testkit::redis(), "redis-server");
    let dir = tempfile::tempdir().expect("a directory");
    let supervisor = supervisor(dir.path());
    let unix = dir.path().join("pool.sock");
    let (stats, ports) = (free_port(), [free_port(), free_port()]);
    let write = |port: u16| {
        let lines = ["redis: true"];
        let address = format!("127.0.0.1:{port}");
        let conf = pool("tcp", &address, &[server.endpoint()], &lines)
            + &pool(
                "unix",
                &unix.display().to_string(),
                &[server.endpoint()],
                &lines,
            );
        std::fs::write(dir.path().join("n.yml"), conf).expect("a file");
    };
    write(ports[0]);
    let mut service = Service::start(dir.path(), &[], stats);
    let mut kept = until_ready(&supervisor);
    // Those of the pools, the statistics and the control socket.
    assert_eq!(kept.len(), 4, "{kept:?}");
    // After a reload it is those of the new configuration.
    write(ports[1]);
    let control = dir.path().join("control");
    ctl(&control, &["reload"]).success();
    while !kept
        .iter()
        .any(|(name, _)| name.contains(&ports[1].to_string()))
        || kept
            .iter()
            .any(|(name, _)| name.contains(&ports[0].to_string()))
    {
        let (text, socket) = hear(&supervisor);
        note(&mut kept, &text, socket);
    }
    assert_eq!(kept.len(), 4, "{kept:?}");

    service.0.kill().expect("it runs");
    service.0.wait().expect("it ends");
    let mut tcp = TcpStream::connect(("127.0.0.1", ports[1])).expect("nobody is refused");
    let mut other = Client::connect(&Endpoint::Unix(unix.clone()));
    tcp.write_all(b"PING\r\n").expect("it is sent");
    other.send(b"PING\r\n");
    let of = |part: &str| {
        let mut found = kept.iter().filter(|(name, _)| name.contains(part));
        let (name, socket) = found.next().expect("it is kept");
        (name.as_str(), socket)
    };
    let port = ports[1].to_string();
    let sockets = [of(&port), of("pool.sock"), of("control")];
    // The statistics port is still open here, and was not passed.
    let stats = free_port();
    let second = Service::start(dir.path(), &sockets, stats);
    until_ready(&supervisor);
    let mut reply = [0; 7];
    tcp.set_read_timeout(Some(TIME_LIMIT)).expect("a socket");
    tcp.read_exact(&mut reply).expect("a reply");
    assert_eq!(&reply, b"+PONG\r\n");
    assert_eq!(other.line(), b"+PONG\r\n");
    assert_eq!(ctl(&control, &["status"]).status, Some(0));
    drop(second);
}

#[test]
fn systemd_is_told_which_process_serves_after_an_upgrade() {
    let server = need!(testkit::redis(), "redis-server");
    let dir = tempfile::tempdir().expect("a directory");
    let supervisor = supervisor(dir.path());
    let address = format!("127.0.0.1:{}", free_port());
    let conf = pool("p", &address, &[server.endpoint()], &["redis: true"]);
    std::fs::write(dir.path().join("n.yml"), conf).expect("a file");
    let mut service = Service::start(dir.path(), &[], free_port());
    until_ready(&supervisor);
    let control = dir.path().join("control");
    let done = ctl(&control, &["--json", "upgrade"]);
    let answer: serde_json::Value = serde_json::from_str(&done.stdout).expect("JSON");
    let pid = answer["pid"].as_u64().expect("a process id");
    // The old process says it first: systemd listens to nobody else.
    assert_eq!(hear(&supervisor).0, format!("MAINPID={pid}\n"));
    loop {
        let (text, _) = hear(&supervisor);
        assert!(!text.contains("STOPPING"), "{text}");
        if text.contains("READY=1") {
            assert_eq!(text, format!("MAINPID={pid}\nREADY=1\n"));
            break;
        }
    }
    assert!(service.0.wait().expect("it ends").success());
    ctl(&control, &["shutdown"]).success();
    assert_eq!(hear(&supervisor).0, "STOPPING=1\nSTATUS=ending\n");
}
