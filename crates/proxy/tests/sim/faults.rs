//! What went wrong, and so which failures may be reported: none is believed without its fault.

use crate::keys::Tag;

/// Why a server connection ended, as the simulator knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blow {
    Refused,
    NoSuchFile,
    HostDown,
    Fin,
    Reset,
    BrokenPipe,
    TimedOut,
    Garbage,
    /// The server refused HELLO, which is no failure.
    Declined,
}

impl Blow {
    /// What nutcracker 0.5.0 writes into its error lines.
    fn text(self) -> &'static str {
        match self {
            Blow::Refused => "Connection refused",
            Blow::NoSuchFile => "No such file or directory",
            Blow::HostDown => "Host is down",
            Blow::Fin => "unknown",
            Blow::Reset => "Connection reset by peer",
            Blow::BrokenPipe => "Broken pipe",
            Blow::TimedOut => "Connection timed out",
            Blow::Garbage | Blow::Declined => "Invalid argument",
        }
    }
}

/// One end of a server connection.
#[derive(Debug)]
struct Fault {
    step: u64,
    worker: usize,
    server: usize,
    /// What happened; several where the proxy may have noticed any of them first.
    blows: Vec<Blow>,
    /// The request whose reply broke off in the middle.
    cut: Vec<Tag>,
}

/// Every end of a server connection that could lose a request.
#[derive(Debug, Default)]
pub(crate) struct FaultLog {
    faults: Vec<Fault>,
}

impl FaultLog {
    pub(crate) fn record(
        &mut self,
        step: u64,
        worker: usize,
        server: usize,
        blows: Vec<Blow>,
        cut: Vec<Tag>,
    ) {
        self.faults.push(Fault {
            step,
            worker,
            server,
            blows,
            cut,
        });
    }

    /// Whether a failure with this text can have hit a request that `worker` took at step `since` or
    /// later and that went to one of `servers` (unknown: any).
    pub(crate) fn explains(
        &self,
        worker: usize,
        servers: Option<&[usize]>,
        text: &str,
        since: u64,
    ) -> bool {
        self.since(worker, servers, since)
            .any(|fault| fault.blows.iter().any(|blow| blow.text() == text))
    }

    /// Whether any connection to one of `servers` ended since.
    pub(crate) fn any(&self, worker: usize, servers: Option<&[usize]>, since: u64) -> bool {
        self.since(worker, servers, since).next().is_some()
    }

    /// Whether the reply to this request broke off.
    pub(crate) fn was_cut(&self, tag: Tag) -> bool {
        self.faults.iter().any(|fault| fault.cut.contains(&tag))
    }

    pub(crate) fn count(&self) -> usize {
        self.faults.len()
    }

    fn since<'a>(
        &'a self,
        worker: usize,
        servers: Option<&'a [usize]>,
        since: u64,
    ) -> impl Iterator<Item = &'a Fault> {
        let first = self.faults.partition_point(|fault| fault.step < since);
        let concerns = move |fault: &&Fault| {
            fault.worker == worker && servers.is_none_or(|servers| servers.contains(&fault.server))
        };
        self.faults[first..].iter().filter(concerns)
    }
}
