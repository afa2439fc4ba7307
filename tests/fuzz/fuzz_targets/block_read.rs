//! Fuzzes the reader of blocks behind their checksums.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::block_read(bytes));
