//! What is remarked on, and what is not.

use super::hints;

#[test]
fn what_can_hardly_match_as_meant() {
    for (query, suggestion) in [
        ("{ .status = error }", "{ status = error }"),
        ("{ span.status != ok }", "{ status != ok }"),
        ("{ error = .status }", "{ error = status }"),
        ("{ .span.kind = server }", "{ .span.kind = \"server\" }"),
        ("{ .http.status = error }", "{ status = error }"),
        ("{ .kind = client }", "{ kind = client }"),
        ("{ .status = \"error\" }", "{ status = error }"),
        ("{ .duration > 1s }", "{ duration > 1s }"),
        ("{ span.duration > 1s } | rate()", "{ duration > 1s } | rate()"),
        ("{ .name = \"GET\" }", "{ name = \"GET\" }"),
        ("{ .name =~ \"GET .*\" }", "{ name =~ \"GET .*\" }"),
        ("{ event.name = \"exception\" }", "{ event:name = \"exception\" }"),
        ("{ instrumentation.version = \"1\" }", "{ instrumentation:version = \"1\" }"),
        ("{ .env = server }", "{ .env = \"server\" }"),
        ("{ .rootServiceName = \"x\" }", "{ rootServiceName = \"x\" }"),
        ("{ .http.status_code = \"500\" }", "{ .http.status_code = 500 }"),
        ("{ duration > 500 }", "{ duration > 500ms }"),
        ("{ 500 < trace:duration }", "{ 500ms < trace:duration }"),
        ("{ .a =~ \"api-*\" }", "{ .a =~ \"api-.*\" }"),
        ("{ .a = \"api-*\" }", "{ .a =~ \"api-.*\" }"),
        ("{ name != \"GET .*\" }", "{ name !~ \"GET .*\" }"),
        ("{ .a+1 = 2 }", "{ .a + 1 = 2 }"),
        (
            "{ resource.service.name = \"a\" && resource.service.name = \"b\" }",
            "{ resource.service.name = \"a\" } && { resource.service.name = \"b\" }",
        ),
        ("{ .a || .b && .c }", "{ .a || (.b && .c) }"),
        ("{ .a || (.b || .c = 1 && .d) }", "{ .a || (.b || (.c = 1 && .d)) }"),
        ("{ .a && .b || .c && .d }", "{ .a && .b || (.c && .d) }"),
        ("{ .a } || { .b } && { .c } | rate()", "{ .a } || ({ .b } && { .c }) | rate()"),
        ("{ } | compare({ .status = error })", "{ } | compare({ status = error })"),
        ("({ .status = error } | count()) > 2", "({ status = error } | count()) > 2"),
        ("{ } with(most_recnt=true)", "{ } with(most_recent=true)"),
    ] {
        let found = hints(query);
        assert_eq!(found.len(), 1, "{query}: {found:?}");
        assert_eq!(found.first().map(super::Hint::suggestion), Some(suggestion), "{query}");
        assert_eq!(hints(suggestion), [], "{suggestion}");
    }
}

#[test]
fn what_is_fine() {
    for query in [
        "{ }",
        "no query",
        "{ status = error && kind = server && duration > 1s && name = \"x\" }",
        "{ span.service.name = \"x\" && resource.service.name = \"y\" }",
        "{ span.name = \"x\" || .a } | by(.name)",
        "{ .a = \"x\" || .a = \"y\" }",
        "{ .a = \"x\" && .b = \"x\" && .a = \"x\" }",
        "{ event:name = \"x\" && event:name = \"y\" }",
        "{ .http.status_code = 500 || .http.status_code >= 200 }",
        "{ duration > 0 && duration < 5000000 }",
        "{ .a =~ \"a.*|b[c*]\" && .a =~ \"x+\" }",
        "{ .a = \"*\" }",
        "{ .a && .b || .c }",
        "{ .a && (.b || .c) }",
        "{ .\"a+b\" = 1 }",
        "{ nestedSetParent<0 && true } | rate() with(sample=true, debug_x=1)",
    ] {
        assert_eq!(hints(query), [], "{query}");
    }
}

#[test]
fn a_hint_says_why_and_how() {
    let found = hints("{ .status = error }");
    assert_eq!(
        found.first().map(ToString::to_string).as_deref(),
        Some(
            "the attribute `.status` is never a status: that is the intrinsic `status`; did you \
             mean: { status = error }"
        )
    );
}

#[test]
fn hints_are_few() {
    let many = vec![".status = error"; 50].join(" && ");
    assert!(hints(&format!("{{ {many} }}")).len() <= 8);
}
