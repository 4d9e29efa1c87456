//! Any bytes for the reader of jepsen-txt.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::reader("jepsen-txt", data));
