//! Answers that are wrong: each is refused as a whole, saying what is wrong where, and whatever is let through leaves a
//! request that is one.

use model::otlp::check;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{Span, span};
use plugins::{
    Attribute, Batch, Bounds, Draft, Edits, Field, Intrinsic, Level, Owner, Plan, Projection, Role,
    Written,
};
use proptest::prelude::*;
use prost::Message;
use traceweir_plugin::codes::{NONE, answer as kind, domain, layout, tag};

use super::answers::{self, Answer, Change, Section, buffer, texts};
use super::chance::Chance;
use super::edits::{AROUND, BOUNDS, counts, draft};
use super::plain::{Plain, View};
use super::projections::projection;
use super::requests;

/// Changes bytes: of the table, numbers anywhere, or the length.
fn mutate(bytes: &mut Vec<u8>, chance: &mut Chance) {
    const TELLING: [u32; 8] = [0, 1, 2, 7, 0x7fff_ffff, 0x8000_0000, NONE - 1, NONE];
    if bytes.is_empty() {
        return;
    }
    let at = chance.below(bytes.len());
    match chance.below(8) {
        0 => bytes.truncate(at),
        1 => bytes.extend([0xff; 9]),
        2 | 3 => bytes[at] ^= 1 << chance.below(8),
        4 => {
            // A row of the table begins with kind, type and domain.
            let sections = bytes.get(28).copied().unwrap_or_default();
            let row = 32 + 16 * chance.below(sections.into());
            let value = u8::try_from(chance.below(13)).unwrap();
            if let Some(byte) = bytes.get_mut(row + chance.below(5)) {
                *byte = value;
            }
        }
        5 => {
            let other = chance.below(bytes.len());
            bytes.swap(at, other);
        }
        _ => {
            let at = at / 4 * 4;
            let value = *chance.pick(&TELLING);
            if let Some(place) = bytes.get_mut(at..at + 4) {
                place.copy_from_slice(&value.to_le_bytes());
            }
        }
    }
}

/// A batch, and an answer to it that is right.
struct Case {
    draft: Draft,
    batch: Batch,
    view: View,
    projection: Projection,
    plan: Plan,
    answer: Answer,
}

fn case(chance: &mut Chance) -> Option<Case> {
    let request = requests::request(chance);
    let projection = projection(chance);
    let plan = Plan::compile(&projection, Role::SpanProcessor).unwrap();
    let draft = draft(request.encode_to_vec(), &[&plan]);
    let plain = Plain::new(request);
    let mut rows = Vec::new();
    draft.select(&plan, &mut rows);
    if rows.is_empty() {
        return None;
    }
    let view = plain.view(&rows, &projection);
    let mut batch = Batch::new(5);
    batch.project(&draft, &plan, &rows, &AROUND);
    let answer = answers::answer(chance, &plain, &view, &projection);
    Some(Case { draft, batch, view, projection, plan, answer })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_is_answered_a_request_stays_one(seed: u64, changes in 0usize..6) {
        let mut chance = Chance(seed);
        let Some(Case { mut draft, batch, view, projection, plan, answer }) = case(&mut chance) else {
            return Ok(());
        };
        let mut bytes = buffer(counts(&view), &answer.sections(&projection, &mut chance));
        (0..changes).for_each(|_| mutate(&mut bytes, &mut chance));
        let before = draft.spans();
        let bounds = Bounds { answer_bytes_max: 64 << 20, written_bytes_max: 4 << 20 };
        let Ok(edits) = Edits::decode(&bytes, &draft, &plan, &batch, &bounds) else {
            prop_assert!(changes > 0);
            let is_same = matches!(draft.finish(Vec::with_capacity).body, Written::Same(_));
            prop_assert!(is_same);
            return Ok(());
        };
        let outcome = draft.apply(&plan, &batch, &edits);
        prop_assert_eq!(draft.spans() as u64 + outcome.dropped, before as u64);
        let finished = draft.finish(Vec::with_capacity);
        let told = finished.checked.spans;
        let is_new = matches!(finished.body, Written::New(_));
        let body = finished.body.into_bytes();
        let checked = check(&body).unwrap();
        prop_assert!(!is_new || checked.spans == told && checked.refused.is_empty());
        // Its texts are UTF-8, and all of them are where they should be.
        prop_assert!(ExportTraceServiceRequest::decode(body).is_ok());
    }

    #[test]
    fn an_edit_outside_of_what_may_be_written_fails_the_answer(seed: u64) {
        let mut chance = Chance(seed);
        let Some(Case { draft, batch, view, projection, answer, .. }) = case(&mut chance) else {
            return Ok(());
        };
        // The same plugin, which may not write the last field any more.
        let mut less = projection.clone();
        let Some(_) = less.writes.pop() else { return Ok(()) };
        let plan = Plan::compile(&less, Role::SpanProcessor).unwrap();
        let bytes = buffer(counts(&view), &answer.sections(&projection, &mut chance));
        let decoded = Edits::decode(&bytes, &draft, &plan, &batch, &BOUNDS);
        prop_assert_eq!(decoded.is_ok(), may_write(&less, &answer), "{:?}", decoded.err());
    }
}

