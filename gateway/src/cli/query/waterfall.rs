//! A trace as a tree with a bar for each span.
//!
//! Real traces are not tidy: parents are missing or come in circles, clocks differ, ids are shared
//! by client and server. Every span is drawn exactly once, and what is odd about it is said.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::time::{Duration, SystemTime};

use model::TraceId;

use super::read::{Attributes, Span, Trace};

/// How it is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// The width of the terminal.
    pub(super) columns: usize,
    pub(super) colour: bool,
    /// Whether attributes, events and links are shown.
    pub(super) attributes: bool,
}

impl Style {
    /// The width in which a line can be drawn at all.
    fn columns(&self) -> usize {
        self.columns.clamp(40, 400)
    }

    /// Label, duration and bar share the line; the label gets half of it.
    fn label_width(&self) -> usize {
        self.columns() / 2
    }
}

/// A span whose start is further than this from the middle of the trace (in nanoseconds) has no
/// bar: it would squeeze all others.
const APART_MAX: u64 = 24 * 3_600 * 1_000_000_000;

const SERVER: u64 = 2;
const CLIENT: u64 = 3;
const ERROR: u64 = 2;

const KINDS: [&str; 6] = ["", "internal", "server", "client", "producer", "consumer"];

const RED: &str = "\x1b[31m";
const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// Colours of services, by turns; none of them red.
const HUES: [&str; 6] = ["\x1b[36m", "\x1b[32m", "\x1b[33m", "\x1b[34m", "\x1b[35m", "\x1b[96m"];

/// Draws the trace; ends with a line break.
pub(super) fn draw(id: TraceId, trace: &Trace, style: &Style) -> String {
    // Deeper levels are indented no further, so that names can be read.
    let levels_max = (style.label_width().saturating_sub(20) / 3).clamp(2, 32);
    let tree = Tree::of(&trace.spans, levels_max);
    let scale = Scale::of(&trace.spans);
    let mut services: Vec<&str> = trace.spans.iter().map(|span| &*span.service).collect();
    services.sort_unstable();
    services.dedup();
    // Room for the word, so that a trace with errors fits the terminal; messages may be longer.
    let failed = trace.spans.iter().any(|span| span.status == ERROR);
    let note_width = if failed { " ERROR".len() } else { 0 };
    let (out, resources) = (String::new(), HashSet::new());
    let mut pen = Pen { out, style, scale, note_width, services, resources };
    pen.head(id, trace, &tree);
    for row in &tree.rows {
        if let Some(span) = trace.spans.get(row.span) {
            pen.span(span, row, trace);
        }
    }
    pen.out
}

/// The spans in the order in which they are drawn.
struct Tree {
    rows: Vec<Row>,
    orphans: usize,
}

struct Row {
    span: usize,
    /// For each level: whether more siblings follow there.
    more: Vec<bool>,
    parent: Option<usize>,
    orphan: bool,
}

impl Tree {
    fn of(spans: &[Span], levels_max: usize) -> Self {
        let parents = parents(spans);
        let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
        let mut roots = Vec::new();
        for (span, parent) in parents.iter().enumerate() {
            match parent {
                Some(parent) => children.entry(*parent).or_default().push(span),
                None => roots.push(span),
            }
        }
        let by_start = |a: &usize, b: &usize| {
            let key = |at: usize| spans.get(at).map(|span| (span.start, &span.id));
            key(*a).cmp(&key(*b))
        };
        children.values_mut().for_each(|list| list.sort_by(by_start));
        roots.sort_by(by_start);
        let mut tree = Self { rows: Vec::with_capacity(spans.len()), orphans: 0 };
        let mut drawn = vec![false; spans.len()];
        // What no root leads to goes round in circles: any of them is as good a start as another.
        for start in roots.into_iter().chain(0..spans.len()) {
            tree.walk(start, levels_max, &children, &parents, spans, &mut drawn);
        }
        tree
    }

    /// Adds a span and what hangs under it, unless it is there already.
    fn walk(
        &mut self,
        start: usize,
        levels_max: usize,
        children: &HashMap<usize, Vec<usize>>,
        parents: &[Option<usize>],
        spans: &[Span],
        drawn: &mut [bool],
    ) {
        let mut open = vec![(start, Vec::new())];
        while let Some((at, more)) = open.pop() {
            match drawn.get_mut(at) {
                Some(drawn) if !*drawn => *drawn = true,
                _ => continue,
            }
            let inner = children.get(&at).map(Vec::as_slice).unwrap_or_default();
            for (place, child) in inner.iter().enumerate().rev() {
                let mut more = more.clone();
                if more.len() < levels_max {
                    more.push(place + 1 < inner.len());
                }
                open.push((*child, more));
            }
            let parent = parents.get(at).copied().flatten();
            let orphan = parent.is_none() && spans.get(at).is_some_and(has_parent);
            self.orphans += usize::from(orphan);
            self.rows.push(Row { span: at, more, parent, orphan });
        }
    }
}

/// Whether it names one: zeros are none, and itself is Zipkin's way of saying none.
fn has_parent(span: &Span) -> bool {
    span.parent.iter().any(|byte| *byte != 0) && span.parent != span.id
}

