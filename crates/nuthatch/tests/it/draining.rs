//! The end of a proxy whose clients are led elsewhere first.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use testkit::{Client, Endpoint, Process, Proxy, Server, Tool, free_port};

use crate::admin::ask;
use crate::clients::{node, python};
use crate::need;
use crate::rig::{Rig, TIME_LIMIT, nuthatch, pool, wait_for};
use crate::tool::in_project;

/// How a drain of these tests goes: readers of the log and haproxy need a part of a second, and clients reconnect when half
/// of the last two together have passed, while the listeners are open still.
const WAIT: Duration = Duration::from_millis(600);
const GRACE: Duration = Duration::from_millis(2_500);
const DRAIN: Duration = Duration::from_millis(1_500);

/// One of the proxies, started again and again at the same place.
struct Seat {
    port: u16,
    admin: u16,
    conf: String,
    proxy: Option<Proxy>,
}

impl Seat {
    fn new(servers: &[&Endpoint]) -> Self {
        let (port, admin) = (free_port(), free_port());
        let lines = ["redis: true", "server_failure_limit: 2"];
        let conf = pool("pool", &format!("127.0.0.1:{port}"), servers, &lines);
        Self {
            port,
            admin,
            conf,
            proxy: None,
        }
    }

    fn start(&mut self) {
        let millis = |time: Duration| time.as_millis().to_string();
        let args = [
            format!("--admin=127.0.0.1:{}", self.admin),
            format!("--drain={}", millis(DRAIN)),
            format!("--drain-wait={}", millis(WAIT)),
            format!("--drain-grace={}", millis(GRACE)),
        ];
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.proxy = Some(nuthatch(&args, &self.conf));
    }

    /// Has it drain and end; returns how, and how long it took.
    fn end(&mut self) -> (ExitStatus, Duration, String) {
        let mut proxy = self.proxy.take().expect("it runs");
        let began = Instant::now();
        proxy.signal(Signal::TERM);
        let status = proxy.wait_exit(TIME_LIMIT);
        (status, began.elapsed(), proxy.stderr())
    }
}

/// haproxy before both, which asks each whether it is ready.
fn haproxy(seats: &[Seat]) -> Option<(Process, u16, tempfile::TempDir)> {
    let tool = Tool::find("haproxy")?;
    let dir = tempfile::tempdir().expect("a directory");
    let port = free_port();
    let lines = seats.iter().enumerate().map(|(number, seat)| {
        format!(
            "  server s{number} 127.0.0.1:{} check port {} inter 100ms fall 2 rise 2\n",
            seat.port, seat.admin
        )
    });
    let lines: String = lines.collect();
    let conf = dir.path().join("haproxy.cfg");
    let text = format!(
        "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1m\n  timeout server 1m\n\
         listen redis\n  bind 127.0.0.1:{port}\n  balance roundrobin\n  option httpchk GET /readyz\n{lines}"
    );
    fs::write(&conf, text).expect("a file");
    let mut command = tool.command();
    command.arg("-db").arg("-f").arg(&conf);
    Some((Process::spawn(command), port, dir))
}

/// Starts a script of `tests/clients` that uses the port until SIGTERM.
fn app(mut interpreter: Command, script: &str, port: u16) -> Process {
    interpreter.arg(in_project("tests/clients").join(script));
    interpreter.arg(port.to_string());
    let app = Process::spawn(interpreter);
    wait_for(&format!("{script} runs"), || {
        app.stdout().contains("started")
    });
    app
}

/// Whether somebody answers behind a port.
fn is_served(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let mut reply = [0; 7];
    stream.write_all(b"PING\r\n").is_ok() && stream.read_exact(&mut reply).is_ok()
}

#[test]
fn a_rolling_restart_behind_haproxy_is_not_noticed_by_applications() {
    let servers: Option<Vec<Server>> = (0..2).map(|_| testkit::redis()).collect();
    let servers = need!(servers, "redis-server");
    let endpoints: Vec<_> = servers.iter().map(Server::endpoint).collect();
    let mut seats = [Seat::new(&endpoints), Seat::new(&endpoints)];
    let (_haproxy, port, _dir) = need!(haproxy(&seats), "haproxy");
    let python = need!(python(), "redis-py (cargo xtask setup)");
    let node = need!(node(), "node-redis (cargo xtask setup)");
    seats.iter_mut().for_each(Seat::start);
    wait_for("haproxy serves", || is_served(port));
    // Both proxies must have been found ready, or one of them has all clients.
    thread::sleep(WAIT);
    let mut apps = [
        app(python, "rolling_redis_py.py", port),
        app(node, "rolling_node_redis.cjs", port),
    ];
    thread::sleep(Duration::from_millis(300));
    for seat in &mut seats {
        let (status, took, log) = seat.end();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(took >= WAIT + GRACE, "{took:?}: {log}");
        assert!(took <= WAIT + GRACE + DRAIN, "clients were left: {log}");
        assert!(
            log.contains("clients that had asked for it were told"),
            "{log}"
        );
        assert!(!log.contains(" 0 clients that had asked"), "{log}");
        seat.start();
        // haproxy has to find it ready before the other one goes.
        thread::sleep(WAIT);
    }
    for app in &mut apps {
        app.signal(Signal::TERM);
        app.wait_exit(TIME_LIMIT);
        let said = app.stdout() + &app.stderr();
        assert!(app.stdout().ends_with("ok\n"), "{said}");
        assert!(said.contains(" 0 errors"), "{said}");
    }
}

#[test]
fn it_is_not_ready_at_once_serves_on_and_then_closes_who_is_idle() {
    let servers = [need!(testkit::redis(), "redis-server")];
    let endpoints: Vec<_> = servers.iter().map(Server::endpoint).collect();
    let mut seat = Seat::new(&endpoints);
    seat.start();
    let mut clients: Vec<Client> = (0..3).map(|_| Client::to_port(seat.port)).collect();
    assert_eq!(clients[0].ask(&["SET", "k", "v"]), "+OK\r\n");
    let began = Instant::now();
    seat.proxy.as_mut().expect("it runs").signal(Signal::TERM);
    wait_for("it is not ready", || {
        ask(seat.admin, "/readyz", &[]).status() == 503
    });
    assert!(began.elapsed() < WAIT);
    // Clients may come, and are served, until the listeners close.
    let mut late = Client::to_port(seat.port);
    assert_eq!(late.ask(&["GET", "k"]), "$1\r\nv\r\n");
    for client in &mut clients {
        assert_eq!(client.rest(), b"", "closed without a word");
    }
    assert!(began.elapsed() >= WAIT + GRACE);
    let status = seat.proxy.as_mut().expect("it runs").wait_exit(TIME_LIMIT);
    assert_eq!(status.code(), Some(0));
}

#[test]
fn another_sigterm_cuts_it_short_and_without_the_setting_there_is_none() {
    let long = [
        "--drain=60000",
        "--drain-wait=60000",
        "--control=control.sock",
    ];
    for (args, signals) in [(&long[..], 2), (&[][..], 1)] {
        let mut rig = need!(Rig::redis_with(1, &[], args), "redis-server");
        let mut client = rig.client();
        assert_eq!(client.ask(&["SET", "k", "v"]), "+OK\r\n");
        for _ in 0..signals {
            rig.proxy.signal(Signal::TERM);
            // Signals that come at once may be one.
            thread::sleep(Duration::from_millis(200));
        }
        assert_eq!(rig.proxy.wait_exit(TIME_LIMIT).code(), Some(0));
    }
}
