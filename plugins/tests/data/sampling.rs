//! Samplers: what traces are said to be, who stays by which verdict, and what tracestates say of it then.

use model::TraceId;
use model::otlp::check;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use plugins::{
    Around, Batch, Budget, Draft, Edits, Kept, Late, Level, Outcome, Owner, Plan, Projection,
    Reason, Role,
};
use proptest::prelude::*;
use prost::Message;
use traceweir_plugin::codes::{NONE, batch as kind, domain, verdict};

use super::answers::{self, Answer, buffer};
use super::chance::Chance;
use super::edits::{AROUND, BOUNDS, counts, draft, finish};
use super::plain::{self, Path, Plain, View};
use super::projections::projection;
use super::reader::{Column, Entries, Seen, read};
use super::requests::{self, normalized};
use super::views;

/// Every second trace was decided before.
struct Odd;

impl Late for Odd {
    fn is_late(&self, trace: TraceId) -> bool {
        trace.as_bytes()[15] % 2 == 1
    }
}

const HOST: Around<'_> = Around { late: &Odd, ..AROUND };

/// Requests of few traces, whose spans know each other, and whose tracestates say something.
fn request(chance: &mut Chance) -> ExportTraceServiceRequest {
    let mut request = requests::request(chance);
    let trace = |chance: &mut Chance| {
        let mut id = [chance.next().to_be_bytes(), chance.next().to_be_bytes()].concat();
        id[0] |= 1;
        id
    };
    let traces: Vec<Vec<u8>> = (0..4).map(|_| trace(chance)).collect();
    let scopes = request.resource_spans.iter_mut().flat_map(|of| &mut of.scope_spans);
    for span in scopes.flat_map(|of| &mut of.spans).filter(|span| span.trace_id[0] != 0) {
        span.trace_id.clone_from(chance.pick(&traces));
        let id = |chance: &mut Chance| (chance.below(5) as u64 + 1).to_be_bytes().to_vec();
        span.span_id = id(chance);
        span.parent_span_id = match chance.below(4) {
            0 => Vec::new(),
            1 => vec![0; 8],
            _ => id(chance),
        };
        span.trace_state = state(chance);
    }
    request
}

fn state(chance: &mut Chance) -> String {
    let hex = |chance: &mut Chance| {
        let digits = format!("{:014x}", chance.next() >> 8);
        digits.get(..=chance.below(14)).unwrap().to_owned()
    };
    match chance.below(8) {
        0 | 1 => String::new(),
        2 => "k=v,a=b".to_owned(),
        3 => format!("ot=th:{}", hex(chance)),
        4 => format!("ot=rv:{:014x}", chance.next() >> 8),
        5 => format!("a=1 , ot=x:1;th:{};rv:{:014x} ,,b=2", hex(chance), chance.next() >> 8),
        6 => format!("ot=th:zz;rv:{}", hex(chance)),
        _ => format!("k={}", "v".repeat(chance.below(20))),
    }
}

/// The numbers that a tracestate has for `rv` and `th`.
fn said(state: &str) -> (Option<u64>, Option<u64>) {
    let mut entries = state.split(',').map(str::trim);
    let ot = entries.find_map(|entry| entry.strip_prefix("ot=")).unwrap_or_default();
    let last = |key: &str| ot.split(';').filter_map(|member| member.strip_prefix(key)).next_back();
    let rv = last("rv:").filter(|digits| digits.len() == 14);
    let th = last("th:").filter(|digits| (1..=14).contains(&digits.len()));
    let number = |digits: &str| u64::from_str_radix(&format!("{digits:0<14}"), 16).ok();
    (rv.and_then(number), th.and_then(number))
}

/// What is rejected of 2^56 traces.
fn threshold(probability: f64) -> Option<u64> {
    let all = 1u64 << 56;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "2^56 at most"
    )]
    let kept = (probability * all as f64).round() as u64;
    (probability > 0.0).then(|| all - kept.clamp(1, all))
}

