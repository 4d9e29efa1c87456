//! Any bytes for the reader of porcupine-kv.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::reader("porcupine-kv", data));
