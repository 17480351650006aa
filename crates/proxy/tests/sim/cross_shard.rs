//! Which clients' requests with keys of several servers are refused: the pool's `cross_shard`, and with `auto` what
//! each client has sent first.

use proxy::settings::CrossShard;

use crate::expected::Expected;
use crate::redis_client::Composed;
use crate::rng::Rng;
use crate::scenario::Scenario;

/// What a client has sent since it connected, or since RESET.
#[derive(Debug, Default, Clone)]
pub(crate) struct Beginning {
    /// A request with a key that is not refused.
    keyed: bool,
    /// Before that, a command on which twemproxy closes the connection.
    introduced: bool,
}

impl Scenario {
    /// Has some pools decide for each client. Uses its own generator, so that other seeds keep their meaning.
    pub(crate) fn draw_cross_shard(&mut self, rng: &mut Rng) {
        if self.redis && self.cross_shard == CrossShard::FirstKey && rng.chance(1, 3) {
            self.cross_shard = CrossShard::Auto;
        }
    }
}

impl Beginning {
    /// A request is sent.
    pub(crate) fn note(&mut self, composed: &Composed) {
        match &composed.want {
            Some(
                Expected::Keyed { .. }
                | Expected::Popped(_)
                | Expected::Together { .. }
                | Expected::Elements(_)
                | Expected::Sum { .. }
                | Expected::AllOk(_),
            ) => self.keyed = true,
            // Of a transaction, whose commands have keys.
            Some(Expected::Exactly(reply)) if reply == b"+QUEUED\r\n" => self.keyed = true,
            _ => self.introduced |= !self.keyed && is_introduction(&composed.bytes),
        }
    }

    /// Whether the client's next request is refused if its keys are on several servers.
    pub(crate) fn refuses(&self, rule: CrossShard) -> bool {
        match rule {
            CrossShard::Auto => self.introduced,
            CrossShard::FirstKey => false,
            CrossShard::Error => true,
        }
    }
}

fn is_introduction(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let name = text.split("\r\n").nth(2).unwrap_or_default();
    ["hello", "client", "select", "info"].contains(&name)
}
