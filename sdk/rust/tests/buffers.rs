//! Whatever is written into a buffer is read from it, and whatever bytes there are, reading them ends well.

use proptest::prelude::*;
use traceweir_plugin::testing::{
    Addition, Attributes, Decoded, Edit, Event, Fixture, Layout, Link, Resource, Scope, Span, apply,
};
use traceweir_plugin::{
    Answer, Any, Batch, Budget, Clash, Column, Field, Intrinsic, Owner, Pairs, Projection, Value,
    Verdict,
};

fn value() -> impl Strategy<Value = Any> {
    prop_oneof![
        Just(Any::Empty),
        "[a-cäß🦊]{0,3}".prop_map(Any::Text),
        any::<i64>().prop_map(Any::Int),
        (-1e9..1e9).prop_map(Any::Double),
        any::<bool>().prop_map(Any::Bool),
        prop::collection::vec(any::<u8>(), 0..4).prop_map(Any::Bytes),
        prop::collection::vec(any::<i64>().prop_map(Any::Int), 0..3).prop_map(Any::Array),
        prop::collection::vec(("[ab]", any::<bool>().prop_map(Any::Bool)), 0..3).prop_map(Any::Map),
    ]
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let pairs = prop::collection::vec((prop::sample::select(vec!["a", "b", "b.c"]), value()), 0..4);
    pairs.prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn span() -> impl Strategy<Value = Span> {
    let event = ("[e-g]{0,2}", attributes(), any::<u64>())
        .prop_map(|(name, attributes, time)| Event { name, attributes, time_unix_nano: time });
    let link = attributes().prop_map(|attributes| Link { attributes });
    let texts = ("[n-pé]{0,2}", "[s]{0,1}", "[m]{0,2}");
    let numbers = (0..4_u64, any::<u64>(), 0..6_u8, 0..3_u8, any::<u64>(), any::<u32>());
    let lists =
        (attributes(), prop::collection::vec(event, 0..3), prop::collection::vec(link, 0..2));
    (texts, numbers, lists).prop_map(|(texts, numbers, lists)| Span {
        name: texts.0,
        trace_state: texts.1,
        status_message: texts.2,
        kind: numbers.2,
        status_code: numbers.3,
        duration_nano: numbers.4 / 2,
        start_unix_nano: numbers.1 / 2,
        trace_flags: numbers.5,
        attributes: lists.0,
        events: lists.1,
        links: lists.2,
        ..Span::default().trace(numbers.0).id(numbers.1, numbers.0)
    })
}

fn fixture() -> impl Strategy<Value = Fixture> {
    let spans = prop::collection::vec(span(), 0..4);
    let scope = ("[x-z]{0,1}", "[0-9]{0,1}", attributes(), spans)
        .prop_map(|(name, version, attributes, spans)| Scope { name, version, attributes, spans });
    let scopes = prop::collection::vec(scope, 0..3);
    let resource =
        (attributes(), "[0-9]{0,1}", scopes).prop_map(|(attributes, peer_address, scopes)| {
            Resource { attributes, peer_address, scopes }
        });
    let layout = prop::sample::select(vec![Layout::Dictionary, Layout::Each]);
    (prop::collection::vec(resource, 0..4), layout).prop_map(|(resources, layout)| Fixture {
        resources,
        layout,
        ..Fixture::default()
    })
}

/// Everything that can be read, and everything that can be written.
fn everything() -> Projection {
    let mut projection = Projection::default();
    for intrinsic in INTRINSICS {
        projection.read(intrinsic);
    }
    for owner in Owner::ALL {
        projection.read(Field::attribute(owner, "b").complex());
        projection.read(Field::attributes(owner, "b").complex());
        projection.write(Field::attribute(owner, "b"));
        projection.write(Field::attributes(owner, ""));
    }
    projection.budget(Budget { name: "all".to_owned(), per: None, limit: 5, window_ms: 1000 });
    projection
}

use Intrinsic as I;
#[rustfmt::skip]
const INTRINSICS: [Intrinsic; 22] = [
    I::TraceId, I::SpanId, I::ParentSpanId, I::TraceState, I::TraceFlags, I::Name, I::Kind, I::StartTime,
    I::Duration, I::StatusCode, I::StatusMessage, I::ScopeName, I::ScopeVersion, I::EventName, I::EventTime,
    I::EventCount, I::LinkCount, I::ResourceIndex, I::ScopeIndex, I::EventSpan, I::SpanAttributeKeys, I::PeerAddress,
];

fn place(projection: &Projection, field: &Field) -> u32 {
    let at = projection.reads.iter().position(|there| there == field);
    at.and_then(|at| u32::try_from(at).ok()).expect("it is read")
}

fn owned(column: &Column<'_>, i: usize) -> Option<Any> {
    Any::from_value(column.value(i)).expect("the builder writes AnyValues")
}

fn first<'a>(attributes: &'a Attributes, key: &str) -> Option<&'a Any> {
    attributes.iter().find(|(there, _)| there == key).map(|(_, value)| value)
}

