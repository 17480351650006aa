//! One server at which channels are subscribed to, over one connection.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use super::member::Name;
use crate::cause::Cause;
use crate::id::ConnectionId;
use crate::limits::{
    FIRST_REFUSAL_PAUSE, LONGEST_REFUSAL_PAUSE, SUBSCRIBER_LINGER, SUBSCRIBER_PING_EVERY,
};
use crate::protocol::channel::{Change, ChannelKind};
use crate::time::Time;

/// A server's subscriber connection, as far as subscriptions depend on it.
#[derive(Debug)]
pub(super) struct Site {
    link: Link,
    /// How many channels it has.
    channels: usize,
    /// What it is to be asked, in order, while the connection is ready.
    todo: VecDeque<Todo>,
    /// What it was asked and has not answered, in order.
    asked: VecDeque<Asked>,
    /// No connection is opened before this.
    retry_at: Time,
    /// The pause before that, if the last attempt has failed, and why.
    failed: Option<(Duration, Cause)>,
    /// Since when it has no channels.
    idle_since: Time,
}

/// The connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    None,
    /// It carries nothing yet.
    Opening(ConnectionId),
    Ready {
        id: ConnectionId,
        since: Time,
        heard: Time,
        /// How long the server may take to answer.
        patience: Duration,
    },
}

/// Something to be asked of a server.
#[derive(Debug, Clone)]
pub(super) struct Todo {
    pub(super) change: Change,
    pub(super) kind: ChannelKind,
    pub(super) name: Name,
}

/// Something that a server was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(super) what: Question,
    at: Time,
}

/// What it was asked.
#[derive(Debug, Clone)]
pub(super) enum Question {
    /// Whether it is there.
    Life,
    /// That a subscription begins or ends, to the topic of this number.
    Change {
        change: Change,
        kind: ChannelKind,
        name: Name,
        number: u64,
    },
}

/// What is due at a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// A connection is to be opened.
    Connect,
    /// There is more to be asked.
    Ask,
    /// It was not heard for a while.
    Ping,
    /// It has not answered in time.
    Late(ConnectionId),
    /// Nothing has been subscribed to for a while.
    Idle(ConnectionId),
    /// Nothing is known of it any more that matters.
    Forget,
}

impl Site {
    pub(super) fn new(now: Time) -> Self {
        Self {
            link: Link::None,
            channels: 0,
            todo: VecDeque::new(),
            asked: VecDeque::new(),
            retry_at: now,
            failed: None,
            idle_since: now,
        }
    }

    /// A channel is at this server.
    pub(super) fn add_channel(&mut self, kind: ChannelKind, name: &Name) {
        self.channels += 1;
        self.ask(Change::Subscribe, kind, name);
    }

    /// A channel is at it no longer; it was asked for it if `is_asked`.
    pub(super) fn remove_channel(
        &mut self,
        kind: ChannelKind,
        name: &Name,
        is_asked: bool,
        now: Time,
    ) {
        self.channels -= 1;
        if self.channels == 0 {
            self.idle_since = now;
        }
        if is_asked {
            self.ask(Change::Unsubscribe, kind, name);
        }
    }

    /// The server is to be asked for something. Before the connection is ready there is nothing to be noted: then it is
    /// asked for everything.
    pub(super) fn ask(&mut self, change: Change, kind: ChannelKind, name: &Name) {
        if matches!(self.link, Link::Ready { .. }) {
            self.todo.push_back(Todo {
                change,
                kind,
                name: Rc::clone(name),
            });
        }
    }

    pub(super) fn next_todo(&mut self) -> Option<Todo> {
        self.todo.pop_front()
    }

    pub(super) fn note_asked(&mut self, what: Question, at: Time) {
        self.asked.push_back(Asked { what, at });
    }

    /// What the next answer is about.
    pub(super) fn take_asked(&mut self) -> Option<Asked> {
        self.asked.pop_front()
    }

    /// Whether the server owes an answer.
    pub(super) fn owes_answer(&self) -> bool {
        !self.asked.is_empty()
    }

    pub(super) fn connection(&self) -> Option<ConnectionId> {
        match self.link {
            Link::None => None,
            Link::Opening(id) | Link::Ready { id, .. } => Some(id),
        }
    }

    pub(super) fn open(&mut self, id: ConnectionId) {
        self.link = Link::Opening(id);
    }

    pub(super) fn make_ready(&mut self, id: ConnectionId, patience: Duration, now: Time) {
        self.link = Link::Ready {
            id,
            since: now,
            heard: now,
            patience,
        };
    }

    pub(super) fn note_heard(&mut self, now: Time) {
        if let Link::Ready { heard, .. } = &mut self.link {
            *heard = now;
        }
    }

    /// The connection has ended. A further one may be opened at once if this one has served for a while; otherwise after
    /// a pause, which doubles each time.
    pub(super) fn lose(&mut self, cause: &Cause, now: Time) {
        let lasted = matches!(self.link, Link::Ready { since, .. } if now.since(since) >= LONGEST_REFUSAL_PAUSE);
        self.link = Link::None;
        self.todo.clear();
        self.asked.clear();
        self.failed = match lasted {
            true => None,
            false => {
                let last = self.failed.as_ref().map(|(pause, _)| *pause * 2);
                let pause = last.unwrap_or(FIRST_REFUSAL_PAUSE);
                Some((pause.min(LONGEST_REFUSAL_PAUSE), cause.clone()))
            }
        };
        let pause = self.failed.as_ref().map_or(Duration::ZERO, |it| it.0);
        self.retry_at = now + pause;
    }

    /// The server may be asked at once: it is another one now, or is known to be well.
    pub(super) fn retry_now(&mut self, now: Time) {
        self.retry_at = now;
        self.failed = None;
    }

    /// Why no connection is opened at `now`.
    pub(super) fn refusal(&self, now: Time) -> Option<&Cause> {
        let is_paused = self.link == Link::None && now < self.retry_at;
        self.failed
            .as_ref()
            .filter(|_| is_paused)
            .map(|(_, cause)| cause)
    }

    /// What is due next, and when.
    pub(super) fn due(&self) -> Option<(Time, Due)> {
        match self.link {
            Link::None if self.channels > 0 => Some((self.retry_at, Due::Connect)),
            Link::None => Some((self.retry_at, Due::Forget)),
            // The roster sees to it that this ends.
            Link::Opening(id) => self.idle(id),
            Link::Ready { .. } if !self.todo.is_empty() => Some((Time::ZERO, Due::Ask)),
            Link::Ready {
                id,
                heard,
                patience,
                ..
            } => {
                let answer = match self.asked.front() {
                    Some(oldest) => (oldest.at.max(heard) + patience, Due::Late(id)),
                    None => (heard + SUBSCRIBER_PING_EVERY, Due::Ping),
                };
                let both = [Some(answer), self.idle(id)];
                both.into_iter().flatten().min_by_key(|(at, _)| *at)
            }
        }
    }

    /// When its connection has been idle for long enough, if it is.
    fn idle(&self, id: ConnectionId) -> Option<(Time, Due)> {
        let is_idle = self.channels == 0;
        is_idle.then(|| (self.idle_since + SUBSCRIBER_LINGER, Due::Idle(id)))
    }
}
