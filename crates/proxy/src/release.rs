//! The release of a server's software, which clients are told so that they know which commands exist.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::RELEASE_QUESTION_PAUSE;
use crate::time::Time;

/// The number of a release, such as `7.0.15`. Later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    major: u16,
    minor: u16,
    patch: u16,
}

/// What the proxy takes servers for as long as nothing else is known.
impl Default for Release {
    fn default() -> Self {
        Self::new(7, 0, 0)
    }
}

/// A text is not the number of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRelease;

impl Release {
    /// The release with these numbers.
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }

    /// What a server's reply to `INFO server` says of its release, in a line `redis_version:`. Valkey and other
    /// servers that speak Redis's protocol have that line, too: it names the release of Redis that they are
    /// compatible with.
    pub(crate) fn of_info(text: &[u8]) -> Option<Self> {
        let mut lines = text.split(|byte| matches!(byte, b'\r' | b'\n'));
        let value = lines.find_map(|line| line.strip_prefix(b"redis_version:"))?;
        // What follows the numbers is left out, as in `7.4.0-rc1`.
        let is_number = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
        let end = value.iter().position(|byte| !is_number(byte));
        let numbers = &value[..end.unwrap_or(value.len())];
        std::str::from_utf8(numbers).ok()?.parse().ok()
    }

    /// As a number that is not 0 and is greater for later releases.
    fn to_bits(self) -> u64 {
        let (major, minor) = (u64::from(self.major), u64::from(self.minor));
        1 << 48 | major << 32 | minor << 16 | u64::from(self.patch)
    }

    fn from_bits(bits: u64) -> Option<Self> {
        let part = |shift: u32| (bits >> shift) as u16;
        (bits != 0).then(|| Self::new(part(32), part(16), part(0)))
    }
}

impl FromStr for Release {
    type Err = NoRelease;

    /// Three numbers with dots between them.
    fn from_str(text: &str) -> Result<Self, NoRelease> {
        let mut parts = text.split('.').map(|part| {
            // `parse` takes a sign.
            let is_plain = part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse().ok().filter(|_| is_plain).ok_or(NoRelease)
        });
        let mut next = || parts.next().unwrap_or(Err(NoRelease));
        let release = Self::new(next()?, next()?, next()?);
        match parts.next() {
            None => Ok(release),
            Some(_) => Err(NoRelease),
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// What is known of the release of a server. All workers share it.
#[derive(Debug, Default)]
pub(crate) struct KnownRelease {
    /// [`Release::to_bits`], or 0 if it is not known.
    bits: AtomicU64,
    /// When it was asked for last, in microseconds plus one; 0 if never.
    asked: AtomicU64,
}

impl KnownRelease {
    pub(crate) fn get(&self) -> Option<Release> {
        Release::from_bits(self.bits.load(Ordering::Relaxed))
    }

    pub(crate) fn set(&self, release: Release) {
        self.bits.store(release.to_bits(), Ordering::Relaxed);
    }

    /// Claims the right to ask the server: true for one caller in [`RELEASE_QUESTION_PAUSE`].
    pub(crate) fn claim_question(&self, now: Time) -> bool {
        let is_due = |asked: u64| {
            let again = asked + RELEASE_QUESTION_PAUSE.as_micros() as u64;
            (asked == 0 || again <= now.as_micros() + 1).then_some(now.as_micros() + 1)
        };
        self.asked
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_due)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_three_numbers() {
        for text in ["7.0.15", "0.0.0", "255.255.255"] {
            let release: Release = text.parse().expect(text);
            assert_eq!(release.to_string(), text);
            assert_eq!(Release::from_bits(release.to_bits()), Some(release));
        }
        for text in [
            "",
            "7",
            "7.0",
            "7.0.",
            "7.0.0.0",
            "7.0.x",
            "+7.0.0",
            "7.0.99999",
            " 7.0.0",
        ] {
            assert_eq!(text.parse::<Release>(), Err(NoRelease), "{text}");
        }
        let order = ["6.2.14", "7.0.2", "7.0.15", "7.2.0", "10.0.0"];
        let releases = order.map(|text| text.parse::<Release>().expect(text));
        assert!(releases.is_sorted() && releases.map(Release::to_bits).is_sorted());
        assert_eq!(Release::from_bits(0), None);
    }

    #[test]
    fn a_server_tells_its_release_in_a_line_of_info() {
        let of = |text: &str| Release::of_info(text.as_bytes()).map(|it| it.to_string());
        let info = "$40\r\n# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n\r\n";
        assert_eq!(of(info).as_deref(), Some("7.0.15"));
        assert_eq!(of("redis_version:7.4.0-rc1\r\n").as_deref(), Some("7.4.0"));
        assert_eq!(of("# Server\r\nmy_redis_version:7.0.0\r\n"), None);
        assert_eq!(of("redis_version:\r\n"), None);
        assert_eq!(of("redis_version:seven\r\n"), None);
        assert_eq!(of(""), None);
    }

    #[test]
    fn a_server_is_asked_by_one_and_again_after_a_pause() {
        let known = KnownRelease::default();
        let at = |millis: u64| known.claim_question(Time::from_micros(millis * 1_000));
        let pause = RELEASE_QUESTION_PAUSE.as_millis() as u64;
        assert!(at(0) && !at(0) && !at(pause - 1) && at(pause) && !at(pause));
    }
}