/// Whether all that an answer writes may be written.
fn may_write(projection: &Projection, answer: &Answer) -> bool {
    let covers = |owner: Owner, key: &str| {
        projection.writes.iter().any(|field| match field {
            Field::Attribute(of) => of.owner == owner && of.key == key,
            Field::Attributes(of) => of.owner == owner && key.starts_with(&of.key),
            Field::Intrinsic(_) => false,
        })
    };
    let all = |owner: Owner, start: &str| {
        projection.writes.iter().any(|field| {
            matches!(field, Field::Attributes(of) if of.owner == owner && start.starts_with(&of.key))
        })
    };
    let renames = answer.renames.iter().flat_map(|(owner, _, keys)| {
        keys.iter().flat_map(|(from, to)| [(*owner, from.as_str()), (*owner, to.as_str())])
    });
    let deletions = answer
        .deletions
        .iter()
        .flat_map(|(owner, keys)| keys.iter().map(|key| (*owner, key.as_str())));
    let pairs = answer.pairs.iter().flat_map(|(read, changes)| {
        let Field::Attributes(of) = &projection.reads[*read] else { panic!("they are pairs") };
        let before = answer.before[of.owner as usize].iter().flatten();
        let pairs = before.filter(|pair| pair.key.starts_with(&of.key)).zip(changes);
        let changed = pairs.filter(|(_, change)| !matches!(change, Change::Keep));
        changed.map(|(pair, _)| (of.owner, pair.key.as_str()))
    });
    let sets = answer.sets.iter().map(|(field, ..)| field);
    let mut fields = sets.chain(answer.additions.iter().map(|(field, _)| field));
    fields.all(|field| *field < projection.writes.len())
        && renames.chain(deletions).chain(pairs).all(|(owner, key)| covers(owner, key))
        && answer.starts.iter().all(|(owner, starts)| starts.iter().all(|of| all(*owner, of)))
}

/// Three spans with an attribute, the first with an event and a link.
struct Rig {
    draft: Draft,
    batch: Batch,
    plan: Plan,
}

const COUNTS: [u32; 5] = [3, 1, 1, 1, 0];

fn rig() -> Rig {
    let text = |key: &str, text: &str| {
        let value = Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) });
        KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
    };
    let span = |id: u8| Span {
        trace_id: vec![id; 16],
        span_id: vec![id; 8],
        name: "name".to_owned(),
        attributes: vec![text("a", "x"), text("c", "y")],
        ..Span::default()
    };
    let (event, link) = (span::Event::default(), span::Link::default());
    let first = Span { events: vec![event], links: vec![link], ..span(1) };
    let body = requests::of_spans(vec![first, span(2), span(3)]).encode_to_vec();
    let attribute = |owner, key: &str| Attribute { owner, key: key.to_owned(), complex: false };
    let projection = Projection {
        reads: vec![
            Field::Attributes(attribute(Owner::Span, "")),
            Field::Attribute(attribute(Owner::Span, "a")),
        ],
        writes: vec![
            Field::Attribute(attribute(Owner::Span, "a")),
            Field::Attributes(attribute(Owner::Span, "b")),
            Field::Intrinsic(Intrinsic::Name),
            Field::Intrinsic(Intrinsic::Kind),
            Field::Attribute(attribute(Owner::Event, "e")),
            Field::Attribute(attribute(Owner::Link, "l")),
            Field::Intrinsic(Intrinsic::StatusMessage),
        ],
        ..Projection::default()
    };
    let plan = Plan::compile(&projection, Role::SpanProcessor).unwrap();
    let draft = draft(body, &[&plan]);
    let mut batch = Batch::new(9);
    batch.project(&draft, &plan, &[0, 1, 2], &AROUND);
    Rig { draft, batch, plan }
}

