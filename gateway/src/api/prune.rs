//! A part of a trace: the spans that a filter leaves, with what is below and above them.

use std::collections::{HashMap, HashSet};

use model::wire::{self, Fault, Reader, Value};
use model::{SpanId, TraceId};
use traceql::ast::{FieldExpr, Root, SpansetKind, Stage};

use super::call::Parameters;
use super::error;
use super::span::{self, Span, messages};

/// What is left of a trace.
#[derive(Debug)]
pub(super) struct Prune {
    /// Finds the spans that match.
    pub(super) query: traceql::Query,
    /// So many levels below them stay, too; all if nothing.
    below: Option<usize>,
    /// So many levels above them stay, too; all if nothing.
    above: Option<usize>,
}

impl Prune {
    /// What a request asks for; nothing where it asks for the whole trace.
    ///
    /// # Errors
    /// Says which parameter cannot be.
    pub(super) fn read(
        parameters: &Parameters<'_>,
        id: TraceId,
    ) -> Result<Option<Self>, error::Fault> {
        let is_above = parameters.flag("keep_hierarchy")?;
        let below = parameters.levels("match_depth", Some(0))?;
        let above = if is_above { parameters.levels("ancestor_depth", None)? } else { Some(0) };
        let Some(filter) = parameters.get("q").map(filter).transpose()?.flatten() else {
            return Ok(None);
        };
        // What the filter says, of this trace only.
        let query = traceql::parse(&format!("{{ trace:id = \"{id}\" && ({filter}) }}"))?;
        Ok(Some(Self { query, below, above }))
    }

    /// What is left of a trace, and of how many of its spans.
    ///
    /// # Errors
    /// When the trace is not what was written.
    pub(super) fn apply(
        &self,
        otlp: &[u8],
        matched: &HashSet<SpanId>,
    ) -> Result<(Vec<u8>, u64), Fault> {
        let mut parents: HashMap<SpanId, SpanId> = HashMap::new();
        let mut children: HashMap<SpanId, Vec<SpanId>> = HashMap::new();
        for span in span::all(otlp)? {
            if let (Some(id), Some(parent)) = (span.id, span.parent) {
                parents.entry(id).or_insert(parent);
                children.entry(parent).or_default().push(id);
            }
        }
        let mut kept = matched.clone();
        spread(matched, self.below, &mut kept, |id| {
            children.get(&id).map(Vec::as_slice).unwrap_or_default()
        });
        spread(matched, self.above, &mut kept, |id| {
            parents.get(&id).map(std::slice::from_ref).unwrap_or_default()
        });
        only(otlp, &kept)
    }
}

/// Adds what is so many steps away from a set of spans.
fn spread<'a>(
    from: &HashSet<SpanId>,
    steps: Option<usize>,
    kept: &mut HashSet<SpanId>,
    next: impl Fn(SpanId) -> &'a [SpanId],
) {
    let mut seen = from.clone();
    let mut edge: Vec<SpanId> = from.iter().copied().collect();
    for _ in 0..steps.unwrap_or(usize::MAX) {
        let beyond = edge.iter().flat_map(|id| next(*id)).copied();
        edge = beyond.filter(|id| seen.insert(*id)).collect();
        if edge.is_empty() {
            return;
        }
        kept.extend(&edge);
    }
}

/// The condition of a query that is one filter; nothing where it has none.
fn filter(query: &str) -> Result<Option<FieldExpr>, error::Fault> {
    if let Root::Spans(mut pipeline) = traceql::parse(query)?.root
        && pipeline.stages.len() == 1
        && let Some(Stage::Spanset(spanset)) = pipeline.stages.pop()
        && let SpansetKind::Filter(condition) = spanset.kind
    {
        return Ok(condition);
    }
    Err(error::Fault::invalid("q must be a single filter here, such as { status = error }"))
}

/// The same trace with only these spans.
fn only(otlp: &[u8], kept: &HashSet<SpanId>) -> Result<(Vec<u8>, u64), Fault> {
    rewritten(otlp, |bytes| {
        let is_kept = Span::read(bytes, b"")?.id.is_some_and(|id| kept.contains(&id));
        Ok(is_kept.then(|| bytes.to_vec()))
    })
}

/// The same trace with each span made anew or left out, and without what has no spans then; and
/// how many there are.
///
/// # Errors
/// When the trace is not what was written.
pub(super) fn rewritten(
    otlp: &[u8],
    mut each: impl FnMut(&[u8]) -> Result<Option<Vec<u8>>, Fault>,
) -> Result<(Vec<u8>, u64), Fault> {
    let (mut out, mut spans) = (Vec::with_capacity(otlp.len()), 0);
    for resource in messages(otlp, 1) {
        let before = spans;
        let resource = filtered(resource?, |scope| {
            let before = spans;
            let scope = filtered(scope, |span| {
                let span = each(span)?;
                spans += u64::from(span.is_some());
                Ok(span)
            })?;
            Ok((spans > before).then_some(scope))
        })?;
        if spans > before {
            wire::put_bytes(&mut out, 1, &resource);
        }
    }
    Ok((out, spans))
}

/// A message whose fields 2, which are messages, are made anew or left out.
fn filtered(
    message: &[u8],
    mut each: impl FnMut(&[u8]) -> Result<Option<Vec<u8>>, Fault>,
) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::with_capacity(message.len());
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        match (field.number, field.value) {
            (2, Value::Bytes(bytes)) => {
                if let Some(bytes) = each(bytes)? {
                    wire::put_bytes(&mut out, 2, &bytes);
                }
            }
            (number, value) => put(&mut out, number, value),
        }
    }
    Ok(out)
}

