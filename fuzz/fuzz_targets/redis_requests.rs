//! Asserts `properties::redis_parsers::requests_once` for whatever the fuzzer finds.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::redis_parsers::requests_once(data));
