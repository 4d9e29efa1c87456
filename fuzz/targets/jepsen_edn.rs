//! Any bytes for the reader of jepsen-edn.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::reader("jepsen-edn", data));
