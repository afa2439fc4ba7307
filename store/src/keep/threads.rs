//! The two threads that keep a running store in order: one seals, one merges and tidies.
//!
//! Sealing must keep pace with what is received, so it runs as any other thread. Merging has time:
//! it runs at a lower priority, unless L0 is nearly full and senders would have to wait for it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::{error, warn};

use super::{Due, Keep, Step, lock};
use crate::Inner;
use crate::error::{Error, Kind};

/// How often the age of the open segment and of L0 files is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How long to wait after a failure.
const AGAIN: Duration = Duration::from_millis(500);
/// How often blocks are compared with `retention.age`, in looks.
const EXPIRE_EVERY: u32 = 30;
/// How often blocks are looked at for windows that are over, in looks. New blocks are at once.
const COMPACT_EVERY: u32 = 60;
/// What a thread of low priority is set to.
const NICE: i32 = 10;

/// Starts the threads; they end after [`Keep::stop`].
pub(crate) fn start(inner: &Arc<Inner>) -> Result<Vec<JoinHandle<()>>, Error> {
    let spawn = |name: &str, run: fn(&Inner)| {
        let inner = Arc::clone(inner);
        let thread = std::thread::Builder::new().name(name.to_owned());
        let spawned = thread.spawn(move || run(&inner));
        spawned.map_err(|fault| Error::io(format!("start thread {name}"), fault))
    };
    Ok(vec![spawn("seal", seal)?, spawn("merge", merge)?])
}

fn seal(inner: &Inner) {
    let keep = &inner.keep;
    while !keep.is_stopped() {
        let step = inner.close_if_due().and_then(|()| inner.seal(true));
        match step {
            Ok(Step::Worked) => {}
            Ok(Step::Idle) => keep.wait(LOOK, |work| std::mem::take(&mut work.seal)),
            Ok(Step::Full) => {
                keep.wake_merge();
                keep.wait(AGAIN, |work| std::mem::take(&mut work.seal));
            }
            Err(error) => keep.failed("seal", &error),
        }
    }
}

fn merge(inner: &Inner) {
    let keep = &inner.keep;
    let (mut is_nice, mut has_merged) = (false, true);
    let mut looks = 0;
    while !keep.is_stopped() {
        if !is_nice {
            is_nice = set_nice();
        }
        let step = keep.follow_if_due().and_then(|()| keep.tidy());
        let mut step = step.and_then(|()| keep.merge(Due::ByAge));
        has_merged |= matches!(step, Ok(Step::Worked));
        if looks % EXPIRE_EVERY == 0 && matches!(step, Ok(Step::Idle)) {
            step = keep.expire();
        }
        if matches!(step, Ok(Step::Idle)) {
            step = keep.take_out(&inner.head);
        }
        // One at a time: what senders wait for comes first.
        if (has_merged || looks % COMPACT_EVERY == 0) && matches!(step, Ok(Step::Idle)) {
            step = keep.compact();
            // Whoever compacts writes the catalogs of what comes of it.
            if keep.compaction.enabled && matches!(step, Ok(Step::Idle)) {
                step = keep.catalog();
            }
            has_merged = matches!(step, Ok(Step::Worked));
        }
        match step {
            Ok(Step::Worked) => {}
            Ok(Step::Idle | Step::Full) => {
                looks += 1;
                keep.wait(LOOK, |work| std::mem::take(&mut work.merge));
            }
            Err(error) => keep.failed("merge", &error),
        }
    }
}

/// Lowers the priority of this thread. Where it cannot be lowered, it stays.
fn set_nice() -> bool {
    let thread = rustix::thread::gettid();
    if let Err(fault) = rustix::process::setpriority_process(Some(thread), NICE) {
        tracing::debug!(%fault, "merging runs at the priority of everything else");
    }
    true
}

impl Keep {
    fn wait(&self, at_most: Duration, due: impl Fn(&mut super::Work) -> bool) {
        let work = lock(&self.work);
        let idle = |work: &mut super::Work| !due(work) && !self.is_stopped();
        drop(self.wake.wait_timeout_while(work, at_most, idle));
    }

    /// Lets others work for a moment.
    pub(crate) fn breathe(&self, moment: Duration) {
        self.wait(moment, |_| false);
    }

    fn failed(&self, what: &'static str, error: &Error) {
        if error.kind() == Kind::Unavailable {
            warn!(what, %error, "cannot go on now, trying again");
        } else {
            error!(what, %error, "failed, trying again");
        }
        self.wait(AGAIN, |_| false);
    }
}
