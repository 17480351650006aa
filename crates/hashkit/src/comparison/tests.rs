//! Comparisons against looking up one hash, or one key, after the other.

use proptest::prelude::*;

use super::*;
use crate::{CharSign, Distribution, HashKind, HashTag, index_order};

const BRACES: HashTag = HashTag {
    open: b'{',
    close: b'}',
};

/// A pool's servers, in index order, and its settings.
#[derive(Clone, Debug)]
struct Pool {
    placement: Placement,
    servers: Vec<(String, u32)>,
}

impl Pool {
    fn new(servers: &[(&str, u32)]) -> Self {
        let server = |&(name, weight): &(&str, u32)| (String::from(name), weight);
        let mut servers: Vec<(String, u32)> = servers.iter().map(server).collect();
        servers.sort_by(|a, b| index_order(a.0.as_bytes(), b.0.as_bytes()));
        Self {
            placement: Placement::default(),
            servers,
        }
    }

    fn with(&self, change: impl FnOnce(&mut Placement)) -> Self {
        let mut changed = self.clone();
        change(&mut changed.placement);
        changed
    }

    fn by(&self, distribution: Distribution) -> Self {
        self.with(|placement| placement.distribution = distribution)
    }

    fn members(&self) -> Vec<Member<'_>> {
        self.servers.iter().map(member).collect()
    }

    fn ring(&self) -> Ring {
        self.placement.ring(&self.members())
    }

    fn shares(&self) -> Divided {
        let (placement, members) = (&self.placement, &self.members()[..]);
        shares(Side { placement, members })
    }
}

fn member((name, weight): &(String, u32)) -> Member<'_> {
    Member {
        name: name.as_bytes(),
        weight: *weight,
        live: true,
    }
}

/// Which old server each new one is, by name.
fn same_names(old: &Pool, new: &Pool) -> Vec<Option<usize>> {
    let index = |name: &String| old.servers.iter().position(|(known, _)| known == name);
    new.servers.iter().map(|(name, _)| index(name)).collect()
}

fn compared(old: &Pool, new: &Pool) -> Comparison {
    let (before, after) = (old.members(), new.members());
    let old_side = Side {
        placement: &old.placement,
        members: &before,
    };
    let new_side = Side {
        placement: &new.placement,
        members: &after,
    };
    compare(old_side, new_side, &same_names(old, new))
}

/// What moves among keys whose form is not that of the sample, found by placing each of them.
fn by_keys(old: &Pool, new: &Pool, count: u64, key: impl Fn(u64) -> Vec<u8>) -> Tallied {
    let (before, after, same) = (old.ring(), new.ring(), same_names(old, new));
    let mut tally = Tally::new(&same);
    for number in 0..count {
        let key = key(number);
        let from = old.placement.place(&before, &key, || 0).unwrap();
        let to = new.placement.place(&after, &key, || 0).unwrap();
        tally.add(from, to, 1);
    }
    Tallied(tally.total(Basis::Sample, count))
}

struct Tallied(Comparison);

impl Tallied {
    /// That the share that moves, and that of each pair of servers, is as told, up to five standard deviations.
    #[track_caller]
    fn confirms(&self, told: &Comparison) {
        let counted = &self.0;
        let near = |share: f64, count: u64| {
            let (keys, count) = (counted.whole as f64, count as f64);
            let variance = share * (1.0 - share) * keys;
            // What is told may be from a sample, too.
            let of_told = match told.basis {
                Basis::Sample => keys / told.whole as f64,
                Basis::Hashes | Basis::Drawn => 0.0,
            };
            let deviation = (variance * (1.0 + of_told)).sqrt();
            (count - share * keys).abs() <= 5.0 * deviation + 1.0
        };
        let share = told.moved_share().unwrap();
        assert!(
            near(share, counted.moved),
            "{share} told, {} counted",
            counted.moved
        );
        for flow in &told.flows {
            let pair = |other: &&Flow| (other.from, other.to) == (flow.from, flow.to);
            let count = counted
                .flows
                .iter()
                .find(pair)
                .map_or(0, |flow| flow.amount);
            assert!(near(told.share(flow.amount), count), "{flow:?}, {count}");
        }
        for flow in &counted.flows {
            let pair = |other: &&Flow| (other.from, other.to) == (flow.from, flow.to);
            assert!(
                told.flows.iter().any(|other| pair(&other)),
                "{flow:?} is not told of"
            );
        }
    }
}

