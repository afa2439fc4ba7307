//! TraceQL: from text to a checked tree, and what a tree asks for.
//!
//! A leaf: no I/O, no clock, no threads; it builds for wasm32, too, where the editor of the UI uses
//! it.

pub mod ast;
pub mod limit;
mod place;
pub mod regex;

pub use ast::Query;
pub use place::Place;
pub use regex::Regex;
