//! A client that asks nothing of servers.

use proxy::settings::{ProtocolSettings, RedisSettings};

use crate::stage::{Stage, redis_pool};
use crate::words::{HELLO_3, redis};

/// A client of a pool whose servers are never asked.
pub(crate) struct Alone {
    pub(crate) stage: Stage,
    pub(crate) client: usize,
    /// Connections that HELLO 3 needed.
    links: usize,
}

impl Alone {
    pub(crate) fn new() -> Self {
        Self::with(RedisSettings::default())
    }

    pub(crate) fn with(redis: RedisSettings) -> Self {
        let mut pool = redis_pool(1);
        pool.protocol = ProtocolSettings::Redis(redis);
        let mut stage = Stage::new(pool);
        let client = stage.client();
        Self {
            stage,
            client,
            links: 0,
        }
    }

    pub(crate) fn ask(&mut self, request: &str) -> String {
        let reply = self.stage.ask(self.client, format!("{request}\r\n"));
        assert_eq!(
            self.stage.links_ever(0),
            self.links,
            "a server was asked: {request}"
        );
        reply
    }

    /// Changes to RESP3, which the server is asked for.
    pub(crate) fn speak_resp3(&mut self) {
        self.stage.say(self.client, redis(&["HELLO", "3"]));
        let link = self.stage.link(0);
        assert_eq!(self.stage.heard(link), redis(&["HELLO", "3"]));
        self.stage.answer(link, HELLO_3);
        self.links = self.stage.links_ever(0);
        let greeting = self.stage.hear(self.client);
        assert!(greeting.starts_with("%7\r\n"), "{greeting}");
    }
}
