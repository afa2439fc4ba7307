//! Fuzzes the look at a request that notes where things stand, and edits of what it found.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::otlp_outline(bytes));
