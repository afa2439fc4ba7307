//! L0: what was sealed from the head and not merged yet, as files on the local disk.
//!
//! One file holds one closed segment of the head, all tenants as runs of rows. It is named by the
//! first segment of the log that is not in it, so that the log before it is known to be sealed.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use model::metric::{Counter, Gauge, Histogram};
use model::{ByteSize, Faults, TenantId, TimeRange, Wait};
use serde::{Deserialize, Serialize};

use crate::block::cache::Cache;
use crate::block::reader::Reader;
use crate::block::section::terms::Run;
use crate::disk::File;
use crate::error::Error;
use crate::manifest::L0Id;

/// Where the files are.
pub const ROOT: &str = "l0";

/// How much stays in L0, and how it is merged: the `l0` keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Most bytes of all files. Past three quarters they are merged whatever their age; when all of
    /// it is used, sealing waits, and with it whoever sends.
    pub bytes_max: ByteSize,
    /// How long spans stay before they are merged: as long as spans of one trace are apart.
    pub window: Wait,
    /// Memory of one merge.
    pub merge_bytes_max: ByteSize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bytes_max: ByteSize::mib(4096),
            window: Wait::secs(60),
            merge_bytes_max: ByteSize::mib(96),
        }
    }
}

impl Config {
    /// Notes every value that is out of its range.
    pub fn check(&self, faults: &mut Faults) {
        let (most, tib) = (ByteSize::mib(4096), ByteSize(1 << 50));
        faults.check_range("l0.bytes_max", self.bytes_max, ByteSize::mib(1)..=tib);
        faults.check_range("l0.window", self.window, Wait::secs(0)..=Wait::secs(86_400));
        let memory = self.merge_bytes_max;
        faults.check_range("l0.merge_bytes_max", memory, ByteSize::mib(16)..=most);
    }
}

/// What sealing, merging and keeping count.
#[derive(Debug, Default)]
pub struct Stats {
    /// Files that were sealed.
    pub seals: Counter,
    /// Attempts to seal that failed.
    pub seal_failed: Counter,
    /// Spans in those files.
    pub sealed_spans: Counter,
    /// How long sealing a file took.
    pub seal_time: Histogram,
    /// Files that wait to be merged.
    pub l0_files: Gauge,
    /// Their bytes.
    pub l0_bytes: Gauge,
    /// Times that sealing had to wait for room in L0.
    pub l0_full: Counter,
    /// Merges.
    pub merges: Counter,
    /// Attempts to merge that failed.
    pub merge_failed: Counter,
    /// Spans that were merged into blocks.
    pub merged_spans: Counter,
    /// How long merges took.
    pub merge_time: Histogram,
    /// Blocks.
    pub blocks: Gauge,
    /// Their bytes.
    pub block_bytes: Gauge,
    /// Their spans.
    pub block_spans: Gauge,
    /// Tenants that have blocks.
    pub tenants: Gauge,
    /// Times that blocks were compacted.
    pub compactions: Counter,
    /// Attempts to compact that failed.
    pub compaction_failed: Counter,
    /// Spans of redacted traces that were left out of blocks.
    pub redacted_spans: Counter,
    /// Catalogs of blocks that were written.
    pub catalogs: Counter,
    /// Those that could not be.
    pub catalogs_failed: Counter,
    /// Bytes of indexes and catalogs that were seen to be near before anybody asked for them.
    pub read_ahead_bytes: Counter,
    /// Blocks that went as their spans are in others.
    pub compacted_blocks: Counter,
    /// Spans in the blocks that were written instead.
    pub compacted_spans: Counter,
    /// How long compactions took.
    pub compaction_time: Histogram,
    /// Spans that sealing or merging found twice with the same content: one stayed.
    pub duplicates: Counter,
    /// Spans that it found twice with other content: the first stayed.
    pub conflicts: Counter,
    /// Blocks of late spans that were written.
    pub stragglers: Counter,
    /// Files that are damaged and were set aside.
    pub quarantined: Counter,
    /// Blocks that were read wrong and are well where they lie.
    pub misread: Counter,
    /// Blocks that were removed for their age.
    pub expired: Counter,
    /// Changes of other processes that were taken over, of one tenant each.
    pub followed: Counter,
    /// Blocks in use no more that were deleted.
    pub deleted_blocks: Counter,
    /// Blocks that no manifest names and that were removed.
    pub orphans: Counter,
    /// Entries of the manifest that could not be read.
    pub damaged_entries: Counter,
}

/// One file.
#[derive(Debug)]
pub struct L0 {
    /// Its id.
    pub id: L0Id,
    /// Its columns.
    pub reader: Arc<Reader>,
    /// The length of the file.
    pub bytes: u64,
    runs: HashMap<TenantId, Run>,
}

impl L0 {
    /// Opens a file by its footer.
    ///
    /// # Errors
    /// `Corrupt`, `Refused`, `Io`.
    pub fn open(file: Arc<dyn File>, name: String, cache: &Arc<Cache>) -> Result<Self, Error> {
        let bytes = file.len().map_err(|fault| Error::io(format!("read {name}"), fault))?;
        let reader = Arc::new(Reader::open_file(file, name, Arc::clone(cache))?);
        let header = &reader.directory().header;
        let id = L0Id { writer: header.writer, number: header.number };
        let runs = reader.tenants()?.into_iter().map(|run| (run.tenant.clone(), run)).collect();
        Ok(Self { id, reader, bytes, runs })
    }

    /// The name of the file with this number.
    #[must_use]
    pub fn name(number: u64) -> String {
        format!("{ROOT}/{number:020}.parquet")
    }

    /// The number in a name below [`ROOT`].
    #[must_use]
    pub fn number(name: &str) -> Option<u64> {
        let digits = name.strip_suffix(".parquet")?;
        (digits.len() == 20).then(|| digits.parse().ok()).flatten()
    }

    /// Whose rows it holds.
    pub fn tenants(&self) -> impl Iterator<Item = &TenantId> {
        self.runs.keys()
    }

    /// A tenant's rows.
    #[must_use]
    pub fn run(&self, tenant: &TenantId) -> Option<&Run> {
        self.runs.get(tenant)
    }

    /// First and last effective start.
    #[must_use]
    pub fn starts(&self) -> TimeRange {
        self.reader.directory().header.starts()
    }

    /// A tenant's rows within a row group, counted from its first one; none where it has none.
    #[must_use]
    pub fn rows(&self, tenant: &TenantId, row_group: u32) -> Range<u32> {
        let group = self.reader.rows_of(row_group);
        let Some(run) = self.run(tenant) else { return 0..0 };
        let start = run.first_row.clamp(group.start, group.end);
        let end = run.first_row.saturating_add(run.rows).clamp(start, group.end);
        start - group.start..end - group.start
    }
}
