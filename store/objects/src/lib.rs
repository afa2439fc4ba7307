//! The store's objects in a bucket: S3 and what speaks like it, Google Cloud Storage, Azure.
//!
//! [`Bucket`] is a [`Backend`], whose callers may block: requests run on threads of their own, so many
//! at a time. Each is tried again within bounds by the client below; what came of an attempt that was
//! given up is not known, and callers take it so.

mod advice;
mod attempts;
mod file;
mod hedge;
mod open;
mod upload;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use model::Nanos;
use model::metric::{Counter, Gauge};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutPayload};
use store::backend::{Backend, Upload};
use store::disk::File;
use store::{Error, Kind};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{Semaphore, SemaphorePermit};

use advice::failed;
use hedge::{Hedge, Won};

pub use open::{Settings, Unusable, check};

/// Objects below a prefix of a bucket.
pub struct Bucket {
    client: Client,
    /// What all names begin with.
    root: Path,
    /// What people call it: the URL, without secrets.
    shown: String,
}

/// What drives requests, for as long as anybody may make one.
#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        // Whoever is last may be where nobody may wait.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// What was asked of a bucket.
#[derive(Debug, Default)]
pub struct Stats {
    /// Whole objects and ranges that were read.
    pub gets: Counter,
    /// Objects, and parts of them, that were written.
    pub puts: Counter,
    /// Pages of names.
    pub lists: Counter,
    /// Objects that were removed or copied.
    pub others: Counter,
    /// Requests that came to nothing, all attempts included.
    pub failed: Counter,
    /// Attempts that failed in a way that passes.
    pub faults: Counter,
    /// Those that were the last of their request, since too many failed.
    pub given_up: Counter,
    /// Requests that are under way.
    pub in_flight: Gauge,
    /// Requests that had to wait for others.
    pub waits: Counter,
    /// Reads that were sent a second time.
    pub hedges: Counter,
    /// Second ones that answered first.
    pub hedges_won: Counter,
    /// Bytes that were read.
    pub read_bytes: Counter,
    /// Bytes that were written.
    pub written_bytes: Counter,
}

/// Ranges of one object that are read at a time.
const RANGES_AT_ONCE: usize = 10;
/// Threads that drive requests.
const THREADS: usize = 2;

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({})", self.shown)
    }
}

/// How much is asked of a bucket at a time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests under way; others wait.
    pub requests_max: usize,
    /// Of a hundred reads so many may be sent a second time.
    pub hedge_percent_max: u8,
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests_max: 64, hedge_percent_max: 5 }
    }
}

/// What requests share.
#[derive(Clone, Debug)]
struct Client {
    objects: Arc<dyn ObjectStore>,
    handle: Handle,
    stats: Arc<Stats>,
    permits: Arc<Semaphore>,
    hedge: Arc<Hedge>,
    /// Alive while there is a handle.
    _threads: Arc<Threads>,
}

/// A request under way.
struct InFlight<'c>(&'c Stats, Option<SemaphorePermit<'c>>);

impl<'c> InFlight<'c> {
    fn new(stats: &'c Stats, permit: Option<SemaphorePermit<'c>>) -> Self {
        stats.in_flight.add(1);
        Self(stats, permit)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.sub(1);
        drop(self.1.take());
    }
}

impl Client {
    /// Waits for a request. What is not there, or is there already, is an answer, no failure.
    fn ask<T>(
        &self,
        request: impl Future<Output = object_store::Result<T>>,
    ) -> object_store::Result<T> {
        self.note(self.handle.block_on(async {
            let _in_flight = self.begin().await;
            request.await
        }))
    }

    /// Counts what came to nothing.
    fn note<T>(&self, answer: object_store::Result<T>) -> object_store::Result<T> {
        use object_store::Error::{AlreadyExists, NotFound};
        if !matches!(answer, Ok(_) | Err(AlreadyExists { .. } | NotFound { .. })) {
            self.stats.failed.inc();
        }
        answer
    }

