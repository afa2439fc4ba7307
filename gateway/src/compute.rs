//! The compute pool: a fixed number of threads for what takes longer than about 100 µs.
//!
//! Async code moves bytes; decompressing, parsing and evaluating happens here. Jobs come from the
//! receivers and the query API through [`Compute::run`]; the queue is bounded, fair among accounts
//! ([`queue`]), and a full one is the caller's to answer (UNAVAILABLE with a retry hint). A job that
//! panics takes nobody along.

mod queue;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use model::metric::{Counter, Gauge};
use tokio::sync::oneshot;

use crate::clock;
use crate::limits::AccountId;
use queue::Queue;

/// A handle of the pool; clones share it. The threads end when [`Compute::close`] is called.
#[derive(Clone)]
pub struct Compute {
    shared: Arc<Shared>,
}

/// What the metrics page shows of the pool.
#[derive(Debug, Default)]
pub struct Stats {
    /// Jobs that wait for a thread.
    pub queued: Gauge,
    /// Jobs that ran on the pool's threads.
    pub run: Counter,
    /// Jobs that ran at once, on the caller's thread.
    pub inline: Counter,
    /// Jobs that were refused because the queue was full.
    pub refused: Counter,
    /// Jobs that panicked.
    pub panicked: Counter,
    /// Jobs that block on threads of their own.
    pub blocking: Gauge,
}

/// Who goes first where there are fewer cores than threads that want one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// As everything else.
    Normal,
    /// Behind others: an answer may take a while longer, an acknowledgement may not.
    Low,
}

/// How much lower: as merging. At 5 the median wait for an acknowledgement was 5 times as long while a
/// query ran, at 10 it is 1.1 times (one core, 70 % of the closed loop).
const NICE: i32 = 10;

impl Priority {
    /// Takes it for this thread. Where it cannot be lowered, it stays.
    fn take(self) {
        if self == Self::Low {
            let thread = rustix::thread::gettid();
            if let Err(fault) = rustix::process::setpriority_process(Some(thread), NICE) {
                tracing::debug!(%fault, "queries run at the priority of everything else");
            }
        }
    }
}

/// Whether a job is worth a thread of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Done within about 100 µs: runs at once, where it is asked for.
    Light,
    /// Everything else.
    Heavy,
    /// Blocks, for seconds perhaps: gets a thread of its own, at most [`BLOCKING_MAX`] at a time.
    Blocking,
}

/// Jobs that may block at a time.
const BLOCKING_MAX: u64 = 4;

/// Whose job it is, and how many of theirs there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Whose.
    pub account: AccountId,
    /// Jobs that run at a time.
    pub running_max: usize,
    /// Jobs that wait.
    pub queued_max: usize,
}

impl Lane {
    /// The process's own.
    pub const HOUSE: Self = Self::of(AccountId(0));

    /// Of an account, with no bounds beside those of all.
    #[must_use]
    pub const fn of(account: AccountId) -> Self {
        Self { account, running_max: usize::MAX, queued_max: usize::MAX }
    }
}

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The queue is full: come back later.
    Full,
    /// Too many jobs of the same account wait: come back later.
    Crowded,
    /// The job panicked; the panic hook has logged where.
    Panicked,
    /// The pool is closed.
    Closed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "compute queue is full",
            Self::Crowded => "too many wait for their turn already",
            Self::Panicked => "a job failed unexpectedly",
            Self::Closed => "shutting down",
        })
    }
}

impl std::error::Error for Error {}

/// What becomes of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Go {
    /// It runs.
    Run,
    /// It makes room for another one.
    Away,
}

/// Runs, or says that it does not.
type Job = Box<dyn FnOnce(Go) + Send>;

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    stats: Arc<Stats>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl fmt::Debug for Compute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compute").finish_non_exhaustive()
    }
}

