//! A history written in every format that can be written: what is read back must be the same ops.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::roundtrip(data));
