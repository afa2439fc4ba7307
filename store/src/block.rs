//! The block: one immutable Parquet file with index sections of our own.
//!
//! Sealed from the head ([`writer`] with one source) or merged from other blocks, and read back
//! into the columns it came from ([`reader`]). What it holds is told by [`schema::COLUMNS`] and
//! [`section::SECTIONS`]; `docs/reference/block-format.md` is the specification.

pub mod cache;
pub mod footer;
pub mod order;
pub mod page;
pub mod reader;
pub mod schema;
pub mod section;
pub mod verify;
pub mod writer;

#[cfg(test)]
pub(crate) mod tests;
