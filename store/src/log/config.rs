//! How the log behaves: the `wal` part of the configuration.

use model::{ByteSize, Faults, Wait};
use serde::{Deserialize, Serialize};

/// The `wal` keys. The default is what we run in production.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What an acknowledgement promises.
    pub durability: Durability,
    /// The length of a segment file. Three are preallocated at a time, so a smaller one saves
    /// disk, and a larger one saves a sync of the directory now and then. On a small disk
    /// segments are at most a sixteenth of what is free at the start.
    pub segment_bytes: ByteSize,
    /// All segments together; a full log answers `Unavailable` until older ones are removed.
    pub bytes_max: ByteSize,
    /// Requests that are on their way into the log; past it, `Unavailable`.
    pub queue_bytes_max: ByteSize,
    /// The zstd level of bodies; negative ones are the fast ones.
    pub compression_level: i32,
    /// How requests share a sync.
    pub commit: Commit,
}

/// What an acknowledgement promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// The record is on the disk: it survives a power cut.
    #[default]
    Fsync,
    /// The system has the record: it survives our crash, not the machine's.
    Os,
    /// Nothing is written: a crash or a restart loses it.
    Memory,
}

/// The `wal.commit` keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Commit {
    /// The least time from one sync to the next. A request that comes after a quiet time does
    /// not wait for it; under load it keeps small requests from costing a sync each.
    pub wait: Wait,
    /// So many bytes go out at once, whatever the wait.
    pub bytes: ByteSize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            durability: Durability::Fsync,
            segment_bytes: ByteSize::mib(64),
            bytes_max: ByteSize::mib(4096),
            queue_bytes_max: ByteSize::mib(32),
            compression_level: -3,
            commit: Commit::default(),
        }
    }
}

impl Default for Commit {
    fn default() -> Self {
        Self { wait: Wait::millis(2), bytes: ByteSize::mib(1) }
    }
}

impl Config {
    /// Notes every value that is out of its range.
    pub fn check(&self, faults: &mut Faults) {
        let size = |bytes| ByteSize(bytes);
        let (kib, mib, tib) = (1u64 << 10, 1u64 << 20, 1u64 << 40);
        faults.check_range(
            "wal.segment_bytes",
            self.segment_bytes,
            size(64 * kib)..=size(4096 * mib),
        );
        let least = self.segment_bytes.0.saturating_mul(4);
        faults.check_range("wal.bytes_max", self.bytes_max, size(least)..=size(1024 * tib));
        faults.check_range(
            "wal.queue_bytes_max",
            self.queue_bytes_max,
            size(mib)..=size(4096 * mib),
        );
        faults.check_range("wal.compression_level", self.compression_level, -50..=9);
        faults.check_range(
            "wal.commit.wait",
            self.commit.wait,
            Wait::millis(0)..=Wait::millis(100),
        );
        faults.check_range("wal.commit.bytes", self.commit.bytes, size(kib)..=size(64 * mib));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_accepted_and_each_wrong_value_is_named() {
        let mut faults = Faults::default();
        Config::default().check(&mut faults);
        assert!(faults.is_empty(), "{faults:?}");
        let wrong = Config {
            segment_bytes: ByteSize(1),
            bytes_max: ByteSize(3),
            queue_bytes_max: ByteSize(0),
            compression_level: 30,
            commit: Commit { wait: Wait::secs(1), bytes: ByteSize(0) },
            ..Config::default()
        };
        wrong.check(&mut faults);
        let keys: Vec<_> = faults.list().iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "wal.segment_bytes",
                "wal.bytes_max",
                "wal.queue_bytes_max",
                "wal.compression_level",
                "wal.commit.wait",
                "wal.commit.bytes",
            ]
        );
    }
}
