//! A trace in as few words as it can be told: for who pays by the word, and for people.
//!
//! `Accept: application/vnd.grafana.llm` asks for it. Ids are hex, attributes are flat, what is
//! empty is left out. Tempo calls the form experimental; names and nesting are Tempo's.

use std::collections::HashMap;
use std::fmt::{self, Write};

use model::json::put_text;
use model::wire::{Fault, Reader, Value};
use model::{Nanos, TraceId};
use serde_json::{Map, Value as Json};

use super::span::{self, Span, hex, message, messages};

/// Who asks for it.
pub(super) const CONTENT_TYPE: &str = "application/vnd.grafana.llm";

/// The scopes of one resource, in their order.
type Service<'a> = (&'a [u8], Vec<&'a [u8]>);

/// Writes a trace, and why it may not be whole.
///
/// # Errors
/// When it is not what was written.
pub(super) fn trace(id: TraceId, otlp: &[u8], partial: Option<&str>) -> Result<String, Fault> {
    let mut out = String::with_capacity(otlp.len());
    put(&mut out, format_args!("{{\"trace\":{{\"traceId\":\"{id}\",\"services\":["));
    for (at, (resource, scopes)) in services(otlp)?.into_iter().enumerate() {
        out.push_str(if at == 0 { "" } else { "," });
        service(&mut out, resource, &scopes)?;
    }
    out.push_str("]}");
    if let Some(why) = partial {
        out.push_str(",\"status\":\"PARTIAL\",\"message\":");
        put_text(&mut out, why.as_bytes());
    }
    out.push('}');
    Ok(out)
}

/// The store gives a resource once for each of its scopes: here each stands once.
fn services(otlp: &[u8]) -> Result<Vec<Service<'_>>, Fault> {
    let mut services: Vec<Service<'_>> = Vec::new();
    let mut places: HashMap<&[u8], usize> = HashMap::new();
    for of_resource in messages(otlp, 1) {
        let of_resource = of_resource?;
        let resource = message(of_resource, 1)?;
        let place = *places.entry(resource).or_insert_with(|| {
            services.push((resource, Vec::new()));
            services.len() - 1
        });
        if let Some((_, scopes)) = services.get_mut(place) {
            for scope in messages(of_resource, 2) {
                scopes.push(scope?);
            }
        }
    }
    Ok(services)
}

fn service(out: &mut String, resource: &[u8], scopes: &[&[u8]]) -> Result<(), Fault> {
    let mut attributes = span::flat(resource, 1)?;
    let name = attributes.remove("service.name");
    let mut object = Object::open(out);
    match name {
        Some(Json::String(name)) => object.text("serviceName", name.as_bytes()),
        Some(name) => object.plain("serviceName", &name),
        None => {}
    }
    object.attributes("resource", attributes);
    let out = object.key("scopes");
    out.push('[');
    for (at, of_scope) in scopes.iter().enumerate() {
        out.push_str(if at == 0 { "" } else { "," });
        let scope = message(of_scope, 1)?;
        let mut object = Object::open(out);
        object.text("name", message(scope, 1)?);
        object.text("version", message(scope, 2)?);
        let out = object.key("spans");
        out.push('[');
        for (at, bytes) in messages(of_scope, 2).enumerate() {
            out.push_str(if at == 0 { "" } else { "," });
            one(out, &Span::read(bytes?, b"")?)?;
        }
        out.push_str("]}");
    }
    out.push_str("]}");
    Ok(())
}

fn one(out: &mut String, span: &Span<'_>) -> Result<(), Fault> {
    let mut object = Object::open(out);
    object.plain("spanId", &span.id.map(|id| id.to_string()).unwrap_or_default().into());
    put_text(object.key("name"), span.name);
    if let Some(parent) = span.parent {
        object.text("parentSpanId", parent.to_string().as_bytes());
    }
    if span.kind != 0 {
        object.text("kind", span.kind_name().as_bytes());
    }
    object.moment("startTimeUnixNano", span.start);
    object.moment("endTimeUnixNano", span.end);
    if span.duration() > Nanos(0) {
        let (millis, rest) = (span.duration().0 / 1_000_000, span.duration().0 % 1_000_000);
        let text = format!("{millis}.{rest:06}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        object.key("durationMs").push_str(text);
    }
    object.attributes("attributes", span::flat(span.bytes, 9)?);
    list(&mut object, "events", messages(span.bytes, 11), event)?;
    list(&mut object, "links", messages(span.bytes, 13), link)?;
    let out = object.key("status");
    put(out, format_args!("{{\"code\":\"{}\",\"message\":", span.status_name()));
    put_text(out, span.status_message);
    out.push_str("}}");
    Ok(())
}

fn list<'a>(
    object: &mut Object<'_>,
    name: &'static str,
    items: impl Iterator<Item = Result<&'a [u8], Fault>>,
    each: impl Fn(&mut String, &'a [u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut items = items.peekable();
    if items.peek().is_none() {
        return Ok(());
    }
    let out = object.key(name);
    let mut before = '[';
    for item in items {
        out.push(before);
        each(out, item?)?;
        before = ',';
    }
    out.push(']');
    Ok(())
}

fn event(out: &mut String, event: &[u8]) -> Result<(), Fault> {
    let mut at = Nanos(0);
    let mut reader = Reader::new(event);
    while let Some(field) = reader.next()? {
        if let (1, Value::Fixed64(nanos)) = (field.number, field.value) {
            at = Nanos(nanos);
        }
    }
    let mut object = Object::open(out);
    put_text(object.key("name"), message(event, 2)?);
    object.moment("timeUnixNano", at);
    object.attributes("attributes", span::flat(event, 3)?);
    out.push('}');
    Ok(())
}

fn link(out: &mut String, link: &[u8]) -> Result<(), Fault> {
    let mut object = Object::open(out);
    object.plain("traceId", &hex(message(link, 1)?).into());
    object.plain("spanId", &hex(message(link, 2)?).into());
    object.attributes("attributes", span::flat(link, 4)?);
    out.push('}');
    Ok(())
}

/// An object that is being written; who opened it writes its end.
struct Object<'o> {
    out: &'o mut String,
    before: char,
}

