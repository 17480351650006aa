//! Checks `properties::pool::redis` with the fuzzer's inputs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::pool::redis(data));
