//! Asserts `redis_proto::check::replies_once` for whatever the fuzzer finds.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| redis_proto::check::replies_once(data));
