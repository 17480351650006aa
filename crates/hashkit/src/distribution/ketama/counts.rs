//! How many points each server gets, in nutcracker's arithmetic.

/// Points of a server of average weight, before rounding.
const POINTS_PER_SERVER: f32 = 160.0;

/// Points come in groups: one digest yields this many.
const POINTS_PER_GROUP: f32 = 4.0;

/// nutcracker allocates room for this many servers beyond the live ones.
const SPARE_SERVERS: u64 = 10;

/// The number of point groups for each of the live servers, given their
/// weights in index order.
/// Everything is rounded to single precision, and a server gets whole groups only. So equal weights do not
/// always give 160 points (25 servers get 156 each), and a server whose share is below one group gets none.
/// Existing deployments have their keys there; more exact arithmetic would move them.
///
/// In C the sum of the weights is a `u32` and overflows. An overflowed sum is kept as long as nutcracker
/// survived it, that is, while the points fit the memory that it allocates for this many live servers. Where
/// it wrote past that, there is no placement to keep, and the true sum is used. So there are never more than
/// 40 groups per live server plus 400.
pub(super) fn groups(weights: impl Iterator<Item = u32> + Clone) -> Vec<u32> {
    let live = weights.clone().count();
    let wrapped = weights.clone().fold(0, u32::wrapping_add);
    let groups = groups_of_total(weights.clone(), wrapped as f32, live);
    if fits(&groups, live) {
        return groups;
    }
    let total: u64 = weights.clone().map(u64::from).sum();
    groups_of_total(weights, total as f32, live)
}

fn groups_of_total(weights: impl Iterator<Item = u32>, total: f32, live: usize) -> Vec<u32> {
    weights
        .map(|weight| share(weight, total, live as f32).floor() as u32)
        .collect()
}

/// A server's share in groups. Each step is rounded to single precision, from left to right. A total of 0
/// gives infinity, or NaN for a weight of 0; converting to an integer turns these into `u32::MAX` and 0.
fn share(weight: u32, total: f32, live: f32) -> f32 {
    let part = weight as f32 / total;
    let share = part * POINTS_PER_SERVER / POINTS_PER_GROUP * live;
    // Too small to raise any share to the next group; the C code has it.
    (f64::from(share) + 0.000_000_000_1) as f32
}

/// Whether nutcracker's allocation had room for all these points.
fn fits(groups: &[u32], live: usize) -> bool {
    let needed: u64 = groups.iter().map(|&groups| u64::from(groups)).sum();
    let per_server = (POINTS_PER_SERVER / POINTS_PER_GROUP) as u64;
    needed <= (live as u64 + SPARE_SERVERS) * per_server
}

#[cfg(test)]
mod tests {
    use super::groups;
    use proptest::prelude::*;
    use serde_json::Value;

    fn groups_of(weights: &[u32]) -> Vec<u32> {
        groups(weights.iter().copied())
    }

    #[test]
    fn equal_weights_give_the_recorded_points() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../../tests/data/hash-vectors.json")).unwrap();
        let exceptions = vectors["equal_weight_points"].as_object().unwrap();
        let mut met = 0;
        for servers in 1..=512 {
            let recorded = exceptions.get(&servers.to_string());
            met += usize::from(recorded.is_some());
            let points = recorded.map_or(160, |points| points.as_u64().unwrap());
            let all = groups_of(&vec![1; servers]);
            assert_eq!(all.len(), servers);
            assert!(
                all.iter().all(|&groups| u64::from(groups) * 4 == points),
                "{servers} servers: {} groups, recorded {points} points",
                all[0]
            );
        }
        assert_eq!((met, exceptions.len()), (54, 54));
    }

    #[test]
    fn a_share_below_one_group_is_nothing() {
        assert_eq!(groups_of(&[100_000, 1]), [79, 0]);
    }

    #[test]
    fn no_servers_and_no_weights_give_nothing() {
        assert!(groups_of(&[]).is_empty());
        assert_eq!(groups_of(&[0]), [0]);
        assert_eq!(groups_of(&[0, 0, 0]), [0, 0, 0]);
        assert_eq!(groups_of(&[0, 7]), [0, 80]);
    }

    #[test]
    fn a_wrapped_sum_is_kept_while_its_points_fit() {
        // The sum overflows to 2^31: each server counts as the whole, 120 groups. There is room for (3 + 10)
        // * 40 = 520.
        let half = 1 << 31;
        assert_eq!(groups_of(&[half; 3]), [120; 3]);
        // Five overflow to 2^31 as well: 5 * 200 = 1,000, but there is room for 600 only.
        assert_eq!(groups_of(&[half; 5]), [40; 5]);
    }

    #[test]
    fn a_sum_that_wraps_to_zero_or_nearly_so_is_not_used() {
        assert_eq!(groups_of(&[1 << 31; 2]), [40; 2]);
        assert_eq!(groups_of(&[u32::MAX, 2]), [80, 0]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn never_more_than_there_is_room_for(
            weights in proptest::collection::vec(
                prop_oneof![0_u32..4, 1_u32..1000, any::<u32>()], 0..600,
            ),
        ) {
            let groups = groups_of(&weights);
            prop_assert_eq!(groups.len(), weights.len());
            let sum: u64 = groups.iter().map(|&groups| u64::from(groups)).sum();
            prop_assert!(sum <= (weights.len() as u64 + 10) * 40);
        }
    }
}
