//! The language as a whole: what is taken, what is refused and where, and what holds for any query.

mod accepted;
pub(crate) mod arbitrary;
mod bounds;
mod clients;
mod precedence;
mod properties;
mod refused;
