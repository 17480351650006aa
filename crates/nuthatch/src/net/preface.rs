//! The header in which a load balancer tells whom it connects: the PROXY protocol, versions 1 and 2
//! (haproxy.org, `proxy-protocol.txt`).

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use proxy_header::{Error, ParseConfig, ProxyHeader};

/// Maximum size of a header. One with all that HAProxy can tell in it has less than 1 KiB.
const HEADER_MAX: usize = 4096;

/// What is looked at before it is taken.
pub(super) trait Ahead {
    /// The bytes that have come, without taking them; 0 is the end.
    fn peek(&self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Takes bytes that have come.
    fn take(&self, buffer: &mut [u8]) -> io::Result<usize>;
}

/// What stands before a client's first request.
#[derive(Debug)]
pub(super) enum Preface {
    /// It is yet to come.
    Expected,
    /// It names this client, or nobody: the balancer connects for itself, to see whether that is possible.
    Read(Option<SocketAddr>),
    /// It was not there.
    Wrong(io::Error),
}

impl Preface {
    /// Reads it if it has come.
    pub(super) fn advance(&mut self, ahead: &impl Ahead) {
        if matches!(self, Preface::Expected) {
            *self = match read(ahead) {
                Ok(Some(client)) => Preface::Read(client),
                Ok(None) => Preface::Expected,
                Err(error) => Preface::Wrong(error),
            };
        }
    }
}

/// The client that the header names; `None` as long as a part of the header is missing.
fn read(ahead: &impl Ahead) -> io::Result<Option<Option<SocketAddr>>> {
    let mut buffer = [0; HEADER_MAX];
    let count = match ahead.peek(&mut buffer) {
        Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
        Err(error) if [ErrorKind::WouldBlock, ErrorKind::Interrupted].contains(&error.kind()) => {
            return Ok(None);
        }
        // A balancer has seen that the port is open.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        count => count?,
    };
    if !may_begin(&buffer[..count]) {
        return Err(no_header());
    }
    match ProxyHeader::parse(&buffer[..count], ParseConfig::default()) {
        Ok((header, length)) => {
            let client = header.proxied_address().map(|it| it.source);
            // They are there, so they are taken as a whole.
            ahead.take(&mut buffer[..length])?;
            Ok(Some(client))
        }
        Err(Error::BufferTooShort) if count < HEADER_MAX => Ok(None),
        Err(_) => Err(no_header()),
    }
}

/// Whether these bytes can be the first of a header, of either version.
fn may_begin(bytes: &[u8]) -> bool {
    let beginnings = [&b"PROXY "[..], b"\r\n\r\n\0\r\nQUIT\n"];
    beginnings
        .iter()
        .any(|beginning| beginning.starts_with(bytes) || bytes.starts_with(beginning))
}

fn no_header() -> io::Error {
    let text = "it does not begin with a header of the PROXY protocol";
    io::Error::new(ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// What has come so far.
    struct Come(RefCell<Vec<u8>>);

    impl Ahead for Come {
        fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
            let bytes = self.0.borrow();
            let count = bytes.len().min(buffer.len());
            buffer[..count].copy_from_slice(&bytes[..count]);
            match count {
                0 => Err(ErrorKind::WouldBlock.into()),
                count => Ok(count),
            }
        }

        fn take(&self, buffer: &mut [u8]) -> io::Result<usize> {
            let mut bytes = self.0.borrow_mut();
            let taken = bytes.drain(..buffer.len());
            buffer.copy_from_slice(taken.as_slice());
            Ok(buffer.len())
        }
    }

    /// Version 2 for a client of IPv4, as the specification's tables lay it out.
    const BINARY: &[u8] =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\x01\x02\x03\x0a\0\0\x01\x30\x39\x18\xeb";
    /// A health check: command LOCAL, no address.
    const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0";

    #[test]
    fn the_header_is_read_however_it_is_cut_and_what_follows_is_left() {
        let text = b"PROXY TCP4 10.1.2.3 10.0.0.1 12345 6379\r\n";
        let client = Some("10.1.2.3:12345".parse().unwrap());
        for (header, named) in [(BINARY, client), (text, client), (LOCAL, None)] {
            for cut in 1..header.len() {
                let come = Come(RefCell::new(header[..cut].to_vec()));
                let mut preface = Preface::Expected;
                preface.advance(&come);
                assert!(matches!(preface, Preface::Expected), "{cut}: {preface:?}");
                come.0.borrow_mut().extend(&header[cut..]);
                come.0.borrow_mut().extend(b"PING\r\n");
                preface.advance(&come);
                assert!(
                    matches!(preface, Preface::Read(it) if it == named),
                    "{preface:?}"
                );
                assert_eq!(*come.0.borrow(), b"PING\r\n");
            }
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let endless = [b"PROXY TCP4 ".to_vec(), vec![b'1'; HEADER_MAX]].concat();
        let large = [&BINARY[..14], &[0xff; HEADER_MAX][..]].concat();
        for bytes in [
            &b"PING\r\n"[..],
            b"*1\r\n$4\r\nPING\r\n",
            b"\x16\x03\x01",
            &endless,
            &large,
        ] {
            let mut preface = Preface::Expected;
            preface.advance(&Come(RefCell::new(bytes.to_vec())));
            assert!(matches!(preface, Preface::Wrong(_)), "{preface:?}");
        }
        let mut seed = 1_u64;
        for _ in 0..5_000 {
            let mut bytes = BINARY.to_vec();
            for _ in 0..3 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = (seed >> 33) as usize % bytes.len();
                bytes[at] = (seed >> 25) as u8;
            }
            // Whatever comes of it.
            Preface::Expected.advance(&Come(RefCell::new(bytes)));
        }
    }
}
