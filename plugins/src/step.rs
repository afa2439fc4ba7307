//! The steps of one call, for whoever runs a plugin over a batch: a chain while requests come, a trial at a desk.

use std::sync::Arc;

use model::TenantId;

use crate::answer::{Bounds, Edits};
use crate::batch::Batch;
use crate::configured::{Called, Configured};
use crate::draft::Draft;
use crate::error::Failure;
use crate::instance::Failed;

/// Most that an answer may have the host write, as a multiple of what may be answered.
const WRITTEN_FACTOR: usize = 4;

/// Calls a plugin with a batch that was projected.
pub(crate) fn call(
    configured: &Configured,
    tenant: &TenantId,
    batch: &mut Batch,
) -> Result<Called, Failed> {
    let bytes = Arc::new(batch.take_bytes());
    let called = configured.call(tenant, Arc::clone(&bytes));
    batch.put_bytes(Arc::unwrap_or_clone(bytes));
    called
}

/// Holds what it answered against the batch, and against what it may do.
pub(crate) fn edits<'a>(
    configured: &Configured,
    called: &'a Called,
    draft: &Draft,
    batch: &Batch,
) -> Result<Edits<'a>, Failed> {
    let answer_bytes_max = configured.setup().limits.answer_bytes_max;
    let written_bytes_max = answer_bytes_max.saturating_mul(WRITTEN_FACTOR);
    let bounds = Bounds { answer_bytes_max, written_bytes_max };
    let edits = Edits::decode(&called.answer.bytes, draft, configured.plan(), batch, &bounds);
    edits.map_err(|fault| Failed { failure: Failure::BadOutput, message: fault.to_string() })
}
