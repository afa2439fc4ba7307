//! What several of the bundled plugins need: patterns, conditions on spans, actions on attributes.

pub mod actions;
mod convert;
mod keys;
pub mod matching;
mod pattern;
mod url;

pub use convert::text_of;
pub use keys::Keys;
pub use pattern::Pattern;
pub use url::Url;
