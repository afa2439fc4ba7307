//! A steady stream of whole traces that happen now, sent to a server at a given rate.
//!
//! Open loop, but bounded: traces fall due by the clock, and when too many requests are waiting
//! for their answers the stream waits as well. Answers that ask for a retry are obeyed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use model::{Clock, Nanos, TraceId};
use tokio::task::{JoinError, JoinSet};

use super::client::{Channel, Fault, Reply};
use super::{Made, Request, Shop};
use crate::clock::{sleep, timeout};

/// What is streamed.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The same seed gives the same traces, but for their times.
    pub seed: u64,
    /// Spans per second.
    pub rate: u64,
    /// For how long; `None` goes on until the stream is dropped or told to stop.
    pub length: Option<Duration>,
    /// The tenant to send for, where the server wants one.
    pub tenant: Option<String>,
}

/// How it goes so far.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Since the stream began.
    pub elapsed: Duration,
    /// Traces that were made.
    pub traces: u64,
    /// Spans that were handed to the network.
    pub sent: u64,
    /// Spans that the server acknowledged.
    pub acked: u64,
    /// Spans that the server took note of, but did not store.
    pub rejected: u64,
    /// Spans that were given up, refused or not answered for too long.
    pub lost: u64,
    /// Requests that were sent again.
    pub retries: u64,
    /// What the server or the network said last when something was wrong.
    pub trouble: Option<String>,
    /// The last traces, and the last one with a failure in it.
    pub latest: VecDeque<TraceId>,
    /// The last trace with a failure in it.
    pub failed: Option<TraceId>,
    waits: VecDeque<Duration>,
}

impl Progress {
    /// The median and the 99th percentile of the last waits for an answer, if there were any.
    #[must_use]
    pub fn ack_waits(&self) -> Option<(Duration, Duration)> {
        let mut waits: Vec<_> = self.waits.iter().copied().collect();
        waits.sort_unstable();
        let at = |per_cent: usize| waits.get((waits.len() * per_cent / 100).min(waits.len() - 1));
        if waits.is_empty() { None } else { Some((*at(50)?, *at(99)?)) }
    }

    fn made(&mut self, made: Made) {
        self.traces += 1;
        if made.failed {
            self.failed = Some(made.id);
        }
        if self.latest.len() == LATEST {
            self.latest.pop_front();
        }
        self.latest.push_back(made.id);
    }

    /// A request that panicked tells nothing.
    fn done(&mut self, done: Result<Done, JoinError>) {
        let Ok(done) = done else { return };
        match done.outcome {
            Ok(rejected) => {
                self.acked += done.spans.saturating_sub(rejected);
                self.rejected += rejected;
                if self.waits.len() == WAITS {
                    self.waits.pop_front();
                }
                self.waits.push_back(done.wait);
            }
            Err(Lost) => self.lost += done.spans,
        }
    }
}

/// How often traces are made and progress is told.
const TICK: Duration = Duration::from_millis(200);
/// Requests that wait for an answer at a time.
const IN_FLIGHT_MAX: usize = 32;
/// Spans of a request.
const BATCH: usize = 400;
/// How often a request is sent before it is given up.
const ATTEMPTS_MAX: u32 = 12;
/// The first wait where the server names none; it doubles.
const RETRY_WAIT: Duration = Duration::from_millis(250);
/// The longest wait between two attempts.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(15);
/// Traces that are remembered.
const LATEST: usize = 3;
/// Waits that are remembered.
const WAITS: usize = 1_000;
/// Traces start so long before now, so that most of them are over when they are sent.
const AGE: Nanos = Nanos(300_000_000);

/// What became of one request.
#[derive(Debug)]
struct Done {
    spans: u64,
    wait: Duration,
    /// How many of its spans were rejected.
    outcome: Result<u64, Lost>,
}

/// A message was given up.
#[derive(Debug)]
struct Lost;

/// What goes wrong while requests are under way, told by them before they end.
#[derive(Debug, Default)]
struct Trouble {
    retries: u64,
    last: Option<String>,
}

impl Trouble {
    fn note(trouble: &Mutex<Self>, last: String, retries: u64) {
        let mut trouble = trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.retries += retries;
        trouble.last = Some(last);
    }
}

/// How long the answers that are due are waited for in the end.
const LAST_WAIT: Duration = Duration::from_secs(10);

/// A stream while it runs.
struct Stream<'a> {
    channel: &'a Arc<Channel>,
    clock: &'a Arc<dyn Clock>,
    plan: &'a Plan,
    progress: Progress,
    trouble: Arc<Mutex<Trouble>>,
    under_way: JoinSet<Done>,
}

