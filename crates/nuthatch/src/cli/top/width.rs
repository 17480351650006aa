//! Text in cells of a terminal, some of whose characters take two columns and some none.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// The text in exactly so many columns, from the left; what does not fit is replaced by an ellipsis.
pub(super) fn left(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let blanks = columns.saturating_sub(width(&text));
    text + &" ".repeat(blanks)
}

/// The same from the right.
pub(super) fn right(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    " ".repeat(columns.saturating_sub(width(&text))) + &text
}

fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut room = columns.saturating_sub(1);
    let fits = |c: &char| {
        let taken = c.width().unwrap_or(0);
        let fits = taken <= room;
        room = room.saturating_sub(taken);
        fits
    };
    let mut cut: String = text.chars().take_while(fits).collect();
    if columns > 0 {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fill_their_columns_exactly() {
        assert_eq!(left("ab", 4), "ab  ");
        assert_eq!(right("ab", 4), "  ab");
        assert_eq!(left("abcdef", 4), "abc…");
        assert_eq!(left("漢字かな", 6), "漢字… ");
        assert_eq!(right("漢字", 4), "漢字");
        assert_eq!(left("e\u{301}x", 2), "e\u{301}x");
        assert_eq!((left("ab", 0), left("ab", 1)), (String::new(), "…".into()));
        for columns in 0..12 {
            for text in ["", "a", "漢字かな", "ab漢cd字"] {
                assert_eq!(width(&left(text, columns)), columns, "{text}");
                assert_eq!(width(&right(text, columns)), columns, "{text}");
            }
        }
    }
}
