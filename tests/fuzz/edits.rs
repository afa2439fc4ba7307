//! What plugins answer, what they are shown, and where things stand in the requests that they are shown.

use std::hint::black_box;

use bytes::Bytes;
use model::otlp::{Open, Rules, Wants, check, outline_with};
use plugins::{
    Around, Attribute, Batch, Bounds, Budget, Draft, Edits, Field, Intrinsic, Level, Owner, Plan,
    Projection, Role, Written,
};
use traceweir_plugin::{Answer, Batch as View, Clash, Owner as Whose, Verdict, host};

const BOUNDS: Bounds = Bounds { answer_bytes_max: 1 << 20, written_bytes_max: 1 << 20 };

fn attribute(owner: Owner, key: &str) -> Attribute {
    Attribute { owner, key: key.to_owned(), complex: true }
}

/// Reads everything that there is, and may write all that may be.
fn everything() -> Projection {
    let start = |owner: Owner| Field::Attributes(attribute(owner, ""));
    let mut reads: Vec<Field> = Owner::ALL.map(start).into();
    reads.push(Field::Attribute(attribute(Owner::Span, "s")));
    reads.extend(Intrinsic::ALL.map(Field::Intrinsic));
    let mut writes: Vec<Field> = Owner::ALL.map(start).into();
    writes.push(Field::Attribute(attribute(Owner::Span, "s")));
    let writable = Intrinsic::ALL.into_iter().filter(|of| of.is_writable());
    writes.extend(writable.map(Field::Intrinsic));
    let budget = Budget {
        name: "all".to_owned(),
        per: Some(attribute(Owner::Resource, "service.name")),
        limit: 7,
        window_ms: 1_000,
    };
    Projection { reads, writes, budgets: vec![budget], ..Projection::default() }
}

/// A plugin of some role, and a batch that it is shown.
struct Case {
    plan: Plan,
    draft: Draft,
    batch: Batch,
}

impl Case {
    fn new(role: Role, body: &[u8]) -> Self {
        let plan = Plan::compile(&everything(), role).expect("a projection of ours");
        let body = Bytes::copy_from_slice(body);
        let draft = Draft::of(&body, plan.wants()).expect("a request of ours");
        let (mut rows, mut batch) = (Vec::new(), Batch::new(7));
        draft.select(&plan, &mut rows);
        batch.project(&draft, &plan, &rows, &Around::NOTHING);
        Self { plan, draft, batch }
    }

    /// An answer is applied or refused as a whole; what comes of it is a request.
    fn answer(&self, bytes: &[u8]) {
        let edits = Edits::decode(bytes, &self.draft, &self.plan, &self.batch, &BOUNDS);
        let mut draft = self.draft.clone();
        if let Ok(edits) = edits {
            let outcome = draft.apply(&self.plan, &self.batch, &edits);
            assert_eq!(outcome.kept + outcome.dropped, self.batch.rows() as u64);
        }
        finish(draft);
    }

    fn view(&self) -> View<'_> {
        View::parse(self.batch.bytes()).expect("a batch of ours")
    }
}

/// Ends a draft, and looks through what has become of it.
fn finish(draft: Draft) {
    let spans = draft.spans();
    let finished = draft.finish(Vec::with_capacity);
    if let Written::New(body) = finished.body {
        let checked = check(&body).expect("our own bytes");
        assert_eq!((checked.spans as usize, checked.refused.len()), (spans, 0));
        assert!(finished.checked.heap_bytes >= checked.heap_bytes);
    }
}

/// Cases by role; the seed's request has spans, events, links and values of all types.
pub(crate) struct Cases {
    processor: Case,
    samplers: [Case; 3],
    plan: Plan,
}

impl Cases {
    pub(crate) fn of(body: &[u8]) -> Self {
        let roles = [
            Role::HeadSampler,
            Role::TailSampler(Level::Summary),
            Role::TailSampler(Level::ProjectedSpans),
        ];
        Self {
            processor: Case::new(Role::SpanProcessor, body),
            samplers: roles.map(|role| Case::new(role, body)),
            plan: Plan::compile(&everything(), Role::SpanProcessor).expect("a projection of ours"),
        }
    }

    /// Edits as the SDK writes them: one of each kind.
    pub(crate) fn edits(&self) -> Vec<Vec<u8>> {
        let view = self.processor.view();
        let of = |edit: &dyn Fn(&mut Answer)| {
            let mut answer = Answer::edits(&view);
            edit(&mut answer);
            answer.encode()
        };
        let counter = host::metrics::counter("fuzz", "");
        let pairs = view.pairs(0).expect("they are read");
        vec![
            of(&|answer| answer.drop_span(0, "why")),
            of(&|answer| answer.rename(Whose::Span, "s", "t", Clash::Replace)),
            of(&|answer| answer.rename(Whose::Resource, "a", "b", Clash::Keep)),
            of(&|answer| answer.delete_key(Whose::Span, "d")),
            of(&|answer| {
                let values = answer.set_pairs(&pairs);
                values.remove(0);
                values.put(1, "text");
                values.put(2, 7_i64);
            }),
            of(&|answer| answer.set(5, Whose::Span).put(0, "s")),
            of(&|answer| answer.set(5, Whose::Resource).put(0, 1.5)),
            of(&|answer| answer.set(7, Whose::Span).put(0, "name")),
            of(&|answer| answer.set(8, Whose::Span).put(0, 3_i64)),
            of(&|answer| answer.add(0, 0, "new", true)),
            of(&|answer| answer.count(counter, 3)),
        ]
    }

