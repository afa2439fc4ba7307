//! OTLP/JSON as the world writes it: every spelling that the specification lets a client choose is
//! drawn from a seed.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{Span, TracesData};

/// Writes the request in a spelling that follows from `style`.
pub(super) fn otlp(traces: &TracesData, style: u64) -> String {
    let mut pen = Pen { state: style | 1 };
    let resources = pen.list(&traces.resource_spans, |pen, resource_spans| {
        let resource = resource_spans.resource.as_ref().map(|resource| {
            let fields = vec![
                ("attributes", pen.attributes(&resource.attributes)),
                ("droppedAttributesCount", pen.count(resource.dropped_attributes_count)),
            ];
            pen.object(fields)
        });
        let scopes = pen.list(&resource_spans.scope_spans, |pen, scope_spans| {
            let scope = scope_spans.scope.as_ref().map(|scope| {
                let fields = vec![
                    ("name", pen.text(&scope.name)),
                    ("version", pen.text(&scope.version)),
                    ("attributes", pen.attributes(&scope.attributes)),
                    ("droppedAttributesCount", pen.count(scope.dropped_attributes_count)),
                ];
                pen.object(fields)
            });
            let fields = vec![
                ("scope", scope),
                ("spans", pen.list(&scope_spans.spans, Pen::span)),
                ("schemaUrl", pen.text(&scope_spans.schema_url)),
            ];
            pen.object(fields)
        });
        let fields = vec![
            ("resource", resource),
            ("scopeSpans", scopes),
            ("schemaUrl", pen.text(&resource_spans.schema_url)),
        ];
        pen.object(fields)
    });
    let mark = if pen.draw(8) == 0 { "\u{feff}" } else { "" };
    let request = pen.object(vec![("resourceSpans", resources)]);
    format!("{mark}{}{request}{}", pen.space(), pen.space())
}

struct Pen {
    state: u64,
}

impl Pen {
    /// A number below `bound`, by xorshift.
    fn draw(&mut self, bound: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % bound
    }

