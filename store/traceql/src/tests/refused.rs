//! What is no query: where it is told, and how it was meant.

use crate::{Kind, parse};

/// A query, the line and the column of the fault, and the correction.
const NEAR: &[(&str, (usize, usize), &str)] = &[
    // Attributes without scope, strings without quotes, and with other ones.
    (r#"{ cluster="app-cluster" }"#, (1, 3), r#"{ .cluster="app-cluster" }"#),
    (r#"{ service.name="x" }"#, (1, 3), r#"{ resource.service.name="x" }"#),
    (
        r#"{ k8s.pod.name = "x" && http.method = "GET" }"#,
        (1, 3),
        r#"{ resource.k8s.pod.name = "x" && .http.method = "GET" }"#,
    ),
    (r#"{ my-attribute = 1 }"#, (1, 3), r#"{ .my-attribute = 1 }"#),
    (
        r#"{ cluster=~".*" } | rate() by (cluster)"#,
        (1, 3),
        r#"{ .cluster=~".*" } | rate() by (.cluster)"#,
    ),
    ("{ .a = 'x y' }", (1, 8), r#"{ .a = "x y" }"#),
    ("{ .a = “x” }", (1, 8), r#"{ .a = "x" }"#),
    ("{ .a = x-1 }", (1, 8), r#"{ .a = "x-1" }"#),
    ("{ .a = http://b/c?d }", (1, 8), r#"{ .a = "http://b/c?d" }"#),
    ("{ .env = Server && .b = TRUE }", (1, 10), r#"{ .env = "Server" && .b = true }"#),
    (
        "{ trace.duration > 1s && traceID = `1` }",
        (1, 3),
        "{ traceDuration > 1s && trace:id = `1` }",
    ),
    (r#"{ service = "x" }"#, (1, 3), r#"{ resource.service.name = "x" }"#),
    ("{ error.type = nil }", (1, 3), "{ .error.type = nil }"),
    ("{ name = GET && .a = 1 }", (1, 10), r#"{ name = "GET" && .a = 1 }"#),
    (r#"{ .a = "x }"#, (1, 8), r#"{ .a = "x" }"#),
    (r#"{ .a =~ "a\.b\d" }"#, (1, 11), r#"{ .a =~ "a\\.b\\d" }"#),
    // Operators of other languages.
    (r#"{ .a == "x" }"#, (1, 6), r#"{ .a = "x" }"#),
    (r#"{ .a === 1 and .b <> 2 }"#, (1, 6), r#"{ .a = 1 && .b != 2 }"#),
    ("{ .a = 1 AND .b = 2 OR not .c }", (1, 10), "{ .a = 1 && .b = 2 || ! .c }"),
    ("{ .a = 1 & .b = 2 }", (1, 10), "{ .a = 1 && .b = 2 }"),
    ("{ .a = 1 | .b = 2 }", (1, 10), "{ .a = 1 || .b = 2 }"),
    ("{ .a = 1, .b = 2 }", (1, 9), "{ .a = 1 && .b = 2 }"),
    ("{ .a = 1 .b = 2 }", (1, 10), "{ .a = 1 && .b = 2 }"),
    ("{ .a => 1 }", (1, 6), "{ .a >= 1 }"),
    ("{ .a = 1 && }", (1, 13), "{ .a = 1  }"),
    ("{ && .a = 1 }", (1, 3), "{  .a = 1 }"),
    ("{ * }", (1, 3), "{  }"),
    ("{ .a = null }", (1, 8), "{ .a = nil }"),
    ("{ .a = TRUE }", (1, 8), "{ .a = true }"),
    // Types.
    (r#"{ status = "error" }"#, (1, 12), "{ status = error }"),
    (r#"{ status = "STATUS_CODE_ERROR" }"#, (1, 12), "{ status = error }"),
    ("{ status = ERROR }", (1, 12), "{ status = error }"),
    ("{ status = 2 }", (1, 12), "{ status = error }"),
    (r#"{ kind = "server" }"#, (1, 10), "{ kind = server }"),
    ("{ SPAN_KIND_CLIENT = kind }", (1, 3), "{ client = kind }"),
    (r#"{ duration > "1.5s" }"#, (1, 14), "{ duration > 1.5s }"),
    ("{ duration > 100 ms }", (1, 18), "{ duration > 100ms }"),
    ("{ duration > 5sec }", (1, 15), "{ duration > 5s }"),
    ("{ name = 5 }", (1, 10), r#"{ name = "5" }"#),
    ("{ name = error }", (1, 10), r#"{ name = "error" }"#),
    ("{ .a =~ 5 }", (1, 9), r#"{ .a =~ "5" }"#),
    (r#"{ .a =~ "*x*" }"#, (1, 9), r#"{ .a =~ ".*x.*" }"#),
    ("{ error }", (1, 3), "{ status = error }"),
    ("{ .x = 1 && server }", (1, 13), "{ .x = 1 && kind = server }"),
    (r#"{ .a = "x" || "y" }"#, (1, 15), r#"{ .a = "x" || .a = "y" }"#),
    // Intrinsics.
    ("{ Duration > 1s }", (1, 3), "{ duration > 1s }"),
    ("{ trace:status = error }", (1, 3), "{ status = error }"),
    (r#"{ span:http.method = "x" }"#, (1, 3), r#"{ span.http.method = "x" }"#),
    (r#"{ resource:service.name = "x" }"#, (1, 3), r#"{ resource.service.name = "x" }"#),
    ("{ trace:durations > 1s }", (1, 3), "{ trace:duration > 1s }"),
    // Braces and parentheses.
    ("", (1, 1), "{ }"),
    (".a = 1", (1, 1), "{ .a = 1 }"),
    (r#"service.name = "x" | rate()"#, (1, 1), r#"{ resource.service.name = "x" } | rate()"#),
    ("status = error && duration > 1s", (1, 1), "{ status = error && duration > 1s }"),
    ("{ .a < 3", (1, 9), "{ .a < 3 }"),
    ("{ (.a < 3 }", (1, 11), "{ (.a < 3) }"),
    ("{ .a < 3) }", (1, 9), "{ .a < 3 }"),
    ("{ .a = 1 | rate()", (1, 10), "{ .a = 1 } | rate()"),
    ("{ .a = 1 }}", (1, 11), "{ .a = 1 }"),
    ("{ .a } { .b }", (1, 8), "{ .a } && { .b }"),
    ("{ .a } and { .b }", (1, 8), "{ .a } && { .b }"),
    ("({ .a } | count() > 1", (1, 22), "({ .a } | count() > 1)"),
    ("{ .a };", (1, 7), "{ .a }"),
    ("{ .a } |", (1, 9), "{ .a } "),
    // Stages and functions.
    ("{ count() > 1 }", (1, 3), "{ } | count() > 1 "),
    ("{ } | count()", (1, 7), "{ } | count() > 0"),
    ("{ } | count = 1", (1, 13), "{ } | count() = 1"),
    ("{ } | count() by (.a)", (1, 7), "{ } | count_over_time() by (.a)"),
    ("{ } | max(duration) by (.a)", (1, 7), "{ } | max_over_time(duration) by (.a)"),
    ("{ } > 10", (1, 5), "{ } | count() > 10"),
    ("{ } | rate", (1, 11), "{ } | rate()"),
    ("{ } | rate(5m)", (1, 12), "{ } | rate()"),
    ("{ } rate()", (1, 5), "{ } | rate()"),
    ("rate()", (1, 1), "{ } | rate()"),
    ("{ } | rates()", (1, 7), "{ } | rate()"),
    ("{ } | rate() by cluster", (1, 17), "{ } | rate() by (.cluster)"),
    ("{ } | select .a", (1, 14), "{ } | select (.a)"),
    ("{ } | topk(5)", (1, 7), "{ } | rate() | topk(5)"),
    ("{ } | quantile(duration, 0.9)", (1, 7), "{ } | quantile_over_time(duration, 0.9)"),
    ("{ } | quantile_over_time(duration)", (1, 34), "{ } | quantile_over_time(duration, 0.9)"),
    (
        "{ } | quantile_over_time(duration, 99) by (name)",
        (1, 7),
        "{ } | quantile_over_time(duration, 0.99) by(name)",
    ),
    ("{ } | status = error", (1, 7), "{ } | { status = error }"),
    ("{ } | rate() + 5", (1, 14), "({ } | rate()) + 5"),
    ("5 + { } | rate()", (1, 3), "5 + ({ } | rate())"),
    ("10 < ({ } | rate())", (1, 4), "({ } | rate()) > 10"),
    ("{ } |\n  rate() by (\n  cluster)", (3, 3), "{ } |\n  rate() by (\n  .cluster)"),
    ("{ .é = 1 && cluster = 2 }", (1, 13), "{ .é = 1 && .cluster = 2 }"),
];

#[test]
fn near_misses_are_corrected() {
    for (query, at, correction) in NEAR {
        let error = match parse(query) {
            Err(error) => error,
            Ok(tree) => panic!("{query} is one: {tree}"),
        };
        assert_eq!((error.line(), error.column()), *at, "{query}: {error}");
        assert_eq!(error.correction(), Some(*correction), "{query}: {error}");
        assert!(parse(correction).is_ok(), "{correction}");
    }
}

/// A query without a correction, the column of the fault, and its kind.
const WRONG: &[(&str, usize, Kind)] = &[
    ("{ . }", 4, Kind::Syntax),
    ("{ span. }", 8, Kind::Syntax),
    ("{ .a < }", 8, Kind::Syntax),
    ("{ .a\"b\" = 1 }", 5, Kind::Syntax),
    ("{ .\"a\"b = 1 }", 7, Kind::Syntax),
    ("{ \"\\xff\" = .a }", 3, Kind::Syntax),
    ("{ 1x = 1 }", 4, Kind::Syntax),
    ("{ .a = 9223372036854775808 }", 8, Kind::Syntax),
    ("{ .a = 300y }", 8, Kind::Syntax),
    ("{ true } + { true }", 10, Kind::Syntax),
    ("{ true } = { true }", 10, Kind::Syntax),
    ("{ .a >> .b }", 6, Kind::Syntax),
    ("{ } | count() > 1 && { }", 19, Kind::Syntax),
    ("2 + 3", 1, Kind::Syntax),
    ("{ } | 3 > 2", 7, Kind::Meaning),
    ("{ } | max() > 2", 11, Kind::Syntax),
    ("{ } | by()", 10, Kind::Syntax),
    ("{ } | select(1)", 14, Kind::Syntax),
    ("{ } | rate() | topk(-1)", 21, Kind::Syntax),
    ("{ } | rate() | topk(0)", 21, Kind::Syntax),
    ("{ } | rate() | { }", 16, Kind::Syntax),
    ("({ } | rate()) % 2", 16, Kind::Syntax),
    ("({ } | rate()) * 1s", 18, Kind::Syntax),
    ("({ } | rate()) > (1s * 2)", 18, Kind::Syntax),
    ("({ } | rate()) + (1 / 0)", 18, Kind::Syntax),
    ("({ } | rate()) > ({ } | rate())", 16, Kind::Syntax),
    ("{ } | compare({ }) by(.a)", 7, Kind::Meaning),
    ("{ } | compare({ }) > 2", 7, Kind::Meaning),
    ("({ } | compare({ })) + 1", 8, Kind::Meaning),
    ("{ } | compare({ }, 5, 2, 1)", 7, Kind::Meaning),
    ("{ } | min_over_time(name)", 7, Kind::Meaning),
    ("{ } | quantile_over_time(duration, 101)", 7, Kind::Meaning),
    ("coalesce() | { }", 1, Kind::Meaning),
    ("{ } | by(1)", 10, Kind::Meaning),
    ("{ } | by(parent)", 10, Kind::Meaning),
    ("{ } | rate() by(parent)", 7, Kind::Meaning),
    ("{ } | max(name) > 1", 11, Kind::Meaning),
    ("{ } | sum(3) > 1", 11, Kind::Meaning),
    ("{ status }", 3, Kind::Meaning),
    ("{ 1 + 1 }", 3, Kind::Meaning),
    ("{ 1 = \"x\" }", 7, Kind::Meaning),
    ("{ name = duration }", 3, Kind::Meaning),
    ("{ status > ok }", 3, Kind::Meaning),
    ("{ .a > true }", 3, Kind::Meaning),
    ("{ .a > nil }", 3, Kind::Meaning),
    ("{ -name = 1 }", 4, Kind::Meaning),
    ("{ !1 = 1 }", 4, Kind::Meaning),
    ("{ duration = nil }", 3, Kind::Meaning),
    ("{ nil = resource.service.name }", 3, Kind::Meaning),
    ("{ parent = 1 }", 3, Kind::Meaning),
    ("{ .a =~ \"[\" }", 9, Kind::Meaning),
    ("{ .a =~ \"a)|(b\" }", 9, Kind::Meaning),
    ("{ duration =~ \"1s\" }", 3, Kind::Meaning),
    ("{ } with(sample=2)", 10, Kind::Meaning),
    ("{ } with(most_recent=1)", 10, Kind::Meaning),
];

#[test]
fn what_cannot_be_corrected_is_told_where_it_is() {
    for (query, column, kind) in WRONG {
        let error = match parse(query) {
            Err(error) => error,
            Ok(tree) => panic!("{query} is one: {tree}"),
        };
        assert_eq!((error.column(), error.kind()), (*column, *kind), "{query}: {error}");
        assert_eq!(error.correction(), None, "{query}");
        assert!(!error.found().is_empty() && !error.expected().is_empty(), "{query}");
    }
}

#[test]
fn a_message_is_one_line_with_everything() {
    let error = parse("{ cluster = 1 }").unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 1, column 3: found `cluster`, expected an attribute with its scope (`.x`, `span.x`, \
         `resource.x`), an intrinsic or a literal; did you mean: { .cluster = 1 }"
    );
    let long = parse(&format!("{{ {} = 1 }}", "a".repeat(1_000))).unwrap_err();
    assert!(long.found().chars().count() < 50);
}
