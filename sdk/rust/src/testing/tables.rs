//! Budgets and the table of traces, as a host writes them.

use super::build::{Row, Rows, dictionary, number, u32s, u64s};
use super::fixture::{Fixture, Layout, Span, find};
use crate::any::Any;
use crate::buffer::Writer;
use crate::codes::{NONE, batch as kind, domain, layout};
use crate::plugin::InputLevel;
use crate::projection::{Budget, Owner, Projection};

impl Fixture {
    /// The budgets, of rows or of traces: of these the first span counts.
    pub(super) fn budgets(
        &self,
        projection: &Projection,
        rows: &Rows<'_>,
        of: u8,
        writer: &mut Writer<'_>,
    ) {
        for (at, budget) in projection.budgets.iter().enumerate() {
            let mut keys: Vec<String> = Vec::new();
            let mut index = Vec::new();
            let mut trace = None;
            for row in &rows.spans {
                let same = trace.replace(row.span.trace_id) == Some(row.span.trace_id);
                if of == domain::TRACES && same {
                    continue;
                }
                index.push(key(budget, rows, row).map_or(NONE, |key| {
                    let place = keys.iter().position(|there| *there == key).unwrap_or(keys.len());
                    if place == keys.len() {
                        keys.push(key);
                    }
                    number(place)
                }));
            }
            let used =
                |key: &String| self.used.get(&(at, key.clone())).copied().unwrap_or_default();
            let used = u64s(keys.iter().map(used));
            let limits = u64s(keys.iter().map(|_| budget.limit));
            let keys: Vec<_> = keys.iter().map(|key| Some(key.as_bytes())).collect();
            let keys = dictionary(&keys, Layout::Each);
            let (home, place) = (domain::BUDGETS, number(at));
            writer.section(kind::BUDGET_KEY, layout::TEXT, home, place, keys);
            writer.section(kind::BUDGET_LIMIT, layout::U64, home, place, limits);
            writer.section(kind::BUDGET_USED, layout::U64, home, place, used);
            writer.section(kind::BUDGET_INDEX, layout::U32, of, place, u32s(index));
        }
    }

    /// The table of traces, whose spans stand together.
    pub(super) fn trace_table(
        &self,
        rows: &Rows<'_>,
        ids: &[[u8; 16]],
        level: InputLevel,
        writer: &mut Writer<'_>,
    ) {
        let traces: Vec<Trace<'_>> = ids.iter().map(|id| Trace::of(*id, rows)).collect();
        let mut section = |kind, layout, data: Vec<u8>| {
            writer.section(kind, layout, domain::TRACES, 0, data);
        };
        let ends = traces.iter().scan(0, |end, trace| {
            *end += trace.rows.len();
            Some(if level == InputLevel::Summary { 0 } else { number(*end) })
        });
        section(kind::TRACE_END_ROW, layout::U32, u32s(ends));
        section(kind::TRACE, layout::ID16, ids.concat());
        section(kind::TRACE_START, layout::U64, u64s(traces.iter().map(Trace::start)));
        section(kind::TRACE_DURATION, layout::U64, u64s(traces.iter().map(Trace::duration)));
        let spans = traces.iter().map(|trace| number(trace.rows.len()));
        section(kind::TRACE_SPANS, layout::U32, u32s(spans));
        section(kind::TRACE_ERRORS, layout::U32, u32s(traces.iter().map(Trace::errors)));
        section(kind::TRACE_SERVICES, layout::U32, u32s(traces.iter().map(Trace::services)));
        let names: Vec<_> = traces.iter().map(|trace| Some(trace.root_name().as_bytes())).collect();
        section(kind::TRACE_ROOT_NAME, layout::TEXT, dictionary(&names, self.layout));
        let services: Vec<_> =
            traces.iter().map(|trace| Some(trace.root_service().as_bytes())).collect();
        section(kind::TRACE_ROOT_SERVICE, layout::TEXT, dictionary(&services, self.layout));
        let late = |id: &[u8; 16]| u8::from(self.late.contains(id)) << 1;
        let states = ids.iter().zip(&traces).map(|(id, of)| u8::from(of.complete()) | late(id));
        section(kind::TRACE_STATE_BITS, layout::U8, states.collect());
    }
}

/// The value whose budget a row counts for.
fn key(budget: &Budget, rows: &Rows<'_>, row: &Row<'_>) -> Option<String> {
    let Some(per) = &budget.per else { return Some(String::new()) };
    let attributes = match per.owner {
        Owner::Span => &row.span.attributes,
        _ => &rows.resources.get(row.resource)?.attributes,
    };
    match find(attributes, &per.key)? {
        Any::Text(text) => Some(text.clone()),
        _ => None,
    }
}

/// A trace, and the service of each of its spans.
struct Trace<'a> {
    rows: Vec<(&'a str, &'a Span)>,
}

impl<'a> Trace<'a> {
    fn of(id: [u8; 16], rows: &Rows<'a>) -> Self {
        let service = |row: &Row<'a>| match rows.resources.get(row.resource)?.get("service.name")? {
            Any::Text(text) => Some(text.as_str()),
            _ => None,
        };
        let rows = rows.spans.iter().filter(|row| row.span.trace_id == id);
        Self { rows: rows.map(|row| (service(row).unwrap_or_default(), row.span)).collect() }
    }

    fn start(&self) -> u64 {
        self.rows.iter().map(|row| row.1.start_unix_nano).min().unwrap_or_default()
    }

    fn duration(&self) -> u64 {
        let ends = self.rows.iter().map(|row| row.1.start_unix_nano + row.1.duration_nano);
        ends.max().unwrap_or_default() - self.start()
    }

    fn errors(&self) -> u32 {
        number(self.rows.iter().filter(|row| row.1.status_code == 2).count())
    }

    fn services(&self) -> u32 {
        let mut services: Vec<&str> = self.rows.iter().map(|row| row.0).collect();
        services.sort_unstable();
        services.dedup();
        number(services.iter().filter(|service| !service.is_empty()).count())
    }

    fn root(&self) -> Option<&(&'a str, &'a Span)> {
        self.rows.iter().find(|row| row.1.parent_span_id == [0; 8])
    }

    fn root_name(&self) -> &str {
        self.root().map_or("", |row| &row.1.name)
    }

    fn root_service(&self) -> &str {
        self.root().map_or("", |row| row.0)
    }

    fn complete(&self) -> bool {
        let there = |id| self.rows.iter().any(|row| row.1.span_id == id);
        let parents = self.rows.iter().map(|row| row.1.parent_span_id);
        self.root().is_some() && parents.filter(|id| *id != [0; 8]).all(there)
    }
}
