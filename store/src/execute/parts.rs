//! What a read goes over: segments of the head as they are, L0 files and blocks row by row.
//!
//! What cannot be read is passed over and told: an answer from the rest is worth more than none.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use model::batch::{Batch, Indexed};
use model::otlp::{REPORTED, stamp_fragment};
use model::{TENANT_ATTRIBUTE, TenantId, TraceId};

use super::answers::Answers;
use crate::block::reader::{Reader, Wanted};
use crate::error::{Error, Kind};
use crate::shelf::catalog::Asked;
use crate::shelf::{Owner, Part, Readers, View};

/// A view, and what is needed to read it.
pub(crate) struct Parts<'r> {
    pub(crate) view: &'r View,
    pub(crate) readers: &'r Readers,
    /// What queries have found in files before.
    pub(crate) answers: &'r Answers,
    /// Which blocks may have something.
    pub(crate) asked: Asked<'r>,
    /// Those of the view's parts that were opened, by their place.
    opened: Vec<OnceLock<Option<Arc<Reader>>>>,
    problems: Mutex<Vec<Problem>>,
}

/// The tenant that resources carry as [`TENANT_ATTRIBUTE`]: where several tenants are read, whose they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Carried<'t>(Option<&'t TenantId>);

/// Whether an attribute of this name is one that resources carry, or what clients said under its name.
pub(crate) fn is_carried(name: &str) -> bool {
    name.strip_prefix(TENANT_ATTRIBUTE).is_some_and(|rest| rest.is_empty() || rest == REPORTED)
}

impl Carried<'_> {
    /// A resource, as batches have it, with what it carries.
    pub(crate) fn by<'f>(self, resource: &'f [u8]) -> Cow<'f, [u8]> {
        let stamped =
            self.0.map(|tenant| stamp_fragment(resource, &[(TENANT_ATTRIBUTE, tenant.as_str())]));
        // What cannot be read has no attributes for anybody.
        stamped.and_then(Result::ok).map_or(Cow::Borrowed(resource), Cow::Owned)
    }
}

/// A part that could not be read.
#[derive(Debug)]
pub(crate) struct Problem {
    /// Which one.
    pub(crate) part: Part,
    /// Whose it is.
    pub(crate) tenant: TenantId,
    /// Whether its bytes are not what was written: it is set aside.
    pub(crate) is_damaged: bool,
    /// What is wrong, with its name.
    pub(crate) what: String,
}

impl<'r> Parts<'r> {
    pub(crate) fn new(view: &'r View, readers: &'r Readers, answers: &'r Answers) -> Self {
        let opened = view.parts.iter().map(|_| OnceLock::new()).collect();
        let of = |owner: &'r Owner| owner.catalogs.iter().map(|catalog| (&owner.tenant, catalog));
        let asked = Asked::new(readers, view.owners.iter().flat_map(of).collect());
        Self { view, readers, answers, asked, opened, problems: Mutex::default() }
    }

    /// Whose a part is, by its place in the view.
    pub(super) fn owner(&self, at: usize) -> &'r Owner {
        let number = self.view.number(at).min(self.view.owners.len().saturating_sub(1));
        self.view.owners.get(number).expect("a view is somebody's")
    }

    /// The tenant that resources of a part carry.
    pub(super) fn carried(&self, at: usize) -> Carried<'r> {
        Carried(self.view.is_federated().then(|| &self.owner(at).tenant))
    }

    /// What tells apart whose spans an answer is made of, and which of their traces are seen.
    pub(super) fn scope(&self) -> String {
        let of = |owner: &Owner| format!("{} {}", owner.tenant, owner.hidden.mark());
        self.view.owners.iter().map(of).collect::<Vec<_>>().join("|")
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

    /// The rows of its tenant in a row group of a part, by its place in the view.
    pub(super) fn rows(&self, at: usize, reader: &Reader, row_group: u32) -> Range<u32> {
        match self.view.parts.get(at) {
            Some(Part::L0(l0)) => l0.rows(&self.owner(at).tenant, row_group),
            _ => {
                let rows = reader.rows_of(row_group);
                0..rows.end - rows.start
            }
        }
    }

    /// The rows of a trace in a part that is a file, by its place in the view, in the order in which they
    /// arrived, about.
    pub(super) fn trace(&self, at: usize, id: TraceId) -> Vec<Batch> {
        let opened = self.view.parts.get(at).map(|part| (part, self.reader(part)));
        let Some((part, Some(reader))) = opened else { return Vec::new() };
        let mut batches = Vec::new();
        for (row_group, rows) in self.note(part, reader.find(id)).unwrap_or_default() {
            let own = self.rows(at, &reader, row_group);
            // The hash of an id may be another's, and an L0 has other tenants.
            if rows.start < own.start || rows.end > own.end {
                continue;
            }
            let tenant = &self.owner(at).tenant;
            let read = reader.read(row_group, rows, Wanted::All, tenant, Indexed::No);
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
                let at = self.view.parts.iter().position(|other| other.is_same(&part));
                let tenant = self.owner(at.unwrap_or_default()).tenant.clone();
                let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
                problems.push(Problem { part, tenant, is_damaged, what });
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
