//! Which row groups can have what a query asks for: it only narrows.

use super::program::Program;
use crate::block::reader::Reader;
use crate::execute::Parts;

/// What a row group must have.
pub(super) struct Prune<'p> {
    _program: &'p Program,
    _parts: &'p Parts<'p>,
}

impl<'p> Prune<'p> {
    pub(super) fn new(program: &'p Program, parts: &'p Parts<'p>) -> Self {
        Self { _program: program, _parts: parts }
    }

    #[expect(clippy::unused_self, reason = "not there yet")]
    pub(super) fn may_match(&self, _: &Reader, _: u32) -> bool {
        true
    }
}
