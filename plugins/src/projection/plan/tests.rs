//! What a projection may be, and what a request is looked through for because of it.

use super::*;

fn attribute(owner: Owner, key: &str) -> Attribute {
    Attribute { owner, key: key.to_owned(), complex: false }
}

fn compiled(projection: &Projection) -> Result<Plan, String> {
    Plan::compile(projection, Role::SpanProcessor).map_err(|fault| fault.to_string())
}

fn refusal(projection: &Projection) -> String {
    compiled(projection).err().unwrap_or_default()
}

fn reads(reads: Vec<Field>) -> Projection {
    Projection { reads, ..Projection::default() }
}

fn writes(writes: Vec<Field>) -> Projection {
    Projection { writes, ..Projection::default() }
}

#[test]
fn what_is_wrong_is_told_with_its_path() {
    let span = |key: &str| Field::Attribute(attribute(Owner::Span, key));
    let many = |count| vec![span("a"); count];
    let budget = |name: &str, owner, window_ms| Budget {
        name: name.to_owned(),
        per: Some(attribute(owner, "a")),
        limit: 1,
        window_ms,
    };
    let budgets = |budgets: Vec<Budget>| Projection { budgets, ..Projection::default() };
    let rule = |key: &str, texts: usize| {
        let rule = MatchRule { key: key.to_owned(), any_of: vec![String::new(); texts] };
        Projection {
            match_resource: vec![MatchRule { key: "a".to_owned(), any_of: vec![] }, rule],
            ..Projection::default()
        }
    };
    for (projection, why) in [
        (reads(vec![span("a"), span("")]), "reads[1]: key is empty"),
        (reads(vec![span(&"k".repeat(513))]), "reads[0]: key has 513 bytes, limit is 512"),
        (reads(many(257)), "reads: has 257 entries, limit is 256"),
        (writes(many(257)), "writes: has 257 entries, limit is 256"),
        (
            writes(vec![span("a"), Field::Intrinsic(Intrinsic::TraceId)]),
            "writes[1]: TraceId cannot be written",
        ),
        (rule("", 1), "match-resource[1]: key is empty"),
        (rule("a", 1_001), "match-resource[1].any-of: has 1001 entries, limit is 1000"),
        (
            budgets(vec![budget("one", Owner::Span, 100), budget("one", Owner::Span, 100)]),
            "budgets[1]: there are two budgets named \"one\"",
        ),
        (
            budgets(vec![budget("one", Owner::Event, 100)]),
            "budgets[0].per: owner is neither span nor resource",
        ),
        (
            budgets(vec![budget("one", Owner::Span, 99)]),
            "budgets[0].window-ms: 99 is not within 100..=3600000",
        ),
    ] {
        assert_eq!(refusal(&projection), why);
    }
    let all = Field::Attributes(attribute(Owner::Span, ""));
    assert_eq!(refusal(&reads(vec![span(&"k".repeat(512)), all])), "");
}

#[test]
fn a_request_is_looked_through_for_what_is_named_and_no_more() {
    let wants = |projection: &Projection| compiled(projection).unwrap().wants();
    assert_eq!(wants(&Projection::default()), Wants::default());
    let resource = Field::Attribute(attribute(Owner::Resource, "a"));
    let id = Field::Intrinsic(Intrinsic::TraceId);
    assert_eq!(wants(&reads(vec![resource, id])), Wants::default());
    let named = Interest::NONE.with_key(b"team").with_start(b"http.");
    let both = Projection {
        reads: vec![Field::Attributes(attribute(Owner::Span, "http."))],
        writes: vec![Field::Attribute(attribute(Owner::Span, "team"))],
        ..Projection::default()
    };
    assert_eq!(wants(&both).attributes, named);
    let keys = reads(vec![Field::Intrinsic(Intrinsic::SpanAttributeKeys)]);
    assert_eq!(wants(&keys).attributes, Interest::ALL);
    let (name, per) = (String::new(), Some(attribute(Owner::Span, "team")));
    let budget = Budget { name, per, limit: 1, window_ms: 1_000 };
    let counted = Projection { budgets: vec![budget], ..Projection::default() };
    assert_eq!(wants(&counted).attributes, Interest::NONE.with_key(b"team"));
    let event = writes(vec![Field::Attributes(attribute(Owner::Event, "a"))]);
    assert_eq!(wants(&event), Wants { events: true, ..Wants::default() });
    let names = reads(vec![Field::Intrinsic(Intrinsic::EventName)]);
    assert_eq!(wants(&names), Wants { events: true, ..Wants::default() });
    let link = reads(vec![Field::Attribute(attribute(Owner::Link, "a"))]);
    assert_eq!(wants(&link), Wants { links: true, ..Wants::default() });
}

#[test]
fn the_smaller_number_of_rows_counts() {
    let of = |max_batch_rows| {
        let projection = Projection { max_batch_rows, ..Projection::default() };
        compiled(&projection).unwrap().rows_max(4_096)
    };
    assert_eq!([of(0), of(1), of(4_096), of(u32::MAX)], [4_096, 1, 4_096, 4_096]);
}

#[test]
fn a_resource_matches_by_all_of_its_rules() {
    let rule = |key: &str, any_of: &[&str]| MatchRule {
        key: key.to_owned(),
        any_of: any_of.iter().map(|text| (*text).to_owned()).collect(),
    };
    let match_resource = vec![rule("a", &["z", "x", "y"]), rule("b", &[""])];
    let plan = compiled(&Projection { match_resource, ..Projection::default() }).unwrap();
    let matches = |a: Option<&'static str>, b: Option<&'static str>| {
        plan.matches(|key| if key == b"a" { a } else { b }.map(str::as_bytes))
    };
    assert!(matches(Some("x"), Some("")) && matches(Some("z"), Some("")));
    assert!(!matches(Some("w"), Some("")) && !matches(Some("x"), Some("x")));
    assert!(!matches(None, Some("")) && !matches(Some("x"), None));
    assert!(!plan.matches_all() && compiled(&Projection::default()).unwrap().matches_all());
}
