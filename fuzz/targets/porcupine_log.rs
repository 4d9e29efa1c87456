//! Any bytes for the reader of porcupine-log.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::reader("porcupine-log", data));
