//! Asserts `nuthatch::config::check::file` for whatever the fuzzer finds.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nuthatch::config::check::file(data));
