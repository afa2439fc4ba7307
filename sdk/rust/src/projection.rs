//! What a plugin says of itself, and what it asks for: the records of `types` in the WIT.

use crate::codes::domain;

/// What every span has, and what the host knows of it. Its number is that of its section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Intrinsic {
    /// 16 bytes.
    TraceId = 1,
    /// 8 bytes.
    SpanId,
    /// 8 bytes; zeros for a root.
    ParentSpanId,
    /// The W3C tracestate. May be written.
    TraceState,
    /// W3C flags.
    TraceFlags,
    /// The span's name. May be written.
    Name,
    /// As OTLP numbers them. May be written.
    Kind,
    /// Nanoseconds since 1970.
    StartTime,
    /// Nanoseconds.
    Duration,
    /// As OTLP numbers them: 0 unset, 1 ok, 2 error. May be written.
    StatusCode,
    /// May be written.
    StatusMessage,
    /// One per scope.
    ScopeName,
    /// One per scope.
    ScopeVersion,
    /// One per event.
    EventName,
    /// One per event, nanoseconds since 1970.
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

/// Whose attribute it is, numbered as in the WIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Owner {
    /// A span.
    Span,
    /// A resource.
    Resource,
    /// A scope.
    Scope,
    /// An event of a span.
    Event,
    /// A link of a span.
    Link,
}

impl Owner {
    /// All, by their numbers.
    pub const ALL: [Self; 5] = [Self::Span, Self::Resource, Self::Scope, Self::Event, Self::Link];

    /// The domain of what has an entry per owner.
    pub(crate) fn domain(self) -> u8 {
        match self {
            Self::Span => domain::SPANS,
            Self::Resource => domain::RESOURCES,
            Self::Scope => domain::SCOPES,
            Self::Event => domain::EVENTS,
            Self::Link => domain::LINKS,
        }
    }
}

/// An attribute by its key, or all whose key starts with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Whose.
    pub owner: Owner,
    /// Its key, or how its key begins.
    pub key: String,
    /// Whether arrays, maps and bytes are passed, too; else only their type is seen.
    pub complex: bool,
}

impl Attribute {
    /// The attribute of `owner` with this key.
    pub fn new(owner: Owner, key: impl Into<String>) -> Self {
        Self { owner, key: key.into(), complex: false }
    }
}

/// What is read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// What every span has.
    Intrinsic(Intrinsic),
    /// One attribute: a column.
    Attribute(Attribute),
    /// Every attribute whose key starts so: a table of pairs.
    Attributes(Attribute),
}

impl Field {
    /// One attribute.
    pub fn attribute(owner: Owner, key: impl Into<String>) -> Self {
        Self::Attribute(Attribute::new(owner, key))
    }

    /// Every attribute whose key starts with `prefix`; the empty one is all of them.
    pub fn attributes(owner: Owner, prefix: impl Into<String>) -> Self {
        Self::Attributes(Attribute::new(owner, prefix))
    }

    /// With arrays, maps and bytes.
    #[must_use]
    pub fn complex(mut self) -> Self {
        if let Self::Attribute(attribute) | Self::Attributes(attribute) = &mut self {
            attribute.complex = true;
        }
        self
    }
}

impl From<Intrinsic> for Field {
    fn from(intrinsic: Intrinsic) -> Self {
        Self::Intrinsic(intrinsic)
    }
}

/// A resource matches when its attribute by this key is one of these texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchRule {
    /// The attribute.
    pub key: String,
    /// What it may be.
    pub any_of: Vec<String>,
}

/// So many rows may be kept in a stretch of time; the host counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Its name.
    pub name: String,
    /// Each value of this attribute (of span or resource) has a budget of its own; `None`: one for all.
    pub per: Option<Attribute>,
    /// Rows in the stretch.
    pub limit: u64,
    /// Milliseconds, from 100 to 3,600,000.
    pub window_ms: u32,
}

/// A place in `reads`: what a column is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Read {
    pub(crate) place: u32,
    /// Whose the attributes are, where that is known.
    pub(crate) domain: Option<u8>,
}

/// A place in `writes`: what is set by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Write(pub(crate) u32);

/// A place in `budgets`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BudgetAt(pub(crate) u32);

impl From<u32> for Read {
    fn from(place: u32) -> Self {
        Self { place, domain: None }
    }
}

impl From<u32> for Write {
    fn from(place: u32) -> Self {
        Self(place)
    }
}

impl From<u32> for BudgetAt {
    fn from(place: u32) -> Self {
        Self(place)
    }
}

/// What the plugin reads and what it may write: nothing else crosses, and one edit of something else fails the whole
/// answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Projection {
    /// What it reads.
    pub reads: Vec<Field>,
    /// What it may write.
    pub writes: Vec<Field>,
    /// Only spans of resources that match every rule are passed.
    pub match_resource: Vec<MatchRule>,
    /// What the host counts for it.
    pub budgets: Vec<Budget>,
    /// Most rows in a batch; 0 leaves it to the host.
    pub max_batch_rows: u32,
}

impl Projection {
    /// Reads `field`, once however often it is asked for, and says where its column is found.
    pub fn read(&mut self, field: impl Into<Field>) -> Read {
        let field = field.into();
        let domain = match &field {
            Field::Attribute(of) | Field::Attributes(of) => Some(of.owner.domain()),
            Field::Intrinsic(_) => None,
        };
        Read { place: place(&mut self.reads, field), domain }
    }

    /// May write `field`, and says by what it is set.
    pub fn write(&mut self, field: impl Into<Field>) -> Write {
        Write(place(&mut self.writes, field.into()))
    }

    /// Has the host count `budget`.
    pub fn budget(&mut self, budget: Budget) -> BudgetAt {
        BudgetAt(place(&mut self.budgets, budget))
    }
}

/// Where `item` stands, which is put there first if it is nowhere.
fn place<T: PartialEq>(list: &mut Vec<T>, item: T) -> u32 {
    let at = list.iter().position(|there| *there == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    });
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// What a plugin says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One line for whoever chooses.
    pub description: String,
    /// JSON Schema of what `configure` takes; empty: everything is passed.
    pub config_schema: String,
    /// Same input, same output, and nothing remembered.
    pub stateless: bool,
}
