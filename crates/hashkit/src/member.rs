//! The servers of a pool as a distribution sees them.

use std::cmp::Ordering;

/// A server as a ring sees it.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// The server's name, from which ketama derives the server's points. By nutcracker's rules: the
    /// configured name, else host and port (without the port if it is 11211), else socket path and a colon.
    pub name: &'a [u8],
    /// The server's share relative to the other live ones. nutcracker allows no weight of 0; here it means no
    /// share.
    pub weight: u32,
    /// Whether the server takes part, that is, is not ejected.
    pub live: bool,
}

/// The order by name in which nutcracker 0.5.0 numbers the servers of a pool: shorter names first, those of
/// equal length by their bytes.
///
/// Every distribution depends on it; the order in the file does not matter.
pub fn index_order(a: &[u8], b: &[u8]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// The live members with their indices, in index order.
pub(crate) fn live<'m, 'a>(
    members: &'m [Member<'a>],
) -> impl Iterator<Item = (u32, &'m Member<'a>)> + Clone {
    (0..).zip(members).filter(|(_, member)| member.live)
}

/// What each member owns: its share, if it is live.
pub(crate) fn shares(members: &[Member<'_>], share: impl Fn(&Member<'_>) -> u32) -> Vec<u32> {
    let share_of = |member: &Member<'_>| if member.live { share(member) } else { 0 };
    members.iter().map(share_of).collect()
}