impl<'o> Object<'o> {
    fn open(out: &'o mut String) -> Self {
        Self { out, before: '{' }
    }

    /// Writes a key; its value comes next.
    fn key(&mut self, name: &'static str) -> &mut String {
        put(self.out, format_args!("{}\"{name}\":", self.before));
        self.before = ',';
        self.out
    }

    /// Text, if there is some.
    fn text(&mut self, name: &'static str, text: &[u8]) {
        if !text.is_empty() {
            put_text(self.key(name), text);
        }
    }

    fn plain(&mut self, name: &'static str, value: &Json) {
        put(self.key(name), format_args!("{value}"));
    }

    /// A moment, if it is one.
    fn moment(&mut self, name: &'static str, Nanos(nanos): Nanos) {
        if nanos > 0 {
            put(self.key(name), format_args!("\"{nanos}\""));
        }
    }

    /// Attributes, if there are some.
    fn attributes(&mut self, name: &'static str, attributes: Map<String, Json>) {
        if !attributes.is_empty() {
            self.plain(name, &attributes.into());
        }
    }
}

fn put(out: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    out.write_fmt(text).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_trace_is_told_in_few_words() {
        let id = format!("{}1", "0".repeat(31));
        let span = |number: u64, more: &str| {
            format!(r#"{{"traceId":"{id}","spanId":"{number:016x}","name":"n{number}"{more}}}"#)
        };
        let of = |service: &str, scope: &str, span: &str| {
            format!(
                r#"{{"resource":{{"attributes":[{{"key":"service.name","value":
                {{"stringValue":"{service}"}}}},{{"key":"host","value":{{"intValue":"7"}}}}]}},
                "scopeSpans":[{{"scope":{{"name":"{scope}"}},"spans":[{span}]}}]}}"#
            )
        };
        let full = format!(
            r#","parentSpanId":"00000000000000ff","kind":2,"startTimeUnixNano":"1000000",
            "endTimeUnixNano":"2500001","status":{{"code":2,"message":"no \"luck\""}},
            "attributes":[{{"key":"a","value":{{"boolValue":true}}}}],
            "events":[{{"name":"e","timeUnixNano":"5","attributes":[
            {{"key":"b","value":{{"doubleValue":0.5}}}}]}},{{"name":"f"}}],
            "links":[{{"traceId":"{id}","spanId":"00000000000000aa"}}]"#
        );
        let parts = [
            of("shop", "x", &span(1, &full)),
            of("db", "x", &span(2, "")),
            of("shop", "", &span(3, "")),
        ];
        let text = format!(r#"{{"resourceSpans":[{}]}}"#, parts.join(","));
        let otlp = model::json::decode(text.as_bytes()).unwrap_or_else(|fault| panic!("{fault}"));
        let written = trace(TraceId::parse("1").unwrap(), &otlp, Some("more to come")).unwrap();
        let unset = json!({ "code": "STATUS_CODE_UNSET", "message": "" });
        let expected = json!({
            "trace": { "traceId": id, "services": [
                { "serviceName": "shop", "resource": { "host": 7 }, "scopes": [
                    { "name": "x", "spans": [{
                        "spanId": "0000000000000001", "name": "n1",
                        "parentSpanId": "00000000000000ff", "kind": "SPAN_KIND_SERVER",
                        "startTimeUnixNano": "1000000", "endTimeUnixNano": "2500001",
                        "durationMs": 1.500_001, "attributes": { "a": true },
                        "events": [
                            { "name": "e", "timeUnixNano": "5", "attributes": { "b": 0.5 } },
                            { "name": "f" },
                        ],
                        "links": [{ "traceId": id, "spanId": "00000000000000aa" }],
                        "status": { "code": "STATUS_CODE_ERROR", "message": "no \"luck\"" },
                    }] },
                    { "spans": [
                        { "spanId": "0000000000000003", "name": "n3", "status": unset },
                    ] },
                ] },
                { "serviceName": "db", "resource": { "host": 7 }, "scopes": [
                    { "name": "x", "spans": [
                        { "spanId": "0000000000000002", "name": "n2", "status": unset },
                    ] },
                ] },
            ] },
            "status": "PARTIAL", "message": "more to come",
        });
        assert_eq!(serde_json::from_str::<Json>(&written).unwrap(), expected, "{written}");
    }

    #[test]
    fn nothing_is_an_empty_trace() {
        let written = trace(TraceId::parse("1").unwrap(), &[], None).unwrap();
        let id = format!("{}1", "0".repeat(31));
        assert_eq!(written, format!(r#"{{"trace":{{"traceId":"{id}","services":[]}}}}"#));
    }
}
