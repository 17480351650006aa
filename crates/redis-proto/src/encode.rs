//! The messages that the proxy itself writes. Everything is appended to the caller's buffer.

/// The protocol version that a connection speaks (set by HELLO; RESP2 until then).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Version {
    /// RESP2, supported by every server; the default until a client sends HELLO 3.
    #[default]
    Resp2,
    /// RESP3 (Redis 6 and later): maps, pushes and a single null.
    Resp3,
}

/// Appends the header of an array of `n` values, which the caller appends next.
pub fn array_header(out: &mut Vec<u8>, n: usize) {
    line(out, b'*', n);
}

/// Appends the header of a map of `n` pairs, which the caller appends next as key, value, key, value. RESP2
/// has no maps: there it is an array of `2 * n` values, as in Redis.
pub fn map_header(out: &mut Vec<u8>, n: usize, version: Version) {
    match version {
        Version::Resp2 => line(out, b'*', n.saturating_mul(2)),
        Version::Resp3 => line(out, b'%', n),
    }
}

/// Appends the header of a bulk string of `len` bytes; the caller writes the bytes and CR LF.
pub fn bulk_header(out: &mut Vec<u8>, len: usize) {
    line(out, b'$', len);
}

/// Appends a whole bulk string; `body` may hold any bytes.
pub fn bulk(out: &mut Vec<u8>, body: &[u8]) {
    bulk_header(out, body.len());
    out.extend_from_slice(body);
    out.extend_from_slice(b"\r\n");
}

/// Appends an integer reply.
pub fn integer(out: &mut Vec<u8>, value: i64) {
    line(out, b':', value);
}

/// Appends a status reply such as `+OK`. CR and LF in `text` become spaces.
pub fn simple(out: &mut Vec<u8>, text: &str) {
    sanitised_line(out, b'+', text);
}

/// Appends an error reply. `text` is everything after the `-`, including the code: `ERR unknown command`. CR
/// and LF in it become spaces, so that quoted input cannot end the reply early.
pub fn error(out: &mut Vec<u8>, text: &str) {
    sanitised_line(out, b'-', text);
}

/// Appends a null: the null bulk string in RESP2, the null type in RESP3.
pub fn null(out: &mut Vec<u8>, version: Version) {
    out.extend_from_slice(match version {
        Version::Resp2 => b"$-1\r\n",
        Version::Resp3 => b"_\r\n",
    });
}

/// Appends text for people: a verbatim string in RESP3, a bulk string in RESP2, as in Redis.
pub fn text(out: &mut Vec<u8>, text: &str, version: Version) {
    match version {
        Version::Resp2 => bulk(out, text.as_bytes()),
        Version::Resp3 => {
            line(out, b'=', text.len() + 4);
            out.extend_from_slice(b"txt:");
            out.extend_from_slice(text.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Appends the header of a set of `n` values. RESP2 has no sets: there it is an array.
pub fn set_header(out: &mut Vec<u8>, n: usize, version: Version) {
    match version {
        Version::Resp2 => line(out, b'*', n),
        Version::Resp3 => line(out, b'~', n),
    }
}

/// Appends a request: an array of bulk strings, the first being the command's name.
pub fn command(out: &mut Vec<u8>, args: &[&[u8]]) {
    array_header(out, args.len());
    for arg in args {
        bulk(out, arg);
    }
}

fn line(out: &mut Vec<u8>, sigil: u8, value: impl itoa::Integer) {
    out.push(sigil);
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn sanitised_line(out: &mut Vec<u8>, sigil: u8, text: &str) {
    out.push(sigil);
    out.extend(text.bytes().map(|byte| match byte {
        b'\r' | b'\n' => b' ',
        other => other,
    }));
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_every_kind() {
        let rows = [
            (written(|out| array_header(out, 3)), "*3\r\n"),
            (written(|out| bulk(out, b"a\r\nb")), "$4\r\na\r\nb\r\n"),
            (written(|out| bulk_header(out, 0)), "$0\r\n"),
            (
                written(|out| integer(out, i64::MIN)),
                ":-9223372036854775808\r\n",
            ),
            (written(|out| simple(out, "OK")), "+OK\r\n"),
            (written(|out| error(out, "ERR a\r\n+b")), "-ERR a  +b\r\n"),
            (written(|out| null(out, Version::Resp2)), "$-1\r\n"),
            (written(|out| null(out, Version::Resp3)), "_\r\n"),
            (written(|out| map_header(out, 2, Version::Resp2)), "*4\r\n"),
            (written(|out| map_header(out, 2, Version::Resp3)), "%2\r\n"),
            (written(|out| text(out, "a", Version::Resp2)), "$1\r\na\r\n"),
            (
                written(|out| text(out, "a", Version::Resp3)),
                "=5\r\ntxt:a\r\n",
            ),
            (written(|out| set_header(out, 2, Version::Resp2)), "*2\r\n"),
            (written(|out| set_header(out, 2, Version::Resp3)), "~2\r\n"),
            (
                written(|out| command(out, &[b"get", b"k"])),
                "*2\r\n$3\r\nget\r\n$1\r\nk\r\n",
            ),
        ];
        for (got, expected) in rows {
            assert_eq!(got, expected);
        }
    }
}
