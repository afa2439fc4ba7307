//! `trace-patch-v0`: every span that came, went or changed.

use std::collections::BTreeSet;

use serde::{Serialize, Serializer};
use serde_json::Value as Json;

use super::tree::{Node, Tree};
use super::{Diff, Format, Warning, pairs};

/// Durations differ if they do by more than this, in nanoseconds, and a quarter of the longer one:
/// two runs are never equally fast.
const DURATION_SLACK: f64 = 1_000_000.0;
const DURATION_SHARE: f64 = 0.25;

/// Sizes differ if they do by more than this share of the larger one.
const SIZE_SHARE: f64 = 0.05;

/// How the names of attributes end that are sizes.
const SIZES: [&str; 5] = ["size", "length", "tokens", "duration", "period"];

/// What is different, by places in the trees.
#[derive(Debug)]
pub(super) struct Changes {
    /// Spans of `compare` with what changed since `base`.
    pub(super) modified: Vec<(usize, Vec<Change>)>,
    /// Spans of `compare`.
    pub(super) added: Vec<usize>,
    /// Spans of `base`.
    pub(super) removed: Vec<usize>,
    pub(super) matched: usize,
}

impl Changes {
    pub(super) fn between(base: &Tree<'_>, compare: &Tree<'_>) -> Self {
        let pairs = pairs::pairs(base, compare);
        let mut changes =
            Self { modified: Vec::new(), added: Vec::new(), removed: Vec::new(), matched: 0 };
        let mut is_gone = vec![true; base.nodes.len()];
        for (at, (after, pair)) in compare.nodes.iter().zip(&pairs).enumerate() {
            let before = pair.and_then(|pair| base.nodes.get(pair));
            let (Some(before), Some(pair)) = (before, pair) else {
                changes.added.push(at);
                continue;
            };
            changes.matched += 1;
            is_gone.get_mut(*pair).into_iter().for_each(|is_gone| *is_gone = false);
            let mut found = fields(before, after);
            found.extend(attributes(before, after));
            if !found.is_empty() {
                changes.modified.push((at, found));
            }
        }
        changes.removed =
            (0..base.nodes.len()).filter(|at| is_gone.get(*at) == Some(&true)).collect();
        changes
    }

    /// How many there are of each sort.
    pub(super) fn counts(&self) -> ChangeCounts {
        let all = || self.modified.iter().flat_map(|(_, changes)| changes);
        let is_field = |change: &&Change| matches!(change.target, Target::Field { .. });
        let fields = all().filter(is_field).count();
        ChangeCounts {
            matched_spans: self.matched,
            modified_spans: self.modified.len(),
            added_spans: self.added.len(),
            removed_spans: self.removed.len(),
            field_changes: fields,
            attribute_changes: all().count() - fields,
        }
    }
}

/// How many spans and changes there are of each sort.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChangeCounts {
    matched_spans: usize,
    modified_spans: usize,
    added_spans: usize,
    removed_spans: usize,
    field_changes: usize,
    attribute_changes: usize,
}

/// One change of a span.
#[derive(Debug, Serialize)]
pub(super) struct Change {
    op: &'static str,
    pub(super) target: Target,
    pub(super) before: Json,
    pub(super) after: Json,
}

/// What changed.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Target {
    Field { name: &'static str },
    Attribute { scope: &'static str, key: String },
}

/// The name of the field with the status.
pub(super) const STATUS: &str = "status";

fn fields(before: &Node<'_>, after: &Node<'_>) -> Vec<Change> {
    let change = |name, before: Json, after: Json| Change {
        op: "modify",
        target: Target::Field { name },
        before,
        after,
    };
    let mut changes = Vec::new();
    let is_other = match (before.duration, after.duration) {
        (Some(before), Some(after)) => {
            !is_close(nanos(before), nanos(after), DURATION_SHARE, DURATION_SLACK)
        }
        (before, after) => before != after,
    };
    if is_other {
        changes.push(change("duration_nanos", before.duration.into(), after.duration.into()));
    }
    let (before, after) = (before.span.status_word(), after.span.status_word());
    if before != after {
        changes.push(change(STATUS, before.into(), after.into()));
    }
    changes
}

fn attributes(before: &Node<'_>, after: &Node<'_>) -> Vec<Change> {
    if before.content == after.content {
        return Vec::new();
    }
    let keys: BTreeSet<&String> = before.attributes.keys().chain(after.attributes.keys()).collect();
    let change = |key: &String| {
        let (op, before, after) = match (before.attributes.get(key), after.attributes.get(key)) {
            (None, Some(after)) => ("add", Json::Null, after.clone()),
            (Some(before), None) => ("remove", before.clone(), Json::Null),
            (Some(before), Some(after)) if is_changed(key, before, after) => {
                ("modify", before.clone(), after.clone())
            }
            _ => return None,
        };
        let target = Target::Attribute { scope: "span", key: key.clone() };
        Some(Change { op, target, before, after })
    };
    keys.into_iter().filter_map(change).collect()
}

/// Whether a value is another one; of sizes, whether it is by much.
fn is_changed(key: &str, before: &Json, after: &Json) -> bool {
    match (before.as_f64(), after.as_f64()) {
        (Some(before), Some(after)) if SIZES.iter().any(|end| key.ends_with(end)) => {
            !is_close(before, after, SIZE_SHARE, 0.0)
        }
        // 1 and 1.0 are one number.
        (Some(a), Some(b)) if before.is_f64() != after.is_f64() => a.total_cmp(&b).is_ne(),
        _ => before != after,
    }
}

fn is_close(a: f64, b: f64, share: f64, slack: f64) -> bool {
    (a - b).abs() <= slack + share * a.abs().max(b.abs())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "durations of months are compared to the microsecond"
)]
const fn nanos(duration: i64) -> f64 {
    duration as f64
}

