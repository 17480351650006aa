//! Texts that are cut off where they are too long.

use std::fmt::{self, Write};

/// Maximum bytes of a message; the rest is cut off. nutcracker 0.5.0 cuts at 255.
const MAX_MESSAGE: usize = 1024;

/// The beginning of a text.
pub(super) fn bounded(text: fmt::Arguments<'_>) -> String {
    let mut bounded = Bounded(String::new());
    // The only error is that the text was cut off.
    let _ = bounded.write_fmt(text);
    bounded.0
}

/// A text of at most [`MAX_MESSAGE`] bytes.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_MESSAGE - self.0.len();
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        let cut = (0..=room).rev().find(|&at| text.is_char_boundary(at));
        self.0.push_str(&text[..cut.unwrap_or(0)]);
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_between_characters() {
        let mut text = Bounded("x".repeat(MAX_MESSAGE - 1));
        assert!(text.write_str("é").is_err());
        assert_eq!(text.0.len(), MAX_MESSAGE - 1);
    }
}
