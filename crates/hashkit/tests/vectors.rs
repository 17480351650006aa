//! Compares every recorded value of nutcracker's placement.
//!
//! `tests/data/README.md` says what the recording holds and how it was made. The point counts of equal
//! weights are compared in `src/distribution/ketama/counts.rs`, beside their arithmetic.

#![expect(
    clippy::unwrap_used,
    reason = "a recording that cannot be read fails the test"
)]

use hashkit::{
    Basis, CharSign, Distribution, HashKind, HashTag, Located, Member, Placement, Ring, Side,
    compare, index_order,
};
use serde_json::Value;

fn vectors() -> Value {
    let vectors: Value = serde_json::from_str(include_str!("data/hash-vectors.json")).unwrap();
    assert_eq!(vectors["format"], "twemproxy-hash-vectors/1");
    vectors
}

#[test]
fn every_recorded_hash() {
    let vectors = vectors();
    let keys = keys(&vectors["hash_keys"]);
    let values = vectors["hash_values"].as_object().unwrap();
    let mut checked = 0;
    for (name, values) in values {
        let kind = HashKind::from_name(name).unwrap();
        let values = array(values);
        assert_eq!(values.len(), keys.len(), "{name}");
        for (key, value) in keys.iter().zip(values) {
            let digest = kind.digest(CharSign::Signed, key);
            assert_eq!(u64::from(digest), number(value), "{name} of {key:x?}");
            let placed_by = if key.is_empty() { 0 } else { digest };
            assert_eq!(kind.hash(CharSign::Signed, key), placed_by);
            checked += 1;
        }
    }
    assert_eq!((values.len(), checked), (HashKind::ALL.len(), 12 * 109));
}

#[test]
fn every_recorded_pool() {
    let vectors = vectors();
    let keys = keys(&vectors["dist_keys"]);
    let mut seen = Seen::default();
    for set in array(&vectors["sets"]) {
        let pool = Pool::read(set);
        pool.check_order();
        pool.check_points();
        match pool.placement.distribution {
            Distribution::Ketama => pool.check_ketama_ring(&mut seen),
            Distribution::Modula => pool.check_modula_slots(&mut seen),
            other => panic!("{}: {other:?} is not recorded", pool.id),
        }
        pool.check_choices(&keys, &mut seen);
        seen.ejected += pool.members.iter().filter(|member| !member.live).count();
        seen.servers += pool.members.len();
    }
    let expected = Seen {
        ketama: 34,
        modula: 30,
        servers: 588,
        ejected: 6,
        modula_slots: 430,
        choices: 64 * 248 + 6,
    };
    assert_eq!(seen, expected);
}

/// From each recorded pool to each other that hashes alike: a key that nutcracker places elsewhere is in a part that
/// is told to move there, and one that it leaves is in none.
#[test]
fn every_recorded_move_is_told() {
    let vectors = vectors();
    let pools: Vec<Pool<'_>> = array(&vectors["sets"]).iter().map(Pool::read).collect();
    let (mut compared, mut moved) = (0, 0);
    for old in &pools {
        for new in &pools {
            let hashes = |pool: &Pool<'_>| (pool.placement.hash, pool.placement.tag);
            if hashes(old) != hashes(new) {
                continue;
            }
            let same =
                |member: &Member<'_>| old.members.iter().position(|it| it.name == member.name);
            let same: Vec<Option<usize>> = new.members.iter().map(same).collect();
            let told = compare(old.side(), new.side(), &same);
            assert_eq!((told.basis, told.unlisted), (Basis::Hashes, 0));
            let choices = |pool: &Pool<'_>| -> Vec<usize> {
                let choices = array(&pool.set["choice"]);
                choices.iter().map(|it| number(it) as usize).collect()
            };
            for (from, to) in choices(old).into_iter().zip(choices(new)) {
                if same[to] != Some(from) {
                    let is_told = told
                        .flows
                        .iter()
                        .any(|flow| (flow.from, flow.to) == (from, to));
                    assert!(is_told, "{} to {}: {from} to {to}", old.id, new.id);
                    moved += 1;
                }
            }
            compared += 1;
        }
    }
    assert!(compared > 1_000 && moved > 100_000, "{compared}, {moved}");
}

/// How much was compared; a truncated recording must not pass.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    ketama: usize,
    modula: usize,
    servers: usize,
    ejected: usize,
    modula_slots: usize,
    choices: usize,
}

struct Pool<'v> {
    id: &'v str,
    set: &'v Value,
    placement: Placement,
    members: Vec<Member<'v>>,
    ring: Ring,
}

impl<'v> Pool<'v> {
    fn read(set: &'v Value) -> Self {
        let placement = Placement {
            hash: HashKind::from_name(text(&set["hash"])).unwrap(),
            sign: CharSign::Signed,
            tag: set["hash_tag"].as_str().map(tag),
            distribution: Distribution::from_name(text(&set["distribution"])).unwrap(),
        };
        let members: Vec<_> = array(&set["servers"]).iter().map(member).collect();
        let ring = Ring::build(placement.distribution, &members);
        Self {
            id: text(&set["id"]),
            set,
            placement,
            members,
            ring,
        }
    }