/// The tracestate of a span that has passed a threshold.
fn marked(state: &str, threshold: u64, randomness: u64) -> String {
    if threshold == 0 && said(state).1.is_none() {
        return state.to_owned();
    }
    let before = said(state).1.filter(|before| *before <= randomness).unwrap_or_default();
    let digits = format!("{:014x}", threshold.max(before));
    let digits = digits.trim_end_matches('0');
    let mut ot = format!("ot=th:{}", if digits.is_empty() { "0" } else { digits });
    let mut others = String::new();
    let mut is_first = true;
    for entry in state.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        match entry.strip_prefix("ot=") {
            None => others.extend([",", entry]),
            Some(members) if is_first => {
                is_first = false;
                for member in members.split(';').filter(|member| member.contains(':')) {
                    if !member.starts_with("th:") {
                        ot.extend([";", member]);
                    }
                }
            }
            Some(_) => {}
        }
    }
    ot + &others
}

fn randomness(spans: &[&Span]) -> u64 {
    let said = spans.iter().filter_map(|span| said(&span.trace_state).0).min();
    let id = &spans[0].trace_id;
    said.unwrap_or_else(|| u64::from_be_bytes(id[8..].try_into().unwrap()) & ((1 << 56) - 1))
}

fn verdict(chance: &mut Chance) -> (u8, f64) {
    let part = f64::from(u32::try_from(chance.below(1000)).unwrap()) / 1000.0;
    let probability = *chance.pick(&[0.0, f64::MIN_POSITIVE, 0.1, 0.5, 0.75, 1.0, part]);
    match chance.below(4) {
        0 => (verdict::DROP, 0.0),
        1 => (verdict::KEEP, 0.0),
        _ => (verdict::PROBABILITY, probability),
    }
}

/// The rows of each trace, in the order of their first rows.
fn traces(plain: &Plain, rows: &[Path]) -> Vec<Vec<Path>> {
    let mut traces: Vec<Vec<Path>> = Vec::new();
    for row in rows {
        let id = &plain.span(*row).trace_id;
        match traces.iter_mut().find(|of| plain.span(of[0]).trace_id == *id) {
            Some(known) => known.push(*row),
            None => traces.push(vec![*row]),
        }
    }
    traces
}

fn is_root(span: &Span) -> bool {
    span.parent_span_id.iter().all(|byte| *byte == 0)
}

fn service(plain: &Plain, path: Path) -> Option<String> {
    let resource = plain.request.resource_spans[path.0].resource.as_ref()?;
    let pair = resource.attributes.iter().find(|pair| pair.key == "service.name")?;
    match pair.value.as_ref()?.value.as_ref()? {
        Value::StringValue(name) => Some(name.clone()),
        _ => None,
    }
}

/// The row that a trace goes by.
fn root(plain: &Plain, rows: &[Path]) -> Path {
    let roots = rows.iter().filter(|row| is_root(plain.span(**row)));
    *roots.min_by_key(|row| plain.span(**row).start_time_unix_nano).unwrap_or(&rows[0])
}

