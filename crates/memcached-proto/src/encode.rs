//! The messages that the proxy itself writes.

use crate::Verb;

/// Ends values or statistics; alone it means that nothing was found.
pub const END: &[u8] = b"END\r\n";

/// The reply of flush_all and verbosity.
pub const OK: &[u8] = b"OK\r\n";

/// The reply of mn.
pub const MN: &[u8] = b"MN\r\n";

/// The request for a server's version: cheap, and answered by every server.
pub const VERSION: &[u8] = b"version\r\n";

/// Appends `ERROR TEXT`: the command cannot be served.
pub fn error(out: &mut Vec<u8>, text: &str) {
    line(out, "ERROR ", text);
}

/// Appends `CLIENT_ERROR TEXT`: the client sent something wrong.
pub fn client_error(out: &mut Vec<u8>, text: &str) {
    line(out, "CLIENT_ERROR ", text);
}

/// Appends `SERVER_ERROR TEXT`: the request was good and could not be served now. nutcracker 0.5.0
/// reports every failure of a server in this form.
pub fn server_error(out: &mut Vec<u8>, text: &str) {
    line(out, "SERVER_ERROR ", text);
}

/// Appends the reply to `version`.
pub fn version(out: &mut Vec<u8>, text: &str) {
    line(out, "VERSION ", text);
}

/// Appends a retrieval in the form that nutcracker 0.5.0 sends to each server: `get k1 k2 \r\n`, with a space
/// before the line end. `exptime` is for gat and gats, and precedes the keys. Nothing is validated: keys and
/// exptime must come from a parsed request.
pub fn retrieval<'a>(
    out: &mut Vec<u8>,
    verb: Verb,
    exptime: Option<&'a [u8]>,
    keys: impl IntoIterator<Item = &'a [u8]>,
) {
    out.extend_from_slice(verb.name().as_bytes());
    out.push(b' ');
    for word in exptime.into_iter().chain(keys) {
        out.extend_from_slice(word);
        out.push(b' ');
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the binary protocol's reply "unknown command" (memcached `doc/protocol-binary`): a header of 24
/// bytes with what the request is known by, and `text`.
pub fn binary_unknown_command(out: &mut Vec<u8>, opcode: u8, opaque: [u8; 4], text: &str) {
    const RESPONSE: u8 = 0x81;
    const UNKNOWN_COMMAND: u16 = 0x81;
    const CAS: [u8; 8] = [0; 8];
    // No key, no extras, no data type.
    out.extend_from_slice(&[RESPONSE, opcode, 0, 0, 0, 0]);
    out.extend_from_slice(&UNKNOWN_COMMAND.to_be_bytes());
    out.extend_from_slice(&(text.len() as u32).to_be_bytes());
    out.extend_from_slice(&opaque);
    out.extend_from_slice(&CAS);
    out.extend_from_slice(text.as_bytes());
}

/// A line whose text cannot contain a line end.
fn line(out: &mut Vec<u8>, word: &str, text: &str) {
    out.extend_from_slice(word.as_bytes());
    out.extend(text.bytes().map(|byte| match byte {
        b'\r' | b'\n' | 0 => b' ',
        _ => byte,
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
    fn a_text_stays_on_its_line() {
        assert_eq!(
            written(|out| server_error(out, "Connection refused")),
            "SERVER_ERROR Connection refused\r\n"
        );
        assert_eq!(
            written(|out| error(out, "a\r\nSTORED\0b")),
            "ERROR a  STORED b\r\n"
        );
        assert_eq!(written(|out| client_error(out, "x")), "CLIENT_ERROR x\r\n");
        assert_eq!(written(|out| version(out, "1.2")), "VERSION 1.2\r\n");
    }

    #[test]
    fn a_binary_reply_says_how_long_its_text_is() {
        let mut out = Vec::new();
        binary_unknown_command(&mut out, 0x0b, *b"opaq", "no");
        let header = b"\x81\x0b\0\0\0\0\0\x81\0\0\0\x02opaq\0\0\0\0\0\0\0\0";
        assert_eq!(out, [&header[..], b"no"].concat());
    }

    #[test]
    fn retrievals_have_a_space_before_the_line_end() {
        let keys = [&b"k1"[..], b"k2"];
        assert_eq!(
            written(|out| retrieval(out, Verb::Get, None, keys)),
            "get k1 k2 \r\n"
        );
        assert_eq!(
            written(|out| retrieval(out, Verb::Gats, Some(b"-1"), [&b"k"[..]])),
            "gats -1 k \r\n"
        );
    }
}
