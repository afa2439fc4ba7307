//! What the log counts.

use model::metric::{Counter, Gauge, Histogram};

/// The log's counters, shared with whoever shows them. The log is their only writer.
#[derive(Debug, Default)]
pub struct Stats {
    /// Records that went out.
    pub records: Counter,
    /// Bytes of those, as stored.
    pub bytes: Counter,
    /// Bytes of their bodies before compression.
    pub body_bytes: Counter,
    /// Groups that were written, one write and one sync each.
    pub groups: Counter,
    /// Records of the last group.
    pub group_records: Gauge,
    /// How long writing and syncing a group took.
    pub commit: Histogram,
    /// How long the sync of a group took.
    pub sync: Histogram,
    /// Bytes that wait for the disk.
    pub queue_bytes: Gauge,
    /// Records that wait for the disk.
    pub queue_records: Gauge,
    /// Segments that hold records, the current one included.
    pub segments: Gauge,
    /// Bytes that all files of the log take, preallocated ones included.
    pub disk_bytes: Gauge,
    /// 1 while there is no room for a new segment.
    pub full: Gauge,
    /// Requests that were turned away: no room, or the queue was full.
    pub refused: Counter,
    /// Attempts to prepare or remove a segment that failed for another reason than a full disk.
    pub chores_failed: Counter,
    /// 1 after the disk failed; nothing is acknowledged any more.
    pub failed: Gauge,
    /// Bytes of segments that replay has read.
    pub replay_bytes: Gauge,
    /// Bytes of segments that replay has to read.
    pub replay_bytes_total: Gauge,
    /// Records that replay gave back.
    pub replay_records: Counter,
    /// Bytes at the end of the last segment that were begun and never finished.
    pub replay_cut_bytes: Counter,
    /// Damaged stretches with good records behind them, or in a segment that was finished.
    pub replay_corrupt: Counter,
    /// Bytes of those.
    pub replay_corrupt_bytes: Counter,
    /// Segments whose damaged file was set aside.
    pub replay_quarantined: Counter,
}