/// The document.
#[derive(Debug, Serialize)]
pub(super) struct Patch<'d> {
    version: Format,
    base: Meta,
    compare: Meta,
    stats: Stats,
    modified: Vec<Modified<'d>>,
    added: Vec<Whole<'d>>,
    removed: Vec<Whole<'d>>,
    warnings: &'d [Warning],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    trace_id: String,
    span_count: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    span_count_a: usize,
    span_count_b: usize,
    #[serde(flatten)]
    counts: ChangeCounts,
    /// Events are not compared, as in Tempo.
    event_changes: usize,
    truncated: bool,
}

#[derive(Debug, Serialize)]
struct Modified<'d> {
    span: Shown<'d>,
    changes: &'d [Change],
}

/// A span that is only in one of them.
#[derive(Debug, Serialize)]
struct Whole<'d> {
    target: Place<'d>,
    span: Shown<'d>,
}

/// Where it came or went.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Place<'d> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Path<'d>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_path: Option<Path<'d>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Shown<'d> {
    path: Path<'d>,
    service: &'d str,
    name: &'d str,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_nanos: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
}

/// A path, which is looked up when it is written: together they may be longer than the trace.
#[derive(Debug)]
struct Path<'d> {
    tree: &'d Tree<'d>,
    at: usize,
    /// Of the parent.
    is_above: bool,
}

impl Serialize for Path<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut path = self.tree.path(self.at);
        if self.is_above {
            path.pop();
        }
        serializer.collect_seq(path)
    }
}

impl<'d> Patch<'d> {
    pub(super) fn of(diff: &'d Diff<'d>) -> Self {
        let Diff { base, compare, changes, warnings, .. } = diff;
        let meta =
            |tree: &Tree<'_>| Meta { trace_id: tree.id.to_string(), span_count: tree.nodes.len() };
        let modified = changes.modified.iter().map(|(at, changes)| {
            let span = Shown { duration_nanos: None, status: None, ..shown(diff, compare, *at) };
            Modified { span, changes }
        });
        Self {
            version: Format::Patch,
            base: meta(base),
            compare: meta(compare),
            stats: Stats {
                span_count_a: base.nodes.len(),
                span_count_b: compare.nodes.len(),
                counts: changes.counts(),
                event_changes: 0,
                truncated: false,
            },
            modified: modified.collect(),
            added: changes.added.iter().map(|at| added(diff, *at)).collect(),
            removed: changes.removed.iter().map(|at| removed(diff, *at)).collect(),
            warnings,
        }
    }
}

fn added<'d>(diff: &'d Diff<'d>, at: usize) -> Whole<'d> {
    let tree = diff.compare;
    let node = tree.nodes.get(at);
    let has_parent = node.is_some_and(|node| node.above.is_some());
    let target = Place {
        r#type: "span",
        path: None,
        parent_path: has_parent.then_some(Path { tree, at, is_above: true }),
        index: node.map(Node::place),
    };
    Whole { target, span: shown(diff, tree, at) }
}

fn removed<'d>(diff: &'d Diff<'d>, at: usize) -> Whole<'d> {
    let tree = diff.base;
    let path = Some(Path { tree, at, is_above: false });
    let target = Place { r#type: "span", path, parent_path: None, index: None };
    Whole { target, span: shown(diff, tree, at) }
}

fn shown<'d>(diff: &'d Diff<'d>, tree: &'d Tree<'d>, at: usize) -> Shown<'d> {
    let node = tree.nodes.get(at);
    let name = diff.names.get(node.map_or(usize::MAX, |node| node.name));
    Shown {
        path: Path { tree, at, is_above: false },
        service: &name.service,
        name: &name.name,
        kind: name.kind,
        duration_nanos: Some(node.and_then(|node| node.duration).unwrap_or(0)),
        status: node.map(|node| node.span.status_word()),
    }
}
