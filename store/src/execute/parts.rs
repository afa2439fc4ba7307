//! What a read goes over: segments of the head as they are, L0 files and blocks row by row.
//!
//! What cannot be read is passed over and told: an answer from the rest is worth more than none.

use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use model::batch::{Batch, Indexed};
use model::{TenantId, TraceId};

use super::answers::Answers;
use crate::block::reader::{Reader, Wanted};
use crate::error::{Error, Kind};
use crate::shelf::catalog::Asked;
use crate::shelf::{Part, Readers, View};

/// A view, and what is needed to read it.
pub(crate) struct Parts<'r> {
    pub(crate) view: &'r View,
    pub(crate) tenant: &'r TenantId,
    pub(crate) readers: &'r Readers,
    /// What queries have found in files before.
    pub(crate) answers: &'r Answers,
    /// Which blocks may have something.
    pub(crate) asked: Asked<'r>,
    /// Those of the view's parts that were opened, by their place.
    opened: Vec<OnceLock<Option<Arc<Reader>>>>,
    problems: Mutex<Vec<Problem>>,
}

/// A part that could not be read.
#[derive(Debug)]
pub(crate) struct Problem {
    /// Which one.
    pub(crate) part: Part,
    /// Whether its bytes are not what was written: it is set aside.
    pub(crate) is_damaged: bool,
    /// What is wrong, with its name.
    pub(crate) what: String,
}

impl<'r> Parts<'r> {
    pub(crate) fn new(
        view: &'r View,
        tenant: &'r TenantId,
        readers: &'r Readers,
        answers: &'r Answers,
    ) -> Self {
        let opened = view.parts.iter().map(|_| OnceLock::new()).collect();
        let asked = Asked::new(readers, tenant, &view.catalogs);
        Self { view, tenant, readers, answers, asked, opened, problems: Mutex::default() }
    }

    /// The columns of a part that is a file, unless it cannot be opened.
    pub(super) fn reader(&self, part: &Part) -> Option<Arc<Reader>> {
        match part {
            Part::Head(..) => None,
            Part::L0(l0) => Some(Arc::clone(&l0.reader)),
            Part::Block(block) => self.note(part, self.readers.open(block)),
        }
    }

    /// The same of a part by its place in the view, kept while this is.
    pub(super) fn reader_at(&self, at: usize) -> Option<&Arc<Reader>> {
        let part = self.view.parts.get(at)?;
        self.opened.get(at)?.get_or_init(|| self.reader(part)).as_ref()
    }

    /// The tenant's rows in a row group of a part.
    pub(super) fn rows(&self, part: &Part, reader: &Reader, row_group: u32) -> Range<u32> {
        match part {
            Part::L0(l0) => l0.rows(self.tenant, row_group),
            _ => {
                let rows = reader.rows_of(row_group);
                0..rows.end - rows.start
            }
        }
    }

    /// The rows of a trace in a part that is a file, in the order in which they arrived, about.
    pub(super) fn trace(&self, part: &Part, id: TraceId) -> Vec<Batch> {
        let Some(reader) = self.reader(part) else { return Vec::new() };
        let mut batches = Vec::new();
        for (row_group, rows) in self.note(part, reader.find(id)).unwrap_or_default() {
            let own = self.rows(part, &reader, row_group);
            // The hash of an id may be another's, and an L0 has other tenants.
            if rows.start < own.start || rows.end > own.end {
                continue;
            }
            let read = reader.read(row_group, rows, Wanted::All, self.tenant, Indexed::No);
            batches.extend(
                self.note(part, read).filter(|batch| batch.columns().trace_id.first() == Some(&id)),
            );
        }
        batches
    }

    /// Keeps what went wrong for the answer.
    pub(super) fn note<T>(&self, part: &Part, result: Result<T, Error>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                let is_damaged = error.kind() == Kind::Corrupt;
                let (part, what) = (part.clone(), error.to_string());
                let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
                problems.push(Problem { part, is_damaged, what });
                None
            }
        }
    }

    /// How much went wrong until now: what was found meanwhile may miss something.
    pub(super) fn problems(&self) -> usize {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// What went wrong.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