    /// Decisions as the SDK writes them, behind a byte that says whose they are.
    pub(crate) fn decisions(&self) -> Vec<Vec<u8>> {
        let of = |(role, case): (u8, &Case)| {
            let view = case.view();
            let new = if role == 0 { Answer::of_rows } else { Answer::of_traces };
            [Verdict::Keep, Verdict::Drop, Verdict::Probability(0.5)].map(|verdict| {
                let mut answer = new(&view);
                answer.decide(0, verdict, "why");
                [vec![role], answer.encode()].concat()
            })
        };
        (0..).zip(&self.samplers).flat_map(of).collect()
    }

    pub(crate) fn batches(&self) -> Vec<Vec<u8>> {
        let cases = std::iter::once(&self.processor).chain(&self.samplers);
        cases.map(|case| case.batch.bytes().to_vec()).collect()
    }

    pub(crate) fn plugin_edits(&self, bytes: &[u8]) {
        self.processor.answer(bytes);
    }

    pub(crate) fn plugin_decisions(&self, bytes: &[u8]) {
        let Some((role, bytes)) = bytes.split_first() else { return };
        self.samplers[usize::from(*role) % self.samplers.len()].answer(bytes);
    }

    /// The look that notes where things stand says what the one says that does not; a plugin is shown what is there, and
    /// edits of everything leave a request.
    pub(crate) fn otlp_outline(&self, bytes: &[u8]) {
        for wants in [Wants::default(), Wants::ALL] {
            let outlined = outline_with(bytes, &Rules::NONE, &mut Open, wants);
            assert_eq!(outlined.map(|(checked, _)| checked), check(bytes));
        }
        let body = Bytes::copy_from_slice(bytes);
        let Some(mut draft) = Draft::of(&body, self.plan.wants()) else { return };
        let (mut rows, mut batch) = (Vec::new(), Batch::new(7));
        draft.select(&self.plan, &mut rows);
        batch.project(&draft, &self.plan, &rows, &Around::NOTHING);
        let view = View::parse(batch.bytes()).expect("a batch of ours");
        let answer = edited(&view).encode();
        match Edits::decode(&answer, &draft, &self.plan, &batch, &BOUNDS) {
            Ok(edits) => drop(draft.apply(&self.plan, &batch, &edits)),
            // Keys that are empty or too long may be read, but not written.
            Err(fault) => assert!(fault.message.contains("limit is"), "{fault}"),
        }
        finish(draft);
    }
}

/// Some of everything, of whatever is there.
fn edited(view: &View<'_>) -> Answer {
    let mut answer = Answer::edits(view);
    for (place, owner) in (0..).zip(Whose::ALL) {
        let Ok(pairs) = view.pairs(place) else { continue };
        for pair in (0..pairs.len()).step_by(3) {
            answer.set_pairs(&pairs).put(pair, "changed");
        }
        for pair in (1..pairs.len()).step_by(3) {
            answer.set_pairs(&pairs).remove(pair);
        }
        answer.rename(owner, "s", "service.name", Clash::Replace);
        (0..pairs.owners())
            .for_each(|of| answer.add(place, of.try_into().unwrap_or(0), "k", 7_i64));
    }
    for row in 0..view.rows() {
        match row % 3 {
            0 => answer.drop_span(row, ""),
            1 => answer.set(7, Whose::Span).put(row, "another name"),
            _ => answer.set(9, Whose::Span).put(row, 2_i64),
        }
    }
    answer
}

/// The reader of the SDK takes or refuses whatever it is given, and what it took can be read.
pub(crate) fn plugin_batch(bytes: &[u8]) {
    let Ok(view) = View::parse(bytes) else { return };
    for place in 0..64 {
        if let Ok(column) = view.column(place) {
            black_box((column.iter().count(), column.values().count()));
        }
        if let Ok(pairs) = view.pairs(place) {
            let all = (0..pairs.owners()).flat_map(|owner| pairs.of(owner));
            black_box(all.filter_map(|pair| pairs.get(pair)).count());
        }
        if let Ok(budget) = view.budget(place) {
            let keys = (0..view.rows().min(1_000)).filter_map(|row| budget.of(row));
            black_box(keys.map(|key| budget.left(key)).max());
        }
    }
    if let Ok(traces) = view.traces() {
        black_box((0..traces.len()).map(|trace| traces.rows(trace).len()).max());
        black_box(traces.root_names.values().count());
    }
    drop(view.group_by_trace());
    for texts in [view.names(), view.trace_states(), view.status_messages(), view.event_names()] {
        let Ok(texts) = texts else { continue };
        black_box((0..texts.len().min(10_000)).filter_map(|n| texts.get(n)).count());
    }
    drop(edited_if_small(&view));
}

/// An answer takes as much memory as the header says that there is; the host says how much that is, here chance does.
fn edited_if_small(view: &View<'_>) -> Option<Vec<u8>> {
    let counts = view.counts();
    let all = [counts.rows, counts.resources, counts.scopes, counts.events];
    all.iter().all(|count| *count < 10_000).then(|| edited(view).encode())
}
