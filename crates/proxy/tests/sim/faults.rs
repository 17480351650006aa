//! The faults that happened, and so which failures may be reported: each reported failure must have a fault.

use std::rc::Rc;

use proxy::Cause;

use crate::keys::Tag;

/// Why a server connection ended, as the simulator knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LossCause {
    Refused,
    NoSuchFile,
    HostDown,
    Fin,
    Reset,
    BrokenPipe,
    TimedOut,
    Garbage,
    /// The server refused HELLO, which does not count as a failure.
    Declined,
    /// A probe has been answered, which does not count either.
    Probed,
    /// A connection to the other pool is not needed any more.
    Retired,
    /// A server of the other pool does not support limiting a TTL.
    TooOld,
    /// The server refused a step of the handshake with this error.
    Unfit(&'static str),
    /// The server had left or moved, and was too slow over what it had.
    Left,
}

impl LossCause {
    /// The text in nutcracker 0.5.0's error lines.
    fn text(self) -> &'static str {
        match self {
            LossCause::Refused => "Connection refused",
            LossCause::NoSuchFile => "No such file or directory",
            LossCause::HostDown => "Host is down",
            LossCause::Fin => "unknown",
            LossCause::Reset => "Connection reset by peer",
            LossCause::BrokenPipe => "Broken pipe",
            LossCause::TimedOut => "Connection timed out",
            LossCause::Garbage | LossCause::Declined | LossCause::Probed | LossCause::Retired => {
                "Invalid argument"
            }
            LossCause::TooOld => "the failover server cannot limit the time to live",
            LossCause::Unfit(text) => text,
            LossCause::Left => "Software caused connection abort",
        }
    }
}

impl LossCause {
    /// The cause as the project's shell would report it.
    pub(crate) fn cause(self) -> Cause {
        match self {
            LossCause::Refused => Cause::Refused,
            LossCause::NoSuchFile => Cause::Other(Rc::from("No such file or directory")),
            LossCause::HostDown => Cause::HostDown,
            LossCause::Fin => Cause::Closed,
            LossCause::Reset => Cause::Reset,
            LossCause::BrokenPipe => Cause::BrokenPipe,
            LossCause::TimedOut => Cause::TimedOut,
            LossCause::Garbage
            | LossCause::Declined
            | LossCause::Probed
            | LossCause::Retired
            | LossCause::TooOld
            | LossCause::Left
            | LossCause::Unfit(_) => Cause::Protocol,
        }
    }
}

/// One end of a server connection, or requests that were late on one that stays open.
#[derive(Debug)]
struct Fault {
    step: u64,
    worker: usize,
    server: usize,
    /// What happened; several causes if the proxy may have noticed any of them first.
    loss_causes: Vec<LossCause>,
    /// The request whose reply was cut off.
    cut: Vec<Tag>,
    /// It can only have affected requests sent until then.
    sent_until: u64,
    /// For a connection that ended without a word from the server: when, and the how many such end in a row it was.
    silent: Option<(u64, u32)>,
}

/// A failed request, with what decides which faults can have affected it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Victim<'a> {
    pub(crate) worker: usize,
    /// The servers it may have gone to; unknown means any.
    pub(crate) servers: Option<&'a [usize]>,
    /// The step and the time at which it was sent.
    pub(crate) sent: (u64, u64),
}

