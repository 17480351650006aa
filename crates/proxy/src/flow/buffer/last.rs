//! A second rope with the last bytes of one.

use super::{Rope, Segment};

impl Rope {
    /// The last `count` bytes once more (at most all): large ones by reference, as here.
    pub(crate) fn last(&self, count: usize) -> Rope {
        let mut left = count.min(self.len);
        let more = self.more.iter().flat_map(|more| more.iter().rev());
        let mut parts = Vec::new();
        for segment in more {
            if left == 0 {
                break;
            }
            let taken = segment.bytes().len().min(left);
            parts.push((segment, taken));
            left -= taken;
        }
        let mut copy = Rope::with_room(count.min(self.len));
        copy.extend(&self.first[self.first.len() - left.min(self.first.len())..]);
        for (segment, taken) in parts.into_iter().rev() {
            match segment {
                Segment::Owned(bytes) => copy.extend(&bytes[bytes.len() - taken..]),
                Segment::Shared(chunk, range) => copy.push(chunk, range.end - taken..range.end),
            }
        }
        copy
    }

    /// All bytes once more, in the same way.
    pub(crate) fn again(&self) -> Rope {
        self.last(self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Chunk;
    use super::*;
    use crate::limits::{SEGMENT_BYTES, SHARE_AT_LEAST};

    fn flat(rope: &Rope) -> Vec<u8> {
        rope.slices().flatten().copied().collect()
    }

    #[test]
    fn the_last_bytes_are_the_same_wherever_they_are() {
        let mut rope = Rope::new();
        let mut whole = Vec::new();
        for round in 0..4u8 {
            let small: Vec<u8> = (0..200).map(|it| it ^ round).collect();
            rope.extend(&small);
            whole.extend(&small);
            let large: Vec<u8> = (0..2 * SHARE_AT_LEAST).map(|it| it as u8 ^ round).collect();
            let chunk: Chunk = large[..].into();
            rope.push(&chunk, 0..chunk.len());
            whole.extend(&large);
        }
        let filler = vec![7; SEGMENT_BYTES];
        rope.extend(&filler);
        whole.extend(&filler);
        rope.consume(150);
        whole.drain(..150);
        for count in [
            0,
            1,
            199,
            SEGMENT_BYTES,
            SEGMENT_BYTES + 9_000,
            whole.len() - 1,
        ] {
            let expected = &whole[whole.len() - count..];
            assert!(flat(&rope.last(count)) == expected, "{count}");
        }
        assert!(flat(&rope.again()) == whole && flat(&rope) == whole);
        assert!(flat(&rope.last(usize::MAX)) == whole);
    }
}
