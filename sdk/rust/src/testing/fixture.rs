//! Spans as one writes them down.

use std::collections::BTreeMap;

use crate::any::Any;

/// Attributes, in their order.
pub type Attributes = Vec<(String, Any)>;

/// What a batch is made of: resources, their scopes, their spans.
///
/// ```
/// use traceweir_plugin::testing::{Fixture, Resource, Span};
///
/// let shop = Resource::new().with("service.name", "shop").span(Span::new("GET /").trace(1).ms(20));
/// let fixture = Fixture::new().resource(shop);
/// assert_eq!(fixture.resources[0].scopes[0].spans[0].name, "GET /");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fixture {
    /// The resources.
    pub resources: Vec<Resource>,
    /// Of budgets (by their place) and values: how much of them was used.
    pub used: BTreeMap<(usize, String), u64>,
    /// Traces that were decided on before.
    pub late: Vec<[u8; 16]>,
    /// How texts are laid out.
    pub layout: Layout,
}

/// How texts are laid out in a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// Values that each stand once.
    #[default]
    Dictionary,
    /// A value for each entry.
    Each,
}

/// Who has sent spans.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resource {
    /// Its attributes.
    pub attributes: Attributes,
    /// Where it has sent from.
    pub peer_address: String,
    /// Its scopes.
    pub scopes: Vec<Scope>,
}

/// What has made spans.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its attributes.
    pub attributes: Attributes,
    /// Its spans.
    pub spans: Vec<Span>,
}

/// A span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Span {
    /// Of which trace.
    pub trace_id: [u8; 16],
    /// Its own id.
    pub span_id: [u8; 8],
    /// Whose child it is; zeros for a root.
    pub parent_span_id: [u8; 8],
    /// The W3C tracestate.
    pub trace_state: String,
    /// The W3C flags.
    pub trace_flags: u32,
    /// Its name.
    pub name: String,
    /// As OTLP numbers them.
    pub kind: u8,
    /// Nanoseconds since 1970.
    pub start_unix_nano: u64,
    /// Nanoseconds.
    pub duration_nano: u64,
    /// 0 unset, 1 ok, 2 error.
    pub status_code: u8,
    /// What the status says.
    pub status_message: String,
    /// Its attributes.
    pub attributes: Attributes,
    /// Its events.
    pub events: Vec<Event>,
    /// Its links.
    pub links: Vec<Link>,
}

/// Something that happened during a span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Nanoseconds since 1970.
    pub time_unix_nano: u64,
    /// Its attributes.
    pub attributes: Attributes,
}

/// Another span that a span names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Link {
    /// Its attributes.
    pub attributes: Attributes,
}

impl Fixture {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One span of a resource without attributes.
    #[must_use]
    pub fn of(span: Span) -> Self {
        Self::new().resource(Resource::new().span(span))
    }

    /// Adds a resource.
    #[must_use]
    pub fn resource(mut self, resource: Resource) -> Self {
        self.resources.push(resource);
        self
    }

    /// Says how texts are laid out.
    #[must_use]
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// Says how much of a budget was used, by its place and the value that it is for.
    #[must_use]
    pub fn used(mut self, budget: usize, key: &str, used: u64) -> Self {
        self.used.insert((budget, key.to_owned()), used);
        self
    }

    /// All spans, in the order of a batch's rows.
    pub fn spans(&self) -> impl Iterator<Item = &Span> {
        self.resources.iter().flat_map(|resource| &resource.scopes).flat_map(|scope| &scope.spans)
    }
}

impl Resource {
    /// Without attributes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Any>) -> Self {
        self.attributes.push((key.to_owned(), value.into()));
        self
    }

    /// Says where it has sent from.
    #[must_use]
    pub fn peer(mut self, address: &str) -> Self {
        address.clone_into(&mut self.peer_address);
        self
    }

    /// Adds a scope.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scopes.push(scope);
        self
    }

    /// Adds a span to its last scope.
    #[must_use]
    pub fn span(mut self, span: Span) -> Self {
        if self.scopes.is_empty() {
            self.scopes.push(Scope::default());
        }
        if let Some(scope) = self.scopes.last_mut() {
            scope.spans.push(span);
        }
        self
    }

    /// The first value of an attribute.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Any> {
        find(&self.attributes, key)
    }
}

impl Scope {
    /// With this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Any>) -> Self {
        self.attributes.push((key.to_owned(), value.into()));
        self
    }

    /// Adds a span.
    #[must_use]
    pub fn span(mut self, span: Span) -> Self {
        self.spans.push(span);
        self
    }

    /// The first value of an attribute.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Any> {
        find(&self.attributes, key)
    }
}

impl Span {
    /// With this name, of trace 0.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Puts it into the trace whose id ends with this number.
    #[must_use]
    pub fn trace(mut self, number: u64) -> Self {
        self.trace_id = u128::from(number).to_be_bytes();
        self
    }

    /// Gives it an id, and a parent; 0 for none.
    #[must_use]
    pub fn id(mut self, id: u64, parent: u64) -> Self {
        self.span_id = id.to_be_bytes();
        self.parent_span_id = parent.to_be_bytes();
        self
    }

    /// Lets it take so many milliseconds.
    #[must_use]
    pub fn ms(mut self, ms: u64) -> Self {
        self.duration_nano = ms * 1_000_000;
        self
    }

    /// Says when it began, nanoseconds since 1970.
    #[must_use]
    pub fn start(mut self, unix_nano: u64) -> Self {
        self.start_unix_nano = unix_nano;
        self
    }

    /// Sets its kind, as OTLP numbers them.
    #[must_use]
    pub fn kind(mut self, kind: u8) -> Self {
        self.kind = kind;
        self
    }

    /// Has it end with an error.
    #[must_use]
    pub fn error(mut self, message: &str) -> Self {
        self.status_code = 2;
        message.clone_into(&mut self.status_message);
        self
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Any>) -> Self {
        self.attributes.push((key.to_owned(), value.into()));
        self
    }

    /// Adds an event.
    #[must_use]
    pub fn event(mut self, event: Event) -> Self {
        self.events.push(event);
        self
    }

    /// Adds a link.
    #[must_use]
    pub fn link(mut self, link: Link) -> Self {
        self.links.push(link);
        self
    }

    /// The first value of an attribute.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Any> {
        find(&self.attributes, key)
    }
}

impl Event {
    /// With this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Any>) -> Self {
        self.attributes.push((key.to_owned(), value.into()));
        self
    }

    /// The first value of an attribute.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Any> {
        find(&self.attributes, key)
    }
}

impl Link {
    /// Without attributes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Any>) -> Self {
        self.attributes.push((key.to_owned(), value.into()));
        self
    }

    /// The first value of an attribute.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Any> {
        find(&self.attributes, key)
    }
}

/// The first value of `key`.
pub(super) fn find<'a>(attributes: &'a Attributes, key: &str) -> Option<&'a Any> {
    attributes.iter().find(|(there, _)| there == key).map(|(_, value)| value)
}
