//! What the SDK for Rust reads of a batch, as the plain reader tells it.

use plugins::{Attribute, Field, Intrinsic, Owner, Projection};
use traceweir_plugin::codes::{NONE, batch as kind, domain, tag};
use traceweir_plugin::{Batch, Column as Values, Dictionary, Texts, Value};

use super::plain::domain_of;
use super::reader::{Column, Entries, Seen, Shown};

/// Reads a batch by the SDK.
pub(crate) fn read(bytes: &[u8], projection: &Projection) -> Seen {
    let batch = Batch::parse(bytes).unwrap();
    let counts = batch.counts();
    let traceweir_plugin::Counts { rows, resources, scopes, events, traces } = counts;
    let mut seen = Seen { counts: [rows, resources, scopes, events, traces], ..Seen::default() };
    for (place, field) in (0..).zip(&projection.reads) {
        match field {
            Field::Intrinsic(field) => {
                seen.columns.insert((*field as u16, 0), intrinsic(&batch, *field));
            }
            Field::Attribute(of) => {
                let entries = Entries::Values(values(&batch.column(place).unwrap(), of));
                let domain = domain_of(of.owner);
                seen.columns.insert((kind::ATTRIBUTE, place), Column { domain, entries });
            }
            Field::Attributes(of) => pairs(&mut seen, &batch, of, place),
        }
    }
    for place in (0..).take(projection.budgets.len()) {
        budget(&mut seen, &batch, place);
    }
    seen
}

/// The table of traces.
pub(crate) fn read_traces(bytes: &[u8], seen: &mut Seen) {
    let batch = Batch::parse(bytes).unwrap();
    let of = batch.traces().unwrap();
    assert_eq!(of.len(), batch.counts().traces as usize);
    let ids = of.ids.iter().map(|id| id.to_vec()).collect();
    for (kind, entries) in [
        (kind::TRACE_END_ROW, Entries::Numbers(of.ends.iter().map(u64::from).collect())),
        (kind::TRACE, Entries::Ids(ids)),
        (kind::TRACE_START, Entries::Numbers(of.starts.iter().collect())),
        (kind::TRACE_DURATION, Entries::Numbers(of.durations.iter().collect())),
        (kind::TRACE_SPANS, Entries::Numbers(of.spans.iter().map(u64::from).collect())),
        (kind::TRACE_ERRORS, Entries::Numbers(of.errors.iter().map(u64::from).collect())),
        (kind::TRACE_SERVICES, Entries::Numbers(of.services.iter().map(u64::from).collect())),
        (kind::TRACE_ROOT_NAME, texts(of.root_names)),
        (kind::TRACE_ROOT_SERVICE, texts(of.root_services)),
        (kind::TRACE_STATE_BITS, Entries::Numbers(of.states.iter().map(|n| (*n).into()).collect())),
    ] {
        seen.columns.insert((kind, 0), Column { domain: domain::TRACES, entries });
    }
}

fn texts(of: Texts<'_>) -> Entries {
    Entries::Texts((0..of.len()).map(|n| of.get(n).unwrap_or_default().to_owned()).collect())
}

fn shown(value: Value<'_>, complex: bool) -> Shown {
    let blob = |blob: &[u8]| complex.then(|| blob.to_vec());
    match value {
        Value::Absent => Shown::Absent,
        Value::Text(text) => Shown::Text(text.to_owned()),
        Value::Int(int) => Shown::Word(tag::INT, int.cast_unsigned()),
        Value::Double(double) => Shown::Word(tag::DOUBLE, double.to_bits()),
        Value::Bool(bool) => Shown::Word(tag::BOOL, bool.into()),
        Value::Bytes(bytes) => Shown::Blob(tag::BYTES, blob(bytes)),
        Value::Array(bytes) => Shown::Blob(tag::ARRAY, blob(bytes)),
        Value::Map(bytes) => Shown::Blob(tag::MAP, blob(bytes)),
        Value::Empty => Shown::Empty,
    }
}

fn values(column: &Values<'_>, of: &Attribute) -> Vec<Shown> {
    column.iter().map(|value| shown(value, of.complex)).collect()
}