/// What the table of traces should say.
fn table(seen: &mut Seen, plain: &Plain, traces: &[Vec<Path>], level: Level) {
    let mut put = |kind, entries| {
        seen.columns.insert((kind, 0), Column { domain: domain::TRACES, entries });
    };
    let numbers = |number: &dyn Fn(&[Path]) -> u64| {
        Entries::Numbers(traces.iter().map(|rows| number(rows)).collect())
    };
    let span = |row: &Path| plain.span(*row);
    let start =
        |rows: &[Path]| rows.iter().map(|row| span(row).start_time_unix_nano).min().unwrap();
    let end = |rows: &[Path]| rows.iter().map(|row| span(row).end_time_unix_nano).max().unwrap();
    let mut total = 0;
    let ends = traces.iter().map(|rows| {
        total += rows.len() as u64;
        if level == Level::Summary { 0 } else { total }
    });
    put(kind::TRACE_END_ROW, Entries::Numbers(ends.collect()));
    let ids = traces.iter().map(|rows| span(&rows[0]).trace_id.clone());
    put(kind::TRACE, Entries::Ids(ids.collect()));
    put(kind::TRACE_START, numbers(&start));
    put(kind::TRACE_DURATION, numbers(&|rows| end(rows).saturating_sub(start(rows))));
    put(kind::TRACE_SPANS, numbers(&|rows| rows.len() as u64));
    let is_error = |row: &&Path| span(row).status.as_ref().is_some_and(|of| of.code == 2);
    put(kind::TRACE_ERRORS, numbers(&|rows| rows.iter().filter(is_error).count() as u64));
    let services = |rows: &[Path]| {
        let mut of: Vec<String> = rows.iter().filter_map(|row| service(plain, *row)).collect();
        of.sort();
        of.dedup();
        of.len() as u64
    };
    put(kind::TRACE_SERVICES, numbers(&services));
    let of_root = |text: &dyn Fn(Path) -> String| {
        let text = |rows: &Vec<Path>| {
            let root = root(plain, rows);
            if is_root(plain.span(root)) { text(root) } else { String::new() }
        };
        Entries::Texts(traces.iter().map(text).collect())
    };
    put(kind::TRACE_ROOT_NAME, of_root(&|root| plain.span(root).name.clone()));
    put(kind::TRACE_ROOT_SERVICE, of_root(&|root| service(plain, root).unwrap_or_default()));
    let bits = |rows: &[Path]| {
        let is_there = |id: &Vec<u8>| rows.iter().any(|row| span(row).span_id == *id);
        let complete =
            rows.iter().all(|row| is_root(span(row)) || is_there(&span(row).parent_span_id));
        u64::from(complete) | u64::from(span(&rows[0]).trace_id[15] % 2) << 1
    };
    put(kind::TRACE_STATE_BITS, numbers(&bits));
}

/// A trace counts for what its root counts for; the keys are those of all rows.
fn budget(
    seen: &mut Seen,
    plain: &Plain,
    (view, traces): (&View, &[Vec<Path>]),
    (place, of): (usize, &Budget),
) {
    let counted = plain::counted(plain, view, of);
    let mut keys: Vec<String> = Vec::new();
    for key in counted.iter().flatten() {
        if !keys.contains(key) {
            keys.push(key.clone());
        }
    }
    if of.per.is_none() && keys.is_empty() {
        keys.push(String::new());
    }
    let index = traces.iter().map(|rows| {
        let root = root(plain, rows);
        let row = view.rows.iter().position(|row| *row == root).unwrap();
        let key = counted[row].as_ref();
        let place = key.map(|key| keys.iter().position(|known| known == key).unwrap());
        place.map_or_else(|| NONE.into(), |place| place as u64)
    });
    let index = index.collect();
    let (limits, used) = keys.iter().map(|key| plain::budget_of(place, key)).unzip();
    let argument = u32::try_from(place).unwrap();
    let mut put = |kind, domain, entries| {
        seen.columns.insert((kind, argument), Column { domain, entries });
    };
    put(kind::BUDGET_KEY, domain::BUDGETS, Entries::Texts(keys));
    put(kind::BUDGET_LIMIT, domain::BUDGETS, Entries::Numbers(limits));
    put(kind::BUDGET_USED, domain::BUDGETS, Entries::Numbers(used));
    put(kind::BUDGET_INDEX, domain::TRACES, Entries::Numbers(index));
}

