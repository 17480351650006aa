//! Checks `properties::redis_parsers::requests_once` with the fuzzer's inputs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::redis_parsers::requests_once(data));