impl Rig {
    fn decode(&self, bytes: &[u8]) -> Result<(), String> {
        let decoded = Edits::decode(bytes, &self.draft, &self.plan, &self.batch, &BOUNDS);
        decoded.map(drop).map_err(|fault| fault.to_string())
    }

    /// Why an answer of these sections is refused.
    fn refusal(&self, sections: &[Section]) -> String {
        self.decode(&buffer(COUNTS, sections)).err().unwrap_or_default()
    }
}

fn keys(of: &[&str]) -> Vec<u8> {
    let of: Vec<_> = of.iter().map(|key| Some(key.as_bytes().to_vec())).collect();
    texts(&of, true)
}

fn tags(argument: u32, domain: u8, tags: &[u8]) -> Section {
    (kind::SET, layout::U8, domain, argument, tags.to_vec())
}

#[test]
fn headers_are_held_against_the_batch() {
    let rig = rig();
    let right = buffer(COUNTS, &[]);
    assert_eq!(rig.decode(&right), Ok(()));
    let with = |at: usize, bytes: &[u8]| {
        let mut answer = right.clone();
        answer[at..at + bytes.len()].copy_from_slice(bytes);
        rig.decode(&answer)
    };
    assert_eq!(with(6, &[0xff, 0xff]), Ok(()), "flags that nobody knows are no matter");
    for (at, bytes, why) in [
        (0, &b"TWB1"[..], "header: magic is 0x31425754, expected 0x31415754"),
        (4, &[2, 0], "header: version is 2, expected 1"),
        (8, &[4], "header: says 4 spans, the batch has 3"),
        (12, &[0], "header: says 0 resources, the batch has 1"),
        (16, &[9], "header: says 9 scopes, the batch has 1"),
        (20, &[0], "header: says 0 events, the batch has 1"),
        (24, &[1], "header: says 1 traces, the batch has 0"),
        (28, &[1], "header: table reaches past the end"),
        (28, &[0xff; 4], "header: has 4294967295 sections, limit is 8192"),
    ] {
        assert_eq!(with(at, bytes), Err(why.to_owned()));
    }
    for length in [0, 3, 31] {
        assert_eq!(rig.decode(&right[..length]), Err("header: ends early".to_owned()));
    }
    let bounds = Bounds { answer_bytes_max: 31, ..BOUNDS };
    let fault = Edits::decode(&right, &rig.draft, &rig.plan, &rig.batch, &bounds).err().unwrap();
    assert_eq!(fault.to_string(), "header: answer has 32 bytes, limit is 31");
}

