//! The sets are OTLP and look as they should, their truth is what their bytes say, and the engine
//! sends every message once.

mod nice;
mod sending;
mod ugly;

use gateway::demo::Request;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

/// A span with what stands around it.
struct Seen {
    request: usize,
    tenant: Option<String>,
    resource: Resource,
    span: Span,
}

/// Decodes requests with the public definition of OTLP.
fn decode(requests: &[Request]) -> Vec<Seen> {
    let mut seen = Vec::new();
    for (number, request) in requests.iter().enumerate() {
        let decoded = ExportTraceServiceRequest::decode(&*request.body).unwrap();
        let before = seen.len();
        for resource_spans in decoded.resource_spans {
            let resource = resource_spans.resource.unwrap();
            for span in resource_spans.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                let (tenant, resource) = (request.tenant.clone(), resource.clone());
                seen.push(Seen { request: number, tenant, resource, span });
            }
        }
        assert_eq!(seen.len() - before, request.spans);
    }
    seen
}

fn find<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    let found = attributes.iter().find(|pair| pair.key == key)?;
    match &found.value {
        Some(AnyValue { value: Some(value) }) => Some(value),
        _ => None,
    }
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> &'a str {
    match find(attributes, key) {
        Some(Value::StringValue(text)) => text,
        _ => "",
    }
}

impl Seen {
    fn service(&self) -> &str {
        text(&self.resource.attributes, "service.name")
    }

    fn error(&self) -> bool {
        self.span.status.as_ref().is_some_and(|status| status.code == 2)
    }

    fn duration(&self) -> u64 {
        self.span.end_time_unix_nano - self.span.start_time_unix_nano
    }
}
