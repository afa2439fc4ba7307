//! Rows out of a batch of many, with what they use of its tables and no more.

use std::ops::Range;

use super::{Batch, Events, Indexed, Links, Parts};
use crate::TenantId;
use crate::attributes::Cut;
use crate::column::{Renumber, Sparse, count, within};

impl Batch {
    /// These rows as a batch of `tenant`, in their order; it takes no more requests. Costs by them
    /// and by the number of columns, not by the rows that stay behind.
    ///
    /// # Errors
    /// Names the column that ends before the rows do.
    pub fn cut(&self, rows: Range<u32>, tenant: &TenantId) -> Result<Self, &'static str> {
        let range = rows.start as usize..rows.end as usize;
        if range.start >= range.end || range.end > self.len() {
            return Err("rows");
        }
        let (mut keys, mut names) = (Renumber::new(&self.keys), Renumber::new(&self.names));
        let mut texts = Renumber::new(&self.texts);
        // Number 0 stays the empty text.
        texts.number(0);
        let (mut resources, mut scopes) =
            (Renumber::new(&self.resources), Renumber::new(&self.scopes));
        let all = || rows.start..rows.end;
        let name = names.all(&self.name[range.clone()]);
        let resource = resources.all(&self.resource[range.clone()]);
        let services: Vec<u32> =
            resources.used().iter().map(|code| self.services[*code as usize]).collect();
        let services = names.all(&services);
        let scope = scopes.all(&self.scope[range.clone()]);
        let spans = self.spans.cut(&rows, &mut keys);
        let (events, event_attributes) = self.cut_events(&rows, &mut texts, &mut keys);
        let (links, link_attributes) = self.cut_links(&rows, &mut texts, &mut keys);
        let texts_of = |sparse: &Sparse, texts: &mut Renumber<'_>| {
            sparse.cut(&rows, |code| texts.number(code))
        };
        let status_message = texts_of(&self.status_message, &mut texts);
        let trace_state = texts_of(&self.trace_state, &mut texts);
        let keys = keys.done();
        let build = |cut: Cut| cut.build(&keys).ok_or("attributes");
        let (spans, event_attributes, link_attributes) =
            (build(spans)?, build(event_attributes)?, build(link_attributes)?);
        let parts = Parts {
            rows: range.len(),
            tenant: tenant.clone(),
            received_at: self.request(rows.start).received_at,
            spans,
            events: Events { attributes: event_attributes, ..events },
            links: Links { attributes: link_attributes, ..links },
            keys,
            names: names.done(),
            texts: texts.done(),
            resources: resources.done(),
            services,
            scopes: scopes.done(),
            trace_id: self.trace_id[range.clone()].to_vec(),
            span_id: self.span_id[range.clone()].to_vec(),
            parent_id: self.parent_id[range.clone()].to_vec(),
            parent_distance: Vec::new(),
            start: self.start[range.clone()].to_vec(),
            end: self.end[range.clone()].to_vec(),
            effective: all().map(|row| self.effective_start(row)).collect(),
            kind: all().map(|row| self.kind(row)).collect(),
            status: all().map(|row| self.status(row)).collect(),
            flags: self.flags[range].to_vec(),
            name,
            resource,
            scope,
            status_message,
            trace_state,
            dropped: self.dropped.each_ref().map(|sparse| sparse.cut(&rows, |number| number)),
        };
        Self::from_parts(parts, Indexed::No)
    }

    /// The events of these rows, their attributes apart.
    fn cut_events(
        &self,
        rows: &Range<u32>,
        texts: &mut Renumber<'_>,
        keys: &mut Renumber<'_>,
    ) -> (Events, Cut) {
        let Events { row, time, name, dropped, attributes } = &self.events;
        let (range, elements) = elements(row, rows);
        let events = Events {
            row: row[range.clone()].iter().map(|row| row - rows.start).collect(),
            time: time[range.clone()].to_vec(),
            name: texts.all(&name[range]),
            dropped: dropped.cut(&elements, |number| number),
            ..Events::new(0)
        };
        (events, attributes.cut(&elements, keys))
    }

    /// The links of these rows, their attributes apart.
    fn cut_links(
        &self,
        rows: &Range<u32>,
        texts: &mut Renumber<'_>,
        keys: &mut Renumber<'_>,
    ) -> (Links, Cut) {
        let Links { row, trace_id, span_id, trace_state, flags, dropped, attributes } = &self.links;
        let (range, elements) = elements(row, rows);
        let links = Links {
            row: row[range.clone()].iter().map(|row| row - rows.start).collect(),
            trace_id: trace_id[range.clone()].to_vec(),
            span_id: span_id[range].to_vec(),
            trace_state: trace_state.cut(&elements, |code| texts.number(code)),
            flags: flags.cut(&elements, |number| number),
            dropped: dropped.cut(&elements, |number| number),
            ..Links::new(0)
        };
        (links, attributes.cut(&elements, keys))
    }
}

/// The elements whose owners are in the rows: where they stand, and as rows of their own table.
fn elements(owners: &[u32], rows: &Range<u32>) -> (Range<usize>, Range<u32>) {
    let range = within(owners, rows);
    (range.clone(), count(range.start)..count(range.end))
}
