//! Fuzzes the reader of WAL records.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::wal_record(bytes));