/// The attributes of every owner of a kind.
fn of(fixture: &Fixture, owner: Owner) -> Vec<&Attributes> {
    let scopes = fixture.resources.iter().flat_map(|resource| &resource.scopes);
    let spans = fixture.spans();
    match owner {
        Owner::Span => spans.map(|of| &of.attributes).collect(),
        Owner::Resource => fixture.resources.iter().map(|of| &of.attributes).collect(),
        Owner::Scope => scopes.map(|of| &of.attributes).collect(),
        Owner::Event => spans.flat_map(|of| &of.events).map(|of| &of.attributes).collect(),
        Owner::Link => spans.flat_map(|of| &of.links).map(|of| &of.attributes).collect(),
    }
}

fn check_pairs(pairs: &Pairs<'_>, lists: &[&Attributes]) -> Result<(), TestCaseError> {
    prop_assert_eq!(pairs.owners(), lists.len());
    for (owner, list) in lists.iter().enumerate() {
        let there: Vec<_> = pairs
            .of(owner)
            .map(|pair| (pairs.get(pair).expect("a pair").0, owned(&pairs.values(), pair)))
            .collect();
        let wanted = list.iter().filter(|(key, _)| key.starts_with('b'));
        let wanted: Vec<_> =
            wanted.map(|(key, value)| (key.as_str(), Some(value.clone()))).collect();
        prop_assert_eq!(there, wanted);
    }
    Ok(())
}

/// Reads all that there is, as carelessly as a plugin might.
fn read_all(bytes: &[u8]) -> usize {
    let Ok(batch) = Batch::parse(bytes) else { return 0 };
    let mut seen = batch.trace_ids().map_or(0, <[_]>::len);
    let texts = [batch.names(), batch.scope_names(), batch.peer_addresses(), batch.trace_states()];
    for texts in texts.into_iter().flatten() {
        seen += (0..=texts.len()).filter_map(|i| texts.get(i)).map(str::len).sum::<usize>();
        seen += texts.values().count();
    }
    for read in 0..40 {
        if let Ok(column) = batch.column(read) {
            seen += column.iter().filter(|value| *value != Value::Absent).count();
            seen += column.values().count();
        }
        if let Ok(pairs) = batch.pairs(read) {
            let owners = 0..=pairs.owners();
            seen += owners.flat_map(|owner| pairs.of(owner)).filter_map(|i| pairs.get(i)).count();
        }
    }
    if let Ok(budget) = batch.budget(0) {
        seen += (0..budget.keys().len()).filter(|key| budget.left(*key) > 0).count();
        seen += (0..batch.rows().min(1000)).filter_map(|row| budget.of(row)).count();
    }
    if let Ok(traces) = batch.traces() {
        seen += (0..traces.len()).map(|trace| traces.rows(trace).len()).sum::<usize>();
    }
    seen
}

