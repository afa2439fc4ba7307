//! Fuzzes the SDK's reader of batches.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::plugin_batch(bytes));
