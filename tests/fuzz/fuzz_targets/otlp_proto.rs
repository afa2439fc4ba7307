//! Fuzzes the walk of OTLP protobuf into columns.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::otlp_proto(bytes));
