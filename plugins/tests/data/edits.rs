//! Any request, any projection, any answer: a batch shows what is there, and a request becomes what a plain
//! implementation makes of it.

use std::net::{IpAddr, Ipv4Addr};

use model::otlp::{Checked, Open, Rules, check, outline_with};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use plugins::{
    Around, Batch, Bounds, Budgets, Draft, Edits, Kept, Plan, Projection, Role, Unlimited, Written,
};
use proptest::prelude::*;
use prost::Message;

use super::answers::{self, Answer, buffer};
use super::chance::Chance;
use super::plain::{self, Plain, View};
use super::projections::projection;
use super::reader::read;
use super::requests::{normalized, request};
use super::{odd, requests, views};

pub(crate) const BOUNDS: Bounds =
    Bounds { answer_bytes_max: 64 << 20, written_bytes_max: 64 << 20 };

/// The host's budgets, in tests.
struct Told;

impl Budgets for Told {
    fn budget(&self, place: usize, key: &str) -> (u64, u64) {
        plain::budget_of(place, key)
    }
}

pub(crate) const AROUND: Around<'_> =
    Around { peer: Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7))), budgets: &Told, late: &Unlimited };

/// A draft of a request, with all that any of these plans wants.
pub(crate) fn draft(body: Vec<u8>, plans: &[&Plan]) -> Draft {
    let wants = plans.iter().fold(model::otlp::Wants::default(), |all, plan| all.and(plan.wants()));
    let (checked, outline) = outline_with(&body, &Rules::NONE, &mut Open, wants).unwrap();
    Draft::new(body.into(), checked, outline)
}

/// The numbers that an answer repeats.
pub(crate) fn counts(view: &View) -> [u32; 5] {
    let counts = [&view.rows.len(), &view.resources.len(), &view.scopes.len(), &view.events.len()];
    let count = |n: usize| counts.get(n).map_or(0, |count| u32::try_from(**count).unwrap());
    std::array::from_fn(count)
}

/// One plugin over all batches of a request.
fn run(
    draft: &mut Draft,
    plain: &mut Plain,
    (projection, plan): (&Projection, &Plan),
    rows_max: usize,
    chance: &mut Chance,
) {
    let mut selected = Vec::new();
    draft.select(plan, &mut selected);
    assert_eq!(selected, plain.select(projection));
    let mut batch = Batch::new(7);
    for rows in selected.chunks(rows_max) {
        let view = plain.view(rows, projection);
        batch.project(draft, plan, rows, &AROUND);
        let seen = plain::seen(plain, &view, projection, "10.0.0.7");
        assert_eq!(read(batch.bytes()), seen);
        assert_eq!(views::read(batch.bytes(), projection), seen);
        let answer = answers::answer(chance, plain, &view, projection);
        let bytes = buffer(counts(&view), &answer.sections(projection, chance));
        let edits = Edits::decode(&bytes, draft, plan, &batch, &BOUNDS).unwrap();
        let outcome = draft.apply(plan, &batch, &edits);
        let kept = answer.keep.as_ref().map_or(rows.len(), |of| of.iter().filter(|k| **k).count());
        assert_eq!(outcome.kept, kept as u64);
        assert_eq!(outcome.kept + outcome.dropped, rows.len() as u64);
        assert_eq!(outcome.counts, answer.counts);
        assert_eq!(outcome.budgets, budgets(plain, &view, projection, &answer));
        plain::apply(plain, &view, projection, &answer);
    }
}

/// What was kept of each budget.
fn budgets(plain: &Plain, view: &View, projection: &Projection, answer: &Answer) -> Vec<Kept> {
    let mut all: Vec<Kept> = Vec::new();
    for (budget, of) in projection.budgets.iter().enumerate() {
        let counted = plain::counted(plain, view, of);
        let stays = |row: usize| answer.keep.as_ref().is_none_or(|keep| keep[row]);
        let mut order: Vec<&String> = Vec::new();
        for key in counted.iter().flatten() {
            if !order.contains(&key) {
                order.push(key);
            }
        }
        for key in order {
            let is_it = |row: &usize| counted[*row].as_ref() == Some(key) && stays(*row);
            let rows = (0..counted.len()).filter(is_it).count() as u64;
            if rows > 0 {
                all.push(Kept { budget, key: key.clone(), rows });
            }
        }
    }
    all
}

