//! Spans in words of a test, and views of them: head, L0 files and blocks in memory.

mod memory;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::batch::{Batch, Limits};
use model::{Clock, Nanos, TenantId, TraceId};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Otlp;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::prelude::*;
use prost::Message as _;

use crate::backend::Backend;
use crate::block::cache::Cache;
use crate::block::order::{self, Ordered, Orderer};
use crate::block::section::{Header, Level, Sort};
use crate::block::tests::Bytes;
use crate::block::writer::promote::Candidates;
use crate::block::writer::{Options, Writer, cut};
use crate::execute::Parts;
use crate::execute::answers::Answers;
use crate::head::{Config, Head};
use crate::l0::L0;
use crate::manifest::{BlockId, BlockMeta, Redaction, State};
use crate::shelf::catalog::build;
use crate::shelf::places::Places;
use crate::shelf::{Block, Hidden, Owner, Part, Readers, View};
pub(super) use memory::Memory;

pub(super) const SECOND: u64 = 1_000_000_000;
/// Whose spans they are, where nobody else has any: [`TenantId::single`].
pub(super) const ALONE: &str = "default";
/// When everything is received.
pub(super) const NOW: u64 = 100_000 * SECOND;

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Attr {
    Text(&'static str),
    Int(i64),
    Float(f64),
    Bool(bool),
    Array(Vec<Self>),
    Map,
}

pub(super) type Attrs = Vec<(&'static str, Attr)>;

/// A span.
#[derive(Clone, Debug)]
pub(super) struct S {
    pub(super) tenant: &'static str,
    pub(super) trace: u8,
    pub(super) id: u8,
    pub(super) parent: u8,
    pub(super) kind: i32,
    pub(super) name: &'static str,
    pub(super) status: i32,
    pub(super) message: &'static str,
    pub(super) start: u64,
    pub(super) duration: u64,
    pub(super) attrs: Attrs,
    pub(super) resource: Attrs,
    pub(super) scope: &'static str,
    pub(super) events: Vec<(&'static str, u64, Attrs)>,
    pub(super) links: Vec<(u8, u8, Attrs)>,
}

impl Default for S {
    fn default() -> Self {
        Self {
            tenant: ALONE,
            trace: 1,
            id: 1,
            parent: 0,
            kind: 1,
            name: "x",
            status: 0,
            message: "",
            start: NOW - 10 * SECOND,
            duration: SECOND,
            attrs: Vec::new(),
            resource: vec![("service.name", Attr::Text("shop"))],
            scope: "lib",
            events: Vec::new(),
            links: Vec::new(),
        }
    }
}

pub(super) fn trace_id(trace: u8) -> TraceId {
    let mut id = [0; 16];
    id[14] = 7;
    id[15] = trace;
    TraceId::from_array(id)
}

pub(super) fn span_id(id: u8) -> [u8; 8] {
    [0, 0, 0, 0, 0, 0, 0, id]
}

fn any_value(value: &Attr) -> AnyValue {
    let value = match value {
        Attr::Text(text) => Otlp::StringValue((*text).to_owned()),
        Attr::Int(int) => Otlp::IntValue(*int),
        Attr::Float(float) => Otlp::DoubleValue(*float),
        Attr::Bool(bool) => Otlp::BoolValue(*bool),
        Attr::Array(values) => {
            Otlp::ArrayValue(ArrayValue { values: values.iter().map(any_value).collect() })
        }
        Attr::Map => Otlp::KvlistValue(KeyValueList { values: pairs(&vec![("x", Attr::Int(1))]) }),
    };
    AnyValue { value: Some(value) }
}

fn pairs(attrs: &Attrs) -> Vec<KeyValue> {
    let pair = |(key, value): &(&str, Attr)| KeyValue {
        key: (*key).to_owned(),
        value: Some(any_value(value)),
        key_strindex: 0,
    };
    attrs.iter().map(pair).collect()
}

impl S {
    fn otlp(&self) -> ResourceSpans {
        let event = |(name, offset, attrs): &(&str, u64, Attrs)| Event {
            time_unix_nano: self.start + offset,
            name: (*name).to_owned(),
            attributes: pairs(attrs),
            dropped_attributes_count: 0,
        };
        let link = |(trace, span, attrs): &(u8, u8, Attrs)| Link {
            trace_id: trace_id(*trace).as_bytes().to_vec(),
            span_id: span_id(*span).to_vec(),
            attributes: pairs(attrs),
            ..Link::default()
        };
        let span = Span {
            trace_id: trace_id(self.trace).as_bytes().to_vec(),
            span_id: span_id(self.id).to_vec(),
            parent_span_id: match self.parent {
                0 => Vec::new(),
                parent => span_id(parent).to_vec(),
            },
            name: self.name.to_owned(),
            kind: self.kind,
            start_time_unix_nano: self.start,
            end_time_unix_nano: self.start + self.duration,
            attributes: pairs(&self.attrs),
            events: self.events.iter().map(event).collect(),
            links: self.links.iter().map(link).collect(),
            status: Some(Status { code: self.status, message: self.message.to_owned() }),
            ..Span::default()
        };
        let scope = InstrumentationScope {
            name: self.scope.to_owned(),
            attributes: pairs(&vec![("a", Attr::Text("x"))]),
            ..InstrumentationScope::default()
        };
        ResourceSpans {
            resource: Some(Resource { attributes: pairs(&self.resource), ..Resource::default() }),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope),
                spans: vec![span],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }
    }

    /// The same as it is shown among spans of other tenants.
    pub(super) fn carried(&self) -> Self {
        let mut resource = self.resource.clone();
        resource.retain(|pair| *pair != ("tenant", Attr::Text(self.tenant)));
        resource.retain(|(key, _)| *key != "tenant.reported");
        for (key, _) in resource.iter_mut().filter(|(key, _)| *key == "tenant") {
            *key = "tenant.reported";
        }
        resource.push(("tenant", Attr::Text(self.tenant)));
        Self { resource, ..self.clone() }
    }

    /// What it is ordered by, held to what clocks may be off.
    pub(super) fn effective(&self) -> u64 {
        self.start.clamp(NOW - 3_600 * SECOND, NOW + 120 * SECOND)
    }
}

fn request(spans: &[S]) -> Vec<u8> {
    let resource_spans = spans.iter().map(S::otlp).collect();
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// Where spans are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Where {
    Block,
    L0,
    Head,
}

/// A clock that stands still.
#[derive(Debug)]
pub(super) struct Still;

impl Clock for Still {
    fn now(&self) -> Nanos {
        Nanos(NOW)
    }
    fn monotonic(&self) -> Nanos {
        Nanos(1)
    }
}

/// A view of spans, and what is needed to read it.
pub(super) struct World {
    pub(super) view: View,
    /// All parts that there are, each with its spans and the number of whose they are.
    pub(super) all: Vec<(Part, Vec<S>, usize)>,
    pub(super) tenants: Vec<TenantId>,
    pub(super) files: Arc<Memory>,
    pub(super) readers: Readers,
    answers: Answers,
    /// The spans of the view in its order.
    pub(super) spans: Vec<S>,
    /// Whether no block can be read.
    pub(super) is_broken: Arc<AtomicBool>,
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

/// Spans, tenant by tenant.
fn by_tenant(spans: &[S]) -> BTreeMap<&'static str, Vec<S>> {
    let mut all: BTreeMap<_, Vec<S>> = BTreeMap::new();
    spans.iter().for_each(|span| all.entry(span.tenant).or_default().push(span.clone()));
    all
}

fn file(spans: &[S], number: u64, level: Level, group_rows: u32) -> (Vec<u8>, BlockMeta) {
    let mut batch = Batch::new(Limits { keys_per_tenant_max: 3, ..Limits::default() }, 3);
    let mut name = "";
    for (of, spans) in by_tenant(spans) {
        batch.append(&tenant(of), Nanos(NOW), &request(&spans), &[]).unwrap();
        name = of;
    }
    let mut ordered = Ordered::default();
    let rows = u32::try_from(batch.len()).unwrap();
    let runs = order::tenants(&mut Orderer::default(), &batch, rows, &mut ordered);
    let mut candidates = Candidates::default();
    candidates.add_batch(&batch);
    let header = Header {
        level,
        sort: Sort::Normal,
        tenant: (level == Level::L1).then(|| name.to_owned()),
        writer: 1,
        number,
        created_at: NOW,
        sequence: number,
        consumed: Vec::new(),
        replaced: Vec::new(),
        compactions: 0,
        rows: 0,
        traces: 0,
        starts: (0, 0),
        received: (NOW, NOW),
        oversized: false,
    };
    let far = Options { texts: true, ..Options::L1 };
    let options = if level == Level::L1 { far } else { Options::L0 };
    let mut writer = Writer::new(Vec::new(), header, candidates.choose(), options).unwrap();
    for group in cut(&ordered.traces, group_rows) {
        writer.row_group(&[&batch], &ordered, group).unwrap();
    }
    if level == Level::L0 {
        for (of, rows) in runs {
            writer.run(crate::block::section::terms::Run {
                tenant: batch.tenants()[usize::from(of)].clone(),
                first_row: rows.start,
                rows: rows.end - rows.start,
                received: (NOW, NOW),
            });
        }
    }
    let (bytes, written) = writer.finish().unwrap();
    (bytes, BlockMeta::of(&written))
}

impl World {
    /// Spans, each where it is: spans of one number stand together.
    pub(super) fn new(spans: Vec<(S, Where, u8)>) -> Self {
        // Small, so that there are several row groups.
        Self::with_row_groups(spans, 4)
    }

    /// The same with so many rows at most in a row group of a block.
    pub(super) fn with_row_groups(spans: Vec<(S, Where, u8)>, group_rows: u32) -> Self {
        Self::of(&[ALONE], spans, group_rows)
    }

    /// Spans of these tenants, which are in their order, read together; what others have is in the same
    /// segments and L0 files, and of no concern.
    pub(super) fn of(
        tenants: &[&'static str],
        mut spans: Vec<(S, Where, u8)>,
        group_rows: u32,
    ) -> Self {
        // As views are: blocks, L0 files, head.
        spans.sort_by_key(|(_, place, number)| (*place, *number));
        let ours = |of: &[S]| -> Vec<(&'static str, usize, Vec<S>)> {
            let number = |of: &str| tenants.iter().position(|tenant| *tenant == of);
            let all = by_tenant(of).into_iter();
            all.filter_map(|(name, of)| Some((name, number(name)?, of))).collect()
        };
        let cache = Arc::new(Cache::new(1 << 20));
        let mut all = Vec::new();
        let files = Arc::<Memory>::default();
        let groups = spans.chunk_by(|a, b| (a.1, a.2) == (b.1, b.2));
        for (number, group) in (1..).zip(groups) {
            let of: Vec<S> = group.iter().map(|(span, ..)| span.clone()).collect();
            match group.first().map(|(_, place, _)| *place) {
                Some(Where::Block) => {
                    for (name, owner, of) in ours(&of) {
                        let number = number * 10 + owner as u64;
                        let (bytes, meta) = file(&of, number, Level::L1, group_rows);
                        let block = Block::new(&tenant(name), Arc::new(meta));
                        files.put(&block.name, bytes);
                        all.push((Part::Block(Arc::new(block)), of, owner));
                    }
                }
                Some(Where::L0) => {
                    let (bytes, _) = file(&of, number, Level::L0, 1 << 20);
                    let l0 = L0::open(Arc::new(Bytes(bytes)), "l0".to_owned(), &cache).unwrap();
                    let l0 = Arc::new(l0);
                    for (_, owner, of) in ours(&of) {
                        all.push((Part::L0(Arc::clone(&l0)), of, owner));
                    }
                }
                _ => {
                    let head = Head::new(Config { keys_max: 3, ..Config::default() }, 42);
                    for (name, of) in by_tenant(&of) {
                        let mut turn = head.turn().unwrap();
                        let of = request(&of);
                        let (_, rows) = turn.append(&tenant(name), Nanos(NOW), &of, &[]).unwrap();
                        rows.publish();
                    }
                    let mut segments = head.view().unwrap().parts;
                    assert_eq!(segments.len(), 1);
                    let (segment, visible) = segments.remove(0);
                    for (_, owner, of) in ours(&of) {
                        all.push((Part::Head(Arc::clone(&segment), visible), of, owner));
                    }
                }
            }
        }
        all.sort_by_key(|(.., owner)| *owner);
        let readers = Readers::new(Arc::clone(&files) as Arc<dyn Backend>, cache);
        let is_broken = Arc::clone(&files.is_broken);
        let tenants: Vec<TenantId> = tenants.iter().map(|name| tenant(name)).collect();
        let owner = |tenant: &TenantId| Owner {
            tenant: tenant.clone(),
            parts: 0..0,
            catalogs: Vec::new(),
            hidden: Arc::default(),
        };
        let owners = tenants.iter().map(owner).collect();
        let view = View { parts: Vec::new(), damage: Vec::new(), owners };
        let (answers, spans) = (Answers::default(), Vec::new());
        let mut world = Self { view, all, tenants, files, readers, answers, spans, is_broken };
        world.see(0..usize::MAX);
        world
    }

    /// From now on blocks are as if in a bucket, and some of them in a catalog.
    pub(super) fn catalog(&mut self, chosen: &[usize]) {
        let blocks = self.all.iter().filter_map(|(part, _, owner)| match part {
            Part::Block(block) => Some((block, *owner)),
            _ => None,
        });
        let chosen: Vec<_> = (0..).zip(blocks).filter(|(at, _)| chosen.contains(at)).collect();
        for (number, owner) in self.view.owners.iter_mut().enumerate() {
            let own = chosen.iter().filter(|(_, (_, of))| *of == number);
            let open = |(_, (block, _)): &(usize, (&Arc<Block>, usize))| {
                (block.meta.id, self.readers.open(block).unwrap())
            };
            let fresh: Vec<_> = own.map(open).collect();
            if fresh.is_empty() && number > 0 {
                continue;
            }
            let is_live = fresh.iter().map(|(id, _)| *id).collect();
            let id = BlockId { writer: 1, number: (1 << 40) + number as u64 };
            let catalog = build(&*self.files, &owner.tenant, id, &fresh, &[], &is_live).unwrap();
            owner.catalogs = vec![Arc::new(catalog)];
        }
        self.files.is_far.store(true, Ordering::Relaxed);
    }

    /// From now on no more traces of files are known than these.
    pub(super) fn remember(&mut self, traces: usize) {
        self.readers.places = Places::new(traces);
    }

    /// From now on nobody sees a trace.
    pub(super) fn hide(&mut self, trace: u8) {
        (0..self.tenants.len()).for_each(|owner| self.hide_of(owner, trace));
    }

    /// From now on nobody sees what this owner has of a trace.
    pub(super) fn hide_of(&mut self, owner: usize, trace: u8) {
        let id = BlockId { writer: 1, number: 1 << 41 };
        let redaction = Redaction { id, at: NOW, traces: vec![trace_id(trace)], done_at: None };
        let redactions = vec![Arc::new(redaction)];
        let state = State { redactions, ..State::default() };
        self.view.owners[owner].hidden = Hidden::of(&state);
        let tenant = self.tenants[owner].as_str();
        self.spans.retain(|span| span.trace != trace || span.tenant != tenant);
    }

    /// From now on only some parts are in the view.
    pub(super) fn see(&mut self, parts: std::ops::Range<usize>) {
        let seen = self.all.iter().take(parts.end).skip(parts.start);
        self.view.parts = seen.clone().map(|(part, ..)| part.clone()).collect();
        let owners: Vec<usize> = seen.clone().map(|(.., owner)| *owner).collect();
        for (number, owner) in self.view.owners.iter_mut().enumerate() {
            let begin = owners.partition_point(|of| *of < number);
            owner.parts = begin..owners.partition_point(|of| *of <= number);
        }
        let is_alone = self.tenants.len() == 1;
        let shown = |span: &S| if is_alone { span.clone() } else { span.carried() };
        self.spans = seen.flat_map(|(_, spans, _)| spans.iter().map(shown)).collect();
    }

    /// All in one place.
    pub(super) fn at(place: Where, spans: impl IntoIterator<Item = S>) -> Self {
        Self::new(spans.into_iter().map(|span| (span, place, 0)).collect())
    }

    pub(super) fn look<T>(&self, look: impl FnOnce(&Parts<'_>) -> T) -> T {
        let (found, problems) = self.look_and_tell(look);
        assert_eq!(problems, 0);
        found
    }

    /// What is found, and how much could not be read.
    pub(super) fn look_and_tell<T>(&self, look: impl FnOnce(&Parts<'_>) -> T) -> (T, usize) {
        let parts = Parts::new(&self.view, &self.readers, &self.answers);
        let found = look(&parts);
        (found, parts.into_problems().len())
    }
}

fn attr() -> impl Strategy<Value = Attr> {
    let leaf = prop_oneof![
        3 => prop::sample::select(vec!["x", "y", "xy", ""]).prop_map(Attr::Text),
        3 => (-1i64..4).prop_map(Attr::Int),
        1 => prop::sample::select(vec![1.0, 1.5, 2.0, f64::NAN]).prop_map(Attr::Float),
        1 => any::<bool>().prop_map(Attr::Bool),
    ];
    prop_oneof![
        8 => leaf.clone(),
        1 => prop::collection::vec(leaf, 0..3).prop_map(Attr::Array),
        1 => Just(Attr::Map),
    ]
}

fn attrs(keys: &'static [&'static str]) -> impl Strategy<Value = Attrs> {
    prop::collection::btree_map(prop::sample::select(keys), attr(), 0..3)
        .prop_map(|attrs| attrs.into_iter().collect())
}

prop_compose! {
    pub(super) fn span()(
        ids in (1u8..5, 1u8..9, 0u8..9, 0i32..6),
        names in (prop::sample::select(vec!["x", "y", "GET /"]),
            prop::sample::select(vec!["", "", "oops"]), prop::sample::select(vec!["", "lib"])),
        status in 0i32..3,
        times in (0u64..2_000, 0u64..2_000, 0u8..30),
        attrs_of in attrs(&["a", "b", "c", "service.name", "far.away"]),
        resource in (attrs(&["a", "d"]), prop::option::of(
            prop::sample::select(vec!["shop", "cart"]))),
        events in prop::collection::vec(
            (prop::sample::select(vec!["x", "log"]), 0u64..3_000_000, attrs(&["a", "e"])), 0..3),
        links in prop::collection::vec((1u8..4, 1u8..4, attrs(&["a", "l"])), 0..2),
    ) -> S {
        let (trace, id, parent, kind) = ids;
        let (name, message, scope) = names;
        let (start, duration, odd) = times;
        let (mut resource, service) = resource;
        resource.extend(service.map(|service| ("service.name", Attr::Text(service))));
        // Now and then a clock that is off.
        let start = if odd == 0 { start } else { NOW - SECOND + start * 1_000_000 };
        S { tenant: ALONE, trace, id, parent, kind, name, status, message, start, duration: duration * 1_000_000,
            attrs: attrs_of, resource, scope, events, links }
    }
}

/// Spans over all kinds of places.
pub(super) fn scattered() -> impl Strategy<Value = Vec<(S, Where, u8)>> {
    let place = prop::sample::select(vec![Where::Block, Where::L0, Where::Head]);
    prop::collection::vec((span(), place, 0u8..2), 1..24)
}
