//! Asserts `properties::memcached_parsers::replies_once` for whatever the fuzzer finds.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::memcached_parsers::replies_once(data));
