//! Requests of the proxy, with code that only the fake servers use.

/// A request's length and arguments.
pub(crate) type Split = (usize, Vec<Vec<u8>>);

/// Splits off one request, an array of bulk strings, from `input`.
pub(crate) fn split(input: &[u8]) -> Result<Option<Split>, String> {
    let mut at = 0;
    let Some(count) = header(input, &mut at, b'*')? else {
        return Ok(None);
    };
    let mut args = Vec::with_capacity(count.min(64));
    for _ in 0..count {
        let Some(len) = header(input, &mut at, b'$')? else {
            return Ok(None);
        };
        let Some(body) = input.get(at..at + len + 2) else {
            return Ok(None);
        };
        if !body.ends_with(b"\r\n") {
            return Err("a bulk that does not end where its length says".into());
        }
        args.push(body[..len].to_vec());
        at += len + 2;
    }
    if args.is_empty() {
        Err("an empty array".into())
    } else {
        Ok(Some((at, args)))
    }
}

fn header(input: &[u8], at: &mut usize, kind: u8) -> Result<Option<usize>, String> {
    let rest = &input[*at..];
    let Some(first) = rest.first() else {
        return Ok(None);
    };
    if *first != kind {
        return Err(format!(
            "expected {:?}, got {:?}",
            kind as char,
            String::from_utf8_lossy(&rest[..rest.len().min(40)])
        ));
    }
    let Some(end) = rest.iter().take(24).position(|byte| *byte == b'\n') else {
        return Ok(None);
    };
    let digits = rest[1..end]
        .strip_suffix(b"\r")
        .ok_or("a header line without CR")?;
    let text = std::str::from_utf8(digits).map_err(|_| "a length that is no text")?;
    *at += end + 1;
    text.parse()
        .map(Some)
        .map_err(|_| format!("a length that is no number: {text:?}"))
}

#[test]
fn requests_are_split_only_when_whole() {
    let text = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
    for cut in 0..text.len() {
        assert!(
            split(&text[..cut]).is_ok_and(|found| found.is_none()),
            "cut at {cut}"
        );
    }
    let (len, args) = split(text).expect("well-formed").expect("whole");
    assert_eq!(
        (len, args),
        (text.len(), vec![b"GET".to_vec(), b"k".to_vec()])
    );
    assert!(split(b"*1\r\n$3\r\nGETxx").is_err());
}
