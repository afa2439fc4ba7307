//! Spans in one comparable form: each with its resource and scope, found by its identity.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use prost::Message;

/// Trace id, span id, kind.
pub type Identity = (Vec<u8>, Vec<u8>, i32);

/// A span and all that is said about it.
#[derive(Clone, Debug)]
pub struct Whole {
    /// The span.
    pub span: Span,
    /// Its resource.
    pub resource: Resource,
    /// Schema of the resource.
    pub resource_schema: String,
    /// Its scope.
    pub scope: InstrumentationScope,
    /// Schema of the scope's spans.
    pub scope_schema: String,
}

impl Whole {
    /// As bytes, so that a NaN equals itself.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.span.encode_length_delimited_to_vec();
        bytes.extend(self.resource.encode_length_delimited_to_vec());
        bytes.extend(self.scope.encode_length_delimited_to_vec());
        for text in [&self.resource_schema, &self.scope_schema] {
            bytes.extend(text.len().to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }
}

/// Each span once.
#[derive(Clone, Debug, Default)]
pub struct Spans(BTreeMap<Identity, Whole>);

impl Spans {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the spans of a message.
    ///
    /// # Panics
    /// When one is there already.
    pub fn add(&mut self, message: &[ResourceSpans]) {
        for resource_spans in message {
            for scope_spans in &resource_spans.scope_spans {
                for span in &scope_spans.spans {
                    let mut span = span.clone();
                    // A status that says nothing is none.
                    span.status = span.status.filter(|status| status.encoded_len() > 0);
                    let whole = Whole {
                        span: span.clone(),
                        resource: resource_spans.resource.clone().unwrap_or_default(),
                        resource_schema: resource_spans.schema_url.clone(),
                        scope: scope_spans.scope.clone().unwrap_or_default(),
                        scope_schema: scope_spans.schema_url.clone(),
                    };
                    let identity = (span.trace_id, span.span_id, span.kind);
                    let known = self.0.insert(identity.clone(), whole);
                    assert!(known.is_none(), "span {identity:?} is there twice");
                }
            }
        }
    }

    /// Adds what others hold.
    ///
    /// # Panics
    /// When a span is there already.
    pub fn extend(&mut self, others: Self) {
        for (identity, whole) in others.0 {
            let known = self.0.insert(identity.clone(), whole);
            assert!(known.is_none(), "span {identity:?} is there twice");
        }
    }

    /// Those of one trace.
    #[must_use]
    pub fn of_trace(&self, trace_id: &[u8]) -> Self {
        let of = self.0.iter().filter(|((trace, ..), _)| trace == trace_id);
        Self(of.map(|(identity, whole)| (identity.clone(), whole.clone())).collect())
    }

    /// The span of that identity.
    #[must_use]
    pub fn get(&self, identity: &Identity) -> Option<&Whole> {
        self.0.get(identity)
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// With every NaN as the one that JSON has, which writes no sign and no payload.
    #[must_use]
    pub fn with_one_nan(mut self) -> Self {
        for whole in self.0.values_mut() {
            one_nan(&mut whole.span.attributes);
            one_nan(&mut whole.resource.attributes);
            one_nan(&mut whole.scope.attributes);
            whole.span.events.iter_mut().for_each(|event| one_nan(&mut event.attributes));
            whole.span.links.iter_mut().for_each(|link| one_nan(&mut link.attributes));
        }
        self
    }

    /// Insists that both hold the same spans, with the same content in the same order.
    ///
    /// # Panics
    /// When they do not, showing the first difference.
    pub fn assert_same(&self, expected: &Self, what: &str) {
        for (identity, wanted) in &expected.0 {
            let Some(found) = self.0.get(identity) else {
                panic!(
                    "{what}: span {identity:?} is missing ({} of {})",
                    self.len(),
                    expected.len()
                )
            };
            assert!(
                found.bytes() == wanted.bytes(),
                "{what}: span {identity:?} differs\nfound:  {found:?}\nwanted: {wanted:?}"
            );
        }
        let odd = self.0.keys().find(|identity| !expected.0.contains_key(*identity));
        assert!(odd.is_none(), "{what}: span {odd:?} was never sent");
    }
}

fn one_nan(attributes: &mut [KeyValue]) {
    attributes.iter_mut().filter_map(|pair| pair.value.as_mut()).for_each(one_nan_of);
}

fn one_nan_of(value: &mut AnyValue) {
    match &mut value.value {
        Some(Value::DoubleValue(double)) if double.is_nan() => *double = f64::NAN,
        Some(Value::ArrayValue(array)) => array.values.iter_mut().for_each(one_nan_of),
        Some(Value::KvlistValue(pairs)) => one_nan(&mut pairs.values),
        _ => {}
    }
}
