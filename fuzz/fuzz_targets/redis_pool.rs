//! Asserts `proxy::check::redis` for whatever the fuzzer finds.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxy::check::redis(data));
