//! What a plugin reads and what it may write, as it says when it is configured: the host's side of the record
//! `projection` in `wit/traceweir-plugin.wit`. Compiled once into a [`Plan`] that batches and answers go by.

mod keys;
mod plan;

pub(crate) use keys::Keys;
pub(crate) use plan::{Column, KEY_BYTES_MAX, Mode, Write};
pub use plan::{Fault, Plan};

/// What every span has, and what the host knows of it. Its number is the kind of its section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Intrinsic {
    /// 16 bytes.
    TraceId = 1,
    /// 8 bytes.
    SpanId,
    /// 8 bytes; zeros for a root.
    ParentSpanId,
    /// The W3C tracestate.
    TraceState,
    /// Flags.
    TraceFlags,
    /// The span's name.
    Name,
    /// As OTLP numbers them.
    Kind,
    /// Nanoseconds since 1970.
    StartTime,
    /// Nanoseconds.
    Duration,
    /// As OTLP numbers them.
    StatusCode,
    /// What the status says.
    StatusMessage,
    /// One entry per scope.
    ScopeName,
    /// One entry per scope.
    ScopeVersion,
    /// One entry per event.
    EventName,
    /// One entry per event, nanoseconds since 1970.
    EventTime,
    /// How many events a span has.
    EventCount,
    /// How many links a span has.
    LinkCount,
    /// Which resource each span is of.
    ResourceIndex,
    /// Which scope each span is of.
    ScopeIndex,
    /// Which span each event is of.
    EventSpan,
    /// The keys of all span attributes of the batch, each once.
    SpanAttributeKeys,
    /// The address of whoever sent the resource, without the port.
    PeerAddress,
}

impl Intrinsic {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 22] = [
        Self::TraceId,
        Self::SpanId,
        Self::ParentSpanId,
        Self::TraceState,
        Self::TraceFlags,
        Self::Name,
        Self::Kind,
        Self::StartTime,
        Self::Duration,
        Self::StatusCode,
        Self::StatusMessage,
        Self::ScopeName,
        Self::ScopeVersion,
        Self::EventName,
        Self::EventTime,
        Self::EventCount,
        Self::LinkCount,
        Self::ResourceIndex,
        Self::ScopeIndex,
        Self::EventSpan,
        Self::SpanAttributeKeys,
        Self::PeerAddress,
    ];

    /// Whether a plugin may write it.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        matches!(
            self,
            Self::TraceState | Self::Name | Self::Kind | Self::StatusCode | Self::StatusMessage
        )
    }

    /// Whether it is of events.
    const fn is_of_events(self) -> bool {
        matches!(self, Self::EventName | Self::EventTime | Self::EventSpan)
    }
}

/// Whose attribute it is. Its number is its place here, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Owner {
    /// A span.
    Span,
    /// A resource.
    Resource,
    /// A scope.
    Scope,
    /// An event.
    Event,
    /// A link.
    Link,
}

impl Owner {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Span, Self::Resource, Self::Scope, Self::Event, Self::Link];
}

/// An attribute by its key, or all whose key starts with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Whose.
    pub owner: Owner,
    /// The key, or what it starts with.
    pub key: String,
    /// Whether arrays, maps and bytes are passed, too.
    pub complex: bool,
}

/// What is read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// What every span has.
    Intrinsic(Intrinsic),
    /// One attribute: an entry per owner.
    Attribute(Attribute),
    /// Every attribute whose key starts so: pairs.
    Attributes(Attribute),
}

/// A resource matches when its attribute by this key is one of these texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MatchRule {
    /// The key.
    pub key: String,
    /// The texts.
    pub any_of: Vec<String>,
}

/// So many rows may be kept in a stretch of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// What it is called.
    pub name: String,
    /// Each value of this attribute has a budget of its own; without it there is one for all.
    pub per: Option<Attribute>,
    /// Rows in the stretch.
    pub limit: u64,
    /// Milliseconds.
    pub window_ms: u32,
}

/// What a plugin reads and what it may write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Projection {
    /// What it is shown.
    pub reads: Vec<Field>,
    /// What its answers may change.
    pub writes: Vec<Field>,
    /// Only spans of resources that match every rule are passed.
    pub match_resource: Vec<MatchRule>,
    /// What it may keep in a stretch of time.
    pub budgets: Vec<Budget>,
    /// Most rows that it wants in a batch; 0 leaves it to the host.
    pub max_batch_rows: u32,
}

/// What a plugin is attached as: it decides what batches have in them and what answers may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Enriches, redacts, renames, drops.
    SpanProcessor,
    /// A verdict per row.
    HeadSampler,
    /// A verdict per trace.
    TailSampler(Level),
    /// Chooses tenants; it answers no edits.
    Router,
}

/// What a tail sampler is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The trace table alone.
    Summary,
    /// The trace table and what it reads of all spans.
    ProjectedSpans,
}
