//! Fuzzes the decoder of OTLP/JSON.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::otlp_json(bytes));
