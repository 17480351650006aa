//! Channels of publish and subscribe, and what is done with them.

/// What a client subscribes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChannelKind {
    /// A channel (SUBSCRIBE).
    Plain,
    /// Every channel whose name matches a pattern (PSUBSCRIBE).
    Pattern,
    /// A shard channel (SSUBSCRIBE).
    Shard,
}

impl ChannelKind {
    /// All of them; the place of each is [`ChannelKind::index`].
    pub(crate) const ALL: [Self; 3] = [Self::Plain, Self::Pattern, Self::Shard];

    /// Its place in an array with one entry for each.
    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// Whether a channel of this kind and name is at every server: patterns, and the notifications that each server
    /// sends of its own keys.
    pub(crate) fn is_everywhere(self, name: &[u8]) -> bool {
        match self {
            Self::Plain => name.starts_with(b"__keyspace@") || name.starts_with(b"__keyevent@"),
            Self::Pattern => true,
            Self::Shard => false,
        }
    }
}

/// What becomes of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It begins.
    Subscribe,
    /// It ends.
    Unsubscribe,
}

/// To how many channels of each kind a client is subscribed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts([usize; 3]);

impl Counts {
    pub(crate) fn new(counts: [usize; 3]) -> Self {
        Self(counts)
    }

    /// To how many of this kind.
    pub(crate) fn of(self, kind: ChannelKind) -> usize {
        self.0[kind.index()]
    }

    /// Whether it is subscribed to any.
    pub(crate) fn is_any(self) -> bool {
        self != Self::default()
    }

    /// The number in a confirmation: shard channels are counted by themselves, channels and patterns together.
    pub(crate) fn confirmed(self, kind: ChannelKind) -> usize {
        match kind {
            ChannelKind::Shard => self.of(kind),
            ChannelKind::Plain | ChannelKind::Pattern => {
                self.of(ChannelKind::Plain) + self.of(ChannelKind::Pattern)
            }
        }
    }
}
