//! What the store says about itself, for `traceweir status` and the readiness page.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::{Nanos, TenantId};
use serde::Serialize;

use crate::{Store, shelf};

/// What the store does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum State {
    /// Reading the log back; nothing is answered yet.
    Replaying = 0,
    /// Takes requests and answers queries.
    Ready = 1,
    /// Takes no more requests.
    Closed = 2,
}

/// The store at one moment. Sizes in bytes.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// What it does.
    pub state: State,
    /// The data directory.
    pub directory: String,
    /// The random id of the directory's writer, in hex.
    pub writer: String,
    /// Reading the log back.
    pub replay: Replay,
    /// The head.
    pub head: Head,
    /// The log.
    pub wal: Wal,
    /// What is sealed and not merged yet.
    pub l0: L0,
    /// Blocks.
    pub blocks: Blocks,
    /// What is damaged and set aside, and so may be missing from answers.
    pub damaged: Vec<String>,
}

/// L0.
#[derive(Clone, Debug, Serialize)]
pub struct L0 {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The bound of those.
    pub bytes_max: u64,
    /// Since the oldest was sealed, in milliseconds.
    pub oldest_ms: u64,
    /// Files that were sealed since the start.
    pub seals: u64,
    /// Attempts to seal that failed.
    pub seal_failed: u64,
    /// Merges since the start.
    pub merges: u64,
    /// Attempts to merge that failed.
    pub merge_failed: u64,
}

/// Blocks.
#[derive(Clone, Debug, Serialize)]
pub struct Blocks {
    /// Tenants that have some.
    pub tenants: u64,
    /// How many there are.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their spans.
    pub spans: u64,
    /// Files that were found damaged since the start.
    pub quarantined: u64,
}

/// The blocks of one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Whose.
    pub tenant: TenantId,
    /// How many there are.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their spans.
    pub spans: u64,
}

/// Reading the log back.
#[derive(Clone, Debug, Serialize)]
pub struct Replay {
    /// Bytes that are read.
    pub bytes: u64,
    /// Bytes to read in all.
    pub bytes_total: u64,
    /// Requests that came back.
    pub records: u64,
    /// Bytes of an unfinished request at the end that were cut.
    pub cut_bytes: u64,
    /// Damaged stretches that were passed over.
    pub corrupt: u64,
    /// Files that were set aside.
    pub quarantined: u64,
}

/// The head.
#[derive(Clone, Debug, Serialize)]
pub struct Head {
    /// Heap bytes held.
    pub bytes: u64,
    /// The bound of those.
    pub bytes_max: u64,
    /// Spans held.
    pub rows: u64,
    /// Segments, the open one included.
    pub segments: u64,
    /// Requests that found it full.
    pub full: u64,
}

/// The log.
#[derive(Clone, Debug, Serialize)]
pub struct Wal {
    /// Bytes of its files on the disk.
    pub disk_bytes: u64,
    /// The bound of those.
    pub bytes_max: u64,
    /// Segments that hold records.
    pub segments: u64,
    /// Bytes that wait for the disk: how far acknowledgements lag behind.
    pub queue_bytes: u64,
    /// Requests that wait for the disk.
    pub queue_records: u64,
    /// Why there is no room, while there is none.
    pub full: Option<String>,
    /// Why nothing is acknowledged any more, after the disk failed.
    pub failed: Option<String>,
}

impl Store {
    /// What sealing, merging and keeping count.
    #[must_use]
    pub fn keep_stats(&self) -> &crate::l0::Stats {
        &self.0.keep.stats
    }

    /// What catalogs of blocks were asked.
    #[must_use]
    pub fn catalogs(&self) -> &shelf::catalog::Catalogs {
        &self.0.keep.readers.catalogs
    }

    /// Commits to the manifest that another writer was faster than.
    #[must_use]
    pub fn manifest_conflicts(&self) -> u64 {
        self.0.keep.manifest.conflicts.get()
    }

    /// The cache of what is read of row groups.
    #[must_use]
    pub fn cache(&self) -> &crate::block::cache::Cache {
        self.0.keep.readers.cache()
    }