/// Every end of a server connection that could lose a request.
#[derive(Debug, Default)]
pub(crate) struct FaultLog {
    faults: Vec<Fault>,
    /// Refused handshakes: the worker, the server, the time, and the error.
    refusals: Vec<(usize, usize, u64, &'static str)>,
}

/// How long after a refused handshake requests may fail with its error, in microseconds.
const LONGEST_REFUSAL: u64 = 2_500_000;

/// So many connections may end without a word before further ones have to wait, and this is how long at most, in microseconds.
/// Requests fail for the same reason meanwhile.
const FREE_ENDS: u32 = 256;
const LONGEST_PAUSE: u64 = 100_000;

impl FaultLog {
    /// `silent` is the time if the server has not said a word on that connection.
    pub(crate) fn record(
        &mut self,
        step: u64,
        (worker, server): (usize, usize),
        loss_causes: Vec<LossCause>,
        cut: Vec<Tag>,
        silent: Option<u64>,
    ) {
        let last = self.faults.iter().rev();
        let mut last = last.filter(|it| (it.worker, it.server) == (worker, server));
        let last = last.find(|it| it.sent_until == u64::MAX);
        let row = last.and_then(|it| it.silent).map_or(0, |(_, row)| row);
        let silent = silent.map(|time| (time, row + 1));
        self.faults.push(Fault {
            step,
            worker,
            server,
            loss_causes,
            cut,
            sent_until: u64::MAX,
            silent,
        });
    }

    /// Requests to `server` were late; at most those sent at `sent_until` or before.
    pub(crate) fn record_late(&mut self, step: u64, worker: usize, server: usize, sent_until: u64) {
        self.faults.push(Fault {
            step,
            worker,
            server,
            loss_causes: vec![LossCause::TimedOut],
            cut: Vec::new(),
            sent_until,
            silent: None,
        });
    }

    /// A handshake with `server` was refused at `time`.
    pub(crate) fn record_refusal(
        &mut self,
        worker: usize,
        server: usize,
        time: u64,
        text: &'static str,
    ) {
        self.refusals.push((worker, server, time, text));
    }

    /// Whether a request may have failed with the error of a refused handshake.
    pub(crate) fn explains_refusal(&self, victim: Victim<'_>, error: &str) -> bool {
        self.refusals.iter().any(|(worker, server, time, text)| {
            *worker == victim.worker
                && victim
                    .servers
                    .is_none_or(|servers| servers.contains(server))
                && time + LONGEST_REFUSAL >= victim.sent.1
                && *text == error
        })
    }

    /// Whether a failure with this text can have affected the request.
    pub(crate) fn explains(&self, victim: Victim<'_>, text: &str) -> bool {
        let says = |fault: &Fault| fault.loss_causes.iter().any(|it| it.text() == text);
        self.of(victim).any(says) || self.pauses(victim).any(says)
    }

    /// The faults because of which no connection may have been opened for the request.
    fn pauses<'a>(&'a self, victim: Victim<'a>) -> impl Iterator<Item = &'a Fault> {
        self.faults.iter().filter(move |fault| {
            let is_there = fault.worker == victim.worker
                && victim.servers.is_none_or(|it| it.contains(&fault.server));
            is_there
                && fault.silent.is_some_and(|(time, row)| {
                    row > FREE_ENDS && time + LONGEST_PAUSE >= victim.sent.1
                })
        })
    }

    /// Whether any fault can have affected the request.
    pub(crate) fn any(&self, victim: Victim<'_>) -> bool {
        self.of(victim).chain(self.pauses(victim)).next().is_some()
    }

    /// Whether the reply to this request was cut off.
    pub(crate) fn was_cut(&self, tag: Tag) -> bool {
        self.faults.iter().any(|fault| fault.cut.contains(&tag))
    }

    /// Whether a reply to this client was cut off.
    pub(crate) fn has_cut(&self, client: usize) -> bool {
        let mut cut = self.faults.iter().flat_map(|fault| &fault.cut);
        cut.any(|tag| tag.client == client)
    }

    pub(crate) fn count(&self) -> usize {
        self.faults.len()
    }

    fn of<'a>(&'a self, victim: Victim<'a>) -> impl Iterator<Item = &'a Fault> {
        let (step, time) = victim.sent;
        let first = self.faults.partition_point(|fault| fault.step < step);
        let concerns = move |fault: &&Fault| {
            fault.worker == victim.worker
                && victim
                    .servers
                    .is_none_or(|servers| servers.contains(&fault.server))
                && time <= fault.sent_until
        };
        self.faults[first..].iter().filter(concerns)
    }
}
