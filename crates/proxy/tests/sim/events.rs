//! Future events in virtual time; simultaneous events happen in the order in which they were planned.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::network::Direction;
use crate::scenario::Condition;

/// Something that happens at a point in virtual time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// A worker's loop runs once.
    Tick { worker: usize },
    /// A segment, or the end, of one direction of a link arrives.
    Deliver { link: usize, outward: bool },
    /// The reset that a peer sent reaches the proxy.
    ResetArrives { link: usize },
    /// An attempt to connect succeeds or is refused.
    ConnectEnds { link: usize },
    /// A client starts, continues sending, or reads a little.
    Client { client: usize },
    /// A client that does not stay to the end closes.
    ClientLeaves { client: usize },
    /// A server has something to send on a connection.
    Serve { link: usize },
    /// The condition of a server changes.
    Condition { server: usize, condition: Condition },
    /// Another plan is put in force.
    Plan,
    /// The proxy is told to stop.
    Shutdown,
}

impl Event {
    pub(crate) fn deliver(link: usize, direction: Direction) -> Self {
        Event::Deliver {
            link,
            outward: direction == Direction::Out,
        }
    }
}

/// Events ordered by time.
#[derive(Debug, Default)]
pub(crate) struct Events {
    heap: BinaryHeap<Reverse<(u64, u64, Event)>>,
    planned: u64,
}

impl Events {
    pub(crate) fn plan(&mut self, at: u64, event: Event) {
        self.planned += 1;
        self.heap.push(Reverse((at, self.planned, event)));
    }

    /// When the next event happens.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((at, _, _))| *at)
    }

    pub(crate) fn next(&mut self) -> Option<(u64, Event)> {
        self.heap.pop().map(|Reverse((at, _, event))| (at, event))
    }
}
