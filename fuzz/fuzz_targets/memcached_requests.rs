//! Checks `properties::memcached_parsers::requests_once` with the fuzzer's inputs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::memcached_parsers::requests_once(data));
