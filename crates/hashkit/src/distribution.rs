//! The distributions: the ways to divide keys among servers, one file and one line each.

mod ketama;
mod modula;
mod random;

use crate::member::Member;
use crate::shares::{Located, PlaceKind, Run, Shares};

/// Defines [`Distribution`] and [`Owners`] from the lines below.
macro_rules! distributions {
    ($($(#[$about:meta])* $kind:ident: $shares:ty,)*) => {
        /// How a pool divides its keys among its servers: the `distribution` setting of nutcracker 0.5.0.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum Distribution {
            $($(#[$about])* $kind,)*
        }

        impl Distribution {
            /// Every distribution, in the order in which the manual lists them.
            pub const ALL: [Self; [$(<$shares>::NAME),*].len()] = [$(Self::$kind),*];

            /// Its name in a configuration file.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => <$shares>::NAME,)*
                }
            }

            /// What it does, in a few words for the manual.
            pub fn about(self) -> &'static str {
                match self {
                    $(Self::$kind => <$shares>::ABOUT,)*
                }
            }

            /// Whether the server is drawn at random for each request, so that keys have no server of their
            /// own.
            #[inline]
            pub fn is_drawn(self) -> bool {
                match self {
                    $(Self::$kind => <$shares>::IS_DRAWN,)*
                }
            }

            /// The largest sum of weights that it supports.
            pub fn max_weights(self) -> u64 {
                match self {
                    $(Self::$kind => <$shares>::MAX_WEIGHTS,)*
                }
            }

            /// What [`Located::point`] means.
            pub fn places(self) -> PlaceKind {
                match self {
                    $(Self::$kind => <$shares>::PLACES,)*
                }
            }
        }

        /// A distribution built for one set of members.
        #[derive(Clone, Debug)]
        pub(crate) enum Owners {
            $($kind($shares),)*
        }

        impl Owners {
            pub(crate) fn build(distribution: Distribution, members: &[Member<'_>]) -> Self {
                match distribution {
                    $(Distribution::$kind => Self::$kind(<$shares>::build(members)),)*
                }
            }

            #[inline]
            pub(crate) fn locate(&self, value: u32) -> Option<Located> {
                match self {
                    $(Self::$kind(shares) => shares.locate(value),)*
                }
            }

            #[inline]
            pub(crate) fn owner(&self, value: u32) -> Option<usize> {
                match self {
                    $(Self::$kind(shares) => shares.owner(value),)*
                }
            }

            pub(crate) fn at(&self, position: u64) -> Option<Located> {
                match self {
                    $(Self::$kind(shares) => shares.at(position),)*
                }
            }

            pub(crate) fn owned(&self, members: &[Member<'_>]) -> Vec<u32> {
                match self {
                    $(Self::$kind(shares) => shares.owned(members),)*
                }
            }

            pub(crate) fn runs(&self, from: u64, until: u64, run: &mut dyn FnMut(Run)) {
                match self {
                    $(Self::$kind(shares) => shares.runs(from, until, run),)*
                }
            }

            pub(crate) fn divide(&self, from: u64, until: u64, part: &mut dyn FnMut(usize, u64)) {
                match self {
                    $(Self::$kind(shares) => shares.divide(from, until, part),)*
                }
            }

            pub(crate) fn period(&self) -> Option<u64> {
                match self {
                    $(Self::$kind(shares) => shares.period(),)*
                }
            }
        }
    };
}

distributions! {
    /// Consistent hashing: losing one server moves only that server's keys.
    /// nutcracker's default.
    #[default]
    Ketama: ketama::Continuum,
    /// Hash modulo the sum of the weights: losing a server moves most keys.
    Modula: modula::Slots,
    /// Any live server, drawn at random for each request; the key and the weights do not matter.
    Random: random::Live,
}

impl Distribution {
    /// The distribution called `name` (case matters, as in nutcracker), or
    /// `None` if there is none.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::Distribution;

    #[test]
    fn every_name_leads_back() {
        for kind in Distribution::ALL {
            assert_eq!(Distribution::from_name(kind.name()), Some(kind));
        }
        assert_eq!(Distribution::default().name(), "ketama");
    }

    #[test]
    fn other_spellings_are_unknown() {
        for name in ["", "Ketama", "ketama ", "modulo", "one"] {
            assert_eq!(Distribution::from_name(name), None, "{name:?}");
        }
    }
}
