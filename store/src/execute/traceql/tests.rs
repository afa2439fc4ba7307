//! The evaluator against a plain one, and each trap of the language.

mod oracle;
mod search;
mod world;
