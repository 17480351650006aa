//! A pool's placement settings, applied from the whole key to the member.

use crate::distribution::Distribution;
use crate::hash::{CharSign, HashKind};
use crate::member::Member;
use crate::ring::Ring;
use crate::shares::Located;
use crate::tag::HashTag;

/// How a pool places its keys. The default is that of nutcracker 0.5.0 on
/// x86-64: `fnv1a_64`, no tag, `ketama`.
///
/// ```
/// use hashkit::{Member, Placement};
///
/// let names = ["127.0.0.1:6379", "127.0.0.1:6380", "127.0.0.1:6381", "127.0.0.1:6382"];
/// let members = names.map(|name| Member { name: name.as_bytes(), weight: 1, live: true });
/// let placement = Placement::default();
/// let ring = placement.ring(&members);
///
/// assert_eq!(ring.points_of(0), 160);
/// assert_eq!(ring.lookup(placement.hash_of(b"key-0")), Some(3));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// The hash function.
    pub hash: HashKind,
    /// How bytes of 0x80 and more are read.
    pub sign: CharSign,
    /// The delimiters of the hash tag, if the pool has one.
    pub tag: Option<HashTag>,
    /// How hashes are divided among the servers.
    pub distribution: Distribution,
}

impl Placement {
    /// The hash of `key`'s tag if it has one, else of the whole key. 0 for an empty key.
    #[inline]
    pub fn hash_of(&self, key: &[u8]) -> u32 {
        let counting = self.tag.map_or(key, |tag| tag.apply(key));
        self.hash.hash(self.sign, counting)
    }

    /// The ring for these members, which must be in index order.
    pub fn ring(&self, members: &[Member<'_>]) -> Ring {
        Ring::build(self.distribution, members)
    }

    /// The index of the member that `key` belongs to, or `None` if no member owns anything. `ring` must come
    /// from [`ring`](Self::ring).
    ///
    /// `draw` returns a random number from the whole range of `u32`. It is called only if the distribution is
    /// [drawn](Distribution::is_drawn). With one server, or without live servers, neither `draw` nor the hash
    /// is used.
    #[inline]
    pub fn place(&self, ring: &Ring, key: &[u8], draw: impl FnOnce() -> u32) -> Option<usize> {
        if !ring.is_owned() {
            return None;
        }
        if ring.members() == 1 {
            return Some(0);
        }
        let value = if self.distribution.is_drawn() {
            draw()
        } else {
            self.hash_of(key)
        };
        ring.lookup(value)
    }

    /// Why `key` is placed where [`place`](Self::place) says.
    pub fn explain(&self, ring: &Ring, key: &[u8]) -> Belongs {
        if !ring.is_owned() {
            return Belongs::Nobody;
        }
        if ring.members() == 1 {
            return Belongs::Only;
        }
        if self.distribution.is_drawn() {
            return Belongs::Drawn;
        }
        let hash = self.hash_of(key);
        ring.locate(hash)
            .map_or(Belongs::Nobody, |located| Belongs::Hashed { hash, located })
    }
}

/// Which member a key belongs to, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belongs {
    /// The only member, index 0; nothing is hashed.
    Only,
    /// Any live member, drawn at random for each request.
    Drawn,
    /// The member that owns its hash.
    Hashed {
        /// The hash.
        hash: u32,
        /// The member, and the point or slot that the hash selected.
        located: Located,
    },
    /// None: no member owns anything.
    Nobody,
}

#[cfg(test)]
mod tests {
    use super::{Belongs, Placement};
    use crate::{CharSign, Distribution, HashKind, HashTag, Member};

    const BRACES: Option<HashTag> = Some(HashTag {
        open: b'{',
        close: b'}',
    });

    fn members<'a>(names: &'a [&'a str]) -> Vec<Member<'a>> {
        let member = |name: &&'a str| Member {
            name: name.as_bytes(),
            weight: 1,
            live: true,
        };
        names.iter().map(member).collect()
    }

    fn no_draw() -> u32 {
        panic!("nobody should ask for a draw")
    }

    #[test]
    fn defaults_are_those_of_nutcracker() {
        let placement = Placement::default();
        assert_eq!(placement.hash, HashKind::Fnv1a64);
        assert_eq!(placement.sign, CharSign::Signed);
        assert_eq!(placement.tag, None);
        assert_eq!(placement.distribution, Distribution::Ketama);
    }

    #[test]
    fn the_tag_is_what_is_hashed() {
        let placement = Placement {
            tag: BRACES,
            ..Placement::default()
        };
        let plain = Placement::default();
        assert_eq!(placement.hash_of(b"a{tag}b"), plain.hash_of(b"tag"));
        assert_eq!(placement.hash_of(b"a{}b"), plain.hash_of(b"a{}b"));
        assert_eq!(placement.hash_of(b""), 0);
    }

    #[test]
    fn the_sign_reaches_the_hash() {
        let of = |sign| {
            let placement = Placement {
                sign,
                ..Placement::default()
            };
            placement.hash_of(b"\xff")
        };
        assert_ne!(of(CharSign::Signed), of(CharSign::Unsigned));
    }

    #[test]
    fn random_asks_for_a_draw_and_the_others_do_not() {
        let members = members(&["a", "b", "c"]);
        for distribution in Distribution::ALL {
            let placement = Placement {
                distribution,
                ..Placement::default()
            };
            let ring = placement.ring(&members);
            if distribution == Distribution::Random {
                assert_eq!(placement.place(&ring, b"key", || 5), Some(2));
            } else {
                let expected = ring.lookup(placement.hash_of(b"key"));
                assert!(expected.is_some());
                assert_eq!(placement.place(&ring, b"key", no_draw), expected);
            }
        }
    }

    #[test]
    fn what_is_explained_is_what_is_done() {
        let all = members(&["a", "b", "c"]);
        let none = all.clone().into_iter().map(|member| Member {
            live: false,
            ..member
        });
        let none: Vec<Member<'_>> = none.collect();
        for distribution in Distribution::ALL {
            let placement = Placement {
                distribution,
                ..Placement::default()
            };
            let why = |members: &[Member<'_>], key: &[u8]| {
                let ring = placement.ring(members);
                (
                    placement.explain(&ring, key),
                    placement.place(&ring, key, || 4),
                )
            };
            assert_eq!(why(&all[..1], b"key"), (Belongs::Only, Some(0)));
            assert_eq!(why(&none[..1], b"key"), (Belongs::Nobody, None));
            for key in [&b"key"[..], b"", b"other key"] {
                match why(&all, key) {
                    (Belongs::Drawn, Some(1)) => assert!(distribution.is_drawn()),
                    (Belongs::Hashed { hash, located }, placed) => {
                        assert_eq!(hash, placement.hash_of(key));
                        assert_eq!(placed, Some(located.index));
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(why(&none, b"key"), (Belongs::Nobody, None));
            let ring = placement.ring(&none);
            assert_eq!(placement.place(&ring, b"key", no_draw), None);
        }
    }

    #[test]
    fn a_pool_of_one_server_is_not_asked_twice() {
        for distribution in Distribution::ALL {
            let placement = Placement {
                distribution,
                ..Placement::default()
            };
            let mut one = members(&["a"]);
            let ring = placement.ring(&one);
            assert_eq!(placement.place(&ring, b"key", no_draw), Some(0));
            one[0].live = false;
            let ring = placement.ring(&one);
            assert_eq!(placement.place(&ring, b"key", no_draw), None);
        }
    }
}
