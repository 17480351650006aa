//! Where one reply ends and the next begins. Written for these tests only: the proxy and the code that judges
//! it must not share a mistake.

use crate::request::{Protocol, Replies, Request};

/// The length of the first reply in `bytes`, if it is complete.
pub(crate) fn frame(protocol: Protocol, bytes: &[u8]) -> Option<usize> {
    match protocol {
        Protocol::Redis => redis(bytes),
        Protocol::Memcached => memcached(bytes),
    }
}

/// Assigns replies to requests: one reply for each request that gets one. Stops early where bytes are
/// missing. The second part is the rest.
pub(crate) fn split<'b>(
    protocol: Protocol,
    requests: &[Request],
    bytes: &'b [u8],
) -> (Vec<&'b [u8]>, &'b [u8]) {
    let mut rest = bytes;
    let mut frames = Vec::new();
    for _ in requests
        .iter()
        .filter(|request| request.replies == Replies::One)
    {
        let Some(len) = frame(protocol, rest) else {
            break;
        };
        let (reply, after) = rest.split_at(len);
        frames.push(reply);
        rest = after;
    }
    (frames, rest)
}

fn redis(bytes: &[u8]) -> Option<usize> {
    let mut end = 0;
    let mut values = 1_u64;
    while values > 0 {
        let line = line(&bytes[end..])?;
        let number = || {
            std::str::from_utf8(&line[1..line.len() - 2])
                .ok()?
                .parse::<i64>()
                .ok()
        };
        end += line.len();
        values -= 1;
        match line[0] {
            b'*' | b'~' | b'>' => values += number()?.max(0) as u64,
            b'%' => values += 2 * number()?.max(0) as u64,
            b'$' | b'=' | b'!' => {
                if let Ok(len) = usize::try_from(number()?) {
                    end += len + 2;
                }
            }
            _ => {}
        }
        if end > bytes.len() {
            return None;
        }
    }
    Some(end)
}

fn memcached(bytes: &[u8]) -> Option<usize> {
    let mut end = 0;
    loop {
        let line = line(&bytes[end..])?;
        end += line.len();
        if line.starts_with(b"VALUE ") {
            let header = line.strip_suffix(b"\r\n")?;
            // Keys may contain anything but blanks.
            let len = header.split(|byte| *byte == b' ').nth(3)?;
            let len: usize = std::str::from_utf8(len).ok()?.parse().ok()?;
            end += len + 2;
        } else if !line.starts_with(b"STAT ") {
            return Some(end);
        }
        if end > bytes.len() {
            return None;
        }
    }
}

/// The first line, including its end.
fn line(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    (end > 0).then(|| &bytes[..end + 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_replies_end_where_they_end() {
        let replies: [&[u8]; 7] = [
            b"+OK\r\n",
            b"-ERR x\r\n",
            b"$-1\r\n",
            b"$4\r\n\r\n\r\n\r\n",
            b"*-1\r\n",
            b"*2\r\n*1\r\n:1\r\n$0\r\n\r\n",
            b"%1\r\n+a\r\n*0\r\n",
        ];
        for reply in replies {
            let more = [reply, b"+next\r\n"].concat();
            assert_eq!(redis(&more), Some(reply.len()), "{}", reply.escape_ascii());
            for cut in 0..reply.len() {
                assert_eq!(
                    redis(&reply[..cut]),
                    None,
                    "{}",
                    reply[..cut].escape_ascii()
                );
            }
        }
    }

    #[test]
    fn memcached_replies_end_where_they_end() {
        let replies: [&[u8]; 6] = [
            b"STORED\r\n",
            b"END\r\n",
            b"VALUE k 0 5\r\nEND\r\n\r\nEND\r\n",
            b"VALUE k 0 0 77\r\n\r\nVALUE k 0 0 78\r\n\r\nEND\r\n",
            b"VALUE \t\xff\n 0 1\r\nx\r\nEND\r\n",
            b"STAT a b\r\nSTAT c d\r\nEND\r\n",
        ];
        for reply in replies {
            let more = [reply, b"STORED\r\n"].concat();
            assert_eq!(
                memcached(&more),
                Some(reply.len()),
                "{}",
                reply.escape_ascii()
            );
            for cut in 0..reply.len() {
                assert_eq!(
                    memcached(&reply[..cut]),
                    None,
                    "{}",
                    reply[..cut].escape_ascii()
                );
            }
        }
    }
}
