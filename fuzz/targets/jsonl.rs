//! Any bytes for the reader of jsonl.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::reader("jsonl", data));
