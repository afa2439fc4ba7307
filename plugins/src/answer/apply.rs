//! An answer that was found to be right becomes part of the draft, in the order of the contract: who stays, renames,
//! deletions, pairs, fields, additions.

use traceweir_plugin::codes::NONE;

use super::sampling::{self, Said, Threshold};
use super::values::Change;
use super::verdicts::Verdict;
use super::{Edits, Set};
use crate::batch::Batch;
use crate::draft::{Draft, Found, Renaming, Target, Value, Word};
use crate::projection::{Intrinsic, Owner, Plan, Write};

/// What an answer has come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Rows that stay.
    pub kept: u64,
    /// Rows that were dropped.
    pub dropped: u64,
    /// How many for which reason.
    pub reasons: Vec<Reason>,
    /// Things that were changed: fields and attributes.
    pub edits: u64,
    /// Counters and by how much they are raised.
    pub counts: Vec<(u32, u64)>,
    /// What was kept, by what budgets go by.
    pub budgets: Vec<Kept>,
}

/// Rows that the plugin gave one reason for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reason {
    /// The reason, cut at 128 bytes; `other` for those past the first 32.
    pub text: String,
    /// Rows that stay for it.
    pub kept: u64,
    /// Rows that are dropped for it.
    pub dropped: u64,
}

/// Rows that were kept of one budget.
#[derive(Debug, PartialEq, Eq)]
pub struct Kept {
    /// The budget's place in the projection.
    pub budget: usize,
    /// The value of what it goes by; empty where it goes by nothing.
    pub key: String,
    /// So many rows.
    pub rows: u64,
}

/// Different reasons that are told.
const REASONS_MAX: usize = 32;
/// Bytes of a reason that are told.
const REASON_BYTES_MAX: usize = 128;

impl Draft {
    /// Applies an answer to a batch of this draft.
    pub fn apply(&mut self, plan: &Plan, batch: &Batch, edits: &Edits<'_>) -> Outcome {
        let is_of_spans =
            edits.sets.iter().any(|set| set.by_resource) || !edits.deletions.is_empty();
        let most = if is_of_spans { batch.shape.rows.len() } else { 0 };
        self.reserve(edits.written, most);
        let mut apply = Apply { draft: self, plan, batch, outcome: Outcome::default() };
        let marks = apply.decide(edits);
        apply.rename(edits);
        apply.delete(edits);
        apply.set_pairs(edits);
        edits.sets.iter().for_each(|set| apply.set(set, edits));
        apply.add(edits);
        apply.mark(&marks);
        let mut outcome = apply.outcome;
        let counts = edits.counts.as_chunks::<16>().0.iter();
        outcome.counts = counts.map(count).collect();
        self.generation = self.generation.wrapping_add(1);
        outcome
    }
}

/// The id of a counter, and by how much it is raised.
fn count(bytes: &[u8; 16]) -> (u32, u64) {
    let id = bytes.first_chunk().map_or(0, |id| u32::from_le_bytes(*id));
    (id, bytes.last_chunk().map_or(0, |value| u64::from_le_bytes(*value)))
}

/// A row that was kept with a probability.
struct Mark {
    span: u32,
    threshold: Threshold,
    randomness: u64,
}

/// An answer on its way into the draft.
struct Apply<'a> {
    draft: &'a mut Draft,
    plan: &'a Plan,
    batch: &'a Batch,
    outcome: Outcome,
}