/// What a tail sampler should be shown.
fn seen(
    plain: &Plain,
    view: &View,
    (projection, traces): (&Projection, &[Vec<Path>]),
    level: Level,
) -> Seen {
    let without = Projection { budgets: Vec::new(), ..projection.clone() };
    let mut seen = match level {
        Level::Summary => Seen::default(),
        Level::ProjectedSpans => plain::seen(plain, view, &without, "10.0.0.7"),
    };
    seen.counts[4] = u32::try_from(traces.len()).unwrap();
    for of in projection.budgets.iter().enumerate() {
        budget(&mut seen, plain, (view, traces), of);
    }
    table(&mut seen, plain, traces, level);
    seen
}

/// What a sampler says: a verdict for each unit (a row, or the rows of a trace), and reasons.
fn sampled(chance: &mut Chance, plain: &Plain, units: &[Vec<Path>]) -> Answer {
    let mut by_trace: Vec<(Vec<u8>, (u8, f64))> = Vec::new();
    let mut verdicts = Vec::new();
    for rows in units {
        let id = &plain.span(rows[0]).trace_id;
        let known = by_trace.iter().find(|(known, _)| known == id).map(|(_, verdict)| *verdict);
        let verdict = known.unwrap_or_else(|| verdict(chance));
        by_trace.push((id.clone(), verdict));
        verdicts.push(verdict);
    }
    let reason = |chance: &mut Chance| chance.one_in(2).then(|| requests::text(chance));
    let reasons = chance.one_in(2).then(|| units.iter().map(|_| reason(chance)).collect());
    Answer { verdicts: Some(verdicts), reasons, ..Answer::default() }
}

/// Which units stay, and which of them with a threshold.
type Decided = Vec<Option<Option<(u64, u64)>>>;

fn decide(plain: &Plain, units: &[Vec<Path>], answer: &Answer) -> Decided {
    let verdicts = answer.verdicts.as_ref().unwrap();
    let of = |(rows, (verdict, probability)): (&Vec<Path>, &(u8, f64))| match *verdict {
        verdict::DROP => None,
        verdict::KEEP => Some(None),
        _ => {
            let spans: Vec<&Span> = rows.iter().map(|row| plain.span(*row)).collect();
            let randomness = randomness(&spans);
            let threshold = threshold(*probability)?;
            (randomness >= threshold).then_some(Some((threshold, randomness)))
        }
    };
    units.iter().zip(verdicts).map(of).collect()
}

/// What should be told of reasons.
fn reasons(units: &[Vec<Path>], decided: &Decided, answer: &Answer) -> Vec<Reason> {
    let mut told: Vec<Reason> = Vec::new();
    let none = vec![None; units.len()];
    let all = answer.reasons.as_ref().unwrap_or(&none);
    for ((rows, decided), text) in units.iter().zip(decided).zip(all) {
        let text = text.clone().unwrap_or_default();
        let text = text.get(..text.floor_char_boundary(128)).unwrap();
        if text.is_empty() {
            continue;
        }
        let place = told.iter().position(|reason| reason.text == text).unwrap_or_else(|| {
            told.push(Reason { text: text.to_owned(), ..Reason::default() });
            told.len() - 1
        });
        let rows = rows.len() as u64;
        match decided {
            Some(_) => told[place].kept += rows,
            None => told[place].dropped += rows,
        }
    }
    told
}

/// What should be told of budgets.
fn kept(seen: &Seen, units: &[Vec<Path>], decided: &Decided, budgets: usize) -> Vec<Kept> {
    let mut all = Vec::new();
    for budget in 0..budgets {
        let argument = u32::try_from(budget).unwrap();
        let entries = |kind| &seen.columns[&(kind, argument)].entries;
        let (Entries::Texts(keys), Entries::Numbers(index)) =
            (entries(kind::BUDGET_KEY), entries(kind::BUDGET_INDEX))
        else {
            panic!("a budget has keys and an index")
        };
        for (value, key) in keys.iter().enumerate() {
            let of = units.iter().zip(decided).zip(index);
            let of = of.filter(|((_, decided), at)| decided.is_some() && **at == value as u64);
            let rows = of.map(|((rows, _), _)| rows.len() as u64).sum();
            if rows > 0 {
                all.push(Kept { budget, key: key.clone(), rows });
            }
        }
    }
    all
}

