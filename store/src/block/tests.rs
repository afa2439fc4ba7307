//! Blocks as a whole: what goes in comes out, and what is damaged is told.

mod damage;
mod few;

use std::sync::Arc;

use model::batch::{Batch, Indexed, Limits};
use model::otlp::Traces;
use model::{Nanos, TenantId, TraceId};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::prelude::*;
use prost::Message;

use super::cache::Cache;
use super::order::{Ordered, Orderer};
use super::reader::{Reader, Wanted};
use super::section::{Header, Level, Sort};
use super::writer::promote::Candidates;
use super::writer::{Options, Sink, Writer, Written, cut};
use crate::disk::File;
use crate::error::Error;

/// A file in memory.
#[derive(Clone, Debug)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl File for Bytes {
    fn len(&self) -> std::io::Result<u64> {
        Ok(self.0.len() as u64)
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.0.get(at..)).unwrap_or_default();
        let len = buffer.len().min(rest.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }
}

impl Sink for Vec<u8> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

fn tenant() -> TenantId {
    TenantId::single()
}

fn header() -> Header {
    Header {
        level: Level::L1,
        sort: Sort::Normal,
        tenant: Some(tenant().as_str().to_owned()),
        writer: 7,
        number: 1,
        created_at: 5,
        sequence: 1,
        consumed: vec![(7, 3)],
        replaced: Vec::new(),
        compactions: 0,
        rows: 0,
        traces: 0,
        starts: (0, 0),
        received: (1, 2),
        oversized: false,
    }
}

const NOW: u64 = 1_700_000_000_000_000_000;

/// A batch of these requests.
fn batch(requests: &[ExportTraceServiceRequest]) -> Batch {
    let mut batch = Batch::new(Limits { keys_per_tenant_max: 30, ..Limits::default() }, 3);
    for request in requests {
        batch.append(&tenant(), Nanos(NOW), &request.encode_to_vec(), &[]).unwrap();
    }
    batch
}

/// Writes all of a batch.
fn write(batch: &Batch, group_rows: u32, page_rows: u32) -> (Vec<u8>, Written) {
    let mut ordered = Ordered::default();
    let visible = u32::try_from(batch.len()).unwrap();
    super::order::tenants(&mut Orderer::default(), batch, visible, &mut ordered);
    let mut candidates = Candidates::default();
    candidates.add_batch(batch);
    let options = Options { page_rows, ..Options::L1 };
    let mut writer = Writer::new(Vec::new(), header(), candidates.choose(), options).unwrap();
    for group in cut(&ordered.traces, group_rows) {
        writer.row_group(&[batch], &ordered, group).unwrap();
    }
    writer.finish().unwrap()
}

fn open(bytes: &[u8]) -> Result<Reader, Error> {
    let cache = Arc::new(Cache::new(1 << 20));
    Reader::open_file(Arc::new(Bytes(bytes.to_vec())), "the block".to_owned(), cache)
}

/// All spans by (trace, span, kind), each with its resource and scope, as OTLP.
fn spans(batches: &[Batch]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for batch in batches {
        for row in 0..u32::try_from(batch.len()).unwrap() {
            let mut traces = Traces::new();
            traces.push(batch, row);
            all.push(traces.encode());
        }
    }
    all.sort();
    all
}

fn id(bytes: &[u8], at: u8) -> Vec<u8> {
    let mut id = bytes.to_vec();
    if let Some(last) = id.last_mut() {
        *last = at;
    }
    id
}

fn any_value() -> impl Strategy<Value = Option<AnyValue>> {
    let leaf = prop_oneof![
        "[a-z]{0,12}".prop_map(Value::StringValue),
        any::<bool>().prop_map(Value::BoolValue),
        any::<i64>().prop_map(Value::IntValue),
        (0i64..5).prop_map(Value::IntValue),
        any::<f64>().prop_map(Value::DoubleValue),
        prop::collection::vec(any::<u8>(), 0..8).prop_map(Value::BytesValue),
    ];
    let value = |value| AnyValue { value: Some(value) };
    let nested = prop_oneof![
        prop::collection::vec(leaf.clone().prop_map(value), 0..3)
            .prop_map(|values| Value::ArrayValue(ArrayValue { values })),
        prop::collection::vec(("[a-z]{1,3}", leaf.clone().prop_map(value)), 0..3).prop_map(
            |list| {
                let values = list.into_iter().map(|(key, value)| KeyValue {
                    key,
                    value: Some(value),
                    key_strindex: 0,
                });
                Value::KvlistValue(KeyValueList { values: values.collect() })
            }
        ),
    ];
    prop_oneof![
        6 => leaf.prop_map(move |v| Some(value(v))),
        1 => nested.prop_map(move |v| Some(value(v))),
        1 => Just(None),
        1 => Just(Some(AnyValue { value: None })),
    ]
}

fn attributes(most: usize) -> impl Strategy<Value = Vec<KeyValue>> {
    // Few keys, so that they repeat in a row and have several types; more than are columns.
    let key = prop_oneof![
        4 => "[a-f]",
        2 => Just("http.route".to_owned()),
        2 => Just("exception.type".to_owned()),
        1 => "k[0-9]{2}",
        1 => Just(String::new()),
    ];
    let attribute =
        (key, any_value()).prop_map(|(key, value)| KeyValue { key, value, key_strindex: 0 });
    prop::collection::vec(attribute, 0..most)
}

prop_compose! {
    fn event()(time in 0u64..1_000, name in "[a-z]{0,4}", attributes in attributes(4), dropped in 0u32..3)
        -> Event {
        Event { time_unix_nano: NOW + time, name, attributes, dropped_attributes_count: dropped }
    }
}

