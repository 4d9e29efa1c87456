//! Any bytes for the EDN and JSON parser; what it read must print and read back as the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::forms(data));
