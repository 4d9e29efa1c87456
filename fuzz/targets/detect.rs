//! Any bytes for the decision which format a file is in, and then for that format.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::detect(data));