#[test]
fn sections_are_where_they_say_and_stand_once() {
    let rig = rig();
    let keep = (kind::KEEP, layout::BITMAP, domain::SPANS, 0, vec![7, 0, 0, 0, 0, 0, 0, 0]);
    let right = buffer(COUNTS, std::slice::from_ref(&keep));
    assert_eq!(rig.decode(&right), Ok(()));
    for at in [40, 44] {
        let mut answer = right.clone();
        answer[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(rig.decode(&answer), Err("keep[0]: reaches past the end".to_owned()));
    }
    assert_eq!(rig.refusal(&[keep.clone(), keep]), "keep[0]: stands twice");
    let bitmap = |bytes: &[u8]| (kind::KEEP, layout::BITMAP, domain::SPANS, 0, bytes.to_vec());
    assert_eq!(rig.refusal(&[bitmap(&[7])]), "keep[0]: has 1 bytes for 3 rows");
    let past = bitmap(&[0x0f, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(rig.refusal(&[past]), "keep[0]: a bit past the last row is set");
    let past = bitmap(&[7, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(rig.refusal(&[past]), "keep[0]: a bit past the last row is set");
}

#[test]
fn a_column_of_another_domain_than_its_owners_is_refused() {
    let rig = rig();
    let bytes = vec![0; 64];
    let of = |kind, layout, domain, argument| {
        let mut sections = vec![(kind, layout, domain, argument, bytes.clone())];
        if kind == kind::ADD {
            sections.push((kind::ADD_OWNER, layout::U32, domain::NONE, argument, Vec::new()));
            sections.push((kind::ADD_KEY, layout::TEXT, domain::NONE, argument, keys(&[])));
        }
        rig.refusal(&sections)
    };
    let right = [
        (kind::KEEP, layout::BITMAP, domain::SPANS, 0),
        (kind::REASON, layout::TEXT, domain::SPANS, 0),
        (kind::RENAME, layout::TEXT, domain::NONE, 0),
        (kind::DELETE_KEYS, layout::TEXT, domain::NONE, 0),
        (kind::DELETE_STARTS, layout::TEXT, domain::NONE, 0),
        (kind::SET_PAIRS, layout::U8, domain::PAIRS, 0),
        (kind::SET, layout::U8, domain::SPANS, 0),
        (kind::SET, layout::U8, domain::SPANS, 2),
        (kind::SET, layout::U8, domain::EVENTS, 4),
        (kind::SET, layout::U8, domain::LINKS, 5),
        (kind::ADD, layout::U8, domain::NONE, 1),
        (kind::COUNT, layout::COUNTS, domain::NONE, 0),
    ];
    for (kind, layout, domain, argument) in right {
        let other = (0..12).filter(|other| *other != domain);
        // What is set of spans may be said per resource, but no intrinsic field.
        let by_resource = |other: u8| (kind, argument, other) == (kind::SET, 0, domain::RESOURCES);
        for other in other.filter(|other| !by_resource(*other)) {
            let why = of(kind, layout, other, argument);
            let expected = format!("domain is {other}, expected {domain}");
            assert!(why.ends_with(&expected), "{kind} {argument} of {other}: {why:?}");
        }
        assert!(!of(kind, layout, domain, argument).contains("domain"));
    }
    let parts = [tags(0, domain::SPANS, &[0; 3]), {
        (kind::SET, layout::U64, domain::RESOURCES, 0, vec![0; 24])
    }];
    assert_eq!(rig.refusal(&parts), "set[0]: parts of a column have different domains");
}

#[test]
fn values_are_what_their_tags_say() {
    let rig = rig();
    let words = (kind::SET, layout::U64, domain::SPANS, 0, vec![0; 24]);
    let blobs = |blob: &[u8]| {
        let bytes = texts(&[Some(blob.to_vec()), None, None], true);
        (kind::SET, layout::BLOB, domain::SPANS, 0, bytes)
    };
    let text = |bytes: &[u8]| {
        let bytes = texts(&[Some(bytes.to_vec()), None, None], true);
        (kind::SET, layout::TEXT, domain::SPANS, 0, bytes)
    };
    let set = |first: u8| tags(0, domain::SPANS, &[first, 0, 0]);
    for (sections, why) in [
        (vec![set(9)], "set[0]: entry 0 has the tag 9"),
        (vec![set(254)], "set[0]: entry 0 has the tag 254"),
        (vec![words.clone()], "set[0]: has no tags"),
        (vec![tags(0, domain::SPANS, &[0])], "set[0]: has 1 bytes, expected 3"),
        (vec![set(tag::STRING)], "set[0]: entry 0 is a string and has no text"),
        (vec![set(tag::INT)], "set[0]: entry 0 is a number and has no word"),
        (vec![set(tag::MAP)], "set[0]: entry 0 has no blob"),
        (vec![set(tag::STRING), text(b"\xff")], "set[0]: text is not UTF-8"),
        (
            vec![set(tag::ARRAY), blobs(&[0x2a])],
            "set[0]: entry 0 is no AnyValue: message ends inside a varint",
        ),
        (
            vec![set(tag::ARRAY), blobs(&[0x0a, 1, b'x'])],
            "set[0]: entry 0 is of another type than its tag 6",
        ),
        (
            vec![set(tag::ARRAY), blobs(&[0x2a, 5, 0x0a, 3, 0x0a, 1, 0xff])],
            "set[0]: entry 0 is no AnyValue: text is not UTF-8",
        ),
        (vec![set(tag::EMPTY), (kind::SET, layout::U32, 1, 0, vec![])], "set[0]: type is 2"),
    ] {
        assert_eq!(rig.refusal(&sections), why);
    }
    for right in [
        vec![set(tag::EMPTY)],
        vec![set(tag::REMOVE)],
        vec![set(tag::BOOL), words],
        vec![set(tag::ARRAY), blobs(&[0x2a, 5, 0x0a, 3, 0x0a, 1, b'x'])],
    ] {
        assert_eq!(rig.refusal(&right), "");
    }
}

#[test]
fn texts_lie_within_their_section() {
    let rig = rig();
    let number = |of: &[u32]| -> Vec<u8> { of.iter().flat_map(|n| n.to_le_bytes()).collect() };
    let reason =
        |bytes: Vec<u8>| rig.refusal(&[(kind::REASON, layout::TEXT, domain::SPANS, 0, bytes)]);
    for (bytes, why) in [
        (vec![], "ends early"),
        (number(&[0, 3]), "ends early"),
        (number(&[NONE, NONE]), "ends early"),
        (number(&[1, 0, 0]), "ends early"),
        (number(&[1, 0, 0, 0]), "has 1 entries, expected 3"),
        (number(&[1, 3, 0, 0, 0, 4, 4]), "the first value does not begin at 0"),
        (number(&[2, 3, 0, 0, 0, 0, 4, 3]), "a value ends before it begins"),
        (number(&[1, 3, 0, 0, 0, 0, 1]), "a value reaches past the end"),
        (number(&[1, 3, 0, 1, NONE, 0, 0]), "an index is that of no value"),
        (
            [number(&[2, 3, 0, 1, NONE, 0, 1, 2]), "é".as_bytes().to_vec()].concat(),
            "text is not UTF-8",
        ),
    ] {
        assert_eq!(reason(bytes), format!("reason[0]: {why}"));
    }
    assert_eq!(reason(number(&[0, 3, NONE, NONE, NONE, 0])), "");
}

#[test]
fn keys_are_keys_and_owners_are_there() {
    let rig = rig();
    let long = "b".repeat(513);
    let deletes = |keys: Vec<u8>| vec![(kind::DELETE_KEYS, layout::TEXT, domain::NONE, 0, keys)];
    let starts = |of: &[&str]| vec![(kind::DELETE_STARTS, layout::TEXT, domain::NONE, 0, keys(of))];
    let renames = |argument: u32, of: &[&str]| {
        vec![(kind::RENAME, layout::TEXT, domain::NONE, argument, keys(of))]
    };
    let add = |owner: u32, key: &str, tag: u8| {
        vec![
            (kind::ADD_OWNER, layout::U32, domain::NONE, 1, owner.to_le_bytes().to_vec()),
            (kind::ADD_KEY, layout::TEXT, domain::NONE, 1, keys(&[key])),
            (kind::ADD, layout::U8, domain::NONE, 1, vec![tag]),
        ]
    };
    for (sections, why) in [
        (deletes(keys(&["c"])), "delete-keys[0]: \"c\" is not in `writes`"),
        (deletes(keys(&[""])), "delete-keys[0]: key 0 is empty"),
        (deletes(keys(&[&long])), "delete-keys[0]: key 0 has 513 bytes, limit is 512"),
        (starts(&["a"]), "delete-starts[0]: all of \"a\" is not in `writes`"),
        (starts(&["b", ""]), "delete-starts[0]: all of \"\" is not in `writes`"),
        (renames(0, &["a", "c"]), "rename[0]: \"c\" is not in `writes`"),
        (renames(0, &["a", "b1", "a"]), "rename[0]: a key has no new one"),
        (renames(7, &["a", "b1"]), "rename[7]: there is no such owner"),
        (renames(1, &["a", "b1"]), "rename[1]: \"a\" is not in `writes`"),
        (add(3, "b1", tag::EMPTY), "add-owner[1]: entry 0 is of 3, which there is not"),
        (add(NONE, "b1", tag::EMPTY), "add-owner[1]: entry 0 is of 4294967295, which there is not"),
        (add(0, "a", tag::EMPTY), "add-key[1]: \"a\" does not begin as the field does"),
        (add(0, "b1", tag::REMOVE), "add[1]: entry 0 removes what it adds"),
        (
            add(0, "b1", tag::EMPTY)[..2].to_vec(),
            "add-owner[1]: belongs to add, which there is not",
        ),
        (add(0, "b1", tag::EMPTY)[1..].to_vec(), "add-owner[1]: there is none"),
    ] {
        assert_eq!(rig.refusal(&sections), why);
    }
    let many: Vec<String> = (0..4_097).map(|key| format!("b{key}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(rig.refusal(&deletes(keys(&many))), "delete-keys[0]: has more than 4096 keys");
    assert_eq!(rig.refusal(&deletes(keys(&many[1..]))), "");
    assert_eq!(rig.refusal(&starts(&["b"; 65])), "delete-starts[0]: has more than 64 texts");
    assert_eq!(rig.refusal(&starts(&["b"; 64])), "");
    assert_eq!(rig.refusal(&renames(0, &many[..514])), "rename[0]: has more than 256 keys");
    assert_eq!(rig.refusal(&renames(0, &many[..512])), "");
    assert_eq!(rig.refusal(&add(2, "b1", tag::EMPTY)), "");
    assert_eq!(rig.refusal(&renames(256, &["a", "b1"])), "");
    assert_eq!(rig.refusal(&deletes(keys(&["a", "b", long.get(1..).unwrap()]))), "");
}

#[test]
fn fields_are_set_to_what_they_can_be() {
    let rig = rig();
    let words = |argument, word: u64| {
        let bytes = [word.to_le_bytes(), [0; 8], [0; 8]].concat();
        (kind::SET, layout::U64, domain::SPANS, argument, bytes)
    };
    let set = |argument, first: u8| tags(argument, domain::SPANS, &[first, 0, 0]);
    for (sections, why) in [
        (vec![set(7, 0)], "set[7]: is not in `writes`"),
        (vec![set(1, 0)], "set[1]: the field is several attributes"),
        (vec![set(2, tag::REMOVE)], "set[2]: entry 0 with the tag 255 is none for Name"),
        (vec![set(3, tag::REMOVE)], "set[3]: entry 0 with the tag 255 is none for Kind"),
        (vec![set(3, tag::INT), words(3, 6)], "set[3]: entry 0 with the tag 2 is none for Kind"),
        (vec![set(2, tag::EMPTY)], "set[2]: entry 0 with the tag 8 is none for Name"),
        (
            vec![(kind::SET_PAIRS, layout::U8, domain::PAIRS, 1, vec![0; 6])],
            "set-pairs[1]: no such field `attributes` is read",
        ),
        (
            vec![(kind::SET_PAIRS, layout::U8, domain::PAIRS, 0, vec![255; 6])],
            "set-pairs[0]: \"c\" is not in `writes`",
        ),
        (
            vec![(kind::VERDICT, layout::U8, domain::SPANS, 0, vec![0; 3])],
            "verdict[0]: is not for such a plugin",
        ),
        (
            vec![(kind::COUNT, layout::COUNTS, domain::NONE, 0, vec![0; 17])],
            "count[0]: ends within a count",
        ),
        (
            vec![(kind::COUNT, layout::COUNTS, domain::NONE, 0, vec![1; 16])],
            "count[0]: entry 0 has no zero behind its id",
        ),
    ] {
        assert_eq!(rig.refusal(&sections), why);
    }
    assert_eq!(rig.refusal(&[set(6, tag::REMOVE)]), "");
    assert_eq!(rig.refusal(&[set(3, tag::INT), words(3, 5)]), "");
    let pairs = (kind::SET_PAIRS, layout::U8, domain::PAIRS, 0, vec![255, 0, 255, 0, 255, 0]);
    assert_eq!(rig.refusal(&[pairs]), "");
}

#[test]
fn who_answers_is_held_to_its_role() {
    let Rig { draft, .. } = rig();
    let decode = |role: Role, section: Option<Section>| {
        let plan = Plan::compile(&Projection::default(), role).unwrap();
        let mut batch = Batch::new(9);
        batch.project(&draft, &plan, &[0, 1, 2], &AROUND);
        let counts = match role {
            Role::TailSampler(Level::Summary) => [0, 0, 0, 0, 3],
            _ => [3, 1, 1, 0, 0],
        };
        let bytes = buffer(counts, &Vec::from_iter(section));
        let decoded = Edits::decode(&bytes, &draft, &plan, &batch, &BOUNDS);
        decoded.err().map(|fault| fault.to_string()).unwrap_or_default()
    };
    let keep = || Some((kind::KEEP, layout::BITMAP, domain::SPANS, 0, vec![0; 8]));
    let verdict = |domain| Some((kind::VERDICT, layout::U8, domain, 0, vec![1; 3]));
    let no = "is not for such a plugin";
    assert_eq!(decode(Role::HeadSampler, None), "verdict: there is none");
    assert_eq!(decode(Role::HeadSampler, verdict(domain::SPANS)), "");
    assert_eq!(decode(Role::HeadSampler, keep()), format!("keep[0]: {no}"));
    let tail = Role::TailSampler(Level::Summary);
    assert_eq!(decode(tail, None), "verdict: there is none");
    assert_eq!(decode(tail, verdict(domain::TRACES)), "");
    assert_eq!(decode(tail, verdict(domain::SPANS)), "verdict[0]: domain is 1, expected 5");
    assert_eq!(decode(Role::Router, keep()), format!("keep[0]: {no}"));
    assert_eq!(decode(Role::SpanProcessor, verdict(domain::SPANS)), format!("verdict[0]: {no}"));
}

#[test]
fn what_is_not_utf8_is_shown_with_its_valid_parts() {
    // No encoder of prost writes it: the bytes of a text are changed behind it.
    let mut rig_body = requests::of_spans(vec![Span {
        trace_id: vec![1; 16],
        span_id: vec![1; 8],
        name: "QQbroken".to_owned(),
        ..Span::default()
    }])
    .encode_to_vec();
    let at = rig_body.windows(2).position(|bytes| bytes == b"QQ").unwrap();
    rig_body[at..at + 2].copy_from_slice(b"\xff\xfe");
    let projection =
        Projection { reads: vec![Field::Intrinsic(Intrinsic::Name)], ..Projection::default() };
    let plan = Plan::compile(&projection, Role::SpanProcessor).unwrap();
    let draft = draft(rig_body, &[&plan]);
    let mut batch = Batch::new(9);
    batch.project(&draft, &plan, &[0], &AROUND);
    let seen = traceweir_plugin::Batch::parse(batch.bytes()).unwrap();
    assert_eq!(seen.names().unwrap().get(0), Some("\u{fffd}\u{fffd}broken"));
}

#[test]
fn what_one_answer_may_have_written_is_bounded() {
    let rig = rig();
    let tags = tags(0, domain::SPANS, &[tag::STRING; 3]);
    let long = texts(&vec![Some(vec![b'x'; 1_000]); 3], true);
    let sections = [tags, (kind::SET, layout::TEXT, domain::SPANS, 0, long)];
    let bytes = buffer(COUNTS, &sections);
    assert!(bytes.len() < 1_200, "a text of three rows stands once");
    let bounds = Bounds { written_bytes_max: 2_000, ..BOUNDS };
    let fault = Edits::decode(&bytes, &rig.draft, &rig.plan, &rig.batch, &bounds).err().unwrap();
    assert!(fault.message.starts_with("writes up to 3"), "{fault}");
    assert!(fault.message.ends_with("bytes, limit is 2000"), "{fault}");
}
