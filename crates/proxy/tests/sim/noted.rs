//! What is noted of requests in some scenarios: it changes nothing that becomes of them.

use std::time::Duration;

use proxy::settings::PoolSettings;

/// Sets `hot_keys`, `access_log` and `slow_log` by numbers that are drawn anyway, so that each seed stays what it was. Plans
/// that move servers switch them.
pub(crate) fn set(settings: &mut PoolSettings, salts: usize, moves: &[u16]) {
    let number = salts + moves.iter().sum::<u16>() as usize;
    let some = number as u32;
    settings.hot_keys = number.is_multiple_of(3).then_some(1 + some % 7);
    settings.access_log = number.is_multiple_of(5).then_some(1 + some % 3);
    let slow = Duration::from_millis(number as u64 % 40);
    settings.slow_log = number.is_multiple_of(4).then_some(slow);
}