proptest! {
    #[test]
    fn a_batch_says_what_the_fixture_says(fixture in fixture()) {
        let projection = everything();
        let buffer = fixture.batch(&projection);
        let batch = Batch::parse(&buffer).expect("a batch");
        for (row, span) in fixture.spans().enumerate() {
            prop_assert_eq!(batch.trace_ids()?[row], span.trace_id);
            prop_assert_eq!(batch.span_ids()?[row], span.span_id);
            prop_assert_eq!(batch.parent_span_ids()?[row], span.parent_span_id);
            prop_assert_eq!(batch.names()?.get(row), Some(&*span.name));
            prop_assert_eq!(batch.trace_states()?.get(row), Some(&*span.trace_state));
            prop_assert_eq!(batch.status_messages()?.get(row), Some(&*span.status_message));
            prop_assert_eq!(batch.kinds()?[row], span.kind);
            prop_assert_eq!(batch.status_codes()?[row], span.status_code);
            prop_assert_eq!(batch.trace_flags()?.get(row), Some(span.trace_flags));
            prop_assert_eq!(batch.start_times()?.get(row), Some(span.start_unix_nano));
            prop_assert_eq!(batch.durations()?.get(row), Some(span.duration_nano));
            let resource = batch.resource_indices()?.get(row).expect("a resource") as usize;
            let scope = fixture.resources[resource].scopes.iter().any(|of| of.spans.contains(span));
            prop_assert!(scope);
        }
        let events: Vec<_> = fixture.spans().flat_map(|span| &span.events).collect();
        for (i, event) in events.iter().enumerate() {
            prop_assert_eq!(batch.event_names()?.get(i), Some(&*event.name));
            prop_assert_eq!(batch.event_times()?.get(i), Some(event.time_unix_nano));
        }
        for owner in Owner::ALL {
            let lists = of(&fixture, owner);
            let column = batch.column(place(&projection, &Field::attribute(owner, "b").complex()))?;
            prop_assert_eq!(column.len(), lists.len());
            for (i, list) in lists.iter().enumerate() {
                prop_assert_eq!(owned(&column, i), first(list, "b").cloned());
            }
            let pairs = batch.pairs(place(&projection, &Field::attributes(owner, "b").complex()))?;
            check_pairs(&pairs, &lists)?;
        }
        prop_assert_eq!(batch.budget(0)?.keys().len(), usize::from(batch.rows() > 0));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let _seen = read_all(&bytes);
        let _answer = Decoded::parse(&bytes);
    }

    #[test]
    fn a_broken_batch_is_read_or_refused(
        fixture in fixture(),
        breaks in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut batch = fixture.batch(&everything());
        for (at, byte) in breaks {
            // The counts stay: whoever believes them walks over as many rows.
            let at = at.index(batch.len());
            if !(8..28).contains(&at) {
                batch[at] = byte;
            }
        }
        let _seen = read_all(&batch);
    }

    #[test]
    fn an_answer_is_read_as_it_was_given(
        fixture in fixture(),
        values in prop::collection::vec(prop::option::of(value()), 1..40),
        drops in prop::collection::vec(any::<bool>(), 16),
    ) {
        let projection = everything();
        let buffer = fixture.batch(&projection);
        let batch = Batch::parse(&buffer).expect("a batch");
        let mut answer = Answer::edits(&batch);
        let mut wanted = Decoded { counts: batch.counts(), ..Decoded::default() };
        let mut values = values.iter().cycle();
        let mut blob = Vec::new();

        if drops.iter().take(batch.rows()).any(|drop| *drop) {
            wanted.keep = drops.iter().take(batch.rows()).map(|drop| !drop).collect();
            wanted.keep.resize(batch.rows(), true);
            wanted.reasons = wanted.keep.iter().map(|keep| (!keep).then(|| "why".into())).collect();
            for row in (0..batch.rows()).filter(|row| drops.get(*row) == Some(&true)) {
                answer.drop_span(row, "why");
            }
        }
        for (write, owner) in (0_u32..).step_by(2).zip(Owner::ALL) {
            answer.rename(owner, "a", "c", Clash::Replace);
            wanted.renames.push((owner, "a".into(), "c".into(), Clash::Replace));
            answer.delete_key(owner, "b.c");
            wanted.deletes.push((owner, "b.c".into()));
            let entries = of(&fixture, owner).len();
            let edits: Vec<Edit> = values.by_ref().take(entries).map(|value| match value {
                Some(Any::Empty) => Edit::Remove,
                Some(value) => Edit::Set(value.clone()),
                None => Edit::Stay,
            }).collect();
            let column = answer.set(write, owner);
            for (i, edit) in edits.iter().enumerate() {
                match edit {
                    Edit::Stay => {}
                    Edit::Remove => column.remove(i),
                    // What is set twice has the last value.
                    Edit::Set(value) => {
                        column.put(i, "never");
                        column.put(i, value.as_value(&mut blob));
                    }
                }
            }
            if edits.iter().any(|edit| *edit != Edit::Stay) {
                wanted.sets.insert((write, owner), edits);
            }
            if entries > 0 {
                let value = values.next().cloned().flatten().unwrap_or(Any::Int(1));
                answer.add(write + 1, 0, "added", value.as_value(&mut blob));
                let added = Addition { write: write + 1, owner: 0, key: "added".into(), value };
                wanted.adds.push(added);
            }
        }
        let encoded = answer.encode();
        let decoded = Decoded::parse(&encoded).expect("an answer");
        prop_assert_eq!(&decoded, &wanted);
        prop_assert!(apply(&fixture, &projection, &decoded).is_ok());
    }

    #[test]
    fn decisions_are_read_as_they_were_given(
        verdicts in prop::collection::vec(prop::option::of(0.0..=1.0_f64), 0..70),
    ) {
        let spans = verdicts.iter().fold(Resource::new(), |all, _| all.span(Span::new("span")));
        let buffer = Fixture::new().resource(spans).batch(&Projection::default());
        let batch = Batch::parse(&buffer).expect("a batch");
        let mut answer = Answer::of_rows(&batch);
        for (row, verdict) in verdicts.iter().enumerate() {
            match verdict {
                Some(share) => answer.decide(row, Verdict::Probability(*share), "share"),
                None => answer.decide(row, Verdict::Drop, ""),
            }
        }
        let decoded = Decoded::parse(&answer.encode()).expect("an answer");
        let wanted = |share: &Option<f64>| share.map_or(Verdict::Drop, Verdict::Probability);
        prop_assert_eq!(&decoded.verdicts, &verdicts.iter().map(wanted).collect::<Vec<_>>());
        for (row, verdict) in verdicts.iter().enumerate() {
            prop_assert_eq!(decoded.reason(row), verdict.map(|_| "share"));
        }
    }
}