fn user(number: u64) -> Vec<u8> {
    format!("user:{number}:name").into_bytes()
}

fn four() -> Pool {
    Pool::new(&[("alpha", 1), ("beta", 1), ("gamma", 1), ("delta", 1)])
}

#[test]
fn nothing_moves_when_nothing_changes_or_only_the_order_does() {
    let reordered = Pool::new(&[("delta", 1), ("gamma", 1), ("alpha", 1), ("beta", 1)]);
    for distribution in [Distribution::Ketama, Distribution::Modula] {
        let (old, new) = (four().by(distribution), reordered.by(distribution));
        let told = compared(&old, &new);
        assert_eq!(
            (told.basis, told.moved, told.whole),
            (Basis::Hashes, 0, 1 << 32)
        );
        assert!(told.flows.is_empty() && told.peculiar.is_empty());
    }
}

#[test]
fn what_a_million_keys_do_is_what_is_told() {
    let old = four();
    let changes = [
        (
            "added",
            Pool::new(&[
                ("alpha", 1),
                ("beta", 1),
                ("gamma", 1),
                ("delta", 1),
                ("e", 1),
            ]),
        ),
        (
            "removed",
            Pool::new(&[("alpha", 1), ("beta", 1), ("gamma", 1)]),
        ),
        (
            "renamed",
            Pool::new(&[("alpha", 1), ("beta", 1), ("gamma", 1), ("d", 1)]),
        ),
        (
            "weights",
            Pool::new(&[("alpha", 3), ("beta", 1), ("gamma", 2), ("delta", 1)]),
        ),
        ("one left", Pool::new(&[("gamma", 1)])),
    ];
    for (what, new) in changes {
        for distribution in [Distribution::Ketama, Distribution::Modula] {
            let (old, new) = (old.by(distribution), new.by(distribution));
            let told = compared(&old, &new);
            assert_eq!((told.basis, told.whole), (Basis::Hashes, 1 << 32), "{what}");
            by_keys(&old, &new, 1_000_000, user).confirms(&told);
        }
        by_keys(&old, &new.by(Distribution::Modula), 1_000_000, user)
            .confirms(&compared(&old, &new.by(Distribution::Modula)));
    }
}

/// Ketama moves nothing between servers that stay, and to a fifth server about a fifth.
#[test]
fn an_added_server_takes_its_share_and_no_more() {
    let new = Pool::new(&[
        ("alpha", 1),
        ("beta", 1),
        ("gamma", 1),
        ("delta", 1),
        ("e", 1),
    ]);
    let told = compared(&four(), &new);
    assert!(told.flows.iter().all(|flow| new.servers[flow.to].0 == "e"));
    assert_eq!(told.flows.len(), 4);
    let share = told.moved_share().unwrap();
    assert!((0.15..0.25).contains(&share), "{share}");
    let index = new
        .servers
        .iter()
        .position(|(name, _)| name == "e")
        .unwrap();
    assert_eq!(told.moved, new.shares().parts[index]);
}

/// Of twelve hashes in a row, three modulo 3 and modulo 4 agree; servers keep their numbers.
#[test]
fn modula_from_three_to_four_servers_moves_three_quarters() {
    let old = Pool::new(&[("a", 1), ("b", 1), ("c", 1)]).by(Distribution::Modula);
    let new = Pool::new(&[("a", 1), ("b", 1), ("c", 1), ("d", 1)]).by(Distribution::Modula);
    let told = compared(&old, &new);
    // The twelfth of 2^32 leaves a remainder of four: hashes 0 to 3 of a round, of which three stay.
    let rounds = (1_u64 << 32) / 12;
    assert_eq!(told.moved, rounds * 9 + 1);
}

#[test]
fn every_hash_is_spread_as_the_arcs_say() {
    let new = Pool::new(&[("alpha", 1), ("beta", 2), ("gamma", 1)]);
    for hash in HashKind::ALL {
        let with_hash = |pool: &Pool| pool.with(|placement| placement.hash = hash);
        let (old, new) = (with_hash(&four()), with_hash(&new));
        let told = compared(&old, &new);
        assert_eq!((told.basis, told.whole), (Basis::Hashes, hash.values()));
        let key = |number| {
            let mut keys = Keys::new(Form::Plain, std::iter::empty());
            keys.key(number + SAMPLED).to_vec()
        };
        by_keys(&old, &new, 200_000, key).confirms(&told);
    }
}

