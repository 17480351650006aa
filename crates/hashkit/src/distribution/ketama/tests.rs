//! Compares the search with a linear one, and tests the ends of the ring.

use super::{Continuum, group_values, sorted_points};
use crate::shares::Shares;
use crate::{Located, Member, md5};
use proptest::prelude::*;

fn member(name: &[u8], weight: u32, live: bool) -> Member<'_> {
    Member { name, weight, live }
}

/// The definition: the first point at or above the hash, else the first.
fn plain_search(points: &[(u32, u32)], hash: u32) -> Option<Located> {
    let found = points.iter().find(|&&(value, _)| value >= hash);
    found.or(points.first()).map(|&(point, owner)| Located {
        index: owner as usize,
        point,
    })
}

/// Hashes at which a search can go wrong: around every point and at both ends.
fn telling_hashes(points: &[(u32, u32)]) -> Vec<u32> {
    let around = |value: u32| [value.wrapping_sub(1), value, value.wrapping_add(1)];
    let values = points.iter().map(|&(value, _)| value);
    values.chain([0]).flat_map(around).collect()
}

#[test]
fn labels_are_name_and_group_number() {
    assert_eq!(group_values(b"server1", 0), md5::words(b"server1-0"));
    assert_eq!(group_values(b"server1", 39), md5::words(b"server1-39"));
}

#[test]
fn long_labels_are_cut() {
    let name = [b'n'; 300];
    assert_eq!(group_values(&name, 0), md5::words(&name[..272]));
    assert_eq!(group_values(&name, 1), group_values(&name, 0));
    let mut label = [b'n'; 272];
    label[270..].copy_from_slice(b"-1");
    assert_eq!(group_values(&name[..270], 12), md5::words(&label));
}

#[test]
fn past_the_last_point_the_ring_begins_anew() {
    let ring = Continuum::from_points(vec![(10, 3), (20, 1), (4_000_000_000, 2)]);
    let found = |hash| {
        ring.locate(hash)
            .map(|located| (located.index, located.point))
    };
    assert_eq!(found(0), Some((3, 10)));
    assert_eq!(found(10), Some((3, 10)));
    assert_eq!(found(11), Some((1, 20)));
    assert_eq!(found(21), Some((2, 4_000_000_000)));
    assert_eq!(found(4_000_000_001), Some((3, 10)));
    assert_eq!(found(u32::MAX), Some((3, 10)));
}

#[test]
fn without_points_nobody_is_found() {
    let ring = Continuum::from_points(Vec::new());
    for hash in [0, 1, 1 << 31, u32::MAX] {
        assert_eq!(ring.locate(hash), None);
    }
}

#[test]
fn equal_values_belong_to_the_lowest_index() {
    let same = [member(b"same", 1, true), member(b"same", 1, true)];
    let points = sorted_points(&same);
    assert_eq!(points.len(), 320);
    for pair in points.chunks(2) {
        assert_eq!(pair[0].0, pair[1].0);
        assert_eq!((pair[0].1, pair[1].1), (0, 1));
    }
    let ring = Continuum::build(&same);
    for hash in telling_hashes(&points) {
        assert_eq!(ring.locate(hash).unwrap().index, 0);
    }
}

#[test]
fn five_hundred_servers_are_searched_rightly() {
    let names: Vec<String> = (0..500).map(|n| format!("10.0.0.{n}:6379")).collect();
    let members: Vec<_> = names
        .iter()
        .map(|n| member(n.as_bytes(), 1, true))
        .collect();
    let points = sorted_points(&members);
    assert_eq!(points.len(), 80_000);
    let ring = Continuum::build(&members);
    for hash in telling_hashes(&points) {
        let expected = points.partition_point(|&(value, _)| value < hash);
        assert_eq!(ring.lower_bound(hash), expected, "hash {hash}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_search_agrees_with_a_plain_one(
        values in proptest::collection::vec(
            prop_oneof![any::<u32>(), 0_u32..8, (u32::MAX - 8)..=u32::MAX, 0x7fff_fff8_u32..0x8000_0008],
            0..80,
        ),
        others in proptest::collection::vec(any::<u32>(), 16),
    ) {
        let mut points: Vec<_> = values.into_iter().zip(0..).collect();
        points.sort_by_key(|&(value, _)| value);
        let ring = Continuum::from_points(points.clone());
        for hash in telling_hashes(&points).into_iter().chain(others) {
            prop_assert_eq!(ring.locate(hash), plain_search(&points, hash), "hash {}", hash);
        }
    }

    #[test]
    fn an_ejected_server_moves_only_its_own_keys_when_weights_are_equal(
        servers in 2_usize..8, ejected in 0_usize..8, hashes in proptest::collection::vec(any::<u32>(), 32),
    ) {
        let ejected = ejected % servers;
        let names: Vec<String> = (0..servers).map(|n| format!("server{n}")).collect();
        let ring = |dead: Option<usize>| {
            let members: Vec<_> = names
                .iter()
                .enumerate()
                .map(|(n, name)| member(name.as_bytes(), 1, Some(n) != dead))
                .collect();
            Continuum::build(&members)
        };
        let (before, after) = (ring(None), ring(Some(ejected)));
        for hash in hashes {
            let (was, is) = (before.locate(hash).unwrap(), after.locate(hash).unwrap());
            prop_assert_ne!(is.index, ejected);
            if was.index != ejected {
                prop_assert_eq!(was, is);
            }
        }
    }
}
