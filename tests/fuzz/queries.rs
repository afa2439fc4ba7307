//! Queries of any text: what the parser, the hints and the planner owe each other.

use traceql::{Regex, hints, incomplete, parse, plan};

/// Queries by hand, one on a line.
const QUERIES: &str = include_str!("seeds/queries.txt");

/// What to start from.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    QUERIES.lines().map(|line| line.as_bytes().to_vec()).collect()
}

/// A query is read and prints as itself, or it is refused with a place in it; whatever is proposed
/// instead is a query.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match parse(text) {
        Ok(query) => {
            assert_eq!(parse(&query.to_string()).as_ref(), Ok(&query), "{text}");
            let normal = plan::normal(query.clone());
            assert_eq!(parse(&normal.to_string()).as_ref(), Ok(&normal), "{text}");
            assert!(plan::reads(&normal).fields.is_subset(&plan::reads(&query).fields), "{text}");
            drop(plan::selected(&query));
            if let traceql::ast::Root::Spans(pipeline) = &normal.root {
                plan::required(pipeline)
                    .iter()
                    .flatten()
                    .for_each(|expr| drop(plan::implied(expr)));
            }
        }
        Err(error) => {
            assert!(text.get(error.place().range()).is_some(), "{text}: {error:?}");
            if let Some(correction) = error.correction() {
                assert!(parse(correction).is_ok(), "{text}: {correction}");
            }
        }
    }
    for hint in hints(text) {
        assert!(parse(hint.suggestion()).is_ok(), "{text}: {hint}");
    }
    if let Some(expr) = incomplete(text) {
        assert!(parse(&format!("{{ {expr} }}")).is_ok(), "{text}: {expr}");
    }
    if let Ok(field) = traceql::field(text) {
        assert_eq!(traceql::field(&field.to_string()), Ok(field), "{text}");
    }
    if let Ok(regex) = Regex::new(text) {
        let matches = regex.is_match(text);
        let strings = regex.strings();
        let is_listed = strings.is_none_or(|known| known.iter().any(|known| known == text));
        assert!(!matches || (is_listed && text.starts_with(regex.prefix())), "{text}");
    }
}