#[test]
fn crc32_with_ketama_gives_nearly_everything_to_one_server() {
    let crc32 = four().with(|placement| placement.hash = HashKind::Crc32);
    let divided = crc32.shares();
    assert_eq!(divided.whole, 1 << 15);
    assert_eq!(divided.parts.iter().sum::<u64>(), 1 << 15);
    let ring = crc32.ring();
    let mut counted = vec![0; 4];
    (0..1 << 15).for_each(|hash| counted[ring.lookup(hash).unwrap()] += 1);
    assert_eq!(divided.parts, counted);
    assert!(counted.contains(&(1 << 15)), "{counted:?}");
    let even = crc32.by(Distribution::Modula).shares();
    assert_eq!(even.parts, [1 << 13; 4]);
}

#[test]
fn another_hash_is_compared_by_keys() {
    let old = four();
    let new = old.with(|placement| placement.hash = HashKind::Murmur);
    let told = compared(&old, &new);
    assert_eq!((told.basis, told.whole), (Basis::Sample, SAMPLED));
    let share = told.moved_share().unwrap();
    assert!((0.70..0.80).contains(&share), "{share}");
    assert_eq!(
        told.moved,
        compared(&old, &new).moved,
        "the same keys each time"
    );
    // With one server no key is hashed.
    let one = Pool::new(&[("alpha", 1)]);
    let told = compared(&one, &new);
    let alpha = new
        .servers
        .iter()
        .position(|(name, _)| name == "alpha")
        .unwrap();
    assert_eq!(told.basis, Basis::Hashes);
    assert_eq!(told.moved, (1 << 32) - new.shares().parts[alpha]);
    let told = compared(&one, &one.with(|placement| placement.hash = HashKind::Md5));
    assert_eq!((told.basis, told.moved), (Basis::Hashes, 0));
}

#[test]
fn a_hash_tag_moves_the_keys_that_have_one() {
    let old = four();
    let new = old.with(|placement| placement.tag = Some(BRACES));
    let told = compared(&old, &new);
    assert_eq!((told.basis, told.moved), (Basis::Hashes, 0));
    let [(Peculiar::Tagged, tagged)] = &told.peculiar[..] else {
        panic!("{:?}", told.peculiar);
    };
    // The last characters of a key change only the low bits of fnv1a_64's low half, and ketama goes by the high ones.
    let key = |number| format!("user:{{{number}:account}}:name").into_bytes();
    by_keys(&old, &new, 200_000, key).confirms(tagged);
}

#[test]
fn the_sign_of_char_moves_keys_of_high_bytes() {
    let old = four();
    let new = old.with(|placement| placement.sign = CharSign::Unsigned);
    let told = compared(&old, &new);
    assert_eq!((told.basis, told.moved), (Basis::Hashes, 0));
    let [(Peculiar::HighBytes, high)] = &told.peculiar[..] else {
        panic!("{:?}", told.peculiar);
    };
    let share = high.moved_share().unwrap();
    assert!((0.70..0.80).contains(&share), "{share}");
    let unread = |pool: &Pool| pool.with(|placement| placement.hash = HashKind::Murmur);
    let told = compared(&unread(&old), &unread(&new));
    assert_eq!(told.peculiar[0].1.moved, 0);
}

#[test]
fn random_has_no_places() {
    let (fixed, drawn) = (four(), four().by(Distribution::Random));
    for (old, new) in [(&fixed, &drawn), (&drawn, &fixed), (&drawn, &drawn)] {
        let told = compared(old, new);
        assert_eq!((told.basis, told.moved_share()), (Basis::Drawn, None));
    }
    let divided = drawn.shares();
    assert_eq!((divided.parts, divided.whole), (vec![1; 4], 4));
    // One server needs no draw.
    let one = Pool::new(&[("alpha", 1)]).by(Distribution::Random);
    assert_eq!(compared(&one, &one).moved_share(), Some(0.0));
    assert_eq!(compared(&one, &four()).basis, Basis::Hashes);
}

