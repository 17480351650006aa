//! Asserts `properties::pool::memcached` for whatever the fuzzer finds.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::pool::memcached(data));
