//! Fuzzes the loader of plugins.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::plugin_load(bytes));