/// Sends traces until the plan's length is over or `stop` resolves, then waits for the answers
/// that are due. Tells the progress about five times a second.
///
/// # Errors
/// When a request cannot be encoded.
///
/// # Cancel safety
/// Dropped, it forgets the requests under way; their spans may be stored.
pub async fn run(
    channel: &Arc<Channel>,
    plan: &Plan,
    clock: &Arc<dyn Clock>,
    stop: impl Future<Output = ()>,
    mut tell: impl FnMut(&Progress),
) -> Result<Progress, Fault> {
    let mut stream = Stream {
        channel,
        clock,
        plan,
        progress: Progress::default(),
        trouble: Arc::default(),
        under_way: JoinSet::new(),
    };
    let ended = {
        let streaming = stream.go_on(&mut tell);
        tokio::pin!(streaming, stop);
        tokio::select! {
            ended = &mut streaming => ended,
            () = &mut stop => Ok(()),
        }
    };
    timeout(LAST_WAIT, stream.finish()).await;
    stream.note_trouble();
    let mut progress = stream.progress;
    // What is not answered by now is not waited for any longer.
    progress.lost = progress.sent.saturating_sub(progress.acked + progress.rejected);
    ended.map(|()| progress)
}

impl Stream<'_> {
    async fn go_on(&mut self, tell: &mut impl FnMut(&Progress)) -> Result<(), Fault> {
        let mut shop = Shop::new(self.plan.seed, BATCH);
        let began = self.clock.monotonic();
        let length = self.plan.length.unwrap_or(Duration::MAX);
        let mut made = 0;
        while self.progress.elapsed < length {
            sleep(TICK).await;
            let elapsed = Duration::from_nanos(self.clock.monotonic().minus(began).0);
            self.progress.elapsed = elapsed;
            while made < due(self.plan.rate, elapsed.min(length)) {
                let trace = shop.trace(self.clock.now().minus(AGE));
                made += trace.spans as u64;
                self.progress.made(trace);
            }
            shop.drain();
            while let Some(request) = shop.pop() {
                self.send(request).await?;
            }
            while let Some(done) = self.under_way.try_join_next() {
                self.progress.done(done);
            }
            self.note_trouble();
            tell(&self.progress);
        }
        Ok(())
    }

    fn note_trouble(&mut self) {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        self.progress.retries = trouble.retries;
        self.progress.trouble.clone_from(&trouble.last);
    }

    /// Starts a request, as soon as there are not too many.
    async fn send(&mut self, request: Request) -> Result<(), Fault> {
        let spans = request.spans as u64;
        let message = self.channel.target().message(request.body)?;
        while self.under_way.len() >= IN_FLIGHT_MAX {
            let Some(done) = self.under_way.join_next().await else { break };
            self.progress.done(done);
        }
        self.progress.sent += spans;
        let (channel, clock) = (Arc::clone(self.channel), Arc::clone(self.clock));
        let (tenant, trouble) = (self.plan.tenant.clone(), Arc::clone(&self.trouble));
        self.under_way.spawn(async move {
            let sent = clock.monotonic();
            let outcome = deliver(&channel, message, tenant.as_deref(), &trouble).await;
            Done { spans, wait: Duration::from_nanos(clock.monotonic().minus(sent).0), outcome }
        });
        Ok(())
    }

    async fn finish(&mut self) {
        while let Some(done) = self.under_way.join_next().await {
            self.progress.done(done);
        }
    }
}

/// How many spans are due after so long.
fn due(rate: u64, elapsed: Duration) -> u64 {
    let spans = u128::from(rate) * elapsed.as_nanos() / u128::from(Nanos::SECOND.0);
    u64::try_from(spans).unwrap_or(u64::MAX)
}

/// Sends a message, again where the answer allows it; returns how many spans were rejected.
async fn deliver(
    channel: &Channel,
    message: Bytes,
    tenant: Option<&str>,
    trouble: &Mutex<Trouble>,
) -> Result<u64, Lost> {
    let mut wait = RETRY_WAIT;
    for _ in 0..ATTEMPTS_MAX {
        let (after, why) = match channel.send(message.clone(), tenant).await {
            Ok(Reply::Accepted { rejected, message }) => {
                if rejected > 0 {
                    Trouble::note(trouble, message, 0);
                }
                return Ok(rejected);
            }
            Ok(Reply::Refused { message }) => {
                Trouble::note(trouble, message, 0);
                return Err(Lost);
            }
            Ok(Reply::Retry { after, message }) => (after, message),
            Err(fault) => (None, fault.to_string()),
        };
        Trouble::note(trouble, why, 1);
        sleep(after.unwrap_or(wait).min(RETRY_WAIT_MAX)).await;
        wait *= 2;
    }
    Err(Lost)
}