/// Ends a draft, and holds what is said of the new body against a look at it.
pub(crate) fn finish(draft: Draft, before: &Checked) -> (Vec<u8>, bool) {
    let finished = draft.finish(Vec::with_capacity);
    let is_new = matches!(finished.body, Written::New(_));
    let body = finished.body.into_bytes().to_vec();
    let looked = check(&body).unwrap();
    let told = finished.checked;
    assert_eq!(told.spans, looked.spans);
    assert!(told.heap_bytes >= looked.heap_bytes);
    assert!(told.heap_bytes <= looked.heap_bytes + 100_000);
    assert_eq!(told.refused_in_all(), before.refused_in_all());
    assert_eq!((&told.refusals, &told.reasons), (&before.refusals, &before.reasons));
    if is_new {
        assert!(told.refused.is_empty() && looked.refused.is_empty());
    }
    (body, is_new)
}

/// A chain of plugins over a request, as an encoder writes it or in some other way.
fn chain(seed: u64, plugins: usize, rows_max: usize, is_odd: bool) {
    let mut chance = Chance(seed);
    let before = request(&mut chance);
    let body = if is_odd { odd::encode(&before, &mut chance) } else { before.encode_to_vec() };
    let checked = check(&body).unwrap();
    let projections: Vec<Projection> = (0..plugins).map(|_| projection(&mut chance)).collect();
    let compiled = projections.iter().map(|of| Plan::compile(of, Role::SpanProcessor).unwrap());
    let plans: Vec<Plan> = compiled.collect();
    let mut draft = draft(body.clone(), &plans.iter().collect::<Vec<_>>());
    let mut plain = Plain::new(before.clone());
    for of in projections.iter().zip(&plans) {
        run(&mut draft, &mut plain, of, rows_max, &mut chance);
    }
    let (after, is_new) = finish(draft, &checked);
    if !is_new {
        assert_eq!(after, body);
    }
    let expected = normalized(plain.finish(&before));
    let after = ExportTraceServiceRequest::decode(&*after).unwrap();
    // Nothing is left out where nothing is written anew.
    let after = normalized(Plain::new(after).finish(&ExportTraceServiceRequest::default()));
    let expected = normalized(Plain::new(expected).finish(&ExportTraceServiceRequest::default()));
    assert_eq!(after, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_request_becomes_what_plain_words_make_of_it(seed: u64, plugins in 1usize..4, rows_max in 1usize..9) {
        chain(seed, plugins, rows_max, false);
    }

    #[test]
    fn however_the_request_is_encoded(seed: u64, plugins in 1usize..4, rows_max in 1usize..9) {
        chain(seed, plugins, rows_max, true);
    }
}

#[test]
fn changes_that_change_nothing_give_the_same_allocation() {
    let before = requests::of_spans(vec![requests::span(&mut Chance(3))]);
    let body = bytes::Bytes::from(before.encode_to_vec());
    let plan = Plan::compile(&Projection::default(), Role::SpanProcessor).unwrap();
    let (checked, outline) = outline_with(&body, &Rules::NONE, &mut Open, plan.wants()).unwrap();
    let mut draft = Draft::new(body.clone(), checked, outline);
    let mut rows = Vec::new();
    draft.select(&plan, &mut rows);
    assert!(!rows.is_empty());
    let mut batch = Batch::new(1);
    batch.project(&draft, &plan, &rows, &Around::NOTHING);
    let plain = Plain::new(before);
    let view = plain.view(&rows, &Projection::default());
    let bytes = buffer(counts(&view), &[]);
    let edits = Edits::decode(&bytes, &draft, &plan, &batch, &BOUNDS).unwrap();
    assert_eq!(draft.apply(&plan, &batch, &edits).edits, 0);
    let finished = draft.finish(|_| panic!("no buffer is needed"));
    assert_eq!(finished.body.into_bytes().as_ptr(), body.as_ptr());
}
