//! Which spans a batch is of, and how it numbers them and all that is theirs.

use model::otlp::outline::Stretch;
use traceweir_plugin::codes::NONE;

use super::texts::at32;
use super::traces;
use crate::draft::{Draft, Target};
use crate::projection::{Level, Owner, Plan};

/// What the numbers of a batch stand for: places in the draft's outline.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    pub(crate) rows: Vec<u32>,
    /// The resource and scope of each row, as the batch numbers them.
    pub(crate) resource_of: Vec<u32>,
    pub(crate) scope_of: Vec<u32>,
    resources: Vec<u32>,
    scopes: Vec<u32>,
    /// With the row that each is of; none where the plan has nothing to do with them.
    events: Vec<(u32, u32)>,
    links: Vec<(u32, u32)>,
    /// Where the rows of each trace end.
    pub(crate) traces: Vec<u32>,
    /// The row that each trace goes by.
    pub(super) roots: Vec<u32>,
    pub(crate) level: Option<Level>,
    /// The draft's when the batch was made.
    pub(crate) generation: u32,
    /// The number of each resource and scope of the draft, while they are numbered.
    numbers: [Vec<u32>; 2],
}

impl Shape {
    pub(super) fn fill(&mut self, draft: &Draft, plan: &Plan, rows: &[u32], level: Option<Level>) {
        self.level = level;
        self.generation = draft.generation;
        self.rows.clear();
        self.traces.clear();
        match level {
            None => self.rows.extend_from_slice(rows),
            Some(_) => traces::group(draft, rows, &mut self.rows, &mut self.traces),
        }
        self.number(draft);
        self.find_roots(draft);
        self.events.clear();
        self.links.clear();
        if plan.touches_events() {
            nested(&self.rows, &mut self.events, |row| span(draft, row).events);
        }
        if plan.touches_links() {
            nested(&self.rows, &mut self.links, |row| span(draft, row).links);
        }
    }

    /// Numbers resources and scopes in the order of their first row.
    fn number(&mut self, draft: &Draft) {
        let Self { rows, resource_of, scope_of, resources, scopes, numbers, .. } = self;
        let [resource_numbers, scope_numbers] = numbers;
        for list in [&mut *resource_of, scope_of, resources, scopes] {
            list.clear();
        }
        resource_of.reserve(rows.len());
        scope_of.reserve(rows.len());
        let outline = &draft.outline;
        resource_numbers.clear();
        resource_numbers.resize(outline.resources.len(), NONE);
        scope_numbers.clear();
        scope_numbers.resize(outline.scopes.len(), NONE);
        let (mut last, mut found) = (NONE, (0, 0));
        for row in &*rows {
            let scope = span(draft, *row).scope;
            // Rows of one scope stand together, mostly.
            if scope != last {
                last = scope;
                let resource = outline.scopes.get(scope as usize).map_or(0, |of| of.resource);
                found = (
                    number_of(resource_numbers, resources, resource),
                    number_of(scope_numbers, scopes, scope),
                );
            }
            resource_of.push(found.0);
            scope_of.push(found.1);
        }
    }

    /// How many there are of something.
    pub(crate) const fn count(&self, owner: Owner) -> usize {
        match owner {
            Owner::Span => self.rows.len(),
            Owner::Resource => self.resources.len(),
            Owner::Scope => self.scopes.len(),
            Owner::Event => self.events.len(),
            Owner::Link => self.links.len(),
        }
    }

    /// How many the plugin is told that there are: of a summary it sees traces alone.
    pub(crate) fn shown(&self, owner: Owner) -> usize {
        if self.level == Some(Level::Summary) { 0 } else { self.count(owner) }
    }

    /// The place in the outline of one of them.
    #[inline]
    pub(crate) fn place(&self, owner: Owner, entry: usize) -> u32 {
        let place = match owner {
            Owner::Span => self.rows.get(entry).copied(),
            Owner::Resource => self.resources.get(entry).copied(),
            Owner::Scope => self.scopes.get(entry).copied(),
            Owner::Event => self.events.get(entry).map(|(place, _)| *place),
            Owner::Link => self.links.get(entry).map(|(place, _)| *place),
        };
        place.unwrap_or(NONE)
    }

    /// The row that an event or link is of.
    pub(crate) fn row_of(&self, owner: Owner, entry: usize) -> u32 {
        let list = if owner == Owner::Event { &self.events } else { &self.links };
        list.get(entry).map_or(NONE, |(_, row)| *row)
    }

    /// What an edit of one of them is about.
    pub(crate) fn target(&self, owner: Owner, entry: usize) -> Target {
        let place = self.place(owner, entry);
        let span = match owner {
            Owner::Span => place,
            Owner::Resource | Owner::Scope => NONE,
            Owner::Event | Owner::Link => {
                self.place(Owner::Span, self.row_of(owner, entry) as usize)
            }
        };
        Target::new(owner, place, span)
    }

    /// The rows of a trace.
    pub(crate) fn rows_of(&self, trace: usize) -> std::ops::Range<usize> {
        let end = |trace: usize| self.traces.get(trace).map_or(0, |end| *end as usize);
        trace.checked_sub(1).map_or(0, end)..end(trace)
    }
}

/// A span of the outline, with zeros for one that there is not.
pub(super) fn span(draft: &Draft, place: u32) -> &model::otlp::outline::Span {
    const NO_SPAN: &model::otlp::outline::Span = &model::otlp::outline::Span {
        at: 0,
        end: 0,
        scope: 0,
        trace_id: 0,
        span_id: 0,
        parent_id: 0,
        trace_state: 0,
        name: 0,
        kind: 0,
        start: 0,
        end_time: 0,
        flags: 0,
        status: 0,
        status_code: 0,
        status_message: 0,
        attributes: Stretch { first: 0, count: 0 },
        events: Stretch { first: 0, count: 0 },
        links: Stretch { first: 0, count: 0 },
        heap_bytes: 0,
    };
    draft.outline.spans.get(place as usize).unwrap_or(NO_SPAN)
}

fn number_of(numbers: &mut [u32], list: &mut Vec<u32>, place: u32) -> u32 {
    let Some(number) = numbers.get_mut(place as usize) else { return 0 };
    if *number == NONE {
        *number = at32(list.len());
        list.push(place);
    }
    *number
}

fn nested(rows: &[u32], list: &mut Vec<(u32, u32)>, of: impl Fn(u32) -> Stretch) {
    for (number, row) in (0..).zip(rows) {
        let Stretch { first, count } = of(*row);
        list.extend((first..first + count).map(|place| (place, number)));
    }
}