impl Apply<'_> {
    /// Drops what goes, and tells what is to be written into tracestates.
    fn decide(&mut self, edits: &Edits<'_>) -> Vec<Mark> {
        let mut marks = Vec::new();
        let rows = self.batch.shape.rows.len();
        let mut budgets: Vec<Vec<u64>> =
            self.batch.budgets.iter().map(|budget| vec![0; budget.values()]).collect();
        let entries = match self.batch.shape.level {
            None => rows,
            Some(_) => self.batch.shape.traces.len(),
        };
        for entry in 0..entries {
            let rows = match self.batch.shape.level {
                None => entry..entry + 1,
                Some(_) => self.batch.shape.rows_of(entry),
            };
            let count = rows.len() as u64;
            let stays = self.stays(edits, entry, rows, &mut marks);
            if stays {
                self.outcome.kept += count;
                for (keyed, kept) in self.batch.budgets.iter().zip(&mut budgets) {
                    let value = keyed.index.get(entry).copied().unwrap_or(NONE);
                    if let Some(kept) = kept.get_mut(value as usize) {
                        *kept += count;
                    }
                }
            } else {
                self.outcome.dropped += count;
            }
            if let Some(text) = edits.reasons.and_then(|reasons| reasons.get(entry)) {
                self.reason(text, count, stays);
            }
        }
        self.tell_budgets(&budgets);
        marks
    }

    /// Whether a row stays, or the rows of a trace do.
    fn stays(
        &mut self,
        edits: &Edits<'_>,
        entry: usize,
        rows: std::ops::Range<usize>,
        marks: &mut Vec<Mark>,
    ) -> bool {
        let keeps =
            |bits: &[u8]| bits.get(entry / 8).is_some_and(|byte| byte >> (entry % 8) & 1 == 1);
        let verdict = match (&edits.verdicts, edits.keep) {
            (Some(verdicts), _) => verdicts.get(entry),
            (None, Some(bits)) if !keeps(bits) => Verdict::Drop,
            (None, _) => Verdict::Keep,
        };
        let spans = rows.map(|row| self.batch.shape.place(Owner::Span, row));
        let threshold = match verdict {
            Verdict::Keep => return true,
            Verdict::Drop => None,
            Verdict::Probability(probability) => Threshold::of(probability),
        };
        if let Some(threshold) = threshold {
            let says_nothing = |span| self.draft.word(span, Word::TraceState) == 0;
            if threshold.is_all() && edits.sets.is_empty() && spans.clone().all(says_nothing) {
                return true;
            }
            let randomness = self.randomness(spans.clone());
            if threshold.keeps(randomness) {
                marks.extend(spans.map(|span| Mark { span, threshold, randomness }));
                return true;
            }
        }
        spans.for_each(|span| self.draft.drop_span(span));
        false
    }

    /// What one row or one trace is decided by. Should spans of a trace say different things, which they must not, it
    /// does not depend on which of them comes first.
    fn randomness(&self, mut spans: impl Iterator<Item = u32> + Clone) -> u64 {
        let state = |span| self.draft.memory.text(self.draft.word(span, Word::TraceState));
        let said = spans.clone().filter_map(|span| Said::of(state(span)).randomness).min();
        let of_id =
            || spans.next().map_or(0, |span| sampling::randomness(self.draft.trace_id(span)));
        said.unwrap_or_else(of_id)
    }

    fn reason(&mut self, text: &[u8], rows: u64, stays: bool) {
        let text = str::from_utf8(text).unwrap_or_default();
        if text.is_empty() {
            return;
        }
        let text = start(text);
        let reasons = &mut self.outcome.reasons;
        let place = match reasons.iter().position(|reason| reason.text == text) {
            Some(place) => place,
            None if reasons.len() < REASONS_MAX => {
                reasons.push(Reason { text: text.to_owned(), ..Reason::default() });
                reasons.len() - 1
            }
            None => {
                if reasons.len() == REASONS_MAX {
                    reasons.push(Reason { text: "other".to_owned(), ..Reason::default() });
                }
                REASONS_MAX
            }
        };
        if let Some(reason) = reasons.get_mut(place) {
            *(if stays { &mut reason.kept } else { &mut reason.dropped }) += rows;
        }
    }

    fn tell_budgets(&mut self, budgets: &[Vec<u64>]) {
        for (budget, (keyed, kept)) in self.batch.budgets.iter().zip(budgets).enumerate() {
            let kept = kept.iter().enumerate().filter(|(_, rows)| **rows > 0);
            let kept = kept.map(|(value, rows)| Kept {
                budget,
                key: keyed.key(value).to_owned(),
                rows: *rows,
            });
            self.outcome.budgets.extend(kept);
        }
    }

    /// What an edit is about, unless it is of a span that is dropped.
    fn target(&self, owner: Owner, entry: usize) -> Option<Target> {
        let target = self.batch.shape.target(owner, entry);
        let is_gone =
            !matches!(owner, Owner::Resource | Owner::Scope) && self.draft.is_dropped(target.span);
        (!is_gone).then_some(target)
    }

    fn rename(&mut self, edits: &Edits<'_>) {
        for renames in &edits.renames {
            let key = |entry| renames.keys.get(entry).unwrap_or_default();
            let pairs = (0..renames.keys.entries).step_by(2).map(|from| (key(from), key(from + 1)));
            let renaming = Renaming::new(pairs, renames.replace);
            for entry in 0..self.batch.shape.count(renames.owner) {
                if let Some(target) = self.target(renames.owner, entry) {
                    self.outcome.edits += self.draft.rename(target, &renaming);
                }
            }
        }
    }

    fn delete(&mut self, edits: &Edits<'_>) {
        for deletions in &edits.deletions {
            let (owner, keys) = (deletions.owner, deletions.keys());
            for entry in 0..self.batch.shape.count(owner) {
                if let Some(target) = self.target(owner, entry) {
                    self.outcome.edits += self.draft.remove_any(target, &keys);
                }
            }
        }
    }

    fn set_pairs(&mut self, edits: &Edits<'_>) {
        for (place, values) in &edits.pairs {
            let (Some(pairs), Some(plan)) =
                (self.batch.pairs.get(*place), self.plan.pairs.get(*place))
            else {
                continue;
            };
            let mut from = 0;
            for (entry, end) in pairs.ends.iter().enumerate() {
                let range = from..*end as usize;
                from = range.end;
                let touched = values.tags().get(range.clone()).unwrap_or_default();
                if touched.iter().all(|tag| *tag == 0) {
                    continue;
                }
                let Some(target) = self.target(plan.owner, entry) else { continue };
                for pair in range {
                    let slot = pairs.slots.get(pair).copied().unwrap_or(NONE);
                    self.outcome.edits += match values.get(pair) {
                        Change::Keep => 0,
                        Change::Remove => self.draft.remove_slot(target, slot),
                        Change::Set(value) => self.draft.set_slot(target, slot, value),
                    };
                }
            }
        }
    }

    /// Sets a field.
    fn set(&mut self, set: &Set<'_>, edits: &Edits<'_>) {
        match self.plan.writes.get(set.field) {
            Some(Write::Intrinsic(intrinsic)) => self.set_intrinsic(set, *intrinsic),
            Some(Write::Attribute { owner, key, hint }) => {
                let hint = hint.filter(|_| self.is_as_read(edits, *owner, key));
                self.set_attribute(set, *owner, key, hint);
            }
            _ => {}
        }
    }

    /// Whether nothing has been done to an attribute since it was read, so that it still is where it was.
    fn is_as_read(&self, edits: &Edits<'_>, owner: Owner, key: &[u8]) -> bool {
        let is_deleted = || {
            let mut deletions = edits.deletions.iter().filter(|of| of.owner == owner);
            deletions.any(|deletions| deletions.has(key))
        };
        let is_renamed = || {
            let mut renames = edits.renames.iter().filter(|of| of.owner == owner);
            renames.any(|of| (0..of.keys.entries).any(|entry| of.keys.get(entry) == Some(key)))
        };
        self.batch.shape.generation == self.draft.generation
            && !is_renamed()
            && edits.pairs.is_empty()
            && !is_deleted()
    }

    fn set_attribute(&mut self, set: &Set<'_>, owner: Owner, key: &[u8], hint: Option<usize>) {
        let batch = self.batch;
        // What was written last, and by which number: rows that get the same have it in common.
        let mut last = (None, 0);
        for entry in 0..batch.shape.count(owner) {
            let said_by = match set.by_resource {
                true => batch.shape.resource_of.get(entry).map_or(0, |resource| *resource as usize),
                false => entry,
            };
            let change = set.values.get(said_by);
            if let Change::Keep = change {
                continue;
            }
            let Some(target) = self.target(owner, entry) else { continue };
            let found = match hint.and_then(|column| batch.slot(column, entry)) {
                None => Found::Unknown,
                Some(NONE) => Found::Nowhere,
                Some(slot) => Found::At(slot),
            };
            self.outcome.edits += match (change, found) {
                (Change::Set(value), _) => {
                    let number = set.number(said_by);
                    let is_new = number.is_none() || number != last.0;
                    if is_new {
                        last = (number, self.draft.write(owner, key, value));
                    }
                    let changed = self.draft.place(target, key, last.1, found);
                    match (is_new, changed) {
                        (true, 0) => {
                            self.draft.take_back(last.1);
                            last.0 = None;
                        }
                        (false, 1..) => self.draft.repeat(last.1),
                        _ => {}
                    }
                    changed
                }
                (_, Found::At(slot)) => self.draft.remove_slot(target, slot),
                (_, Found::Nowhere) => 0,
                (_, Found::Unknown) => self.draft.remove(target, key),
            };
        }
    }

    fn set_intrinsic(&mut self, set: &Set<'_>, intrinsic: Intrinsic) {
        let word = match intrinsic {
            Intrinsic::TraceState => Word::TraceState,
            Intrinsic::Name => Word::Name,
            Intrinsic::Kind => Word::Kind,
            Intrinsic::StatusCode => Word::StatusCode,
            _ => Word::StatusMessage,
        };
        for entry in 0..self.batch.shape.count(Owner::Span) {
            let value = match set.values.get(entry) {
                Change::Keep => continue,
                Change::Remove => Value::String(&[]),
                Change::Set(value) => value,
            };
            if let Some(target) = self.target(Owner::Span, entry) {
                self.outcome.edits += self.draft.set_word(target.place, word, value);
            }
        }
    }

    fn add(&mut self, edits: &Edits<'_>) {
        for additions in &edits.additions {
            for entry in 0..additions.keys.entries {
                let Change::Set(value) = additions.values.get(entry) else { continue };
                let key = additions.keys.get(entry).unwrap_or_default();
                let of = additions.owner_of(entry);
                if let Some(target) = self.target(additions.owner, of) {
                    self.outcome.edits += self.draft.set(target, key, value);
                }
            }
        }
    }

    /// Writes thresholds.
    fn mark(&mut self, marks: &[Mark]) {
        // Most spans say nothing of it, and those that are kept alike get the same.
        let mut of_none: Option<(Threshold, Vec<u8>)> = None;
        for Mark { span, threshold, randomness } in marks {
            let old = self.draft.memory.text(self.draft.word(*span, Word::TraceState));
            // What is kept with certainty is what it was; only what others have said may be wrong.
            if threshold.is_all() && (old.is_empty() || !Said::of(old).has_threshold()) {
                continue;
            }
            let made = || sampling::state(old, *threshold, *randomness);
            let of_others;
            let new = if old.is_empty() {
                of_none.take_if(|(known, _)| known != threshold);
                &of_none.get_or_insert_with(|| (*threshold, made())).1
            } else {
                of_others = made();
                &of_others
            };
            self.outcome.edits += self.draft.set_word(*span, Word::TraceState, Value::String(new));
        }
    }
}

/// The beginning of a text.
fn start(text: &str) -> &str {
    text.get(..text.floor_char_boundary(REASON_BYTES_MAX)).unwrap_or(text)
}
