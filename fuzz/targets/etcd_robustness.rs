//! Any bytes for the reader of etcd-robustness.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::reader("etcd-robustness", data));
