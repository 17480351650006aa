//! A request that is incomplete: what has arrived of it, until the rest does.
//!
//! Its text is collected in one buffer, as it must be contiguous to be parsed. Large arguments are not in it: they
//! are *bodies*, ropes that refer to the chunks they arrived in, so that a value of many megabytes is never copied.

use std::ops::Range;

use super::gathered::Gathered;
use crate::flow::buffer::{Chunk, Rope};
use crate::limits::PARTIAL_STEP;
use crate::protocol::fanout::Body;
use crate::protocol::grammar::{Grammar, Parsed};

/// The beginning of a request, or the number of bytes still to be dropped of one that was refused.
pub(crate) struct Intake<P: Grammar> {
    parser: P::Parser,
    /// The collected text: the request so far, and maybe the beginning of the next one.
    text: Gathered,
    bodies: Vec<Body>,
    /// Bytes that the last body still lacks.
    body_left: usize,
    /// The last two bytes of the last body: memcached's data blocks must end with CR LF.
    body_tail: [u8; 2],
    /// Bytes of a refused request still to be dropped.
    skip: u64,
}

impl<P: Grammar> Intake<P> {
    /// A request of which `text` has arrived; `parser` has parsed that.
    pub(crate) fn new(parser: P::Parser, text: &[u8]) -> Self {
        Self {
            parser,
            text: Gathered::new(text),
            bodies: Vec::new(),
            body_left: 0,
            body_tail: [0; 2],
            skip: 0,
        }
    }

    /// A request that was refused, of which `skip` further bytes are to be dropped.
    pub(crate) fn skipping(skip: u64) -> Self {
        Self {
            skip,
            ..Self::new(P::Parser::default(), &[])
        }
    }

    /// Bytes that have arrived and are held.
    pub(crate) fn len(&self) -> usize {
        let bodies: usize = self.bodies.iter().map(|body| body.rope.len()).sum();
        self.text.as_slice().len() + bodies
    }

    /// Bytes of collected text.
    pub(crate) fn gathered(&self) -> usize {
        self.text.as_slice().len()
    }

    /// Bytes of memory. The parser's list of arguments takes about as much as the text at most, so the text counts
    /// twice.
    pub(crate) fn footprint(&self) -> usize {
        let bodies = self.bodies.iter().map(|body| body.rope.footprint());
        size_of::<Self>() + 2 * self.text.footprint() + bodies.sum::<usize>()
    }

    /// The parser, the collected text, and the bodies that belong into it.
    pub(crate) fn parts(&mut self) -> (&P::Parser, &[u8], &mut Vec<Body>) {
        (&self.parser, self.text.as_slice(), &mut self.bodies)
    }

    /// Drops as many of the `available` bytes as are to be dropped. Returns how many, and whether that was the last
    /// of them; `None` when nothing is to be dropped.
    pub(crate) fn drop_skipped(&mut self, available: usize) -> Option<(usize, bool)> {
        if self.skip == 0 {
            return None;
        }
        let dropped = self.skip.min(available as u64);
        self.skip -= dropped;
        Some((dropped as usize, self.skip == 0))
    }

    /// Adds as much of `range` as is known to be missing, at least [`PARTIAL_STEP`], and parses. Returns where it
    /// stopped, and what was found; `None` when a body needs more. `must_authenticate`: within the limits of a client
    /// that has not given the password.
    pub(crate) fn read_on(
        &mut self,
        grammar: &P,
        must_authenticate: bool,
        chunk: &Chunk,
        range: Range<usize>,
    ) -> (usize, Option<Parsed>) {
        let available = range.len();
        if self.body_left > 0 {
            let pos = range.start + self.body_left.min(available);
            self.add_to_body(chunk, range.start..pos);
            if self.body_left > 0 {
                return (pos, None);
            }
            let parsed = grammar.after_body(&mut self.parser, self.text.as_slice(), self.body_tail);
            return (pos, Some(parsed));
        }
        let step = P::missing(&self.parser, self.text.as_slice().len())
            .max(PARTIAL_STEP)
            .min(available);
        let pos = range.start + step;
        self.text.extend(&chunk[range.start..pos]);
        let (parser, text) = (&mut self.parser, self.text.as_slice());
        let parsed = match must_authenticate {
            true => grammar.parse_unauthenticated(parser, text),
            false => grammar.parse(parser, text),
        };
        (pos, Some(parsed))
    }

    /// A large argument of `len` bytes begins at the end of the text, and `range` of `chunk` is its beginning.
    pub(crate) fn begin_body(&mut self, len: usize, chunk: &Chunk, range: Range<usize>) {
        self.bodies.push(Body {
            at: self.text.as_slice().len(),
            rope: Rope::new(),
        });
        self.body_left = len;
        self.add_to_body(chunk, range);
    }

    /// The same, where its beginning is what the text has from `at` on.
    pub(crate) fn begin_gathered_body(&mut self, at: usize, len: usize) {
        let begun = Chunk::from(&self.text.as_slice()[at..]);
        self.text.truncate(at);
        self.begin_body(len, &begun, 0..begun.len());
    }

    fn add_to_body(&mut self, chunk: &Chunk, range: Range<usize>) {
        let bytes = &chunk[range.clone()];
        match bytes {
            [] => {}
            [only] => self.body_tail = [self.body_tail[1], *only],
            [.., last_but_one, last] => self.body_tail = [*last_but_one, *last],
        }
        self.body_left -= bytes.len();
        if let Some(body) = self.bodies.last_mut() {
            body.rope.push_to_keep(chunk, range);
        }
    }
}
