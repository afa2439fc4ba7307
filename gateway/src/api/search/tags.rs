//! Tags as a query: one way to search, whatever a client asks with.
//!
//! A tag is looked for as people type it: a part of the value, in either case, in an attribute of
//! a span or of its resource; and as the number or the bool that it is the text of.

use std::fmt::Write;

use traceql::ast::{Field, Scope, Static};

/// The filter that finds spans with all of the tags.
pub(super) fn filter(tags: &[(String, String)]) -> String {
    let conditions: Vec<String> = tags.iter().filter_map(|(key, value)| one(key, value)).collect();
    format!("{{ {} }}", conditions.join(" && "))
}

/// What a tag asks of a span; nothing where every span has it.
fn one(key: &str, value: &str) -> Option<String> {
    let of = |field: &str| (!value.is_empty()).then(|| format!("{field} =~ {}", part(value)));
    match (key, value.to_lowercase().as_str()) {
        ("name", _) => of("name"),
        ("root.name", _) => of("trace:rootName"),
        ("root.service.name", _) => of("trace:rootService"),
        ("status" | "status.code", status @ ("unset" | "ok" | "error")) => {
            Some(format!("status = {status}"))
        }
        ("error", "true") => Some("status = error".to_owned()),
        _ => Some(attribute(key, value)),
    }
}

fn attribute(key: &str, value: &str) -> String {
    let mut choices = Vec::new();
    for scope in [Scope::Span, Scope::Resource] {
        let field = Field::attribute(scope, key);
        if value.is_empty() {
            choices.push(format!("{field} != nil"));
            continue;
        }
        choices.push(format!("{field} =~ {}", part(value)));
        choices.extend(typed(value).map(|value| format!("{field} = {value}")));
    }
    format!("({})", choices.join(" || "))
}

/// The number or the bool that a text is of, if it is written as we would.
fn typed(text: &str) -> Option<Static> {
    let int = text.parse().ok().filter(|int: &i64| int.to_string() == text).map(Static::Int);
    let float = || {
        let float = text.parse().ok().filter(|float: &f64| float.is_finite());
        float.filter(|float| float.to_string() == text).map(Static::Float)
    };
    let bool = || text.to_lowercase().parse().ok().map(Static::Bool);
    int.or_else(float).or_else(bool)
}

/// The regex of values that hold a text, in either case.
fn part(text: &str) -> Static {
    let mut pattern = String::from("(?is).*");
    for c in text.chars() {
        if c.is_ascii_punctuation() {
            pattern.push('\\');
        }
        // Writing to a string cannot fail.
        write!(pattern, "{c}").unwrap_or_default();
    }
    pattern.push_str(".*");
    Static::Text(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter_of(tags: &[(&str, &str)]) -> String {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let text = filter(&tags.iter().map(owned).collect::<Vec<_>>());
        // It is a query whatever the tags are.
        traceql::parse(&text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
        text
    }

    #[test]
    fn tags_are_conditions_of_one_span() {
        assert_eq!(filter_of(&[]), "{  }");
        assert_eq!(
            filter_of(&[("user_id", "456"), ("error", "TRUE")]),
            concat!(
                r#"{ (span.user_id =~ "(?is).*456.*" || span.user_id = 456 || "#,
                r#"resource.user_id =~ "(?is).*456.*" || resource.user_id = 456) && "#,
                "status = error }"
            )
        );
        for (tag, condition) in [
            (("name", "GET /"), r#"name =~ "(?is).*GET \\/.*""#),
            (("root.name", "x"), r#"trace:rootName =~ "(?is).*x.*""#),
            (("root.service.name", "x"), r#"trace:rootService =~ "(?is).*x.*""#),
            (("status.code", "Ok"), "status = ok"),
            (("error", ""), "(span.error != nil || resource.error != nil)"),
        ] {
            assert_eq!(filter_of(&[tag]), format!("{{ {condition} }}"));
        }
        for (value, typed) in
            [("-7", "= -7"), ("1.5", "= 1.5"), ("true", "= true"), ("07", ""), ("1e3", "")]
        {
            let text = filter_of(&[("a", value)]);
            assert_eq!(text.contains(" = "), !typed.is_empty(), "{text}");
            assert!(text.contains(typed), "{text}");
        }
    }

    #[test]
    fn whatever_is_in_them_tags_are_queries() {
        for odd in ["a b", "\"", "\\", "{}", "(?i)[", "é\n", "a.b/c", "nil", "'", "`", "$1"] {
            filter_of(&[(odd, odd)]);
            filter_of(&[("name", odd), ("k", odd)]);
        }
    }
}
