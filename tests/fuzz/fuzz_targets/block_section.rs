//! Fuzzes the readers of a block's sections and pages.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::block_section(bytes));
