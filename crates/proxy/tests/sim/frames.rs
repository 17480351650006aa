//! Finds the end of a reply, with code that only the fake clients use.

/// Length of the RESP reply at the start of `input`; `None` if it is incomplete.
pub(crate) fn redis(input: &[u8]) -> Result<Option<usize>, String> {
    let (mut at, mut values) = (0, 1usize);
    while values > 0 {
        let Some(end) = line_end(input, at) else {
            return Ok(None);
        };
        let (kind, text) = (input[at], &input[at + 1..end - 2]);
        at = end;
        values -= 1;
        match kind {
            b'+' | b'-' | b':' | b',' | b'#' | b'(' | b'_' => {}
            b'$' | b'=' | b'!' => match number(text)? {
                Some(len) if input.len() < at + len + 2 => return Ok(None),
                Some(len) => at += len + 2,
                None => {}
            },
            b'*' | b'~' | b'>' => values += number(text)?.unwrap_or(0),
            b'%' => values += 2 * number(text)?.unwrap_or(0),
            b'|' => values += 2 * number(text)?.unwrap_or(0) + 1,
            other => return Err(format!("a reply cannot begin with {:?}", other as char)),
        }
    }
    Ok(Some(at))
}

/// Length of the memcached reply at the start of `input`; `None` if it is incomplete.
pub(crate) fn memcached(input: &[u8]) -> Result<Option<usize>, String> {
    let mut at = 0;
    loop {
        let Some(end) = line_end(input, at) else {
            return Ok(None);
        };
        let line = &input[at..end - 2];
        at = end;
        let is_meta = line.starts_with(b"VA ");
        if is_meta || line.starts_with(b"VALUE ") {
            let text = line
                .split(|byte| *byte == b' ')
                .nth(if is_meta { 1 } else { 3 })
                .ok_or("a VALUE line without length")?;
            let len = number(text)?.ok_or("a negative length")?;
            if input.len() < at + len + 2 {
                return Ok(None);
            }
            at += len + 2;
            if is_meta {
                return Ok(Some(at));
            }
        } else if !line.starts_with(b"STAT ") {
            return Ok(Some(at));
        }
    }
}

fn line_end(input: &[u8], from: usize) -> Option<usize> {
    let end = input[from..].iter().position(|byte| *byte == b'\n')?;
    Some(from + end + 1).filter(|end| *end >= from + 2)
}

/// A length; `None` for -1, which is a null.
fn number(text: &[u8]) -> Result<Option<usize>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "a length that is no text")?;
    match text {
        "-1" => Ok(None),
        _ => text
            .parse()
            .map(Some)
            .map_err(|_| format!("{text:?} is no length")),
    }
}

#[test]
fn replies_end_where_they_end() {
    let all: [&[u8]; 6] = [
        b"+OK\r\n",
        b"$-1\r\n",
        b"$3\r\na\r\n\r\n",
        b"*2\r\n*1\r\n:1\r\n_\r\n",
        b"|1\r\n+a\r\n:1\r\n$0\r\n\r\n",
        b"%1\r\n+a\r\n#t\r\n",
    ];
    for reply in all {
        for cut in 0..reply.len() {
            assert_eq!(redis(&reply[..cut]), Ok(None), "{cut} bytes of {reply:?}");
        }
        assert_eq!(
            redis(&[reply, b"+next\r\n"].concat()),
            Ok(Some(reply.len()))
        );
    }
    assert_eq!(
        memcached(b"VALUE k 0 2\r\n\r\n\r\nEND\r\nEND\r\n"),
        Ok(Some(22))
    );
    assert_eq!(memcached(b"VA 2 k\r\n\r\n\r\nEND\r\n"), Ok(Some(12)));
    assert!(redis(b"OK\r\n").is_err());
}
