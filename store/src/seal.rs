//! Sealing: a closed segment of the head becomes an L0 file.

use model::Nanos;
use model::batch::Batch;
use model::column::count;

use crate::backend::Upload;
use crate::block::order::{self, Ordered, Orderer};
use crate::block::section::terms::Run;
use crate::block::section::{Header, Level, Sort};
use crate::block::writer::promote::Candidates;
use crate::block::writer::{Options, Sink, Writer, Written, cut};
use crate::disk::Content;
use crate::error::Error;
use crate::l0;

/// Rows of a row group of an L0 file: what a merge holds of each at a time.
const GROUP_ROWS: u32 = 32_768;
/// From so many tenants on pages are short: each of them is read for a part of its rows only.
const MANY_TENANTS: usize = 16;
const SHORT_PAGE_ROWS: u32 = 2_048;

impl Sink for Box<dyn Upload> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        Upload::write(&mut **self, bytes)
    }

    fn write_as(&mut self, content: Content, bytes: &[u8]) -> Result<(), Error> {
        Upload::write_as(&mut **self, content, bytes)
    }
}

/// Writes all rows of a batch, tenant by tenant. The caller finishes the upload.
///
/// # Errors
/// `Unavailable` when there is no space, `Io`.
pub(crate) fn write(
    batch: &Batch,
    writer: u64,
    number: u64,
    now: Nanos,
    upload: Box<dyn Upload>,
    stats: &l0::Stats,
) -> Result<(Box<dyn Upload>, Written), Error> {
    let (mut ordered, mut orderer) = (Ordered::default(), Orderer::default());
    let mut received = vec![(u64::MAX, 0); batch.tenants().len()];
    for request in batch.requests() {
        if let Some((first, last)) = received.get_mut(usize::from(request.tenant)) {
            *first = request.received_at.0.min(*first);
            *last = request.received_at.0.max(*last);
        }
    }
    let runs = order::tenants(&mut orderer, batch, count(batch.len()), &mut ordered);
    let run = |(number, rows): &(u16, std::ops::Range<u32>)| {
        let number = usize::from(*number);
        Some(Run {
            tenant: batch.tenants().get(number)?.clone(),
            first_row: rows.start,
            rows: rows.end - rows.start,
            received: received.get(number).copied().unwrap_or_default(),
        })
    };
    let runs: Vec<Run> = runs.iter().filter_map(run).collect();
    let header = Header {
        level: Level::L0,
        sort: Sort::Normal,
        tenant: None,
        writer,
        number,
        created_at: now.0,
        sequence: 0,
        consumed: Vec::new(),
        replaced: Vec::new(),
        compactions: 0,
        rows: 0,
        traces: 0,
        starts: (0, 0),
        received: (
            received.iter().map(|(first, _)| *first).min().unwrap_or(0),
            received.iter().map(|(_, last)| *last).max().unwrap_or(0),
        ),
        oversized: false,
    };
    let mut candidates = Candidates::default();
    candidates.add_batch(batch);
    let page_rows = if runs.len() < MANY_TENANTS { Options::L0.page_rows } else { SHORT_PAGE_ROWS };
    let options = Options { page_rows, ..Options::L0 };
    let mut block = Writer::new(upload, header, candidates.choose(), options)?;
    for group in cut(&ordered.traces, GROUP_ROWS) {
        block.row_group(&[batch], &ordered, group)?;
    }
    runs.into_iter().for_each(|run| block.run(run));
    stats.duplicates.add(ordered.duplicates);
    stats.conflicts.add(ordered.conflicts);
    block.finish()
}