impl Compute {
    /// Starts `threads` threads (at least one) with a queue of at most `queue_max` jobs.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(threads: usize, queue_max: usize) -> std::io::Result<Self> {
        Self::named("compute", Priority::Normal, threads, queue_max)
    }

    /// The same, with another name and priority of its threads. Where jobs are long (those of low
    /// priority), an account leaves one thread to others while there are some.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn named(
        name: &'static str,
        priority: Priority,
        threads: usize,
        queue_max: usize,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue::new(queue_max, threads.max(1), priority == Priority::Low)),
            wake: Condvar::new(),
            stats: Arc::default(),
            threads: Mutex::default(),
        });
        let pool = Self { shared };
        for number in 0..threads.max(1) {
            let shared = Arc::clone(&pool.shared);
            let thread =
                std::thread::Builder::new().name(format!("{name}-{number}")).spawn(move || {
                    priority.take();
                    shared.work();
                })?;
            lock(&pool.shared.threads).push(thread);
        }
        Ok(pool)
    }

    /// The pool's counters.
    #[must_use]
    pub fn stats(&self) -> &Arc<Stats> {
        &self.shared.stats
    }

    /// Runs the job and returns what it returns.
    ///
    /// # Errors
    /// `Full` when the queue has no room, `Crowded` when the lane has none (nothing has run then),
    /// `Panicked`, `Closed`.
    ///
    /// # Cancel safety
    /// Once polled, the job runs to its end even if the future is dropped; only its result is lost.
    pub async fn run<T, F>(&self, weight: Weight, lane: Lane, job: F) -> Result<T, Error>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if weight == Weight::Light {
            self.shared.stats.inline.inc();
            return catch_unwind(AssertUnwindSafe(job)).map_err(|_| self.panicked());
        }
        if weight == Weight::Blocking {
            return self.block(job).await;
        }
        let (answer, result) = oneshot::channel();
        let job = move |go| {
            let done = match go {
                Go::Run => Ok(job()),
                Go::Away => Err(Error::Full),
            };
            // Nobody may wait for it any more: the result is dropped here.
            drop(answer.send(done));
        };
        self.push(lane, Box::new(job))?;
        // The sender is dropped without a word only by a panic.
        result.await.map_err(|_| self.panicked())?
    }

    /// Runs a job that blocks on a thread of its own.
    async fn block<T, F>(&self, job: F) -> Result<T, Error>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let stats = Arc::clone(&self.shared.stats);
        if stats.blocking.get() >= BLOCKING_MAX {
            stats.refused.inc();
            return Err(Error::Full);
        }
        stats.blocking.add(1);
        let (answer, result) = oneshot::channel();
        let run = move || {
            let done = catch_unwind(AssertUnwindSafe(job));
            stats.blocking.sub(1);
            if let Ok(done) = done {
                drop(answer.send(done));
            }
        };
        let thread = std::thread::Builder::new().name("blocking".to_owned()).spawn(run);
        if thread.is_err() {
            self.shared.stats.blocking.sub(1);
            return Err(Error::Full);
        }
        result.await.map_err(|_| self.panicked())
    }

    /// Refuses new jobs, runs those that are queued and joins the threads. Blocks; not to be
    /// called from one of the pool's own threads.
    pub fn close(&self) {
        lock(&self.shared.queue).open = false;
        self.shared.wake.notify_all();
        let threads = std::mem::take(&mut *lock(&self.shared.threads));
        for thread in threads {
            // A worker catches what its jobs throw, so there is no panic to hand on.
            drop(thread.join());
        }
    }

    fn push(&self, lane: Lane, job: Job) -> Result<(), Error> {
        let stats = &self.shared.stats;
        let mut queue = lock(&self.shared.queue);
        let pushed = queue.push(lane, job);
        stats.queued.set(queue.len() as u64);
        drop(queue);
        if !matches!(pushed, Ok(None) | Err(Error::Closed)) {
            stats.refused.inc();
        }
        if let Some(other) = pushed? {
            queue::refuse(other);
        }
        self.shared.wake.notify_one();
        Ok(())
    }

    fn panicked(&self) -> Error {
        self.shared.stats.panicked.inc();
        Error::Panicked
    }
}

impl Shared {
    fn work(&self) {
        let mut ended = None;
        while let Some((job, running)) = self.next(ended.take()) {
            self.stats.run.inc();
            let begun = clock::thread().0;
            // The hook has logged it, and the waiting side sees its channel closed.
            drop(catch_unwind(AssertUnwindSafe(|| job(Go::Run))));
            ended = Some((running, clock::thread().0.saturating_sub(begun)));
        }
    }

    /// The next job, or `None` when the pool is closed and empty.
    fn next(&self, ended: Option<(queue::Running, u64)>) -> Option<(Job, queue::Running)> {
        let mut queue = lock(&self.queue);
        if let Some((running, nanos)) = ended
            && queue.end(&running, nanos)
        {
            // This thread may get another job, and the one that may run now is somebody else's.
            self.wake.notify_one();
        }
        if !queue.open {
            // Others may wait for a job that this thread has just ended, or taken.
            self.wake.notify_all();
        }
        loop {
            if let Some(next) = queue.pop() {
                self.stats.queued.set(queue.len() as u64);
                return Some(next);
            }
            if !queue.open && queue.len() == 0 {
                return None;
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// No job runs under these locks, and what they guard is whole after every statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_job_runs_on_a_thread_of_the_pool() {
        let pool = Compute::start(2, 4).unwrap();
        let name = || std::thread::current().name().map(str::to_owned);
        let heavy = pool.run(Weight::Heavy, Lane::HOUSE, name).await.unwrap();
        assert!(heavy.is_some_and(|name| name.starts_with("compute-")));
        let light = pool.run(Weight::Light, Lane::HOUSE, name).await.unwrap();
        assert_eq!(light, name());
        pool.close();
        assert_eq!(pool.run(Weight::Heavy, Lane::HOUSE, || 1).await, Err(Error::Closed));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_the_rest_still_runs() {
        let pool = Compute::start(1, 1).unwrap();
        let (started, is_started) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let first = pool.run(Weight::Heavy, Lane::HOUSE, move || {
            started.send(()).unwrap();
            gate.recv().is_ok()
        });
        tokio::pin!(first);
        assert!(futures_now(first.as_mut()).is_none());
        is_started.recv().unwrap();
        let second = pool.run(Weight::Heavy, Lane::HOUSE, || 2);
        tokio::pin!(second);
        assert!(futures_now(second.as_mut()).is_none());
        assert_eq!(pool.run(Weight::Heavy, Lane::HOUSE, || 3).await, Err(Error::Full));
        assert_eq!(pool.stats().refused.get(), 1);
        go.send(()).unwrap();
        assert_eq!((first.await, second.await), (Ok(true), Ok(2)));
        pool.close();
    }

    #[tokio::test]
    async fn a_panic_is_an_error_of_that_job_alone() {
        let pool = Compute::start(1, 4).unwrap();
        for weight in [Weight::Heavy, Weight::Light] {
            let failed = pool.run(weight, Lane::HOUSE, || -> u8 { panic!("on purpose") }).await;
            assert_eq!(failed, Err(Error::Panicked));
        }
        assert_eq!(pool.run(Weight::Heavy, Lane::HOUSE, || 7).await, Ok(7));
        assert_eq!(pool.stats().panicked.get(), 2);
        pool.close();
    }

    /// Polls once.
    fn futures_now<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.poll(&mut context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }
}
