//! Starts what the process serves besides its pools.

use std::sync::Arc;
use std::time::Instant;

use proxy::Process;
use rustix::system::uname;

use super::RunOptions;
use super::own_sockets::{OwnServers, OwnSockets, Stop};
use crate::admin;
use crate::clock::Clock;
use crate::config::Globals;
use crate::connections::ConnectionCounts;
use crate::control;
use crate::controller::Controller;
use crate::failure::Failure;
use crate::live::Live;
use crate::net::Listener;
use crate::stats::{self, Source};
use crate::usage;

/// Serves statistics, admin pages and the control socket. Returns what they see besides.
pub(super) fn serve_own(
    own_sockets: OwnSockets,
    options: &RunOptions,
    live: &Live,
    (process, clock): (Arc<Process>, Clock),
    counts: &Arc<ConnectionCounts>,
    controller: &Controller,
) -> Result<(OwnServers, Arc<admin::View>), Failure> {
    let started = Instant::now();
    let source = Arc::new(Source {
        version: options.program.version(),
        hostname: hostname(),
        started,
        clock,
        counts: Arc::clone(counts),
        directory: Arc::clone(live.directory()),
        recent: Arc::default(),
    });
    let globals = &live.config().globals;
    // Nobody else asks for it.
    let looks_at_latency = globals.admin.is_some() || globals.control.is_some();
    let recent = looks_at_latency.then(|| Arc::clone(&source.recent));
    let directory = Arc::clone(&source.directory);
    usage::start(
        Arc::clone(&process),
        directory,
        recent,
        live.workers().to_vec(),
    )
    .map_err(|error| Failure::of("starting a thread", &error))?;
    let view = admin::View::new(Arc::clone(&source), process);
    let facts = control::Facts {
        version: env!("CARGO_PKG_VERSION"),
        started,
        counts: Arc::clone(counts),
        stats: Arc::clone(&source),
        view: Arc::clone(&view),
        conf_file: options.conf_file.clone(),
    };
    let servers = own_sockets.serve(
        |listener| serve_stats(listener, source),
        |listener| serve_admin(listener, globals, &view, controller.clone()),
        |listener| serve_control(listener, controller.clone(), facts),
    )?;
    Ok((servers, view))
}

fn serve_stats(listener: Listener, source: Arc<Source>) -> Result<Stop, Failure> {
    let started = stats::start(listener, source);
    let started = started.map_err(|error| Failure::of("serving statistics", &error));
    started.map(Stop::Signal)
}

fn serve_admin(
    listener: Listener,
    globals: &Globals,
    view: &Arc<admin::View>,
    controller: Controller,
) -> Result<Stop, Failure> {
    let started = admin::start(listener, globals, Arc::clone(view), controller);
    let started = started.map_err(|error| Failure::of("serving the admin pages", &error));
    started.map(Stop::Admin)
}

fn serve_control(
    listener: Listener,
    controller: Controller,
    facts: control::Facts,
) -> Result<Stop, Failure> {
    let started = control::start(listener, controller, facts);
    let started = started.map_err(|error| Failure::of("starting a thread", &error));
    started.map(Stop::Signal)
}

fn hostname() -> String {
    uname().nodename().to_string_lossy().into_owned()
}
