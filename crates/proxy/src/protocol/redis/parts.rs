//! Numbers in what workers contribute to an answer.

/// Appends a number to a part.
pub(super) fn put_number(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_le_bytes());
}

/// The numbers of a part.
pub(super) fn numbers(part: &[u8]) -> impl Iterator<Item = u64> {
    let (numbers, _) = part.as_chunks();
    numbers.iter().map(|bytes| u64::from_le_bytes(*bytes))
}
