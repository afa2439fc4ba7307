//! Nothing costs more than it may, however it is nested.

use crate::limit::{DEPTH_MAX, QUERY_BYTES_MAX};
use crate::{Kind, parse};

fn kind(query: &str) -> Option<Kind> {
    parse(query).err().map(|error| error.kind())
}

#[test]
fn longer_queries_are_refused() {
    let longest = format!("{{ }}{}", " ".repeat(QUERY_BYTES_MAX - 3));
    assert_eq!(kind(&longest), None);
    assert_eq!(kind(&(longest + " ")), Some(Kind::TooLarge));
}

#[test]
fn deeper_queries_are_refused() {
    for depth in [DEPTH_MAX as usize, 10_000, 60_000] {
        for query in [
            format!("{{ {}.a{} }}", "(".repeat(depth), ")".repeat(depth)),
            format!("{{ {}.a }}", "!".repeat(depth)),
            format!("{{ {}.a = 1 }}", "-".repeat(depth)),
            format!("{{ .a = 1{} }}", "+1".repeat(depth)),
            format!("{{ .a = 1{} }}", "^1".repeat(depth)),
            format!("{{ .a{} }}", "=1".repeat(depth)),
            format!("{}{{ }}{}", "(".repeat(depth), ")".repeat(depth)),
            format!("{{ }}{}", ">{}".repeat(depth.min(40_000))),
            format!("{{ }}|count()>1{}", "+1".repeat(depth)),
            format!("({{}}|rate()){}", "+1".repeat(depth)),
            format!("{{ .a{} }}", "&&.b||.c".repeat(depth.min(15_000))),
        ] {
            assert_eq!(kind(&query), Some(Kind::TooLarge), "{query:.60}");
        }
    }
}

/// Two levels of the parser for each pair of parentheses outside of braces.
#[test]
fn the_deepest_queries_are_read_on_the_stack_of_a_thread() {
    let around =
        |depth: usize, inner: &str| format!("{}{inner}{}", "(".repeat(depth), ")".repeat(depth));
    let depth = DEPTH_MAX as usize;
    for query in [
        around(depth / 2 - 2, "{ }"),
        around(depth / 4, &format!("{{ {} }}", around(depth / 2 - 4, ".a"))),
        format!("{{ {} }}", around(depth - 4, ".a")),
        format!("{{ {}.a }}", "!".repeat(depth - 4)),
    ] {
        let thread = std::thread::Builder::new().stack_size(1 << 20);
        let parsed = thread.spawn(move || kind(&query)).unwrap().join().unwrap();
        assert_eq!(parsed, None);
    }
}

#[test]
fn wide_queries_are_fine_up_to_a_size() {
    let chain = |count: usize| format!("{{ .a=1{} }}", "||.b=1".repeat(count));
    assert_eq!(kind(&chain(4_000)), None);
    assert_eq!(kind(&chain(20_000)), Some(Kind::TooLarge));
    assert_eq!(kind(&format!("{{}}{}", "|{}".repeat(5_000))), None);
    assert_eq!(kind(&format!("{{}}{}", "|{}".repeat(40_000))), Some(Kind::TooLarge));
}

#[test]
fn regexes_are_bounded_one_by_one_and_together() {
    assert_eq!(kind(r#"{ .a =~ "((x{1000}){1000}){1000}" }"#), Some(Kind::Meaning));
    let many = r#"||.a=~"x{500}y{500}z{500}""#.repeat(400);
    assert_eq!(kind(&format!("{{ .a {many} }}")), Some(Kind::TooLarge));
    let few = r#"||.a=~"GET|POST""#.repeat(100);
    assert_eq!(kind(&format!("{{ .a {few} }}")), None);
}
