//! The evaluator against a plain one, and each trap of the language.

mod compacted;
mod federated;
mod kept;
mod metrics;
mod names;
mod oracle;
mod search;
mod traps;
mod world;
