//! Settings as a tree of keys: where values come from ([`source`]), and which of them fit ([`tree`]).
//!
//! What keys there are is for others to say: `config` for the process, `overrides` for tenants.

pub mod source;
pub mod tree;