    async fn begin(&self) -> InFlight<'_> {
        let permit = match self.permits.try_acquire() {
            Ok(permit) => Some(permit),
            Err(_) => {
                self.stats.waits.inc();
                // It is never closed.
                self.permits.acquire().await.ok()
            }
        };
        InFlight::new(&self.stats, permit)
    }

    /// Reads a range of an object.
    fn read(&self, path: &Path, range: Range<u64>) -> object_store::Result<Bytes> {
        self.note(self.handle.block_on(self.fetch(path, range)))
    }

    /// Reads ranges of an object, several at a time.
    fn read_all(&self, path: &Path, ranges: &[Range<u64>]) -> object_store::Result<Vec<Bytes>> {
        let fetches = ranges.iter().map(|range| self.fetch(path, range.clone()));
        let fetches = stream::iter(fetches).buffered(RANGES_AT_ONCE);
        self.note(self.handle.block_on(fetches.try_collect()))
    }

    /// Reads a range of an object; a second time where that takes longer than it does.
    async fn fetch(&self, path: &Path, range: Range<u64>) -> object_store::Result<Bytes> {
        let _in_flight = self.begin().await;
        let get = || {
            self.stats.gets.inc();
            self.objects.get_range(path, range.clone())
        };
        // While others wait, nobody takes two places.
        let second = || {
            let permit = self.permits.try_acquire().ok()?;
            self.stats.hedges.inc();
            let in_flight = InFlight::new(&self.stats, Some(permit));
            let get = get();
            Some(async move {
                let _in_flight = in_flight;
                get.await
            })
        };
        let len = range.end - range.start;
        let (mut bytes, won) = self.hedge.first(len, get(), second).await?;
        // One that is cut short and says so of none: the client takes it for whole, another may be.
        if bytes.len() as u64 != len {
            bytes = get().await?;
        }
        if won == Won::Second {
            self.stats.hedges_won.inc();
        }
        self.stats.read_bytes.add(bytes.len() as u64);
        Ok(bytes)
    }

    /// The same, told as an error of the store.
    fn wait<T>(
        &self,
        what: &str,
        path: &Path,
        request: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, Error> {
        self.ask(request).map_err(|fault| failed(what, path, &fault))
    }

    /// Makes an object in one request, unless the name is taken (`false` then).
    fn create(&self, path: &Path, bytes: Vec<u8>) -> Result<bool, Error> {
        use object_store::Error::{AlreadyExists, Generic};
        self.stats.puts.inc();
        let bytes = Bytes::from(bytes);
        let payload = PutPayload::from_bytes(bytes.clone());
        let is_made = match self.ask(self.objects.put_opts(path, payload, PutMode::Create.into())) {
            Ok(_) => true,
            // A connection that is cut is no answer, the client tries again, and the name may be taken
            // by its first attempt.
            Err(AlreadyExists { .. }) => self.has(path, &bytes)?,
            // It may come to be there still.
            Err(fault @ Generic { .. }) => {
                return Err(failed("create", path, &fault).with_kind(Kind::Fatal));
            }
            Err(fault) => return Err(failed("create", path, &fault)),
        };
        if is_made {
            self.stats.written_bytes.add(bytes.len() as u64);
        }
        Ok(is_made)
    }

    /// Whether this is what an object holds. Something else is read a second time before it is
    /// believed: whoever takes its own for another's removes what it names.
    fn has(&self, path: &Path, bytes: &Bytes) -> Result<bool, Error> {
        let unknown = |error: Error| error.with_kind(Kind::Fatal);
        for _ in 0..2 {
            self.stats.gets.inc();
            let got = self.wait("read", path, self.objects.get(path)).map_err(unknown)?;
            if got.meta.size == bytes.len() as u64
                && self.wait("read", path, got.bytes()).map_err(unknown)? == bytes
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Bucket {
    /// Objects of a client, below a prefix. `shown` is what errors call it.
    ///
    /// # Errors
    /// `Io` where no thread can be started.
    pub fn new(objects: Arc<dyn ObjectStore>, root: Path, shown: String) -> Result<Self, Error> {
        Self::with(objects, root, shown, Limits::default(), Arc::default())
    }

    fn with(
        objects: Arc<dyn ObjectStore>,
        root: Path,
        shown: String,
        limits: Limits,
        stats: Arc<Stats>,
    ) -> Result<Self, Error> {
        let threads = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("objects")
            .enable_all()
            .build()
            .map_err(|fault| Error::io("start the threads of the object store", fault))?;
        let client = Client {
            objects,
            handle: threads.handle().clone(),
            stats,
            permits: Arc::new(Semaphore::new(limits.requests_max.max(1))),
            hedge: Arc::new(Hedge::new(limits.hedge_percent_max)),
            _threads: Arc::new(Threads(Some(threads))),
        };
        Ok(Self { client, root, shown })
    }

    /// What was asked of it.
    #[must_use]
    pub fn stats(&self) -> &Arc<Stats> {
        &self.client.stats
    }

    fn client(&self) -> Client {
        self.client.clone()
    }

    fn path(&self, name: &str) -> Result<Path, Error> {
        let odd = || Error::new(Kind::Invalid, format!("{name:?} is no name of an object"));
        let parts = Path::parse(name).map_err(|_| odd())?;
        if name.is_empty() || parts.as_ref() != name {
            return Err(odd());
        }
        Ok(self.root.parts().chain(parts.parts()).collect())
    }
}

impl Backend for Bucket {
    fn create(&self, name: &str, bytes: &[u8]) -> Result<bool, Error> {
        self.client().create(&self.path(name)?, bytes.to_vec())
    }

    fn begin(&self, name: &str) -> Result<Box<dyn Upload>, Error> {
        Ok(Box::new(upload::Parts::new(self.client(), self.path(name)?)))
    }

    fn open(&self, name: &str) -> Result<Arc<dyn File>, Error> {
        let (client, path) = (self.client(), self.path(name)?);
        client.stats.gets.inc();
        let meta = client.wait("open", &path, client.objects.head(&path))?;
        Ok(Arc::new(file::Object::new(client, path, meta.size)))
    }

    fn open_known(&self, name: &str, len: u64, _at: Nanos) -> Result<Arc<dyn File>, Error> {
        Ok(Arc::new(file::Object::new(self.client(), self.path(name)?, len)))
    }

    /// In one request: its answer says how long the object is. One that is shorter than it says is asked
    /// for once more.
    fn read(&self, name: &str, max: u64) -> Result<Vec<u8>, Error> {
        let (client, path) = (self.client(), self.path(name)?);
        let read = || {
            client.stats.gets.inc();
            let got = client.wait("read", &path, client.objects.get(&path))?;
            let size = got.meta.size;
            if size > max {
                let what = format!("{name} is longer than {max} bytes");
                return Err(Error::new(Kind::Corrupt, what));
            }
            let bytes = client.wait("read", &path, got.bytes())?;
            client.stats.read_bytes.add(bytes.len() as u64);
            Ok((size, bytes))
        };
        let (mut size, mut bytes) = read()?;
        if bytes.len() as u64 != size {
            (size, bytes) = read()?;
        }
        file::whole(&(0..size), &bytes)
            .map_err(|fault| Error::io(format!("read {name}"), fault))?;
        Ok(bytes.to_vec())
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let (client, path) = (self.client(), self.path(prefix)?);
        client.stats.lists.inc();
        let listed = client.objects.list_with_delimiter(Some(&path));
        let listed = client.wait("list", &path, listed)?;
        let objects = listed.objects.iter().map(|object| &object.location);
        let names = objects.chain(&listed.common_prefixes).filter_map(Path::filename);
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    fn list_tree(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let (client, path) = (self.client(), self.path(prefix)?);
        client.stats.lists.inc();
        let listed = client.objects.list(Some(&path)).map_ok(|object| object.location);
        let listed: Vec<Path> = client.wait("list", &path, listed.try_collect())?;
        let below = |object: &Path| {
            let parts = object.prefix_match(&path)?;
            Some(parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"))
        };
        let mut names: Vec<String> = listed.iter().filter_map(below).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn has(&self, name: &str) -> Result<bool, Error> {
        Ok(self.written_at(name)?.is_some())
    }

    fn written_at(&self, name: &str) -> Result<Option<Nanos>, Error> {
        let (client, path) = (self.client(), self.path(name)?);
        client.stats.gets.inc();
        match client.ask(client.objects.head(&path)) {
            Ok(meta) => {
                let nanos = meta.last_modified.timestamp_nanos_opt();
                Ok(Some(Nanos(nanos.and_then(|nanos| u64::try_from(nanos).ok()).unwrap_or(0))))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(fault) => Err(failed("look for", &path, &fault)),
        }
    }

    fn remove(&self, name: &str) -> Result<(), Error> {
        let (client, path) = (self.client(), self.path(name)?);
        client.stats.others.inc();
        match client.ask(client.objects.delete(&path)) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(fault) => Err(failed("remove", &path, &fault)),
        }
    }

    fn set_aside(&self, name: &str, to: &str) -> Result<(), Error> {
        let (client, from, to) = (self.client(), self.path(name)?, self.path(to)?);
        client.stats.others.inc();
        match client.ask(client.objects.copy(&from, &to)) {
            Ok(()) => {}
            // Gone from there: an attempt before got so far.
            Err(object_store::Error::NotFound { .. })
                if client.ask(client.objects.head(&to)).is_ok() => {}
            Err(fault) => return Err(failed("set aside", &from, &fault)),
        }
        self.remove(name)
    }

    /// What an object store has told is there stays there.
    fn settle(&self, _prefix: &str) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