    fn space(&mut self) -> &'static str {
        ["", "", "", " ", "\n\t", "\r\n  "][usize::try_from(self.draw(6)).unwrap()]
    }

    /// Fields in any order, keys in either case, some `null` or unknown ones among them.
    fn object<T: Into<Option<String>>>(&mut self, fields: Vec<(&str, T)>) -> String {
        let mut members: Vec<(String, String)> = Vec::new();
        for (key, value) in fields {
            let key = if self.draw(3) == 0 { snake(key) } else { key.to_owned() };
            match value.into() {
                Some(value) => members.push((key, value)),
                None if self.draw(4) == 0 => members.push((key, "null".to_owned())),
                None => {}
            }
        }
        if self.draw(6) == 0 {
            let value = ["{\"a\":[1,{\"b\":null}]}", "[]", "-1.5e3", "true", "\"\\\"\""];
            let value = value[usize::try_from(self.draw(5)).unwrap()];
            members.push(("entityRefs".to_owned(), value.to_owned()));
        }
        if self.draw(3) == 0 {
            for last in (1..members.len()).rev() {
                let other = usize::try_from(self.draw(last as u64 + 1)).unwrap();
                members.swap(last, other);
            }
        }
        let mut out = String::from("{");
        for (place, (key, value)) in members.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            let [a, b, c, d] = std::array::from_fn(|_| self.space());
            write!(out, "{comma}{a}\"{key}\"{b}:{c}{value}{d}").unwrap();
        }
        out + "}"
    }

    fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T) -> String) -> Option<String> {
        if items.is_empty() && self.draw(2) == 0 {
            return None;
        }
        let items: Vec<String> = items.iter().map(|item| write(self, item)).collect();
        let comma = format!("{},{}", self.space(), self.space());
        Some(format!("[{}{}]", self.space(), items.join(&comma)))
    }

    fn span(&mut self, span: &Span) -> String {
        let status = span.status.as_ref().map(|status| {
            let fields = vec![
                ("message", self.text(&status.message)),
                ("code", self.named(status.code, &["UNSET", "OK", "ERROR"], "STATUS_CODE_")),
            ];
            self.object(fields)
        });
        let kinds = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
        let events = self.list(&span.events, |pen, event| {
            let fields = vec![
                ("timeUnixNano", pen.long(event.time_unix_nano)),
                ("name", pen.text(&event.name)),
                ("attributes", pen.attributes(&event.attributes)),
                ("droppedAttributesCount", pen.count(event.dropped_attributes_count)),
            ];
            pen.object(fields)
        });
        let links = self.list(&span.links, |pen, link| {
            let fields = vec![
                ("traceId", pen.id(&link.trace_id)),
                ("spanId", pen.id(&link.span_id)),
                ("traceState", pen.text(&link.trace_state)),
                ("attributes", pen.attributes(&link.attributes)),
                ("droppedAttributesCount", pen.count(link.dropped_attributes_count)),
                ("flags", pen.count(link.flags)),
            ];
            pen.object(fields)
        });
        let fields = vec![
            ("traceId", self.id(&span.trace_id)),
            ("spanId", self.id(&span.span_id)),
            ("parentSpanId", self.id(&span.parent_span_id)),
            ("traceState", self.text(&span.trace_state)),
            ("flags", self.count(span.flags)),
            ("name", self.text(&span.name)),
            ("kind", self.named(span.kind, &kinds, "SPAN_KIND_")),
            ("startTimeUnixNano", self.long(span.start_time_unix_nano)),
            ("endTimeUnixNano", self.long(span.end_time_unix_nano)),
            ("attributes", self.attributes(&span.attributes)),
            ("droppedAttributesCount", self.count(span.dropped_attributes_count)),
            ("events", events),
            ("droppedEventsCount", self.count(span.dropped_events_count)),
            ("links", links),
            ("droppedLinksCount", self.count(span.dropped_links_count)),
            ("status", status),
        ];
        self.object(fields)
    }

    fn attributes(&mut self, attributes: &[KeyValue]) -> Option<String> {
        self.list(attributes, |pen, attribute| {
            let value = attribute.value.as_ref().map(|value| pen.value(value));
            let fields = vec![("key", pen.text(&attribute.key)), ("value", value)];
            pen.object(fields)
        })
    }

    fn value(&mut self, value: &AnyValue) -> String {
        let field = match &value.value {
            None => return self.object(Vec::<(&str, String)>::new()),
            Some(Value::StringValue(text)) => ("stringValue", self.quoted(text)),
            Some(Value::BoolValue(value)) => ("boolValue", value.to_string()),
            Some(Value::IntValue(value)) => ("intValue", self.whole(i128::from(*value))),
            Some(Value::DoubleValue(value)) => ("doubleValue", self.double(*value)),
            Some(Value::BytesValue(bytes)) => ("bytesValue", self.base64(bytes)),
            Some(Value::ArrayValue(array)) => {
                let values = self.list(&array.values, Self::value);
                ("arrayValue", self.object(vec![("values", values)]))
            }
            Some(Value::KvlistValue(list)) => {
                let values = self.attributes(&list.values);
                ("kvlistValue", self.object(vec![("values", values)]))
            }
            Some(other) => panic!("{other:?} is no value of a trace"),
        };
        self.object(vec![field])
    }

    fn double(&mut self, value: f64) -> String {
        match value {
            value if value.is_nan() => "\"NaN\"".to_owned(),
            f64::INFINITY => "\"Infinity\"".to_owned(),
            f64::NEG_INFINITY => "\"-Infinity\"".to_owned(),
            value => match self.draw(3) {
                0 => format!("{value}"),
                1 => format!("{value:E}"),
                _ => format!("\"{value:e}\""),
            },
        }
    }

    fn base64(&mut self, bytes: &[u8]) -> String {
        let engine = match self.draw(3) {
            0 => BASE64_STANDARD,
            1 => BASE64_STANDARD_NO_PAD,
            _ => BASE64_URL_SAFE,
        };
        // Some writers of JSON escape the slash.
        format!("\"{}\"", engine.encode(bytes).replace('/', "\\/"))
    }

    fn id(&mut self, id: &[u8]) -> Option<String> {
        if id.is_empty() && self.draw(2) == 0 {
            return None;
        }
        let mut hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        if self.draw(3) == 0 {
            hex.make_ascii_uppercase();
        }
        Some(format!("\"{hex}\""))
    }

    fn count(&mut self, count: u32) -> Option<String> {
        if count == 0 && self.draw(2) == 0 {
            return None;
        }
        Some(self.whole(i128::from(count)))
    }

    fn long(&mut self, value: u64) -> Option<String> {
        if value == 0 && self.draw(2) == 0 {
            return None;
        }
        Some(self.whole(i128::from(value)))
    }

    fn named(&mut self, value: i32, names: &[&str], prefix: &str) -> Option<String> {
        if value == 0 && self.draw(2) == 0 {
            return None;
        }
        match usize::try_from(value).ok().and_then(|place| names.get(place)) {
            Some(name) if self.draw(2) == 0 => Some(format!("\"{prefix}{name}\"")),
            _ => Some(self.whole(i128::from(value))),
        }
    }

    fn whole(&mut self, value: i128) -> String {
        match self.draw(6) {
            0 => format!("{value}.0"),
            1 if value % 10 == 0 => format!("{}e1", value / 10),
            2 => format!("\"{value}00E-2\""),
            3 => format!("{value}"),
            _ => format!("\"{value}\""),
        }
    }

    fn text(&mut self, text: &str) -> Option<String> {
        if text.is_empty() && self.draw(2) == 0 {
            return None;
        }
        Some(self.quoted(text))
    }

    fn quoted(&mut self, text: &str) -> String {
        let escape_all = self.draw(4) == 0;
        let mut out = String::from("\"");
        for character in text.chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                _ if character < ' ' || escape_all => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        write!(out, "\\u{unit:04X}").unwrap();
                    }
                }
                _ => out.push(character),
            }
        }
        out + "\""
    }
}

fn snake(camel: &str) -> String {
    let mut snake = String::new();
    for character in camel.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}
