//! Attacks on the connections between the proxy and its servers.

use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use testkit::Client;

use crate::case::{Case, Finding, Limit};
use crate::flood::Flood;
use crate::rig::{REDIS, Rig, Setup};
use crate::wire;

/// The place of the server that pushes: after the real ones.
const PUSHER: usize = 3;

/// HELLO 3 in all, and how many of them each connection sends.
const HELLOS: usize = 10_000;
const HELLOS_EACH: usize = 100;

/// How much longer than intended an attack may take.
const EXTRA: Duration = Duration::from_secs(20);

/// The proxy's limit of descriptors, and what takes them.
const DESCRIPTORS: u32 = 200;
const IDLE_CLIENTS: usize = 260;
const SILENT_READERS: usize = 70;

/// How often a server connection is closed and needed again.
const LOSSES: u64 = 20;

/// How long the proxy may take to notice that a server has closed a connection.
const NOTICED_WITHIN: Duration = Duration::from_millis(30);

/// A server sends what nobody asked for, without end.
pub(super) fn push() -> Vec<Case> {
    vec![Case {
        attack: "push",
        name: "a server pushes for ever".into(),
        setup: Setup {
            has_pusher: true,
            ..REDIS
        },
        limit: Limit::P99(Duration::from_millis(5)),
        strike: Box::new(|rig, until| {
            let get = wire::request(["GET", &rig.key(PUSHER, "k")].iter());
            let flood = Flood {
                address: rig.address,
                round: &[b"HELLO 3\r\n", &get[..]].concat(),
                every: Duration::from_millis(50),
                clients: 1,
            };
            let finding = flood.run(until)?;
            let pushed = rig.pusher.as_ref().map_or(0, |pusher| pusher.pushed());
            let note = format!(
                "{:.1} MB pushed; clients {}",
                pushed as f64 / 1e6,
                finding.note
            );
            Ok(Finding { note, ..finding })
        }),
    }]
}

/// Clients ask for what the servers do not have.
pub(super) fn hello3() -> Vec<Case> {
    vec![Case {
        attack: "hello3",
        name: "10,000 x HELLO 3, refused".into(),
        setup: Setup {
            refuses_hello: true,
            ..REDIS
        },
        limit: Limit::Seen(10, "connections to servers"),
        strike: Box::new(ask_for_resp3),
    }]
}

fn ask_for_resp3(rig: &Rig, until: Instant) -> Result<Finding, String> {
    let before = rig.server_metric("server_total")?;
    let mut refused = 0;
    for _ in 0..HELLOS / HELLOS_EACH {
        let mut client = rig.client();
        client.send("HELLO 3\r\n".repeat(HELLOS_EACH).as_bytes());
        for _ in 0..HELLOS_EACH {
            refused += usize::from(client.reply().starts_with(b"-NOPROTO"));
        }
        if Instant::now() > until + EXTRA {
            return Err(format!("only {refused} HELLO 3 were answered in time"));
        }
    }
    let seen = rig.server_metric("server_total")? - before;
    let note = format!("{refused} refused, {seen} connections made");
    Ok(Finding { seen, note })
}

/// Idle clients and silent readers of the statistics take all descriptors.
pub(super) fn descriptors() -> Vec<Case> {
    vec![Case {
        attack: "descriptors",
        name: format!("{IDLE_CLIENTS} idle, {SILENT_READERS} at statistics"),
        setup: Setup {
            descriptors: Some(DESCRIPTORS),
            ..REDIS
        },
        limit: Limit::Seen(0, "of 20 GETs not served"),
        strike: Box::new(exhaust_descriptors),
    }]
}

fn exhaust_descriptors(rig: &Rig, until: Instant) -> Result<Finding, String> {
    let key = rig.key(1, "k");
    let mut admin = rig.direct(1);
    admin.ask(&["SET", &key, "v"]);
    let get = wire::request(["GET", &key].iter());
    let mut client = wire::connect(rig.address)?;
    wire::exchange(&mut client, &get, b"$1\r\nv\r\n")?;
    let stats = SocketAddr::from(([127, 0, 0, 1], rig.proxy.stats_port()));
    let idle: Vec<TcpStream> = (0..IDLE_CLIENTS)
        .map(|_| wire::connect(rig.address))
        .chain((0..SILENT_READERS).map(|_| wire::connect(stats)))
        .collect::<Result<_, _>>()?;
    let (mut served, mut killed, mut fault) = (0, 0, String::new());
    for _ in 0..LOSSES {
        killed += kill_connections(&mut admin);
        thread::sleep(NOTICED_WITHIN);
        match wire::exchange(&mut client, &get, b"$1\r\nv\r\n") {
            Ok(()) => served += 1,
            Err(error) => fault = format!("; the last fault: {error}"),
        }
        if Instant::now() > until + EXTRA {
            break;
        }
    }
    thread::sleep(until.saturating_duration_since(Instant::now()));
    let note = format!(
        "{served} served, {killed} connections closed by the server, {} clients{fault}",
        idle.len()
    );
    Ok(Finding {
        seen: LOSSES - served,
        note,
    })
}

/// Closes all other clients' connections to a server; how many those are.
fn kill_connections(admin: &mut Client) -> u64 {
    let reply = admin.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    let number = reply.trim_start_matches(':').trim_end();
    number.parse().unwrap_or(0)
}