prop_compose! {
    fn link()(trace in any::<[u8; 16]>(), span in any::<[u8; 8]>(), empty: bool, state in "[a-c]?",
        attributes in attributes(3), dropped in 0u32..2, flags in 0u32..2) -> Link {
        Link {
            trace_id: if empty { Vec::new() } else { trace.to_vec() },
            span_id: span.to_vec(), trace_state: state, attributes,
            dropped_attributes_count: dropped, flags,
        }
    }
}

prop_compose! {
    fn span()(
        ids in (0u8..4, 1u8..20, 0u8..20, 0i32..8),
        times in (0u64..5_000_000_000, any::<u32>(), prop::option::weighted(0.1, any::<u64>())),
        texts in ("[a-c]{0,2}", "[x-z]?", "[m-n]?"),
        attributes in attributes(7),
        events in prop::collection::vec(event(), 0..3),
        links in prop::collection::vec(link(), 0..2),
        numbers in (0u32..2, 0u32..2, 0u32..2, 0u32..600, 0i32..4),
    ) -> Span {
        let (trace, span, parent, kind) = ids;
        let (start, length, odd) = times;
        let (name, message, trace_state) = texts;
        Span {
            trace_id: id(&[1; 16], trace), span_id: id(&[2; 8], span),
            parent_span_id: if parent == 0 { Vec::new() } else { id(&[2; 8], parent) },
            trace_state, name, kind, attributes, events, links,
            start_time_unix_nano: odd.unwrap_or(NOW - start),
            end_time_unix_nano: NOW - start + u64::from(length),
            dropped_attributes_count: numbers.0, dropped_events_count: numbers.1,
            dropped_links_count: numbers.2, flags: numbers.3,
            status: Some(Status { message, code: numbers.4 }),
        }
    }
}

prop_compose! {
    fn request()(groups in prop::collection::vec(
        (attributes(4), "[s-u]?", prop::collection::vec(span(), 0..12)), 1..4)
    ) -> ExportTraceServiceRequest {
        let group = |(attributes, scope, spans)| ResourceSpans {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope { name: scope, ..InstrumentationScope::default() }),
                spans,
                schema_url: String::new(),
            }],
            schema_url: String::new(),
        };
        ExportTraceServiceRequest { resource_spans: groups.into_iter().map(group).collect() }
    }
}

/// The rows that a block keeps of a batch: of equal identities the first.
fn first_of_each(batch: &Batch) -> Vec<Vec<u8>> {
    let mut seen = std::collections::HashSet::new();
    let mut all = Vec::new();
    for row in 0..u32::try_from(batch.len()).unwrap() {
        if seen.insert((batch.trace_id(row), batch.span_id(row), batch.kind(row))) {
            let mut traces = Traces::new();
            traces.push(batch, row);
            all.push(traces.encode());
        }
    }
    all.sort();
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(requests in prop::collection::vec(request(), 1..4),
        group_rows in 1u32..40, page_rows in 1u32..30) {
        let source = batch(&requests);
        let (bytes, written) = write(&source, group_rows, page_rows);
        let reader = open(&bytes).unwrap();
        let expected = first_of_each(&source);
        prop_assert_eq!(written.header.rows, expected.len() as u64);
        let mut batches = Vec::new();
        for group in 0..reader.row_groups() {
            let rows = reader.rows_of(group);
            let all = 0..rows.end - rows.start;
            batches.push(reader.read(group, all, Wanted::All, &tenant(), Indexed::Yes).unwrap());
        }
        prop_assert_eq!(&spans(&batches), &expected);
        // And trace by trace, through the index.
        for trace in 0..4u8 {
            let id = TraceId::from_wire(&id(&[1; 16], trace)).unwrap();
            let mut found = Vec::new();
            for (group, rows) in reader.find(id).unwrap() {
                found.push(reader.read(group, rows, Wanted::All, &tenant(), Indexed::No).unwrap());
            }
            let rows = found.iter().map(Batch::len).sum::<usize>();
            let expected = batches.iter().map(|batch| batch.trace_rows(&tenant(), id).count()).sum::<usize>();
            prop_assert_eq!(rows, expected);
            for batch in &found {
                prop_assert!((0..batch.len()).all(|row| batch.trace_id(u32::try_from(row).unwrap()) == id));
            }
        }
        if batches.is_empty() {
            return Ok(());
        }
        // What was read once is written the same again.
        let again: Vec<&Batch> = batches.iter().collect();
        let mut ordered = Ordered::default();
        let mut orderer = Orderer::default();
        let mut places: std::collections::BTreeMap<TraceId, Vec<super::order::Place>> = Default::default();
        for (source, batch) in again.iter().enumerate() {
            for row in 0..u32::try_from(batch.len()).unwrap() {
                let place = super::order::Place { source: u32::try_from(source).unwrap(), row };
                places.entry(batch.trace_id(row)).or_default().push(place);
            }
        }
        for places in places.values() {
            orderer.trace(&again, places, &mut ordered);
        }
        prop_assert_eq!((ordered.duplicates, ordered.conflicts), (0, 0));
        let mut candidates = Candidates::default();
        again.iter().for_each(|batch| candidates.add_batch(batch));
        let mut writer = Writer::new(Vec::new(), header(), candidates.choose(), Options::L1).unwrap();
        writer.row_group(&again, &ordered, 0..ordered.traces.len()).unwrap();
        let (bytes, _) = writer.finish().unwrap();
        let merged = open(&bytes).unwrap();
        let rows = merged.rows_of(0);
        let merged = merged.read(0, 0..rows.end, Wanted::All, &tenant(), Indexed::No).unwrap();
        prop_assert_eq!(spans(&[merged]), expected);
    }
}
