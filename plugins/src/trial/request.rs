//! A request as values, span by span; and the same spans in another order, or only some of them.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use model::json::Flavour;
use model::otlp::{Open, Outline, Rules, Wants, outline_with};
use model::wire::{Reader, put_bytes};
use serde_json::Value;

use crate::draft::content;

/// The field that scopes are in a `ResourceSpans`, and spans in a `ScopeSpans`.
const CHILDREN: u32 = 2;

/// A request that a gateway would take as a whole.
#[derive(Clone, Debug)]
pub struct Request {
    body: Bytes,
    outline: Arc<Outline>,
    rows: Arc<[Row]>,
}

/// A span, and what it shares with others, as OTLP/JSON has them.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) span: Value,
    /// Its resource, and the number of that in the request.
    pub(super) resource: (usize, Arc<Value>),
    /// Its scope, and the number of that in the request.
    pub(super) scope: (usize, Arc<Value>),
}

impl Request {
    /// Reads an `ExportTraceServiceRequest` in protobuf.
    ///
    /// # Errors
    /// Says what is malformed, or which span a gateway would refuse, and why.
    pub fn of(body: Bytes) -> Result<Self, String> {
        let looked = outline_with(&body, &Rules::NONE, &mut Open, Wants::default());
        let (checked, outline) = looked.map_err(|fault| fault.to_string())?;
        if let (Some(span), Some(refusal)) = (checked.refused.first(), checked.refusals.first()) {
            return Err(format!("span {span} would be refused: {}", refusal.reason));
        }
        let rows = rows(&body)?;
        if rows.len() != outline.spans.len() {
            return Err(format!("{} spans are read as {}", outline.spans.len(), rows.len()));
        }
        Ok(Self { body, outline: Arc::new(outline), rows: rows.into() })
    }

    /// Reads what is OTLP/JSON or protobuf, whichever it is.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        // A tag of that number there is none of in a request.
        if first == Some(&b'{') {
            let body = model::json::decode(bytes).map_err(|fault| fault.to_string())?;
            return Self::of(body.into());
        }
        Self::of(Bytes::copy_from_slice(bytes))
    }

    /// As protobuf.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// How many spans it has.
    #[must_use]
    pub fn spans(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The rows of each trace, in the order in which traces begin.
    pub(super) fn traces(&self) -> Vec<Vec<usize>> {
        let mut traces: Vec<(&str, Vec<usize>)> = Vec::new();
        let mut places = std::collections::HashMap::new();
        for (number, row) in self.rows.iter().enumerate() {
            let id = row.trace_id();
            let place = *places.entry(id).or_insert(traces.len());
            if place == traces.len() {
                traces.push((id, Vec::new()));
            }
            if let Some((_, rows)) = traces.get_mut(place) {
                rows.push(number);
            }
        }
        traces.into_iter().map(|(_, rows)| rows).collect()
    }

    /// The rows of each resource that has some.
    pub(super) fn resources(&self) -> Vec<Vec<usize>> {
        let numbered: Vec<(usize, usize)> =
            self.rows.iter().map(|row| row.resource.0).zip(0..).collect();
        let each = numbered.chunk_by(|one, next| one.0 == next.0);
        each.map(|rows| rows.iter().map(|(_, row)| *row).collect()).collect()
    }

    /// The rows of each scope.
    pub(super) fn scopes(&self) -> impl DoubleEndedIterator<Item = Range<usize>> {
        self.outline.scopes.iter().map(|scope| scope.spans.range())
    }

    /// A request of these spans of this one, in this order. Resources and scopes are repeated where that takes it.
    ///
    /// # Errors
    /// Never, for what was read before.
    pub(super) fn picked(&self, order: &[usize]) -> Result<Self, String> {
        let mut out = Vec::with_capacity(self.body.len());
        let scope_of = |row: &usize| self.outline.spans.get(*row).map_or(0, |of| of.scope as usize);
        let resource_of = |row: &usize| {
            self.outline.scopes.get(scope_of(row)).map_or(0, |of| of.resource as usize)
        };
        for rows in order.chunk_by(|one, next| resource_of(one) == resource_of(next)) {
            let of = rows.first().and_then(|row| self.outline.resources.get(resource_of(row)));
            let Some(of) = of else { continue };
            let mut resource = self.common(of.at as usize..of.end as usize);
            for rows in rows.chunk_by(|one, next| scope_of(one) == scope_of(next)) {
                let of = rows.first().and_then(|row| self.outline.scopes.get(scope_of(row)));
                let Some(of) = of else { continue };
                let mut scope = self.common(of.at as usize..of.end as usize);
                for span in rows.iter().filter_map(|row| self.outline.spans.get(*row)) {
                    let bytes = self.body.get(span.at as usize..span.end as usize);
                    scope.extend_from_slice(bytes.unwrap_or_default());
                }
                put_bytes(&mut resource, CHILDREN, &scope);
            }
            put_bytes(&mut out, 1, &resource);
        }
        Self::of(out.into())
    }

    /// The fields of a resource or a scope without what is in it.
    fn common(&self, at: Range<usize>) -> Vec<u8> {
        let (bytes, mut before) = (content(self.body.get(at).unwrap_or_default()).0, 0);
        let (mut reader, mut out) = (Reader::new(bytes), Vec::new());
        while let Ok(Some(field)) = reader.next() {
            if field.number != CHILDREN {
                out.extend_from_slice(bytes.get(before..reader.offset()).unwrap_or_default());
            }
            before = reader.offset();
        }
        out
    }
}

/// All spans of several requests as one.
///
/// # Errors
/// As [`Request::of`], for what is 4 GiB or more.
pub fn joined(requests: &[&Request]) -> Result<Request, String> {
    let bodies: Vec<&[u8]> = requests.iter().map(|request| &*request.body).collect();
    // Lists of messages are joined by joining their bytes.
    Request::of(bodies.concat().into())
}

impl Row {
    pub(super) fn trace_id(&self) -> &str {
        text(&self.span, "traceId")
    }

    pub(super) fn span_id(&self) -> &str {
        text(&self.span, "spanId")
    }

    pub(super) fn name(&self) -> &str {
        text(&self.span, "name")
    }
}

pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The spans of a body, one after the other.
pub(super) fn rows(body: &[u8]) -> Result<Vec<Row>, String> {
    let json = model::json::encode(body, Flavour::Otlp).map_err(|fault| fault.to_string())?;
    let mut request: Value = serde_json::from_str(&json).map_err(|fault| fault.to_string())?;
    let (mut rows, mut resources, mut scopes) = (Vec::new(), 0, 0);
    for mut of in taken(&mut request, "resourceSpans") {
        let inner = taken(&mut of, "scopeSpans");
        let resource = (resources, Arc::new(of));
        resources += 1;
        for mut of in inner {
            let spans = taken(&mut of, "spans");
            let scope = (scopes, Arc::new(of));
            scopes += 1;
            rows.extend(spans.into_iter().map(|span| Row {
                span,
                resource: (resource.0, Arc::clone(&resource.1)),
                scope: (scope.0, Arc::clone(&scope.1)),
            }));
        }
    }
    Ok(rows)
}

fn taken(value: &mut Value, key: &str) -> Vec<Value> {
    match value.as_object_mut().and_then(|object| object.remove(key)) {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    }
}
