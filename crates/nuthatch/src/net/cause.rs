//! Translates errors of the operating system into the core's [`Cause`].

use std::io::{self, ErrorKind};

use proxy::Cause;

/// Why a server connection ended, from its socket's error.
pub(crate) fn cause_of(error: &io::Error) -> Cause {
    match error.kind() {
        ErrorKind::ConnectionRefused => Cause::Refused,
        ErrorKind::TimedOut => Cause::TimedOut,
        ErrorKind::ConnectionReset => Cause::Reset,
        ErrorKind::BrokenPipe => Cause::BrokenPipe,
        _ => Cause::Other(error_text(error).into()),
    }
}

/// The text of an error as C's `strerror` returns it: without the number that Rust appends.
pub(crate) fn error_text(error: &io::Error) -> String {
    let mut text = error.to_string();
    if error.raw_os_error().is_some()
        && let Some(at) = text.rfind(" (os error ")
    {
        text.truncate(at);
    }
    text
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    fn text(errno: Errno) -> String {
        cause_of(&errno.into()).to_string()
    }

    /// The texts are those that nutcracker 0.5.0 puts into its error lines.
    #[test]
    fn causes_read_as_strerror_does() {
        assert_eq!(text(Errno::CONNREFUSED), "Connection refused");
        assert_eq!(text(Errno::TIMEDOUT), "Connection timed out");
        assert_eq!(text(Errno::CONNRESET), "Connection reset by peer");
        assert_eq!(text(Errno::PIPE), "Broken pipe");
        assert_eq!(text(Errno::NOENT), "No such file or directory");
        assert_eq!(text(Errno::HOSTUNREACH), "No route to host");
        assert_eq!(text(Errno::MFILE), "Too many open files");
    }
}
