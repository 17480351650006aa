//! As much of RESP2 as the nodes and the clients speak.

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Option<Vec<u8>>),
    Array(Option<Vec<Reply>>),
}

impl Reply {
    pub(crate) fn ok() -> Self {
        Self::Simple("OK".into())
    }

    pub(crate) fn error(text: impl Into<String>) -> Self {
        Self::Error(text.into())
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Simple(text) => out.extend(format!("+{text}\r\n").bytes()),
            Self::Error(text) => out.extend(format!("-{text}\r\n").bytes()),
            Self::Integer(number) => out.extend(format!(":{number}\r\n").bytes()),
            Self::Bulk(None) => out.extend(b"$-1\r\n"),
            Self::Bulk(Some(bytes)) => {
                out.extend(format!("${}\r\n", bytes.len()).bytes());
                out.extend(bytes);
                out.extend(b"\r\n");
            }
            Self::Array(None) => out.extend(b"*-1\r\n"),
            Self::Array(Some(items)) => {
                out.extend(format!("*{}\r\n", items.len()).bytes());
                items.iter().for_each(|item| item.encode(out));
            }
        }
    }

    /// The first reply of `bytes` and how many of them it takes; `None` while it is not whole.
    pub(crate) fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let (line, mut at) = line(bytes)?;
        let text = || String::from_utf8_lossy(&line[1..]).into_owned();
        let number = || text().parse::<i64>().expect("a number");
        let reply = match line.first().expect("a line that is not empty") {
            b'+' => Self::Simple(text()),
            b'-' => Self::Error(text()),
            b':' => Self::Integer(number()),
            b'$' => match usize::try_from(number()) {
                Err(_) => Self::Bulk(None),
                Ok(len) => {
                    let body = bytes.get(at..at + len + 2)?;
                    assert_eq!(&body[len..], b"\r\n", "the end of a bulk string");
                    at += len + 2;
                    Self::Bulk(Some(body[..len].into()))
                }
            },
            b'*' => match number() {
                -1 => Self::Array(None),
                count => {
                    let mut items = Vec::new();
                    for _ in 0..count {
                        let (item, len) = Self::parse(&bytes[at..])?;
                        items.push(item);
                        at += len;
                    }
                    Self::Array(Some(items))
                }
            },
            other => panic!("no reply begins with {other}: {}", line.escape_ascii()),
        };
        Some((reply, at))
    }
}

/// A request as an array of bulk strings.
pub(crate) fn request<T: AsRef<[u8]>>(words: &[T]) -> Vec<u8> {
    let words = words
        .iter()
        .map(|word| Reply::Bulk(Some(word.as_ref().into())));
    let mut out = Vec::new();
    Reply::Array(Some(words.collect())).encode(&mut out);
    out
}

/// The words of the first request of `bytes`, and how many bytes it takes.
pub(crate) fn parse_request(bytes: &[u8]) -> Option<(Vec<Vec<u8>>, usize)> {
    let (reply, len) = Reply::parse(bytes)?;
    let Reply::Array(Some(items)) = reply else {
        panic!("no request: {reply:?}");
    };
    let word = |item| match item {
        Reply::Bulk(Some(word)) => word,
        other => panic!("no word of a request: {other:?}"),
    };
    Some((items.into_iter().map(word).collect(), len))
}

fn line(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    Some((&bytes[..end], end + 2))
}