fn pairs(seen: &mut Seen, batch: &Batch<'_>, of: &Attribute, place: u32) {
    let pairs = batch.pairs(place).unwrap();
    let ends = (0..pairs.owners()).map(|owner| pairs.of(owner).end as u64).collect();
    let keys = (0..pairs.len()).map(|pair| pairs.get(pair).unwrap().0.to_owned()).collect();
    for (kind, domain, entries) in [
        (kind::PAIRS_END, domain_of(of.owner), Entries::Numbers(ends)),
        (kind::PAIRS_KEY, domain::PAIRS, Entries::Texts(keys)),
        (kind::PAIRS, domain::PAIRS, Entries::Values(values(&pairs.values(), of))),
    ] {
        seen.columns.insert((kind, place), Column { domain, entries });
    }
    if of.owner == Owner::Link {
        assert_eq!(batch.links(), pairs.owners(), "links are counted by what is read of them");
    }
}

fn budget(seen: &mut Seen, batch: &Batch<'_>, place: u32) {
    let budget = batch.budget(place).unwrap();
    let counted = batch.counts();
    let (domain, rows) = match counted.traces {
        0 => (domain::SPANS, counted.rows),
        traces => (domain::TRACES, traces),
    };
    let index = |row| budget.of(row).map_or_else(|| NONE.into(), |key| key as u64);
    let index = (0..rows as usize).map(index).collect();
    for (kind, domain, entries) in [
        (kind::BUDGET_KEY, domain::BUDGETS, texts(budget.keys())),
        (kind::BUDGET_LIMIT, domain::BUDGETS, Entries::Numbers(budget.limits().iter().collect())),
        (kind::BUDGET_USED, domain::BUDGETS, Entries::Numbers(budget.used().iter().collect())),
        (kind::BUDGET_INDEX, domain, Entries::Numbers(index)),
    ] {
        seen.columns.insert((kind, place), Column { domain, entries });
    }
}

fn intrinsic(batch: &Batch<'_>, field: Intrinsic) -> Column {
    let bytes = |bytes: &[u8]| Entries::Numbers(bytes.iter().map(|n| (*n).into()).collect());
    let ids = |ids: &[[u8; 8]]| Entries::Ids(ids.iter().map(|id| id.to_vec()).collect());
    let entries = match field {
        Intrinsic::TraceId => {
            Entries::Ids(batch.trace_ids().unwrap().iter().map(|id| id.to_vec()).collect())
        }
        Intrinsic::SpanId => ids(batch.span_ids().unwrap()),
        Intrinsic::ParentSpanId => ids(batch.parent_span_ids().unwrap()),
        Intrinsic::TraceState => texts(batch.trace_states().unwrap()),
        Intrinsic::TraceFlags => numbers(batch.trace_flags()),
        Intrinsic::Name => texts(batch.names().unwrap()),
        Intrinsic::Kind => bytes(batch.kinds().unwrap()),
        Intrinsic::StartTime => Entries::Numbers(batch.start_times().unwrap().iter().collect()),
        Intrinsic::Duration => Entries::Numbers(batch.durations().unwrap().iter().collect()),
        Intrinsic::StatusCode => bytes(batch.status_codes().unwrap()),
        Intrinsic::StatusMessage => texts(batch.status_messages().unwrap()),
        Intrinsic::ScopeName => texts(batch.scope_names().unwrap()),
        Intrinsic::ScopeVersion => texts(batch.scope_versions().unwrap()),
        Intrinsic::EventName => texts(batch.event_names().unwrap()),
        Intrinsic::EventTime => Entries::Numbers(batch.event_times().unwrap().iter().collect()),
        Intrinsic::EventCount => numbers(batch.event_counts()),
        Intrinsic::LinkCount => numbers(batch.link_counts()),
        Intrinsic::ResourceIndex => numbers(batch.resource_indices()),
        Intrinsic::ScopeIndex => numbers(batch.scope_indices()),
        Intrinsic::EventSpan => numbers(batch.event_spans()),
        Intrinsic::SpanAttributeKeys => {
            let keys = batch.span_attribute_keys().unwrap();
            Entries::Texts(Dictionary::values(keys).map(str::to_owned).collect())
        }
        Intrinsic::PeerAddress => texts(batch.peer_addresses().unwrap()),
    };
    let domain = match field {
        Intrinsic::ScopeName | Intrinsic::ScopeVersion => domain::SCOPES,
        Intrinsic::EventName | Intrinsic::EventTime | Intrinsic::EventSpan => domain::EVENTS,
        Intrinsic::SpanAttributeKeys => domain::NONE,
        Intrinsic::PeerAddress => domain::RESOURCES,
        _ => domain::SPANS,
    };
    Column { domain, entries }
}

fn numbers<E: std::fmt::Debug>(of: Result<traceweir_plugin::Numbers<'_, u32>, E>) -> Entries {
    Entries::Numbers(of.unwrap().iter().map(u64::from).collect())
}
