//! Traces that were found, as JSON, written without messages in between: of an answer with thousands of
//! traces that was most of the work. What it writes is what [`super::found`] has as messages, by the
//! rules of `crate::api::pb`; a test compares the two.

use std::sync::Arc;

use model::json::put_str;
use store::execute::traceql::{Inspected, SpanMatch, SpansetMatch, TraceMatch, Value};
use traceql::ast::{Field, Static};

use super::found::{is_named, metrics, narrow, root_service};
use crate::api::value;

/// About what a trace takes.
const TRACE_BYTES: usize = 1_536;

/// A `SearchResponse`.
///
/// # Errors
/// Where a value cannot be written, which none of ours is.
pub(super) fn response(
    traces: &[Arc<TraceMatch>],
    inspected: Inspected,
) -> serde_json::Result<String> {
    let mut writer = Writer {
        out: String::with_capacity(traces.len() * TRACE_BYTES + 256),
        numbers: itoa::Buffer::new(),
        labels: Vec::new(),
    };
    writer.put("{\"traces\":[");
    for (at, trace) in traces.iter().enumerate() {
        writer.put(if at > 0 { "," } else { "" });
        writer.trace(trace)?;
    }
    writer.put("],\"metrics\":");
    writer.put(&serde_json::to_string(&metrics(inspected))?);
    writer.put("}");
    Ok(writer.out)
}

struct Writer<'t> {
    out: String,
    numbers: itoa::Buffer,
    /// What fields are called, as `"key":"name","value":`: few, and the same for each span.
    labels: Vec<(&'t Arc<Field>, Option<String>)>,
}

impl<'t> Writer<'t> {
    fn put(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// `,"key":7`, unless it is zero.
    fn number(&mut self, key: &str, number: u64) {
        if number > 0 {
            self.put(key);
            let text = self.numbers.format(number);
            self.out.push_str(text);
        }
    }

    /// The same as text: `,"key":"7"`.
    fn text_number(&mut self, key: &str, number: u64) {
        self.number(key, number);
        if number > 0 {
            self.put("\"");
        }
    }

    /// `,"key":"text"`, unless it is empty.
    fn text(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.put(key);
            put_str(&mut self.out, text);
        }
    }

    fn trace(&mut self, trace: &'t TraceMatch) -> serde_json::Result<()> {
        self.put("{\"traceID\":\"");
        self.put(&trace.id.trimmed());
        self.put("\"");
        self.text(",\"rootServiceName\":", root_service(trace));
        self.text(",\"rootTraceName\":", &trace.root_name);
        self.text_number(",\"startTimeUnixNano\":\"", trace.start.0);
        self.number(",\"durationMs\":", narrow(trace.duration.as_millis()).into());
        if let Some((first, others)) = trace.spansets.split_first() {
            self.put(",\"spanSet\":");
            let from = self.out.len();
            self.span_set(first)?;
            let to = self.out.len();
            self.put(",\"spanSets\":[");
            self.out.extend_from_within(from..to);
            for set in others {
                self.put(",");
                self.span_set(set)?;
            }
            self.put("]");
        }
        for (at, (service, stats)) in trace.services.iter().enumerate() {
            self.put(if at == 0 { ",\"serviceStats\":{" } else { "," });
            put_str(&mut self.out, service);
            self.put(":{");
            self.number("\"spanCount\":", narrow(stats.spans).into());
            let comma = if stats.spans > 0 { "," } else { "" };
            self.put(if stats.errors > 0 { comma } else { "" });
            self.number("\"errorCount\":", narrow(stats.errors).into());
            self.put("}");
        }
        self.put(if trace.services.is_empty() { "}" } else { "}}" });
        Ok(())
    }

    fn span_set(&mut self, set: &'t SpansetMatch) -> serde_json::Result<()> {
        self.put("{");
        let mut comma = "";
        if !set.spans.is_empty() {
            self.put("\"spans\":[");
            for (at, span) in set.spans.iter().enumerate() {
                self.put(if at > 0 { "," } else { "" });
                self.span(span)?;
            }
            self.put("]");
            comma = ",";
        }
        if set.matched > 0 {
            self.put(comma);
            self.number("\"matched\":", narrow(set.matched).into());
            comma = ",";
        }
        if !set.attributes.is_empty() {
            self.put(comma);
            self.put("\"attributes\":[");
            for (at, (key, of)) in set.attributes.iter().enumerate() {
                self.put(if at > 0 { ",{\"key\":" } else { "{\"key\":" });
                put_str(&mut self.out, key);
                self.put(",\"value\":");
                self.value(of)?;
                self.put("}");
            }
            self.put("]");
        }
        self.put("}");
        Ok(())
    }

    fn span(&mut self, span: &'t SpanMatch) -> serde_json::Result<()> {
        use std::fmt::Write as _;
        // Writing to a string cannot fail.
        write!(self.out, "{{\"spanID\":\"{}\"", span.id).unwrap_or_default();
        if is_named(span) {
            self.text(",\"name\":", &span.name);
        }
        self.text_number(",\"startTimeUnixNano\":\"", span.start.0);
        self.text_number(",\"durationNanos\":\"", span.duration.0);
        let mut open = ",\"attributes\":[{";
        for (field, of) in &span.attributes {
            let Some(label) = self.label(field) else { continue };
            self.put(open);
            let (_, text) = &self.labels[label];
            self.out.push_str(text.as_deref().unwrap_or_default());
            self.value(of)?;
            open = "},{";
        }
        self.put(if open == "},{" { "}]}" } else { "}" });
        Ok(())
    }

    /// Where a field's label is; nothing where it is not shown.
    fn label(&mut self, field: &'t Arc<Field>) -> Option<usize> {
        let known = self.labels.iter().position(|(known, _)| *known == field);
        let at = known.unwrap_or_else(|| {
            let label = value::label(field).map(|label| {
                let mut text = "\"key\":".to_owned();
                put_str(&mut text, &label);
                text + ",\"value\":"
            });
            self.labels.push((field, label));
            self.labels.len() - 1
        });
        self.labels[at].1.is_some().then_some(at)
    }

    /// `{"stringValue":"text"}` and the like.
    fn value(&mut self, of: &Value) -> serde_json::Result<()> {
        match of {
            Value::One(Static::Text(text)) => {
                self.put("{\"stringValue\":");
                put_str(&mut self.out, text);
                self.put("}");
            }
            Value::One(Static::Int(number)) => {
                self.put("{\"intValue\":\"");
                let text = self.numbers.format(*number);
                self.out.push_str(text);
                self.put("\"}");
            }
            of => self.put(&serde_json::to_string(&value::any(of))?),
        }
        Ok(())
    }
}
