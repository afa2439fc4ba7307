//! `traceweir config check --probe`: tries what the configuration names, and says each step.

use std::path::Path;
use std::sync::Arc;

use model::Clock;
use objects::Bucket;
use store::Error;
use store::backend::probe::{self, Step};
use store::disk::RealDisk;

use super::super::{Exit, complain, print};
use crate::app::LOOK_RETRY_MAX;
use crate::clock::SystemClock;
use crate::config::Config;

/// Tries the data directory, and the bucket where there is one.
pub(super) fn run(config: &Config) -> Exit {
    let Ok(id) = RealDisk.random() else {
        complain("cannot draw a number for the probe");
        return Exit::Failed;
    };
    let dir = config.store.dir().unwrap_or_default();
    let is_well = directory(&dir, id) & bucket(config, id);
    if is_well { Exit::Done } else { Exit::Refused }
}

fn directory(dir: &Path, id: u64) -> bool {
    print(&format!("\nthe directory {}\n", dir.display()));
    let mut steps = Steps::new();
    let probed =
        probe::run_in(Arc::new(RealDisk), dir, id, &mut |step, came| steps.say(step, came));
    probed.unwrap_or_else(|error| {
        complain(&error.to_string());
        false
    })
}

/// Whether the bucket is well, or there is none.
fn bucket(config: &Config, id: u64) -> bool {
    let Some((url, mut settings)) = config.bucket.settings() else { return true };
    settings.retry = settings.retry.min(LOOK_RETRY_MAX);
    print(&format!("\nthe bucket {url}\n"));
    let bucket = match Bucket::open(url, &settings) {
        Ok(bucket) => bucket,
        Err(fault) => {
            complain(&format!("bucket.url: {fault}"));
            return false;
        }
    };
    let mut steps = Steps::new();
    probe::run(&bucket, id, &mut |step, came| steps.say(step, came))
}

/// Says steps with the time that each took.
struct Steps {
    clock: SystemClock,
    begun: model::Nanos,
}

impl Steps {
    fn new() -> Self {
        let clock = SystemClock::new();
        Self { clock, begun: clock.monotonic() }
    }

    fn say(&mut self, step: Step, came: &Result<(), Error>) {
        let now = self.clock.monotonic();
        let millis = now.minus(self.begun).as_millis();
        self.begun = now;
        let step = step.to_string();
        print(&match came {
            Ok(()) => format!("  ok      {step:34} {millis:6} ms\n"),
            Err(error) => format!("  FAILED  {step:34} {millis:6} ms\n          {error}\n"),
        });
    }
}