    /// What queries keep between them.
    #[must_use]
    pub fn query_caches(&self) -> QueryCaches {
        let readers = &self.0.keep.readers;
        let answers = &self.0.answers;
        QueryCaches {
            answer_hits: answers.hits.get(),
            answer_misses: answers.misses.get(),
            answer_bytes: answers.bytes.get(),
            traces_placed: readers.places.traces(),
        }
    }

    /// The blocks that are open.
    #[must_use]
    pub fn readers(&self) -> &shelf::Readers {
        &self.0.keep.readers
    }

    /// The blocks of each tenant, by tenant.
    #[must_use]
    pub fn stored(&self) -> Vec<Stored> {
        let contents = self.0.keep.shelf.contents();
        let of = |(tenant, blocks): (&TenantId, &Arc<shelf::Blocks>)| Stored {
            tenant: tenant.clone(),
            blocks: blocks.list.len() as u64,
            bytes: blocks.list.iter().map(|block| block.meta.bytes).sum(),
            spans: blocks.list.iter().map(|block| block.meta.rows).sum(),
        };
        let mut all: Vec<Stored> = contents.tenants.iter().map(of).collect();
        all.sort_by(|one, other| one.tenant.cmp(&other.tenant));
        all
    }

    /// What the store does now.
    #[must_use]
    pub fn state(&self) -> State {
        match self.0.state.load(Ordering::Acquire) {
            0 => State::Replaying,
            1 => State::Ready,
            _ => State::Closed,
        }
    }

    /// The store at this moment.
    #[must_use]
    pub fn status(&self) -> Status {
        let (head, log, config) = (self.head_stats(), self.log_stats(), &self.0.config);
        let wal = self.0.wal.get();
        let (keep, contents) = (self.keep_stats(), self.0.keep.shelf.contents());
        let oldest = contents.l0.first().map(|l0| l0.reader.directory().header.created_at);
        let oldest = oldest.map_or(0, |at| self.0.clock.now().minus(Nanos(at)).as_millis());
        Status {
            state: self.state(),
            directory: self.0.dir.path().display().to_string(),
            writer: format!("{:016x}", self.0.dir.writer()),
            replay: Replay {
                bytes: log.replay_bytes.get(),
                bytes_total: log.replay_bytes_total.get(),
                records: log.replay_records.get(),
                cut_bytes: log.replay_cut_bytes.get(),
                corrupt: log.replay_corrupt.get(),
                quarantined: log.replay_quarantined.get(),
            },
            head: Head {
                bytes: head.bytes.get(),
                bytes_max: config.head.bytes_max.0,
                rows: head.rows.get(),
                segments: head.segments.get(),
                full: head.full.get(),
            },
            wal: Wal {
                disk_bytes: log.disk_bytes.get(),
                bytes_max: config.wal.bytes_max.0,
                segments: log.segments.get(),
                queue_bytes: log.queue_bytes.get(),
                queue_records: log.queue_records.get(),
                full: wal.and_then(crate::log::LocalWal::full),
                failed: wal.and_then(|wal| wal.failed().map(|error| error.to_string())),
            },
            l0: L0 {
                files: keep.l0_files.get(),
                bytes: keep.l0_bytes.get(),
                bytes_max: config.l0.bytes_max.0,
                oldest_ms: oldest,
                seals: keep.seals.get(),
                seal_failed: keep.seal_failed.get(),
                merges: keep.merges.get(),
                merge_failed: keep.merge_failed.get(),
            },
            blocks: Blocks {
                tenants: keep.tenants.get(),
                blocks: keep.blocks.get(),
                bytes: keep.block_bytes.get(),
                spans: keep.block_spans.get(),
                quarantined: keep.quarantined.get(),
            },
            damaged: contents.damage.iter().map(|damage| damage.what.clone()).collect(),
        }
    }
}

/// What queries keep between them.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueryCaches {
    /// Parts of metrics queries that were counted before.
    pub answer_hits: u64,
    /// Parts that had to be counted.
    pub answer_misses: u64,
    /// Bytes of what was counted.
    pub answer_bytes: u64,
    /// Traces of which is known in which files they stand.
    pub traces_placed: u64,
}
