//! Requests as bytes, with what is needed to assign replies to them.

/// A pool's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Redis,
    Memcached,
}

/// Placeholder in a request's bytes for the cas unique that this side returned last for the key.
pub(crate) const CAS: &[u8] = b"<cas-unique>";

/// One request of a client.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The whole request as sent, see [`CAS`].
    pub(crate) bytes: Vec<u8>,
    /// The command and its arguments if the bytes are well-formed; otherwise as far as known.
    pub(crate) words: Vec<Vec<u8>>,
    pub(crate) replies: Replies,
}

/// How many replies a request gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replies {
    One,
    /// memcached's noreply.
    None,
}

impl Request {
    /// A Redis command in RESP form.
    pub(crate) fn redis<A: AsRef<[u8]>>(words: &[A]) -> Request {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            let word = word.as_ref();
            bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            bytes.extend_from_slice(word);
            bytes.extend_from_slice(b"\r\n");
        }
        Request {
            bytes,
            words: words.iter().map(|word| word.as_ref().to_vec()).collect(),
            replies: Replies::One,
        }
    }

    /// The words of a text as a Redis command.
    pub(crate) fn redis_line(text: &str) -> Request {
        Request::redis(&text.split_whitespace().collect::<Vec<_>>())
    }

    /// A memcached command: its line (without line end) and, if it stores, its data.
    pub(crate) fn memcached(line: &[u8], data: Option<&[u8]>) -> Request {
        let mut bytes = [line, b"\r\n"].concat();
        if let Some(data) = data {
            bytes.extend_from_slice(data);
            bytes.extend_from_slice(b"\r\n");
        }
        let words: Vec<Vec<u8>> = line
            .split(|byte| *byte == b' ')
            .filter(|word| !word.is_empty())
            .map(<[u8]>::to_vec)
            .collect();
        let quiet = words.len() > 1 && words.last().is_some_and(|word| word == b"noreply");
        let reads = words.first().is_some_and(|word| word.starts_with(b"get"));
        Request {
            bytes,
            words,
            replies: match quiet && !reads {
                true => Replies::None,
                false => Replies::One,
            },
        }
    }

    /// Bytes that may not be a request; the words are split at blanks.
    pub(crate) fn raw(bytes: &[u8]) -> Request {
        Request {
            bytes: bytes.to_vec(),
            words: bytes
                .split(|byte| byte.is_ascii_whitespace())
                .filter(|word| !word.is_empty())
                .map(<[u8]>::to_vec)
                .collect(),
            replies: Replies::One,
        }
    }

    /// The command in lower case; empty if there is none.
    pub(crate) fn name(&self) -> String {
        let first = self.words.first().map(Vec::as_slice).unwrap_or_default();
        String::from_utf8_lossy(first).to_ascii_lowercase()
    }

    /// Number of arguments.
    pub(crate) fn args(&self) -> usize {
        self.words.len().saturating_sub(1)
    }
}

/// Bytes for a message: escaped, with the middle left out if long.
pub(crate) fn shown(bytes: &[u8]) -> String {
    const ENDS: usize = 300;
    if bytes.len() <= 2 * ENDS {
        return format!("\"{}\"", bytes.escape_ascii());
    }
    let (head, tail) = (&bytes[..ENDS], &bytes[bytes.len() - ENDS..]);
    format!(
        "\"{}\" ... {} bytes ... \"{}\"",
        head.escape_ascii(),
        bytes.len() - 2 * ENDS,
        tail.escape_ascii()
    )
}
