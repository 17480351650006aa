//! What does not work, and why: sections that are refused by design, and limits of the libraries.

use super::place::{PLACES, Place};

/// A section that need not work.
pub(super) struct Known {
    /// The start of the subject's name; empty for all.
    pub(super) subject: &'static str,
    pub(super) section: &'static str,
    pub(super) places: &'static [Place],
    /// What the failure says; another one is not excused.
    pub(super) says: &'static str,
    pub(super) why: &'static str,
    /// Whether the proxy refuses it by design.
    pub(super) is_refusal: bool,
}

const FLUSH: &str = "Flushing needs `allow_flush: true` (which the pool of three servers has here)";

const KNOWN: &[Known] = &[
    Known {
        subject: "python-memcached",
        section: "reconnect",
        places: &PLACES,
        says: "a miss",
        why: "The library leaves a server that it lost alone for 30 s",
        is_refusal: false,
    },
    Known {
        subject: "Django",
        section: "clear",
        places: &[Place::One],
        says: "flush",
        why: FLUSH,
        is_refusal: true,
    },
    Known {
        subject: "django-redis",
        section: "clear",
        places: &[Place::One],
        says: "flush",
        why: FLUSH,
        is_refusal: true,
    },
];

/// What is known of a section that need not work.
pub(super) fn about(subject: &str, section: &str, place: Place) -> Option<&'static Known> {
    KNOWN.iter().find(|known| {
        subject.starts_with(known.subject)
            && section == known.section
            && known.places.contains(&place)
    })
}

impl Known {
    /// Whether this is the failure that is known.
    pub(super) fn excuses(&self, failure: &str) -> bool {
        failure.contains(self.says)
    }
}

#[cfg(test)]
mod tests {
    use super::super::subject::SUBJECTS;
    use super::*;

    #[test]
    fn every_entry_is_about_a_subject_and_only_in_its_places() {
        for known in KNOWN {
            let named = |name: &str| name.starts_with(known.subject);
            assert!(
                SUBJECTS.iter().any(|subject| named(subject.name)),
                "{}",
                known.subject
            );
        }
        let known = about("Django cache", "clear", Place::One).unwrap();
        assert!(known.excuses("ERR set allow_flush") && !known.excuses("timed out"));
        assert!(about("Django cache", "clear", Place::Three).is_none());
        assert!(about("Django cache", "sessions", Place::One).is_none());
    }
}
