//! A history of a correct object, then bent by the bytes: what only helps must keep it valid.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::engines::mutated(data));
