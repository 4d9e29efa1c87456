//! Any bytes for the reader of elle-json.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::reader("elle-json", data));