/// One batch through a sampler.
fn batch(
    draft: &mut Draft,
    plain: &mut Plain,
    (projection, plan, role): (&Projection, &Plan, Role),
    rows: &[u32],
    chance: &mut Chance,
) {
    let mut view = plain.view(rows, projection);
    let traces = traces(plain, &view.rows);
    let mut batch = Batch::new(chance.next());
    batch.project(draft, plan, rows, &HOST);
    let mut answer;
    let (seen, units) = match role {
        Role::TailSampler(level) => {
            let number = |path: &Path| plain.spans.iter().position(|of| of == path).unwrap();
            let grouped = traces.iter().flatten().map(|path| u32::try_from(number(path)).unwrap());
            view = plain.view(&grouped.collect::<Vec<u32>>(), projection);
            let seen = seen(plain, &view, (projection, &traces), level);
            let mut by_sdk = match level {
                Level::Summary => {
                    let none = Projection { reads: Vec::new(), ..projection.clone() };
                    views::read(batch.bytes(), &none)
                }
                Level::ProjectedSpans => views::read(batch.bytes(), projection),
            };
            views::read_traces(batch.bytes(), &mut by_sdk);
            assert_eq!(by_sdk, seen);
            answer = sampled(chance, plain, &traces);
            if level == Level::ProjectedSpans {
                answer.sets = answers::answer(chance, plain, &view, projection).sets;
            }
            (seen, traces)
        }
        _ => {
            let seen = plain::seen(plain, &view, projection, "10.0.0.7");
            assert_eq!(views::read(batch.bytes(), projection), seen);
            let rows: Vec<Vec<Path>> = view.rows.iter().map(|row| vec![*row]).collect();
            answer = sampled(chance, plain, &rows);
            let edits = answers::answer(chance, plain, &view, projection);
            (answer.sets, answer.before, answer.counts) = (edits.sets, edits.before, edits.counts);
            (seen, rows)
        }
    };
    assert_eq!(read(batch.bytes()), seen);
    let header = match role {
        Role::TailSampler(_) => seen.counts,
        _ => counts(&view),
    };
    let bytes = buffer(header, &answer.sections(projection, chance));
    let edits = Edits::decode(&bytes, draft, plan, &batch, &BOUNDS).unwrap();
    let outcome = draft.apply(plan, &batch, &edits);
    let decided = decide(plain, &units, &answer);
    compare(&outcome, &seen, (&units, &decided), &answer, projection);
    apply(plain, (&view, projection), (&units, &decided), &mut answer);
}

fn compare(
    outcome: &Outcome,
    seen: &Seen,
    (units, decided): (&[Vec<Path>], &Decided),
    answer: &Answer,
    projection: &Projection,
) {
    let rows = |stays: bool| {
        let of = units.iter().zip(decided).filter(|(_, decided)| decided.is_some() == stays);
        of.map(|(rows, _)| rows.len() as u64).sum::<u64>()
    };
    assert_eq!((outcome.kept, outcome.dropped), (rows(true), rows(false)));
    assert_eq!(outcome.reasons, reasons(units, decided, answer));
    assert_eq!(outcome.counts, answer.counts);
    assert_eq!(outcome.budgets, kept(seen, units, decided, projection.budgets.len()));
}

fn apply(
    plain: &mut Plain,
    (view, projection): (&View, &Projection),
    (units, decided): (&[Vec<Path>], &Decided),
    answer: &mut Answer,
) {
    let decided_of = |row: &Path| {
        let unit = units.iter().position(|rows| rows.contains(row)).unwrap();
        decided[unit]
    };
    answer.keep = Some(view.rows.iter().map(|row| decided_of(row).is_some()).collect());
    plain::apply(plain, view, projection, answer);
    for row in &view.rows {
        if let Some(Some((threshold, randomness))) = decided_of(row) {
            let span = plain.span_mut(*row);
            span.trace_state = marked(&span.trace_state, threshold, randomness);
        }
    }
}

