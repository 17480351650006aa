//! What a client has asked to be told of.

/// What a client is told of a departure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Told {
    /// Nothing: it has not asked for it.
    #[default]
    Nothing,
    /// That it comes.
    When,
    /// Also where to connect to instead.
    Where,
}
