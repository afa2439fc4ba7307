//! Queries that are being typed: what they say so far.
//!
//! An editor asks for the values of a tag with the query around it, in which the condition under the
//! cursor is not finished. What is finished narrows the answer; what is not is left out.

use crate::ast::{FieldExpr, FieldKind};
use crate::check::Check;
use crate::limit::QUERY_BYTES_MAX;
use crate::{parser, plan};

/// The condition that the only filter of a query makes, without the parts that are no conditions.
/// Nothing where that leaves nothing, there are several filters, or the text has none: then nothing
/// narrows.
///
/// `{ .a = 1 && .b = }` gives `.a = 1`. Of a `||` with a part that is no condition nothing is
/// left: what it will be may match anything. The result is in [`plan::normal_expr`] form.
#[must_use]
pub fn incomplete(text: &str) -> Option<FieldExpr> {
    if text.len() > QUERY_BYTES_MAX {
        return None;
    }
    let mut kept: Vec<(Joint, &str)> = Vec::new();
    let mut is_first = true;
    // One for all pieces: together their regexes cost no more than those of a query.
    let mut check = Check::default();
    for (joint, piece) in pieces(text)? {
        match (joint, finished(piece, &mut check).is_some()) {
            // What is on one side may be anything, so what is on the other says nothing.
            (Joint::Or, is_one) if !is_one || (kept.is_empty() && !is_first) => kept.clear(),
            (joint, true) => kept.push((joint, piece)),
            (_, false) => {}
        }
        is_first = false;
    }
    // As one text, so that the limits of a query hold for it.
    let mut sum = String::with_capacity(text.len());
    for (at, (joint, piece)) in kept.into_iter().enumerate() {
        sum.push_str(match (at, joint) {
            (0, _) => "",
            (_, Joint::And) => "\n&& ",
            (_, Joint::Or) => "\n|| ",
        });
        sum.push_str(piece);
    }
    let sum = plan::normal_expr(finished(&sum, &mut Check::default())?);
    let says_nothing = matches!(sum.kind, FieldKind::Static(crate::ast::Static::Bool(true)));
    (!says_nothing).then_some(sum)
}

/// What stands before a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Joint {
    And,
    Or,
}

/// A piece of a filter that is a condition by itself.
fn finished(piece: &str, check: &mut Check) -> Option<FieldExpr> {
    let expr = parser::expression(piece).ok()?;
    check.condition(&expr).ok()?;
    Some(expr)
}

/// What stands between `&&` and `||` on the outer level of the only filter. Nothing where there is
/// none, or more than one.
fn pieces(text: &str) -> Option<Vec<(Joint, &str)>> {
    let open = text.find('{')? + 1;
    let inner = text.get(open..)?;
    let mut pieces = Vec::new();
    let (mut joint, mut start, mut depth) = (Joint::And, 0, 0u32);
    let mut rest = Outside { chars: inner.char_indices().peekable() };
    let end = loop {
        let Some((at, c)) = rest.next() else { break inner.len() };
        let twice = matches!(c, '&' | '|') && rest.chars.peek().is_some_and(|(_, next)| *next == c);
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '}' => break at,
            _ if twice && depth == 0 => {
                pieces.push((joint, inner.get(start..at)?));
                joint = if c == '&' { Joint::And } else { Joint::Or };
                rest.next();
                start = at + 2;
            }
            // The brace is missing.
            '|' if !twice => break at,
            '|' => drop(rest.next()),
            _ => {}
        }
    };
    pieces.push((joint, inner.get(start..end)?));
    let is_only = !inner.get(end..)?.contains('{');
    is_only.then_some(pieces)
}

/// Characters that are in no string. A string that does not end goes to the end.
struct Outside<'a> {
    chars: std::iter::Peekable<std::str::CharIndices<'a>>,
}

impl Iterator for Outside<'_> {
    type Item = (usize, char);

    fn next(&mut self) -> Option<Self::Item> {
        let (at, c) = self.chars.next()?;
        if !matches!(c, '"' | '`') {
            return Some((at, c));
        }
        while let Some((_, inner)) = self.chars.next() {
            match inner {
                '\\' if c == '"' => drop(self.chars.next()),
                inner if inner == c => break,
                _ => {}
            }
        }
        Some((at, c))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::incomplete;

    #[test]
    fn what_is_finished_narrows() {
        for (text, expected) in [
            ("", None),
            ("{", None),
            ("{ }", None),
            ("{ true }", None),
            ("{ .a = 1 }", Some(".a = 1")),
            ("{ .a = 1 && .b = }", Some(".a = 1")),
            ("{ .a = 1 && .b = \"", Some(".a = 1")),
            ("{ .a = 1 && ", Some(".a = 1")),
            ("{ .b = && .a = 1", Some(".a = 1")),
            ("{ .b == 2 && .a = \"x && } y\" && c = 3 }", Some(".a = \"x && } y\"")),
            (
                "{ .a = 1 && .b =~ \"[\" && status = 3 && kind = server }",
                Some(".a = 1 && kind = server"),
            ),
            ("{ .a = 1 || .b = 2 }", Some(".a = 1 || .b = 2")),
            ("{ .a = 1 || .b = }", None),
            ("{ .a = 1 || .b = } && { .c = 1 }", None),
            ("{ .a = 1 || .b =  && .c = 3 }", Some(".c = 3")),
            ("{ (.a = 1 || .b = 2) && .c = }", Some(".a = 1 || .b = 2")),
            ("{ (.a = 1 || .b = ) && .c = 1 }", Some(".c = 1")),
            ("{ .a = `x\\` && .b = ", Some(".a = \"x\\\\\"")),
            ("{ .a = \"x\\\" && \" && .b = ", Some(".a = \"x\\\" && \"")),
            ("{ .a = 1 && .b = | rate()", Some(".a = 1")),
            ("{ .a = 1 } | rate() by(", Some(".a = 1")),
            ("{ .a = 1 } >> { .b = ", None),
            ("{ 2 > .a && true && }", Some(".a < 2")),
        ] {
            let found = incomplete(text).map(|expr| expr.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn long_ones_are_no_deeper_than_queries() {
        for piece in [".a = 1 && ", ".a = 1 || ", ".a = 1 && .b = 2 || ", "x && "] {
            let text = format!("{{ {}", piece.repeat(5_000));
            let _found = incomplete(&text);
        }
        let both = incomplete(&format!("{{ {}", ".a = 1 && ".repeat(1_000)));
        assert!(both.is_some());
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "\\PC{0,20}|[{}()&|\"`\\\\.=a1 ]{0,30}") {
            if let Some(expr) = incomplete(&text) {
                prop_assert!(crate::parse(&format!("{{ {expr} }}")).is_ok(), "{}: {}", text, expr);
            }
        }
    }
}
