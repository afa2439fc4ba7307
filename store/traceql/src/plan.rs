//! What a tree asks of a store, as far as that is a matter of the language: which conditions every
//! match fulfils, and which fields are read.
//!
//! All of it narrows: it may let through what does not match, never the other way round. The
//! decision is the evaluator's alone.

mod implied;
mod normal;
mod reads;
mod required;

pub use implied::{Clause, Condition, Test, implied};
pub use normal::{normal, normal_expr};
pub use reads::{Reads, reads, selected};
pub use required::required;

#[cfg(test)]
mod tests;
