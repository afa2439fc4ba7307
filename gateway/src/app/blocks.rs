//! Where blocks and manifest are: in a bucket behind a cache, where there is one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hybrid::Hybrid;
use model::{ByteSize, Clock};
use objects::Bucket;
use store::backend::{Backend, Shared};
use tracing::info;

use super::Error;
use crate::config::Config;

/// Where the cache is, below the data directory.
const CACHE: &str = "cache";

/// How long a bucket is tried again for somebody who waits for the answer.
pub(crate) const LOOK_RETRY_MAX: Duration = Duration::from_secs(3);

/// The bucket, and what is before it; neither where blocks are in the data directory.
#[derive(Debug, Default)]
pub(crate) struct Blocks(Option<(Arc<Bucket>, Arc<Hybrid>)>);

impl Blocks {
    /// Opens them. Of the bucket nothing is asked yet.
    pub(super) fn open(
        config: &Config,
        data: &Path,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let Some((url, settings)) = config.bucket.settings() else { return Ok(Self(None)) };
        let bucket = Bucket::open(url, &settings);
        let bucket = bucket.map_err(|fault| Error::failed(format!("bucket.url: {fault}")))?;
        let bucket = Arc::new(bucket);
        let dir = match config.cache.dir.as_str() {
            "" => data.join(CACHE),
            dir => PathBuf::from(dir),
        };
        let inner = Arc::clone(&bucket) as Arc<dyn Backend>;
        let cache = Arc::new(Hybrid::open(inner, &config.cache, &dir, Arc::clone(clock))?);
        info!(url, cache = %dir.display(), "blocks are in a bucket");
        Ok(Self(Some((bucket, cache))))
    }

    /// Opens them for a command that somebody waits for: nothing is written to the disk of the cache,
    /// and a bucket that is away is not tried for as long as a server would.
    pub(crate) fn for_a_look(
        config: &Config,
        data: &Path,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let mut config = config.clone();
        config.bucket.retry.0 = config.bucket.retry.0.min(LOOK_RETRY_MAX);
        config.cache.disk_bytes_max = ByteSize::mib(0);
        Self::open(&config, data, clock)
    }

    /// What the store is given.
    pub(crate) fn shared(&self, config: &Config) -> Option<Shared> {
        let (_, cache) = self.0.as_ref()?;
        let backend = Arc::clone(cache) as Arc<dyn Backend>;
        let bucket = &config.bucket;
        let (poll, grace) = (bucket.poll.nanos(), bucket.grace.nanos());
        Some(Shared { url: bucket.url.clone(), poll, grace, backend })
    }

    /// Finds what is on the disk of the cache.
    pub(super) fn ready(&self) {
        if let Some((_, cache)) = &self.0 {
            cache.ready();
        }
    }

    /// What was asked of the bucket; all zero where there is none.
    pub(super) fn bucket_stats(&self) -> Arc<objects::Stats> {
        self.0.as_ref().map(|(bucket, _)| Arc::clone(bucket.stats())).unwrap_or_default()
    }

    /// The cache, where there is a bucket.
    pub(super) fn cache(&self) -> Option<Arc<Hybrid>> {
        self.0.as_ref().map(|(_, cache)| Arc::clone(cache))
    }
}
