//! A small history spelled by the bytes, for all engines: definite answers must agree.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::engines::spelled(data));