    fn side(&self) -> Side<'_> {
        Side {
            placement: &self.placement,
            members: &self.members,
        }
    }

    /// Compares the recorded index order with this crate's, and the members that are not live with the
    /// ejected ones.
    fn check_order(&self) {
        let names = |members: &[Member<'v>]| -> Vec<&'v [u8]> {
            members.iter().map(|member| member.name).collect()
        };
        let recorded = names(&self.members);
        assert_eq!(recorded.len(), array(&self.set["config_servers"]).len());
        let mut sorted = recorded.clone();
        sorted.reverse();
        sorted.sort_by(|a, b| index_order(a, b));
        assert_eq!(sorted, recorded, "{}", self.id);

        let ejected: Vec<_> = array(&self.set["ejected"]).iter().map(text).collect();
        for member in &self.members {
            let name = std::str::from_utf8(member.name).unwrap();
            assert_eq!(member.live, !ejected.contains(&name), "{}: {name}", self.id);
        }
    }

    fn check_points(&self) {
        for (index, server) in array(&self.set["servers"]).iter().enumerate() {
            assert_eq!(number(&server["index"]), index as u64, "{}", self.id);
            let points = self.ring.points_of(index) as u64;
            assert_eq!(points, number(&server["points"]), "{} {server}", self.id);
        }
    }

    fn check_ketama_ring(&self, seen: &mut Seen) {
        let recorded = &self.set["ring"];
        let points: Vec<Located> = self.ring.points().collect();
        assert_eq!(
            points.len() as u64,
            number(&recorded["npoints"]),
            "{}",
            self.id
        );

        let (first, last) = (pairs(&recorded["first"]), pairs(&recorded["last"]));
        assert_eq!((first.len(), last.len()), (12, 12), "{}", self.id);
        assert_eq!(points[..12], first, "{}", self.id);
        assert_eq!(points[points.len() - 12..], last, "{}", self.id);

        let value_sum: u64 = points.iter().map(|point| u64::from(point.point)).sum();
        assert_eq!(value_sum, number(&recorded["value_sum"]), "{}", self.id);
        let weighted = (1..).zip(&points).map(|(i, point)| i * point.index as u64);
        let weighted_sum: u64 = weighted.sum();
        assert_eq!(
            weighted_sum,
            number(&recorded["index_weighted_sum"]),
            "{}",
            self.id
        );
        seen.ketama += 1;
    }

    fn check_modula_slots(&self, seen: &mut Seen) {
        let recorded = &self.set["ring"];
        let slots: Vec<u64> = self.ring.points().map(|slot| slot.index as u64).collect();
        assert_eq!(
            slots.len() as u64,
            number(&recorded["nslots"]),
            "{}",
            self.id
        );
        let expected: Vec<u64> = array(&recorded["slots"]).iter().map(number).collect();
        assert_eq!(slots, expected, "{}", self.id);
        let numbers = self.ring.points().map(|slot| slot.point);
        assert!(numbers.eq(0..slots.len() as u32), "{}", self.id);
        seen.modula += 1;
        seen.modula_slots += slots.len();
    }

    fn check_choices(&self, keys: &[Vec<u8>], seen: &mut Seen) {
        let extra = self
            .set
            .get("extra_keys")
            .map(self::keys)
            .unwrap_or_default();
        let choices = array(&self.set["choice"]);
        assert_eq!(choices.len(), keys.len() + extra.len(), "{}", self.id);
        for (key, choice) in keys.iter().chain(&extra).zip(choices) {
            let no_draw = || panic!("{} is not random", self.id);
            let placed = self.placement.place(&self.ring, key, no_draw).unwrap();
            assert_eq!(placed as u64, number(choice), "{} {key:x?}", self.id);
            // The result is the same without the shortcut for a single server.
            let looked_up = self.ring.lookup(self.placement.hash_of(key));
            assert_eq!(looked_up, Some(placed), "{} {key:x?}", self.id);
            seen.choices += 1;
        }
    }
}

fn member(server: &Value) -> Member<'_> {
    Member {
        name: text(&server["name"]).as_bytes(),
        weight: u32::try_from(number(&server["weight"])).unwrap(),
        live: server["live"].as_bool().unwrap(),
    }
}

fn tag(setting: &str) -> HashTag {
    let &[open, close] = setting.as_bytes() else {
        panic!("a tag has two characters: {setting:?}");
    };
    HashTag { open, close }
}

fn pairs(value: &Value) -> Vec<Located> {
    let located = |pair: &Value| Located {
        point: u32::try_from(number(&pair[0])).unwrap(),
        index: number(&pair[1]) as usize,
    };
    array(value).iter().map(located).collect()
}

fn keys(value: &Value) -> Vec<Vec<u8>> {
    array(value).iter().map(|key| bytes(text(key))).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |digits: &[u8]| {
        let digits = std::str::from_utf8(digits).unwrap();
        u8::from_str_radix(digits, 16).unwrap()
    };
    assert_eq!(hex.len() % 2, 0);
    hex.as_bytes().chunks(2).map(byte).collect()
}

#[track_caller]
fn array(value: &Value) -> &[Value] {
    value.as_array().expect("an array")
}

#[track_caller]
fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

#[track_caller]
fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}
