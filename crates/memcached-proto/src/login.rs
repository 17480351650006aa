//! How clients say who they are: a `set` of any key whose data is a name and a password, as a memcached that runs with `-Y` (ASCII
//! authentication) takes it as the first request of a connection.
//!
//! Until then it looks at lines only: anything that is no such `set` is a line by itself, whatever follows it.

use memchr::memchr;

use crate::line::{is_http, is_resp};
use crate::words::Words;
use crate::{RequestError, number, request};

/// Maximum bytes of a line before a client has said who it is, its end included. memcached 1.6 closes a connection with more.
pub const MAX_LINE: usize = 2_048;

/// Maximum bytes of the data with name and password. memcached takes up to 4 GiB, for which it has no use, and keeps them.
pub const MAX_DATA: u64 = 2_048;

/// What is at the beginning of the bytes of a client that has not said who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// Not yet a whole line, or not yet all of the data.
    Partial,
    /// A line that is something else.
    Other {
        /// Bytes to consume.
        len: usize,
    },
    /// A client says who it is.
    Attempt {
        /// Bytes to consume.
        len: usize,
        /// Name and password.
        login: Result<Login<'a>, BadLogin>,
    },
}

/// A name and a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Login<'a> {
    /// The name.
    pub user: &'a [u8],
    /// The password.
    pub password: &'a [u8],
}

/// Why data is no name and password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadLogin {
    /// There is no CRLF where its length says.
    Termination,
    /// It has not two words.
    Format,
}

impl BadLogin {
    /// The words of memcached 1.6, to follow `CLIENT_ERROR`.
    pub fn text(self) -> &'static str {
        match self {
            BadLogin::Termination => "bad command line termination",
            BadLogin::Format => "bad authentication token format",
        }
    }
}

/// Passwords are not shown.
impl std::fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

/// Looks for a request at the beginning of `text`. It remembers nothing: what it looks at is short.
///
/// # Errors
///
/// Bytes after which the start of the next request cannot be found, or that are not read.
pub fn read(text: &[u8]) -> Result<Found<'_>, RequestError> {
    if request::is_binary(text) {
        return request::binary_request(text).map(|_| Found::Partial);
    }
    let head = &text[..text.len().min(MAX_LINE)];
    let Some(end) = memchr(b'\n', head) else {
        return match text.len() < MAX_LINE {
            true => Ok(Found::Partial),
            false => Err(RequestError::LineTooLong { max: MAX_LINE }),
        };
    };
    let len = end + 1;
    let line = &text[..end];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match announced(line)? {
        Some(bytes) => with_data(text, len, bytes),
        None => Ok(Found::Other { len }),
    }
}

/// Whether a client says who it is at the beginning of `text`.
pub fn is_attempt(text: &[u8]) -> bool {
    matches!(read(text), Ok(Found::Attempt { .. }))
}

/// The length of the data behind a line, if it is one of a client that says who it is. As in memcached, nothing else of it counts, and
/// there may be further words.
fn announced(line: &[u8]) -> Result<Option<usize>, RequestError> {
    let mut words = Words { line, at: 0 };
    let word = words.next().map_or(&b""[..], |word| word.of(line));
    if word != b"set" {
        return match () {
            () if is_http(word, line) => Err(RequestError::Http),
            () if is_resp(word) => Err(RequestError::Resp),
            () => Ok(None),
        };
    }
    let length = words.nth(3).filter(|word| number::is_digits(word.of(line)));
    match length.and_then(|length| number::length(length.of(line))) {
        Some(bytes) if bytes > MAX_DATA => Err(RequestError::LoginTooLong { max: MAX_DATA }),
        bytes => Ok(bytes.map(|bytes| bytes as usize)),
    }
}