/// The place of each span's parent. Where client and server share an id, the server hangs under
/// the client, and what names the id as its parent under the server.
fn parents(spans: &[Span]) -> Vec<Option<usize>> {
    let mut by_id: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (at, span) in spans.iter().enumerate() {
        by_id.entry(&span.id).or_default().push(at);
    }
    let of_kind = |list: &[usize], kind: u64| {
        list.iter().copied().find(|at| spans.get(*at).is_some_and(|span| span.kind == kind))
    };
    let find = |(at, span): (usize, &Span)| {
        let twins = by_id.get(&*span.id).map(Vec::as_slice).unwrap_or_default();
        if span.kind == SERVER
            && let Some(client) = of_kind(twins, CLIENT)
        {
            return Some(client);
        }
        if !has_parent(span) {
            return None;
        }
        let list = by_id.get(&*span.parent)?;
        of_kind(list, SERVER).or_else(|| list.first().copied()).filter(|parent| *parent != at)
    };
    spans.iter().enumerate().map(find).collect()
}

/// What the bars are drawn against.
#[derive(Clone, Copy)]
struct Scale {
    start: u64,
    end: u64,
    /// The middle one of all starts.
    middle: u64,
}

impl Scale {
    fn of(spans: &[Span]) -> Self {
        let mut starts: Vec<u64> = spans.iter().map(|span| span.start).collect();
        starts.sort_unstable();
        let middle = starts.get(starts.len() / 2).copied().unwrap_or(0);
        let near = |moment: &u64| moment.abs_diff(middle) <= APART_MAX;
        let starts = || starts.iter().copied().filter(near);
        let ends = spans.iter().map(|span| span.end).filter(near);
        Self {
            start: starts().min().unwrap_or(middle),
            end: starts().chain(ends).max().unwrap_or(middle),
            middle,
        }
    }

    fn holds(&self, span: &Span) -> bool {
        span.start.abs_diff(self.middle) <= APART_MAX
    }

    fn length(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// First cell and number of cells, of `width`.
    fn bar(&self, span: &Span, width: usize) -> (usize, usize) {
        let cell = |moment: u64| {
            let wide = u128::from(moment.clamp(self.start, self.end) - self.start);
            let cell = wide * width as u128 / u128::from(self.length().max(1));
            usize::try_from(cell).unwrap_or(width)
        };
        let first = cell(span.start).min(width.saturating_sub(1));
        let cells = cell(span.end.max(span.start)).saturating_sub(first);
        (first, cells.clamp(1, width - first))
    }
}

struct Pen<'a> {
    out: String,
    style: &'a Style,
    scale: Scale,
    /// Columns that are kept free behind the bars.
    note_width: usize,
    services: Vec<&'a str>,
    /// Those whose attributes were shown.
    resources: HashSet<usize>,
}