/// Writes a field as it was read.
pub(super) fn put(out: &mut Vec<u8>, number: u32, value: Value<'_>) {
    match value {
        Value::Bytes(bytes) => wire::put_bytes(out, number, bytes),
        Value::Varint(value) => wire::put_u64(out, number, value),
        Value::Fixed64(value) => wire::put_fixed64(out, number, value),
        Value::Fixed32(value) => wire::put_fixed32(out, number, value),
        Value::Group => {}
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::api::call::Call;

    fn prune(query: &str) -> Result<Option<Prune>, String> {
        let uri = format!("/api/v2/traces/1?{query}");
        let (head, ()) = http::Request::builder().uri(uri).body(()).unwrap().into_parts();
        let call = Call::new(&head, String::new(), None);
        let id = TraceId::parse("1").unwrap();
        Prune::read(&call.parameters().unwrap(), id).map_err(|fault| fault.to_string())
    }

    /// 1 is above 2 and 4, 2 above 3, 3 above 5, 5 above 6; each has a service of its own. 7 is
    /// above 8 and below it.
    fn otlp() -> Vec<u8> {
        let tree = [(1, 0), (2, 1), (3, 2), (4, 1), (5, 3), (6, 5), (7, 8), (8, 7)];
        let spans = tree.map(|(id, parent)| {
            let parent = if parent == 0 { String::new() } else { format!("{parent:016x}") };
            format!(
                r#"{{"resource":{{"attributes":[{{"key":"service.name","value":
                {{"stringValue":"s{id}"}}}}]}},"scopeSpans":[{{"scope":{{"name":"x"}},"spans":
                [{{"traceId":"{}1","spanId":"{id:016x}","parentSpanId":"{parent}"}}]}}]}}"#,
                "0".repeat(31)
            )
        });
        let json = format!(r#"{{"resourceSpans":[{}]}}"#, spans.join(","));
        model::json::decode(json.as_bytes()).unwrap_or_else(|fault| panic!("{fault}"))
    }

    fn left(query: &str, matched: &[u64]) -> Vec<u64> {
        let prune = prune(&format!("q=%7B.a%3D1%7D&{query}")).unwrap().unwrap();
        let id = |number: &u64| SpanId::from_array(number.to_be_bytes());
        let (otlp, spans) = prune.apply(&otlp(), &matched.iter().map(id).collect()).unwrap();
        let number = |span: &Span<'_>| u64::from_be_bytes(*span.id.unwrap().as_bytes());
        let mut left: Vec<u64> = span::all(&otlp).unwrap().iter().map(number).collect();
        assert_eq!(spans, left.len() as u64);
        let json = model::json::encode(&otlp, model::json::Flavour::Otlp).unwrap();
        assert_eq!(json.matches("service.name").count(), left.len(), "{json}");
        left.sort_unstable();
        left
    }

    #[test]
    fn levels_below_and_above_stay() {
        for (query, expected) in [
            ("", &[3][..]),
            ("match_depth=1", &[3, 5]),
            ("match_depth=-1", &[3, 5, 6]),
            ("match_depth=9", &[3, 5, 6]),
            ("ancestor_depth=2", &[3]),
            ("ancestor_depth=-2", &[3]),
            ("keep_hierarchy=true", &[1, 2, 3]),
            ("keep_hierarchy=true&ancestor_depth=1&match_depth=1", &[2, 3, 5]),
            ("keep_hierarchy=true&ancestor_depth=0", &[3]),
        ] {
            assert_eq!(left(query, &[3]), expected, "{query}");
        }
        assert_eq!(left("keep_hierarchy=true&ancestor_depth=1", &[3, 4]), [1, 2, 3, 4]);
        assert_eq!(left("keep_hierarchy=true&match_depth=-1", &[7]), [7, 8], "a circle ends");
        assert_eq!(left("", &[]), [0; 0]);
    }

    #[test]
    fn only_a_filter_is_taken() {
        assert!(prune("").unwrap().is_none());
        assert!(prune("q=%7B%20%7D").unwrap().is_none());
        let made = prune("q=%7B.a%3D1%7C%7C.b%3D2%7D").unwrap().unwrap();
        let id = format!("{}1", "0".repeat(31));
        assert_eq!(
            made.query.to_string(),
            format!("{{ trace:id = \"{id}\" && (.a = 1 || .b = 2) }}")
        );
        for (query, word) in [
            ("q=%7B.a%3D1%7D%7Cselect(.b)", "single filter"),
            ("q=%7B.a%3D1%7D%3E%7B%7D", "single filter"),
            ("q=%7B%7D%7Crate()", "single filter"),
            ("q=%7B.a%3D%7D", "line 1"),
            ("q=%7B.a%3D1%7D&match_depth=-2", "match_depth"),
            ("q=%7B.a%3D1%7D&match_depth=x", "match_depth"),
            ("q=%7B.a%3D1%7D&keep_hierarchy=maybe", "keep_hierarchy"),
            ("q=%7B.a%3D1%7D&keep_hierarchy=true&ancestor_depth=-2", "ancestor_depth"),
        ] {
            let refusal = prune(query).unwrap_err();
            assert!(refusal.contains(word), "{query}: {refusal}");
        }
    }
}
