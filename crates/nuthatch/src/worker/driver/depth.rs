//! Pipeline depth: how many requests clients send at once.

/// Average requests per client read from which clients count as pipelining.
const DEEP: u64 = 4;

/// Compares the requests that clients sent with the number of reads.
#[derive(Debug, Default)]
pub(super) struct Depth {
    /// Counts of the current tick.
    reads: u64,
    requests: u64,
    /// Whether clients pipelined in the last tick that read any.
    was_deep: bool,
}

impl Depth {
    /// A tick begins; the result of the last one stays valid until a client is read.
    pub(super) fn begin_tick(&mut self) {
        *self = Self {
            was_deep: self.is_deep(),
            ..Self::default()
        };
    }

    /// A client read returned this many whole requests.
    pub(super) fn note(&mut self, requests: u64) {
        self.reads += 1;
        self.requests += requests;
    }

    /// Whether most clients send several requests at once.
    pub(super) fn is_deep(&self) -> bool {
        match self.reads {
            0 => self.was_deep,
            reads => self.requests >= reads * DEEP,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_per_read_is_not_deep_however_many_clients() {
        let mut depth = Depth::default();
        assert!(!depth.is_deep());
        (0..200).for_each(|_| depth.note(1));
        assert!(!depth.is_deep());
    }

    #[test]
    fn what_was_seen_of_clients_holds_while_only_servers_are_read() {
        let mut depth = Depth::default();
        depth.note(16);
        depth.note(2);
        assert!(depth.is_deep());
        depth.begin_tick();
        depth.begin_tick();
        assert!(depth.is_deep());
        depth.note(1);
        assert!(!depth.is_deep());
        depth.begin_tick();
        assert!(!depth.is_deep());
    }
}
