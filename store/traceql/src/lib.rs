//! TraceQL: from text to a checked tree, and what a tree asks for.
//!
//! A leaf: no I/O, no clock, no threads; it builds for wasm32, too, where the editor of the UI uses
//! it.
//!
//! ```
//! let query = traceql::parse("{ status = error } | rate() by(resource.service.name)")?;
//! assert!(query.is_metrics());
//!
//! let error = traceql::parse("{ service.name == 'cart' }").unwrap_err();
//! assert_eq!((error.line(), error.column()), (1, 3));
//! assert_eq!(error.correction(), Some("{ resource.service.name = \"cart\" }"));
//!
//! let hints = traceql::hints("{ .status = error }");
//! assert_eq!(hints[0].suggestion(), "{ status = error }");
//! # Ok::<(), traceql::Error>(())
//! ```
//!
//! The tree is in [`ast`]; what a store is asked by it in [`plan`]; how values compute and compare in
//! [`fold`]; what a query may at most be in [`limit`].

pub mod ast;
mod check;
mod correct;
mod error;
pub mod fold;
mod hint;
mod incomplete;
mod lexer;
pub mod limit;
mod near;
mod parser;
mod place;
pub mod plan;
mod print;
pub mod regex;

pub use ast::Query;
pub use error::{Error, Kind};
pub use hint::{Hint, hints};
pub use incomplete::incomplete;
pub use lexer::UNITS;
pub use place::Place;
pub use regex::Regex;

/// Reads a query and checks it.
///
/// # Errors
/// Says where the text is no query or means nothing, and how it was probably meant.
pub fn parse(text: &str) -> Result<Query, Error> {
    read(text).map_err(|fault| {
        let correction = correct::corrected(text, &fault);
        Error::new(text, fault, correction)
    })
}

/// Reads the name of a field as queries write it: `span.http.method`, `name`, `resource."a b"`.
///
/// # Errors
/// Says where the text is no such name.
pub fn field(text: &str) -> Result<ast::Field, Error> {
    parser::field(text).map_err(|fault| Error::new(text, fault, None))
}

/// A query, or its first fault.
fn read(text: &str) -> Result<Query, error::Fault> {
    let query = parser::parse(text)?;
    check::query(&query)?;
    Ok(query)
}

#[cfg(test)]
mod tests;
