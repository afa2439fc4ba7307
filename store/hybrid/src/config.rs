//! How much the cache may take.

use model::{ByteSize, Faults};
use serde::{Deserialize, Serialize};

/// The cache before a bucket. Without a bucket nothing of it is used.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Bytes of blocks in memory.
    pub memory_bytes_max: ByteSize,
    /// Bytes of blocks on disk; none is no disk.
    pub disk_bytes_max: ByteSize,
    /// Where they are on disk. Empty: `cache` below the data directory.
    pub dir: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            memory_bytes_max: ByteSize::mib(64),
            disk_bytes_max: ByteSize::mib(4 << 10),
            dir: String::new(),
        }
    }
}

/// Less holds too few chunks in one of its 64 files.
pub const DISK_BYTES_MIN: ByteSize = ByteSize::mib(256);

impl Config {
    /// Collects what is wrong, by dotted key.
    pub fn check(&self, faults: &mut Faults) {
        let max = ByteSize::mib(1 << 20);
        faults.check_range("cache.memory_bytes_max", self.memory_bytes_max, ByteSize::mib(4)..=max);
        if self.disk_bytes_max.0 > 0 {
            let max = ByteSize::mib(16 << 20);
            faults.check_range("cache.disk_bytes_max", self.disk_bytes_max, DISK_BYTES_MIN..=max);
        }
    }
}
