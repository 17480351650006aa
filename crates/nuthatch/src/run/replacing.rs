//! This process is replaced by another one: an upgrade.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use super::draining::{Drain, clients};
use super::own_sockets::OwnServers;
use crate::clock::Clock;
use crate::connections::ConnectionCounts;
use crate::controller::{Controller, Replaced, UpgradeAnswer};
use crate::live::{Directory, Live};
use crate::logger::{self, ALERT, ALWAYS, NOTICE, log};
use crate::net::error_text;
use crate::pid_file::PidFile;
use crate::supervisor;
use crate::upgrade::{HandOver, OldProcess, Socket, StartedAs, Successor};

/// How often the new process is told what this one still has.
const EVERY: Duration = Duration::from_millis(200);

/// How this process is replaced by another one.
pub(super) struct Upgrades {
    /// The command that started it.
    pub(super) started_as: StartedAs,
    /// The process that this one has replaced.
    pub(super) old_process: Option<Arc<OldProcess>>,
    pub(super) controller: Controller,
    pub(super) clock: Clock,
    pub(super) counts: Arc<ConnectionCounts>,
}

impl Upgrades {
    /// Starts a process in place of this one; what becomes of it is told to whoever waits for an answer, if somebody does,
    /// and in a call.
    pub(super) fn begin(
        &self,
        live: &mut Live,
        own_servers: &OwnServers,
        answer: Option<SyncSender<UpgradeAnswer>>,
    ) {
        match self.try_to_begin(live, own_servers, answer.clone()) {
            Ok(()) => live.set_upgrading(true),
            Err(reason) => refuse(&reason, answer),
        }
    }

    fn try_to_begin(
        &self,
        live: &Live,
        own_servers: &OwnServers,
        answer: Option<SyncSender<UpgradeAnswer>>,
    ) -> Result<(), String> {
        if let Some(reason) = self.reason_against(live) {
            return Err(reason);
        }
        let all = self.hand_over(live, own_servers);
        let (hand_over, sockets) = all.map_err(|error| error_text(&error))?;
        log!(ALWAYS, "upgrade: starting another process");
        let (program, controller) = (self.started_as.clone(), self.controller.clone());
        let thread = thread::Builder::new().name("upgrade".into());
        let begun = thread.spawn(move || {
            let started = Successor::start(&program, hand_over, sockets);
            controller.note_started(started, answer);
        });
        begun.map(drop).map_err(|error| error_text(&error))
    }

    fn reason_against(&self, live: &Live) -> Option<String> {
        if live.is_upgrading() {
            return Some("an upgrade is under way already".into());
        }
        if std::process::id() == 1 {
            return Some("this is process 1, with which everything here ends; start another container instead".into());
        }
        if self.started_as.is_simple_service() {
            return Some("its service has Type=simple, with which systemd ends the new process when this one ends; Type=notify follows it".into());
        }
        let old = self.old_process.as_ref().filter(|old| !old.has_ended())?;
        let (pid, clients) = (old.pid(), old.clients());
        Some(format!(
            "the upgrade before this one is not over: process {pid} still has {clients} clients (the setting upgrade_drain)"
        ))
    }

    /// What the new process needs: first the sockets of pools, then those of the process.
    fn hand_over(
        &self,
        live: &Live,
        own_servers: &OwnServers,
    ) -> std::io::Result<(HandOver, Vec<Socket>)> {
        let mut hand_over = HandOver::of_this_process(logger::level());
        let now = self.clock.now();
        for pool in &live.directory().in_force().pools {
            let core = pool.core();
            hand_over.add_health(pool.name(), &core.health_records(now));
            let settings = &core.plan().settings;
            // A cluster tells the other process its map.
            if let Some(standing) = pool.standing().filter(|_| settings.slots.is_none()) {
                hand_over.add_servers(pool.name(), standing.known().source, &settings.servers);
            }
        }
        let mut sockets = live.copy_sockets()?;
        for (purpose, socket, keeps_file) in own_servers.copies()? {
            sockets.push(Socket {
                purpose: purpose.into(),
                socket,
                keeps_file,
            });
        }
        Ok((hand_over, sockets))
    }

    /// Lets the new process go on, if there is one; returns it then. This process must accept nobody any more.
    pub(super) fn let_go(
        &self,
        live: &mut Live,
        started: Result<Successor, String>,
        answer: Option<SyncSender<UpgradeAnswer>>,
    ) -> Option<Successor> {
        live.set_upgrading(false);
        let mut successor = match started {
            Ok(successor) => successor,
            Err(reason) => {
                refuse(&reason, answer);
                return None;
            }
        };
        // A supervisor listens to this process only until it knows of the other one.
        supervisor::main_process_is(successor.pid());
        if let Err(error) = successor.go() {
            supervisor::main_process_is(std::process::id());
            let text = error_text(&error);
            let reason = format!("process {} has ended: {text}", successor.pid());
            successor.give_up();
            refuse(&reason, answer);
            return None;
        }
        let replaced = Replaced {
            pid: successor.pid(),
            version: successor.version().to_owned(),
            old_pid: std::process::id(),
            clients: clients(live.directory()),
            within: live.config().globals.upgrade_drain,
        };
        log!(ALWAYS, "upgrade: {}", replaced.text());
        if let Some(answer) = answer {
            // Whoever has left needs no answer.
            let _ = answer.send(Ok(replaced));
        }
        Some(successor)
    }

    /// Accepts nobody any more: the listening sockets and their files, and the pid file, are the other process's. Returns how
    /// the clients that are left are to be closed.
    pub(super) fn give_away(
        &self,
        successor: Successor,
        live: &mut Live,
        own_servers: OwnServers,
        pid_file: Option<PidFile>,
    ) -> Drain {
        let pools = live.give_away(|at| successor.has_taken(at));
        own_servers.close(|at| successor.has_taken(pools + at));
        if let Some(pid_file) = pid_file {
            pid_file.give_away();
        }
        let drain = Drain::of_upgrade(live.config().globals.upgrade_drain);
        let told = live.announce(drain.departure());
        log!(
            NOTICE,
            "upgrade: {told} clients that had asked for it were told to connect again"
        );
        report(
            successor,
            Arc::clone(live.directory()),
            Arc::clone(&self.counts),
        );
        // Those that were told need no closing if they are given the time.
        match told > 0 {
            true => drain.in_second_half(),
            false => drain,
        }
    }
}

/// Tells the new process what this one still has, on a thread of its own, for as long as this process runs.
fn report(mut successor: Successor, directory: Arc<Directory>, counts: Arc<ConnectionCounts>) {
    let begun = thread::Builder::new()
        .name("upgrade".into())
        .spawn(move || {
            loop {
                let clients = u64::try_from(clients(&directory)).unwrap_or(0);
                let others = u64::try_from(counts.current()).unwrap_or(0);
                let servers = others.saturating_sub(counts.clients() as u64);
                if successor.report(clients, servers).is_err() {
                    // It has ended; the clients of this process are served all the same.
                    return;
                }
                thread::sleep(EVERY);
            }
        });
    // Without it the new process does not know how many clients are left here.
    drop(begun);
}

fn refuse(reason: &str, answer: Option<SyncSender<UpgradeAnswer>>) {
    log!(
        ALERT,
        "upgrade: this process serves on as if nothing had been: {reason}"
    );
    if let Some(answer) = answer {
        let _ = answer.send(Err(reason.into()));
    }
}
