//! Checks `properties::pool::memcached` with the fuzzer's inputs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::pool::memcached(data));