/// A name and a password in the `bytes` bytes behind a line of `line` bytes.
fn with_data(text: &[u8], line: usize, bytes: usize) -> Result<Found<'_>, RequestError> {
    let end = line + bytes;
    let len = end + 2;
    let Some(block) = text.get(line..len) else {
        return Ok(Found::Partial);
    };
    if !block.ends_with(b"\r\n") {
        let login = Err(BadLogin::Termination);
        return Ok(Found::Attempt { len, login });
    }
    let data = &text[line..end];
    let mut words = Words { line: data, at: 0 };
    let login = match (words.next(), words.next()) {
        (Some(user), Some(password)) => Ok(Login {
            user: user.of(data),
            password: password.of(data),
        }),
        _ => Err(BadLogin::Format),
    };
    Ok(Found::Attempt { len, login })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(text: &str) -> (&str, &str, usize) {
        match read(text.as_bytes()) {
            Ok(Found::Attempt {
                len,
                login: Ok(Login { user, password }),
            }) => {
                let text = |bytes| std::str::from_utf8(bytes).expect("text");
                (text(user), text(password), len)
            }
            other => panic!("{other:?} of {text}"),
        }
    }

    #[test]
    fn name_and_password_are_the_first_words_of_the_data() {
        let whole = "set x 0 0 10\r\napp secret\r\n";
        assert_eq!(attempt(whole), ("app", "secret", 26));
        assert_eq!(attempt(&format!("{whole}get a\r\n")).2, 26);
        for line in [
            " set x 0 0 10",
            "set  x y z 10 ",
            "set x 0 0 10 noreply",
            "set x 0 0 10 a b c",
        ] {
            let text = format!("{line}\r\napp secret\r\n");
            let (user, password, _) = attempt(&text);
            assert_eq!((user, password), ("app", "secret"), "{line}");
        }
        let spaced = "set x 0 0 14\n app  se cret \r\n";
        assert_eq!(attempt(spaced), ("app", "se", spaced.len()));
        for cut in 0..whole.len() {
            assert_eq!(read(&whole.as_bytes()[..cut]), Ok(Found::Partial), "{cut}");
        }
    }

    #[test]
    fn what_is_no_name_and_password_is_told_as_memcached_tells_it() {
        for (text, expected) in [
            ("set x 0 0 9\r\napp secret\r\n", BadLogin::Termination),
            ("set x 0 0 9\r\nappsecret\r\n", BadLogin::Format),
            ("set x 0 0 0\r\n\r\n", BadLogin::Format),
            ("set x 0 0 4\r\napp \r\n", BadLogin::Format),
        ] {
            let found = read(text.as_bytes());
            let is_it =
                matches!(found, Ok(Found::Attempt { login: Err(bad), .. }) if bad == expected);
            assert!(is_it, "{text}: {found:?}");
        }
    }

    #[test]
    fn anything_else_is_a_line_by_itself() {
        for line in [
            "",
            "get a",
            "quit",
            "set x",
            "set x 0 10",
            "set x 0 0 ten",
            "set x 0 0 -1",
            "add x 0 0 10",
            "SET x 0 0 10",
            "ms x 10",
        ] {
            let text = format!("{line}\r\napp secret\r\n");
            let len = line.len() + 2;
            assert_eq!(read(text.as_bytes()), Ok(Found::Other { len }), "{line}");
        }
    }

    #[test]
    fn lines_and_data_are_short() {
        let line = |len: usize| format!("get {}\r\n", "k".repeat(len - 6));
        let len = MAX_LINE;
        assert_eq!(read(line(len).as_bytes()), Ok(Found::Other { len }));
        let too_long = Err(RequestError::LineTooLong { max: MAX_LINE });
        assert_eq!(read(line(len + 1).as_bytes()), too_long);
        assert_eq!(read(&line(len + 1).as_bytes()[..len]), too_long);
        assert_eq!(read(&line(len).as_bytes()[..len - 1]), Ok(Found::Partial));
        assert_eq!(read(b"set x 0 0 2048\r\n"), Ok(Found::Partial));
        for length in ["2049", "2147483646", "99999999999999999999"] {
            let text = format!("set x 0 0 {length}\r\n");
            assert_eq!(
                read(text.as_bytes()),
                Err(RequestError::LoginTooLong { max: MAX_DATA })
            );
        }
    }

    #[test]
    fn what_speaks_another_protocol_is_not_read_on() {
        assert_eq!(read(b"GET / HTTP/1.1\r\n"), Err(RequestError::Http));
        assert_eq!(read(b"*2\r\n"), Err(RequestError::Resp));
        assert_eq!(read(&[0x80; 15]), Ok(Found::Partial));
        assert!(matches!(
            read(&[0x80; 24]),
            Err(RequestError::BinaryProtocol { .. })
        ));
    }

    #[test]
    fn passwords_are_not_shown() {
        let shown = format!("{:?}", read(b"set x 0 0 10\r\napp secret\r\n"));
        assert!(
            !shown.contains("secret") && !shown.contains("115"),
            "{shown}"
        );
    }
}