/// A sampler over a request.
fn sampler(seed: u64, role: Role, rows_max: usize) {
    let mut chance = Chance(seed);
    let before = request(&mut chance);
    let body = before.encode_to_vec();
    let checked = check(&body).unwrap();
    let projection = projection(&mut chance);
    let plan = Plan::compile(&projection, role).unwrap();
    let mut draft = draft(body, &[&plan]);
    let mut plain = Plain::new(before.clone());
    let mut selected = Vec::new();
    draft.select(&plan, &mut selected);
    for rows in selected.chunks(rows_max) {
        batch(&mut draft, &mut plain, (&projection, &plan, role), rows, &mut chance);
    }
    let (after, _) = finish(draft, &checked);
    let none = ExportTraceServiceRequest::default();
    let left = |request| normalized(Plain::new(request).finish(&none));
    let after = ExportTraceServiceRequest::decode(&*after).unwrap();
    assert_eq!(left(after), left(plain.finish(&before)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_head_sampler_decides_as_plain_words_do(seed: u64, rows_max in 1usize..12) {
        sampler(seed, Role::HeadSampler, rows_max);
    }

    #[test]
    fn a_tail_sampler_sees_traces_and_decides_about_them(seed: u64, rows_max in 1usize..20) {
        sampler(seed, Role::TailSampler(Level::Summary), rows_max);
        sampler(seed, Role::TailSampler(Level::ProjectedSpans), rows_max);
    }
}

#[test]
fn rows_of_one_trace_have_one_verdict() {
    let span = |trace: u8, id: u8| Span {
        trace_id: vec![trace; 16],
        span_id: vec![id; 8],
        ..Span::default()
    };
    let spans = vec![span(1, 1), span(2, 2), span(1, 3), span(3, 4), span(2, 5)];
    let request = requests::of_spans(spans);
    let plan = Plan::compile(&Projection::default(), Role::HeadSampler).unwrap();
    let draft = draft(request.encode_to_vec(), &[&plan]);
    let mut batch = Batch::new(3);
    batch.project(&draft, &plan, &[0, 1, 2, 3, 4], &HOST);
    let mut chance = Chance(1);
    let mut decode = |verdicts: [(u8, f64); 5]| {
        let before = Owner::ALL.map(|_| vec![Vec::new()]);
        let answer = Answer { verdicts: Some(verdicts.to_vec()), before, ..Answer::default() };
        let sections = answer.sections(&Projection::default(), &mut chance);
        let bytes = buffer([5, 1, 1, 0, 0], &sections);
        Edits::decode(&bytes, &draft, &plan, &batch, &BOUNDS).map(drop).map_err(|of| of.to_string())
    };
    let (drop, keep, half) = ((0, 0.0), (1, 0.0), (2, 0.5));
    assert_eq!(decode([keep, drop, keep, half, drop]), Ok(()));
    let torn = "verdict[0]: entry 2 is of a trace of which another row says otherwise";
    assert_eq!(decode([keep, drop, drop, half, drop]), Err(torn.to_owned()));
    assert_eq!(decode([half, keep, (2, 0.25), half, keep]), Err(torn.to_owned()));
    // What is no probability decides nothing, and is no matter.
    assert_eq!(decode([(1, 0.1), keep, (1, 0.2), keep, keep]), Ok(()));
    for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let not_within = "probability[0]: entry 3 is not within 0 and 1";
        assert_eq!(decode([keep, keep, keep, (2, wrong), keep]), Err(not_within.to_owned()));
    }
    assert_eq!(
        decode([keep, keep, keep, (3, 0.0), keep]),
        Err("verdict[0]: entry 3 is no verdict".to_owned())
    );
}
