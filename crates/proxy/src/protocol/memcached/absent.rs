//! What memcached does not have.

use super::Memcached;
use super::client::MemcachedClient;
use crate::protocol::channel::{Change, ChannelKind, Counts};
use crate::protocol::decision;
use crate::protocol::report::{PoolView, Report};
use crate::protocol::subscribing::{Notice, Subscribing};

/// No request is answered with a report.
impl Report for Memcached {
    fn report(
        &self,
        _request: decision::Request<'_, Self>,
        _pool: &PoolView<'_, MemcachedClient>,
        _out: &mut Vec<u8>,
    ) {
    }
}

/// No request of a client is about subscriptions, so that no server is asked for one.
impl Subscribing for Memcached {
    fn ask_for(_change: Change, _kind: ChannelKind, _name: &[u8], _out: &mut Vec<u8>) {}

    fn ask_for_life(_out: &mut Vec<u8>) {}

    fn notice(_start: &[u8]) -> Option<Notice<'_>> {
        None
    }

    fn confirm(
        _client: &MemcachedClient,
        _change: Change,
        _kind: ChannelKind,
        _name: Option<&[u8]>,
        _count: usize,
        _out: &mut Vec<u8>,
    ) {
    }

    fn too_many_subscriptions(_out: &mut Vec<u8>) {}

    fn message_start(_client: &MemcachedClient) -> Option<u8> {
        None
    }

    fn note_subscriptions(_client: &mut MemcachedClient, _counts: Counts) {}
}
