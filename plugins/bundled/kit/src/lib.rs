//! What several of the bundled plugins need: patterns, conditions on spans, actions on attributes.

pub mod actions;
mod convert;
pub mod matching;
mod pattern;

pub use convert::{any_from_json, text_of};
pub use pattern::Pattern;
