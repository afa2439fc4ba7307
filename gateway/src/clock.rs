//! The real time, and the owner of every task.
//!
//! The only file that reads the machine's clock, sleeps or spawns: everything else takes a
//! `&dyn Clock`, awaits [`sleep`] or [`timeout`] and hands its tasks to [`Tasks`], which joins them
//! when the process drains.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use model::{Clock, Nanos};
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// The machine's clock; only `main` makes one.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts at zero now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one real clock")]
    #[expect(clippy::new_without_default, reason = "a default clock would be made by accident")]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one real clock")]
    fn now(&self) -> Nanos {
        nanos(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    fn monotonic(&self) -> Nanos {
        nanos(self.origin.elapsed())
    }
}

/// A length of time in nanoseconds, saturating.
#[must_use]
pub fn nanos(length: Duration) -> Nanos {
    Nanos(u64::try_from(length.as_nanos()).unwrap_or(u64::MAX))
}

/// The processor's time that this thread has used.
#[must_use]
pub fn thread() -> Nanos {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let of = |part: i64| u64::try_from(part).unwrap_or_default();
    Nanos::from_secs(of(time.tv_sec)).plus(Nanos(of(time.tv_nsec)))
}

/// Waits. Zero yields once.
///
/// # Cancel safety
/// Nothing happens when it is dropped.
#[expect(clippy::disallowed_methods, reason = "the one real sleep")]
pub async fn sleep(wait: Duration) {
    tokio::time::sleep(wait).await;
}

/// Runs the future for at most `wait`; `None` when it took longer, and it is dropped then.
///
/// # Cancel safety
/// As the future's own.
pub async fn timeout<F: Future>(wait: Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(wait, future).await.ok()
}

/// Spreads consecutive numbers evenly over 0..1 (multiples of the golden ratio): what would make
/// many clients come back in step gets this instead of chance.
#[must_use]
pub fn spread(number: u64) -> f64 {
    let turned = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    f64::from(u32::try_from(turned >> 32).unwrap_or(u32::MAX)) / 4_294_967_296.0
}

/// The owner of a group of tasks: each has a name, and all are joined on drain.
#[derive(Clone, Default)]
pub struct Tasks {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    running: Mutex<Running>,
    ended: Notify,
}

#[derive(Default)]
struct Running {
    next: u64,
    tasks: HashMap<u64, (&'static str, Option<AbortHandle>)>,
}

impl Shared {
    /// The map is whole after every statement under the lock, so a panic elsewhere spoils nothing.
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("running", &self.len()).finish()
    }
}

/// Signs a task off when it ends, returns early or panics.
struct Leaving {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let mut running = self.shared.lock();
        running.tasks.remove(&self.id);
        let last = running.tasks.is_empty();
        drop(running);
        if last {
            self.shared.ended.notify_waiters();
        }
    }
}

impl Tasks {
    /// A group without tasks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts the future as a task of this group. `name` tells what it is, for those that are
    /// still there when the drain is over.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let id = {
            let mut running = self.shared.lock();
            running.next += 1;
            let id = running.next;
            running.tasks.insert(id, (name, None));
            id
        };
        let leaving = Leaving { shared: Arc::clone(&self.shared), id };
        let task = tokio::spawn(async move {
            let _leaving = leaving;
            future.await;
        });
        // Not there any more when the task has ended already.
        if let Some((_, abort)) = self.shared.lock().tasks.get_mut(&id) {
            *abort = Some(task.abort_handle());
        }
    }

    /// How many tasks run.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.lock().tasks.len()
    }

    /// Whether none runs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until every task has ended, at most for `wait`, then aborts the rest and returns
    /// their names. Does not tell the tasks to end: that is their own signal's business.
    ///
    /// # Cancel safety
    /// Dropped, it has aborted nothing.
    pub async fn join(&self, wait: Duration) -> Vec<&'static str> {
        if timeout(wait, self.empty()).await.is_some() {
            return Vec::new();
        }
        let left: Vec<_> = self.shared.lock().tasks.values().cloned().collect();
        for abort in left.iter().filter_map(|(_, abort)| abort.as_ref()) {
            abort.abort();
        }
        left.into_iter().map(|(name, _)| name).collect()
    }

    async fn empty(&self) {
        loop {
            let ended = self.shared.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.is_empty() {
                return;
            }
            ended.await;
        }
    }
}

/// Lets hyper start its tasks (one per HTTP/2 stream) in the group.
impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.spawn("http2 stream", future);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_never_goes_back() {
        let clock = SystemClock::new();
        let first = clock.monotonic();
        assert!(clock.monotonic() >= first);
        assert!(clock.now() > Nanos::from_secs(1_700_000_000));
    }

    #[test]
    fn spread_numbers_keep_apart() {
        let mut numbers: Vec<f64> = (0..100).map(spread).collect();
        assert!(numbers.iter().all(|number| (0.0..1.0).contains(number)));
        numbers.sort_by(f64::total_cmp);
        assert!(numbers.windows(2).all(|pair| pair[1] - pair[0] > 0.005));
    }

    #[tokio::test]
    async fn joining_waits_for_tasks_that_end() {
        let tasks = Tasks::new();
        let (send, receive) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn("waits", async move {
            assert!(receive.await.is_err());
        });
        assert_eq!(tasks.len(), 1);
        drop(send);
        assert!(tasks.join(Duration::from_secs(10)).await.is_empty());
        assert!(tasks.is_empty());
    }

    #[tokio::test]
    async fn what_does_not_end_is_aborted_and_named() {
        let tasks = Tasks::new();
        tasks.spawn("stuck", std::future::pending());
        assert_eq!(tasks.join(Duration::from_millis(5)).await, ["stuck"]);
        assert!(tasks.join(Duration::from_secs(10)).await.is_empty());
    }

    #[tokio::test]
    async fn a_task_that_panics_is_signed_off() {
        let tasks = Tasks::new();
        tasks.spawn("panics", async { panic!("on purpose") });
        assert!(tasks.join(Duration::from_secs(10)).await.is_empty());
    }
}
