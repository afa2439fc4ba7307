//! Spans of a file as OTLP/JSON, a line for each, in the order in which they stand there.

use std::ops::Range;

use model::batch::{Batch, Indexed};
use model::json::{self, Flavour};
use model::otlp::Traces;
use model::{TenantId, TraceId};
use store::block::reader::{Reader, Wanted};
use store::{Error, Kind};

use super::super::{Written, written};
use super::Exit;

/// So much is gathered before it is printed.
const PRINT_BYTES: usize = 64 << 10;

/// Prints at most `limit` spans: those of a tenant, of a trace, where these are given.
pub(super) fn cat(
    reader: &Reader,
    tenant: Option<&TenantId>,
    limit: u64,
    trace: Option<TraceId>,
) -> Result<Exit, Error> {
    let (mut left, mut text) = (limit, String::new());
    for piece in pieces(reader, trace)? {
        if left == 0 {
            break;
        }
        if tenant.is_some_and(|tenant| *tenant != piece.tenant) {
            continue;
        }
        let Piece { row_group, rows, tenant } = piece;
        let batch = reader.read(row_group, rows, Wanted::All, &tenant, Indexed::No)?;
        for row in 0..model::column::count(batch.len()) {
            if left == 0 {
                break;
            }
            if trace.is_some_and(|trace| batch.trace_id(row) != trace) {
                continue;
            }
            left -= 1;
            text.push_str(&line(&batch, row)?);
            if text.len() >= PRINT_BYTES {
                match written(&text) {
                    Written::Done => text.clear(),
                    Written::Unread => return Ok(Exit::Done),
                    Written::Failed => return Ok(Exit::Failed),
                }
            }
        }
    }
    Ok(super::print(&text))
}

/// Rows of one row group and one tenant.
struct Piece {
    row_group: u32,
    rows: Range<u32>,
    tenant: TenantId,
}

/// Where the spans are: of a trace by the index, else everywhere.
fn pieces(reader: &Reader, trace: Option<TraceId>) -> Result<Vec<Piece>, Error> {
    let whole = |row_group| {
        let rows = reader.rows_of(row_group);
        (row_group, 0..rows.end - rows.start)
    };
    let mut ranges = match trace {
        Some(trace) => reader.find(trace)?,
        None => (0..reader.row_groups()).map(whole).collect(),
    };
    ranges.sort_unstable_by_key(|(row_group, rows)| (*row_group, rows.start));
    let runs = reader.tenants()?;
    let own = reader.directory().header.tenant().unwrap_or_else(TenantId::single);
    let mut pieces = Vec::new();
    for (row_group, rows) in ranges {
        if runs.is_empty() {
            pieces.push(Piece { row_group, rows, tenant: own.clone() });
            continue;
        }
        let first = reader.rows_of(row_group).start;
        for run in &runs {
            let end = run.first_row.saturating_add(run.rows).saturating_sub(first);
            let start = run.first_row.saturating_sub(first).max(rows.start);
            if start < end.min(rows.end) {
                let rows = start..end.min(rows.end);
                pieces.push(Piece { row_group, rows, tenant: run.tenant.clone() });
            }
        }
    }
    Ok(pieces)
}

fn line(batch: &Batch, row: u32) -> Result<String, Error> {
    let mut traces = Traces::new();
    traces.push(batch, row);
    json::encode(&traces.encode(), Flavour::Otlp)
        .map(|json| json + "\n")
        .map_err(|fault| Error::new(Kind::Corrupt, fault.to_string()))
}
