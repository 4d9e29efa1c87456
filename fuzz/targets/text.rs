//! Any text for the two notations of tests.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::notation(data));
