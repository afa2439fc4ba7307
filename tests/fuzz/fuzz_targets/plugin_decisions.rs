//! Fuzzes what samplers answer.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::plugin_decisions(bytes));
