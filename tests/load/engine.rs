//! Sends messages that are encoded already, and notes how long each answer took.
//!
//! Closed loop: every worker sends its next message when the last one was answered. Open loop: a
//! message falls due at a fixed time, and its wait is counted from then, whether or not a worker
//! was free to send it (so that a server that stalls cannot hide the requests that queued up:
//! coordinated omission).

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gateway::clock::Tasks;
use gateway::demo::client::{Channel, Reply, Target};
use tokio::task::{JoinSet, LocalSet};

use crate::process::own_cpu;

/// A message, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) bytes: Bytes,
    pub(crate) spans: u64,
    pub(crate) raw_bytes: u64,
    pub(crate) tenant: Option<Arc<str>>,
}

/// How messages are sent.
#[derive(Clone, Debug)]
pub(crate) struct Drive {
    pub(crate) target: Target,
    pub(crate) connections: usize,
    /// Requests at a time, on each connection.
    pub(crate) in_flight: usize,
    /// Spans per second of an open loop; closed without.
    pub(crate) rate: Option<f64>,
    /// What a server that pushes back twice means.
    pub(crate) when_full: WhenFull,
}

/// What to do when a message is still refused for now after a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// Go on trying for a while: the server will have room again.
    Wait,
    /// Stop sending: the server has to be started afresh.
    Stop,
}

/// How it went.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) requests: u64,
    pub(crate) acked: u64,
    pub(crate) rejected: u64,
    pub(crate) lost: u64,
    pub(crate) retries: u64,
    pub(crate) raw_bytes: u64,
    pub(crate) wire_bytes: u64,
    pub(crate) elapsed: Duration,
    /// Processor time of this process.
    pub(crate) own_cpu: Duration,
    /// The waits of all messages that were acknowledged.
    pub(crate) waits: Vec<Duration>,
    /// What was wrong, the first time.
    pub(crate) trouble: Option<String>,
    /// The first message that was not taken.
    pub(crate) next: usize,
    /// Messages that were taken but not acknowledged when the server was full.
    pub(crate) left: Vec<usize>,
}

impl Sent {
    /// Adds another run to this one.
    pub(crate) fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.acked += other.acked;
        self.rejected += other.rejected;
        self.lost += other.lost;
        self.retries += other.retries;
        self.raw_bytes += other.raw_bytes;
        self.wire_bytes += other.wire_bytes;
        self.elapsed += other.elapsed;
        self.own_cpu += other.own_cpu;
        self.waits.extend(other.waits);
        self.trouble = self.trouble.take().or(other.trouble);
        self.next = other.next;
        self.left = other.left;
    }
}

/// The longest pause before a message is sent again.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long one message is tried with [`WhenFull::Wait`].
const PATIENCE: Duration = Duration::from_secs(120);
/// How long an answer may take.
const ANSWER_WAIT: Duration = Duration::from_secs(60);
/// The timer's grain; the rest of a wait is spun away, for the sender has a processor to itself.
const TIMER_GRAIN: Duration = Duration::from_millis(2);

/// What the workers share: all of them run on one thread.
struct Shared {
    messages: Arc<[Message]>,
    /// When each message falls due, in spans since the first.
    due: Vec<u64>,
    drive: Drive,
    began: Instant,
    next: Cell<usize>,
    full: Cell<bool>,
    sent: RefCell<Sent>,
}

/// Sends the messages from `first` to `last` (not included), until all are answered or the server
/// is full.
pub(crate) async fn run(messages: &Arc<[Message]>, range: Range<usize>, drive: &Drive) -> Sent {
    let tasks = Tasks::new();
    let due = messages.iter().scan(0, |sum, message| {
        let due = *sum;
        *sum += message.spans;
        Some(due)
    });
    let due: Vec<u64> = due.take(range.end).collect();
    let shared = Rc::new(Shared {
        messages: Arc::clone(messages),
        due,
        drive: drive.clone(),
        began: Instant::now(),
        next: Cell::new(range.start),
        full: Cell::new(false),
        sent: RefCell::default(),
    });
    let cpu = own_cpu();
    let local = LocalSet::new();
    let mut workers = JoinSet::new();
    for _ in 0..drive.connections.max(1) {
        let channel = Channel::new(drive.target.clone(), tasks.clone());
        for _ in 0..drive.in_flight.max(1) {
            let (shared, channel) = (Rc::clone(&shared), Arc::clone(&channel));
            let (first, last) = (range.start, range.end);
            workers.spawn_local_on(async move { shared.work(&channel, first, last).await }, &local);
        }
    }
    local.run_until(async { while workers.join_next().await.is_some() {} }).await;
    let mut sent = shared.sent.take();
    sent.elapsed = shared.began.elapsed();
    sent.own_cpu = own_cpu().saturating_sub(cpu);
    sent.next = shared.next.get();
    sent
}

