//! Bytes of ropes, and bytes as they are shown.

use proxy::Rope;

/// The first `most` bytes of a rope.
pub(crate) fn first(rope: &Rope, most: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(most.min(rope.len()));
    for slice in rope.slices() {
        let count = slice.len().min(most - bytes.len());
        bytes.extend_from_slice(&slice[..count]);
        if bytes.len() == most {
            break;
        }
    }
    bytes
}

/// Bytes for the trace.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let short = &bytes[..bytes.len().min(120)];
    format!("[{}] {}", bytes.len(), short.escape_ascii())
}
