//! What holds for any tree and for any text.

use proptest::prelude::*;

use super::arbitrary;
use crate::{parse, parser};

/// Pieces of queries, to be put together in any order.
const PIECES: &[&str] = &[
    "{",
    "}",
    "(",
    ")",
    ",",
    "|",
    "&&",
    "||",
    "!",
    "-",
    "+",
    "*",
    "/",
    "%",
    "^",
    "=",
    "!=",
    "<",
    ">=",
    "=~",
    "!~",
    ">>",
    "&>>",
    "!<",
    "~",
    ".a",
    "span.b",
    "resource.\"c d\"",
    "parent.e",
    "duration",
    "span:id",
    "trace:x",
    "status",
    "error",
    "nil",
    "true",
    "1",
    "2.5",
    "3ms",
    "\"x\"",
    "`y`",
    "'z'",
    "\"",
    "by",
    "count",
    "()",
    "rate()",
    "topk(1)",
    "select",
    "coalesce()",
    "compare",
    "with",
    "quantile_over_time",
    "and",
    "cluster",
    "é",
    "\n",
    "==",
    "&",
    "//",
    "/*",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_printed_tree_parses_to_the_same(query in arbitrary::query()) {
        let text = query.to_string();
        match parser::parse(&text) {
            Ok(again) => prop_assert_eq!(again, query, "{}", text),
            Err(fault) => prop_assert!(false, "{}: {:?}", text, fault),
        }
    }

    #[test]
    fn a_printed_field_is_read_as_the_same(field in arbitrary::field()) {
        prop_assert_eq!(crate::field(&field.to_string()), Ok(field));
    }

    #[test]
    fn any_text_is_a_query_or_an_error_with_a_place(text: String) {
        judge(&text)?;
    }

    #[test]
    fn any_pieces_are_a_query_or_an_error_with_a_place(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..20),
        spaced: bool,
    ) {
        judge(&pieces.join(if spaced { " " } else { "" }))?;
    }
}

fn judge(text: &str) -> Result<(), TestCaseError> {
    match parse(text) {
        Ok(query) => prop_assert_eq!(parse(&query.to_string()), Ok(query)),
        Err(error) => {
            prop_assert!(text.get(error.place().range()).is_some(), "{}: {:?}", text, error);
            if let Some(correction) = error.correction() {
                prop_assert!(parse(correction).is_ok(), "{} to {}", text, correction);
            }
        }
    }
    Ok(())
}