#[test]
fn what_cannot_be_listed_is_summed_up() {
    let names: Vec<String> = (0..1_200).map(|number| format!("s{number}")).collect();
    let pool = |count: usize| {
        let servers: Vec<(&str, u32)> = names[..count].iter().map(|name| (&name[..], 1)).collect();
        Pool::new(&servers).by(Distribution::Modula)
    };
    let told = compared(&pool(1_200), &pool(1_199));
    assert_eq!((told.basis, told.flows.len()), (Basis::Hashes, MAX_FLOWS));
    let listed: u64 = told.flows.iter().map(|flow| flow.amount).sum();
    assert!(told.unlisted > 0 && listed + told.unlisted == told.moved);
}

#[test]
fn what_would_take_too_long_is_sampled() {
    let names: Vec<String> = (0..20_000).map(|number| format!("s{number}")).collect();
    let pool = |count: usize| {
        let servers: Vec<(&str, u32)> = names[..count].iter().map(|name| (&name[..], 1)).collect();
        Pool::new(&servers).by(Distribution::Modula)
    };
    let told = compared(&pool(20_000), &pool(19_999));
    assert_eq!((told.basis, told.whole), (Basis::Sample, SAMPLED));
    assert_eq!(compared(&pool(20_000), &pool(20_000)).basis, Basis::Hashes);
}

fn servers() -> impl Strategy<Value = Vec<(&'static str, u32)>> {
    let names = ["a", "b", "c", "d", "aa", "ab", "longer"];
    proptest::collection::vec((0_usize..7, prop_oneof![0_u32..4, 1_u32..60]), 1..6).prop_map(
        move |chosen| {
            let mut chosen: Vec<_> = chosen
                .iter()
                .map(|&(at, weight)| (names[at], weight))
                .collect();
            chosen.sort();
            chosen.dedup_by_key(|server| server.0);
            chosen
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Every value of a hash, one by one: any two of the distributions, weights and names.
    #[test]
    fn the_walk_agrees_with_every_single_lookup(
        old in servers(), new in servers(), modula in any::<(bool, bool)>(), values in 1_u64..30_000,
    ) {
        let by = |pool: Pool, modula| match modula {
            true => pool.by(Distribution::Modula),
            false => pool,
        };
        let (old, new) = (by(Pool::new(&old), modula.0), by(Pool::new(&new), modula.1));
        let (before, after, same) = (old.ring(), new.ring(), same_names(&old, &new));
        prop_assume!(before.is_owned() && after.is_owned());
        // Ketama's points are far from each other, so the values are spread.
        let walk = Walk::new(&before, &after, values);
        let mut tally = Tally::new(&same);
        walk.each(&mut |from, to, amount| tally.add(from, to, amount));
        let mut single = Tally::new(&same);
        for hash in 0..values as u32 {
            single.add(before.lookup(hash).unwrap(), after.lookup(hash).unwrap(), 1);
        }
        let (told, counted) = (tally.total(Basis::Hashes, values), single.total(Basis::Hashes, values));
        prop_assert_eq!(told.moved, counted.moved);
        prop_assert_eq!(told.flows, counted.flows);
    }

    /// Everywhere on the ring: runs follow each other without a gap, and their ends have their owner.
    #[test]
    fn runs_are_whole_and_rightly_owned(
        servers in servers(), modula in any::<bool>(), from in any::<u32>(), length in 1_u64..100_000_000,
    ) {
        let pool = Pool::new(&servers);
        let pool = if modula { pool.by(Distribution::Modula) } else { pool };
        let ring = pool.ring();
        prop_assume!(ring.is_owned() && (!modula || ring.period().is_none_or(|it| it > 1)));
        let from = u64::from(from);
        let until = (from + if modula { length / 1_000 + 1 } else { length }).min(1 << 32);
        let mut next = from;
        let mut sums = vec![0; servers.len()];
        let mut wrong = Vec::new();
        ring.runs(from, until, &mut |run| {
            let owns = |hash: u64| ring.lookup(hash as u32) == Some(run.owner);
            if run.from != next || run.until <= run.from || !owns(run.from) || !owns(run.until - 1) {
                wrong.push(run);
            }
            sums[run.owner] += run.until - run.from;
            next = run.until;
        });
        prop_assert!(wrong.is_empty(), "{wrong:?}");
        prop_assert_eq!(next, until);
        let mut divided = vec![0; servers.len()];
        ring.divide(from, until, &mut |member, amount| divided[member] += amount);
        prop_assert_eq!(sums, divided);
    }
}
