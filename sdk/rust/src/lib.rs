//! Plugins for Traceweir: what crosses between host and plugin, and how to write one in Rust.

pub mod codes;