impl Shared {
    /// Takes the next message again and again.
    async fn work(&self, channel: &Channel, first: usize, last: usize) {
        while !self.full.get() && self.next.get() < last {
            let at = self.next.replace(self.next.get() + 1);
            let due = self.due_at(at, first);
            if let Some(due) = due {
                wait_until(due).await;
            }
            self.deliver(channel, at, due.unwrap_or_else(Instant::now)).await;
        }
    }

    /// When the message falls due, in an open loop.
    fn due_at(&self, at: usize, first: usize) -> Option<Instant> {
        let rate = self.drive.rate?;
        let spans = self.due.get(at)? - self.due.get(first)?;
        Some(self.began + Duration::from_secs_f64(as_f64(spans) / rate))
    }

    /// Sends one message until it is answered for good.
    async fn deliver(&self, channel: &Channel, at: usize, due: Instant) {
        let Some(message) = self.messages.get(at) else { return };
        let mut attempts = 0;
        loop {
            let answer = channel.send(message.bytes.clone(), message.tenant.as_deref());
            let answer = tokio::time::timeout(ANSWER_WAIT, answer).await;
            let (after, why) = match answer {
                Ok(Ok(Reply::Accepted { rejected, message: why })) => {
                    return self.acked(message, rejected, why, due.elapsed());
                }
                Ok(Ok(Reply::Refused { message: why })) => return self.lost(message, why),
                Ok(Ok(Reply::Retry { after, message })) => (after, message),
                Ok(Err(fault)) => (None, fault.to_string()),
                Err(_) => (None, "no answer within 60 s".to_owned()),
            };
            attempts += 1;
            self.note(why.clone());
            self.sent.borrow_mut().retries += 1;
            let stop = self.drive.when_full == WhenFull::Stop;
            if stop && (attempts > 1 || self.full.get()) {
                self.full.set(true);
                return self.sent.borrow_mut().left.push(at);
            }
            if due.elapsed() > PATIENCE {
                return self.lost(message, why);
            }
            tokio::time::sleep(after.unwrap_or(PAUSE_MAX / 10).min(PAUSE_MAX)).await;
        }
    }

    fn acked(&self, message: &Message, rejected: u64, why: String, wait: Duration) {
        if rejected > 0 {
            self.note(why);
        }
        let mut sent = self.sent.borrow_mut();
        sent.requests += 1;
        sent.acked += message.spans.saturating_sub(rejected);
        sent.rejected += rejected;
        sent.raw_bytes += message.raw_bytes;
        sent.wire_bytes += message.bytes.len() as u64;
        sent.waits.push(wait);
    }

    fn lost(&self, message: &Message, why: String) {
        self.note(why);
        self.sent.borrow_mut().lost += message.spans;
    }

    fn note(&self, why: String) {
        self.sent.borrow_mut().trouble.get_or_insert(why);
    }
}

/// Waits with the timer for most of it, and by asking the clock for the rest.
async fn wait_until(due: Instant) {
    loop {
        match due.checked_duration_since(Instant::now()) {
            None => return,
            Some(left) if left > TIMER_GRAIN => tokio::time::sleep(left - TIMER_GRAIN).await,
            Some(_) => tokio::task::yield_now().await,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "spans and bytes of a set are far fewer than 2^52")]
pub(crate) fn as_f64(number: u64) -> f64 {
    number as f64
}
