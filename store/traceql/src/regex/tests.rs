//! What matches, what is refused, and what is known of a pattern beforehand.

use super::Regex;

#[test]
fn patterns_match_the_whole_value() {
    for (pattern, value, expected) in [
        ("GET", "GET", true),
        ("GET", "GETS", false),
        ("a|b", "ab", false),
        ("a)|(b", "a", false),
        ("api.*", "api-1", true),
        (".*", "two\nlines", false),
        ("(?s).*", "two\nlines", true),
        ("(?i)get", "GeT", true),
        ("^GET$", "GET", true),
        ("", "", true),
        ("", "x", false),
        ("/users/{id}", "/users/{id}", true),
        ("a{2}", "aa", true),
        ("a{2,}", "aaa", true),
        ("a{,2}", "a{,2}", true),
        (r"\d+", "12", true),
        (r"\d+", "١٢", false),
        (r"[\d.]+", "1.2", true),
        (r"[^\D]", "1", true),
        (r"\w+\b", "ab", true),
        ("[[]", "[", true),
        ("[]a]+", "]a", true),
        ("[a&&b]+", "&", true),
        ("[[:alpha:]]+", "ab", true),
        (r"\Qa.b\E+", "a.bb", true),
        (r"\p{Greek}", "λ", true),
        (r"\pL", "é", true),
        (r"(?i)É", "é", true),
        (".", "λ", true),
        (r"(?x) a b # c", "ab", true),
    ] {
        let regex = Regex::new(pattern);
        let found = regex.as_ref().map(|regex| regex.is_match(value)).unwrap_or(false);
        assert_eq!(found, expected, "{pattern} on {value:?}: {regex:?}");
    }
}

#[test]
fn what_is_no_pattern_or_too_large_is_refused() {
    let deep = "(".repeat(1_000) + &")".repeat(1_000);
    let long = "a".repeat(40_000);
    for pattern in
        ["[", "(", "a)|(b", "*", r"\C", r"(?=a)", r"(a)\1", "((a{1000}){1000}){1000}", &deep, &long]
    {
        assert!(Regex::new(pattern).is_err(), "{pattern:.20}");
    }
}

#[test]
fn what_a_pattern_can_match_is_known_before() {
    let strings = |pattern: &str| Regex::new(pattern).unwrap().strings().map(<[_]>::to_vec);
    assert_eq!(strings("GET|POST"), Some(vec!["GET".to_owned(), "POST".to_owned()]));
    assert_eq!(strings("a[bc]"), Some(vec!["ab".to_owned(), "ac".to_owned()]));
    assert_eq!(strings("GET.*"), None);
    assert_eq!(strings("a+"), None);
    assert_eq!(strings(r"a\b"), None);
    let prefix = |pattern: &str| Regex::new(pattern).unwrap().prefix().to_owned();
    assert_eq!(prefix("GET.*"), "GET");
    assert_eq!(prefix("api-(1|2).*"), "api-");
    assert_eq!(prefix(".*"), "");
    assert_eq!(prefix("é|è"), "");
}

#[test]
fn time_is_linear_in_the_value() {
    let regex = Regex::new("(a*)*(a*)*b").unwrap();
    assert!(!regex.is_match(&"a".repeat(100_000)));
}