impl Pen<'_> {
    fn head(&mut self, id: TraceId, trace: &Trace, tree: &Tree) {
        let errors = trace.spans.iter().filter(|span| span.status == ERROR).count();
        let since = SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(self.scale.start));
        let start = since.map(|start| humantime::format_rfc3339_millis(start).to_string());
        let parts = [
            Some(format!("trace {id}")),
            Some(plural(trace.spans.len(), "span")),
            Some(plural(self.services.len(), "service")),
            (errors > 0).then(|| plural(errors, "error")),
            (tree.orphans > 0).then(|| format!("{} without their parent", tree.orphans)),
            Some(duration(self.scale.length())),
            start,
        ];
        let line: Vec<String> = parts.into_iter().flatten().collect();
        self.line(format_args!("{}", line.join(", ")));
        self.line(format_args!(""));
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        writeln!(self.out, "{text}").unwrap_or_default();
    }

    /// The text in a colour, where there are colours.
    fn paint(&self, colour: &str, text: &str) -> String {
        if self.style.colour { format!("{colour}{text}{RESET}") } else { text.to_owned() }
    }

    fn span(&mut self, span: &Span, row: &Row, trace: &Trace) {
        const DURATION: usize = 9;
        let label_width = self.style.label_width();
        let bar_width = self.style.columns() - label_width - DURATION - 3 - self.note_width;
        let branch = branch(&row.more);
        let kind = usize::try_from(span.kind).ok().and_then(|kind| KINDS.get(kind));
        let (service, name) = (one_line(&span.service), one_line(&span.name));
        let kind = kind.filter(|kind| !kind.is_empty()).map(|kind| format!(" ({kind})"));
        let label = format!("{branch}{service}  {name}{}", kind.unwrap_or_default());
        let label = fit(&label, label_width);
        let hue = self.services.iter().position(|known| *known == span.service).unwrap_or(0);
        let hue = HUES.get(hue % HUES.len()).copied().unwrap_or_default();
        let failed = span.status == ERROR;
        let colour = if failed { RED } else { hue };
        // The service's part of the label is coloured, as far as it fits.
        let service_end = branch.chars().count() + service.chars().count();
        let (before, after) = split(&label, service_end);
        let (tree, service) = split(before, branch.chars().count());
        let bar = if self.scale.holds(span) {
            let (first, cells) = self.scale.bar(span, bar_width);
            let bar = self.paint(colour, &"█".repeat(cells));
            let rest = bar_width - first - cells;
            format!("{}{bar}{}", " ".repeat(first), " ".repeat(rest))
        } else {
            " ".repeat(bar_width)
        };
        let painted = format!("{}{}{after}", self.paint(DIM, tree), self.paint(colour, service));
        let length = duration(span.end.saturating_sub(span.start));
        let notes = self.notes(span, row, trace);
        let line = format!("{painted} {length:>DURATION$} {bar}{notes}");
        self.line(format_args!("{}", line.trim_end()));
        if self.style.attributes {
            self.details(span, row, trace);
        }
    }

    /// What is to be said behind the bar.
    fn notes(&self, span: &Span, row: &Row, trace: &Trace) -> String {
        let mut notes = String::new();
        let mut add = |colour: &str, text: &str| {
            notes.push(' ');
            notes.push_str(&self.paint(colour, text));
        };
        if span.status == ERROR {
            let message = one_line(&span.message);
            add(
                RED,
                &if message.is_empty() { "ERROR".to_owned() } else { format!("ERROR {message}") },
            );
        }
        if row.orphan {
            add(DIM, &format!("(parent {} is missing)", hex(&span.parent)));
        }
        if !self.scale.holds(span) {
            add(DIM, "(its clock is off by more than a day)");
        } else if span.end < span.start {
            add(DIM, "(ends before it starts)");
        }
        let parent = row.parent.and_then(|parent| trace.spans.get(parent));
        if let Some(parent) =
            parent.filter(|parent| self.scale.holds(span) && self.scale.holds(parent))
            && span.start < parent.start
        {
            let early = duration(parent.start - span.start);
            add(DIM, &format!("(starts {early} before its parent)"));
        }
        notes
    }

    fn details(&mut self, span: &Span, row: &Row, trace: &Trace) {
        let indent = " ".repeat(row.more.len() * 3 + 4);
        self.line(format_args!("{indent}span id {}", hex(&span.id)));
        if self.resources.insert(span.resource)
            && let Some(attributes) = trace.resources.get(span.resource)
        {
            self.line(format_args!("{indent}resource"));
            self.attributes(&format!("{indent}  "), attributes);
        }
        self.attributes(&indent, &span.attributes);
        for event in &span.events {
            let after = duration(event.time.saturating_sub(span.start));
            self.line(format_args!("{indent}+{after} {}", one_line(&event.name)));
            self.attributes(&format!("{indent}  "), &event.attributes);
        }
        for (trace, span) in &span.links {
            self.line(format_args!("{indent}link to trace {} span {}", hex(trace), hex(span)));
        }
    }

    fn attributes(&mut self, indent: &str, attributes: &Attributes) {
        for (key, value) in attributes {
            let key = one_line(key);
            let mut lines = value.lines();
            let first = lines.next().unwrap_or_default();
            self.line(format_args!("{indent}{} = {first}", self.paint(DIM, &key)));
            for line in lines {
                self.line(format_args!("{indent}    {line}"));
            }
        }
    }
}

fn plural(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// The lines of the tree in front of a label.
fn branch(more: &[bool]) -> String {
    let Some((last, outer)) = more.split_last() else { return String::new() };
    let mut branch: String = outer.iter().map(|more| if *more { "│  " } else { "   " }).collect();
    branch.push_str(if *last { "├─ " } else { "└─ " });
    branch
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

/// The text in exactly `width` characters, with an ellipsis where it is cut.
fn fit(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return format!("{text}{}", " ".repeat(width - length));
    }
    let cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut + "…"
}

/// Splits after so many characters.
fn split(text: &str, characters: usize) -> (&str, &str) {
    let at = text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at);
    text.split_at(at)
}

fn hex(id: &[u8]) -> String {
    id.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap_or_default();
        hex
    })
}

/// A length of time in at most nine characters.
pub(super) fn duration(nanos: u64) -> String {
    let scaled = |unit: u64, name: &str| {
        let (whole, hundredths) = (nanos / unit, nanos % unit * 100 / unit);
        match whole {
            0..10 => format!("{whole}.{hundredths:02}{name}"),
            10..100 => format!("{whole}.{}{name}", hundredths / 10),
            _ => format!("{whole}{name}"),
        }
    };
    let minutes = nanos / 60_000_000_000;
    match nanos {
        0..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => scaled(1_000, "µs"),
        1_000_000..1_000_000_000 => scaled(1_000_000, "ms"),
        1_000_000_000..60_000_000_000 => scaled(1_000_000_000, "s"),
        60_000_000_000..3_600_000_000_000 => {
            format!("{minutes}m{}s", nanos / 1_000_000_000 % 60)
        }
        3_600_000_000_000..86_400_000_000_000 => format!("{}h{}m", minutes / 60, minutes % 60),
        _ => format!("{}d{}h", minutes / 1_440, minutes / 60 % 24),
    }
}
