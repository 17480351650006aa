//! Properties of every distribution, and of modula and random in particular.

use super::{Located, Member, Ring};
use crate::{Distribution, index_order};
use proptest::prelude::*;
use std::cmp::Ordering;

const NAMES: [&str; 8] = ["a", "b", "c", "d", "aa", "ab", "a:6380", "a:6381"];

fn members(shares: &[(u32, bool)]) -> Vec<Member<'static>> {
    let member = |(name, &(weight, live)): (&&'static str, &(u32, bool))| Member {
        name: name.as_bytes(),
        weight,
        live,
    };
    NAMES.iter().zip(shares).map(member).collect()
}

fn indices(ring: &Ring, hashes: impl IntoIterator<Item = u32>) -> Vec<usize> {
    hashes
        .into_iter()
        .map(|hash| ring.lookup(hash).unwrap())
        .collect()
}

#[test]
fn a_ring_can_be_shared_between_threads() {
    fn shareable<T: Send + Sync + 'static>() {}
    shareable::<Ring>();
}

#[test]
fn shorter_names_come_first() {
    let mut names = ["bb", "a:6380", "b", "", "ba", "a:637"].map(str::as_bytes);
    names.sort_by(|a, b| index_order(a, b));
    let expected = ["", "b", "ba", "bb", "a:637", "a:6380"].map(str::as_bytes);
    assert_eq!(names, expected);
    assert_eq!(index_order(b"\x7f", b"\x80"), Ordering::Less);
    assert_eq!(index_order(b"same", b"same"), Ordering::Equal);
}

#[test]
fn modula_gives_each_live_member_its_weight_in_index_order() {
    let ring = Ring::build(
        Distribution::Modula,
        &members(&[(2, true), (5, false), (1, true), (3, true)]),
    );
    assert_eq!(indices(&ring, 0..8), [0, 0, 2, 3, 3, 3, 0, 0]);
    let wrapped = Located { index: 2, point: 2 };
    assert_eq!(ring.locate(6 * 1000 + 2), Some(wrapped));
    let owned: Vec<_> = (0..5).map(|index| ring.points_of(index)).collect();
    assert_eq!(owned, [2, 0, 1, 3, 0]);
}

#[test]
fn modula_with_huge_weights_costs_nothing_and_places_by_the_true_sum() {
    let max = u32::MAX;
    let ring = Ring::build(Distribution::Modula, &members(&[(max, true), (max, true)]));
    assert_eq!(indices(&ring, [0, max - 1, max]), [0, 0, 1]);
    assert_eq!(ring.points().take(3).count(), 3);
    assert_eq!(ring.points_of(1), max as usize);
}

#[test]
fn random_takes_the_live_members_in_turn_whatever_their_weight() {
    let ring = Ring::build(
        Distribution::Random,
        &members(&[(9, true), (1, false), (1, true), (0, true)]),
    );
    assert_eq!(indices(&ring, 0..6), [0, 2, 3, 0, 2, 3]);
    assert_eq!(indices(&ring, [u32::MAX]), [0]);
    assert_eq!([ring.points_of(0), ring.points_of(1)], [1, 0]);
    assert_eq!(ring.points().count(), 3);
}

#[test]
fn nobody_live_means_nobody_found() {
    for distribution in Distribution::ALL {
        for shares in [&[][..], &[(1, false)], &[(1, false), (2, false)]] {
            let ring = Ring::build(distribution, &members(shares));
            assert_eq!(ring.lookup(0), None, "{distribution:?}");
            assert_eq!(ring.locate(u32::MAX), None, "{distribution:?}");
            assert_eq!(ring.points().count(), 0, "{distribution:?}");
        }
    }
}

#[test]
fn no_weight_means_no_share() {
    for distribution in [Distribution::Ketama, Distribution::Modula] {
        let none = Ring::build(distribution, &members(&[(0, true), (0, true)]));
        assert_eq!(none.lookup(7), None, "{distribution:?}");
        let one = Ring::build(distribution, &members(&[(0, true), (1, true), (0, true)]));
        assert_eq!(
            indices(&one, [0, 7, u32::MAX]),
            [1, 1, 1],
            "{distribution:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn only_live_owners_are_found_and_points_add_up(
        shares in proptest::collection::vec((0_u32..50, any::<bool>()), 0..8),
        hashes in proptest::collection::vec(any::<u32>(), 16),
        which in 0_usize..3,
    ) {
        let members = members(&shares);
        let ring = Ring::build(Distribution::ALL[which], &members);
        for hash in hashes {
            prop_assert_eq!(ring.lookup(hash), ring.locate(hash).map(|located| located.index));
            match ring.lookup(hash) {
                Some(index) => prop_assert!(members[index].live && ring.points_of(index) > 0),
                None => prop_assert!((0..members.len()).all(|index| ring.points_of(index) == 0)),
            }
        }
        let mut counted = vec![0; members.len()];
        for point in ring.points() {
            counted[point.index] += 1;
        }
        let told: Vec<_> = (0..members.len()).map(|index| ring.points_of(index)).collect();
        prop_assert_eq!(counted, told);
    }
}
