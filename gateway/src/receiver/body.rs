//! Reading a body: guarded against slow and oversize ones, paid for before it is buffered, and
//! collected into one contiguous buffer.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as _, Frame, Incoming};
use model::{Faults, Wait};
use serde::{Deserialize, Serialize};

use super::buffers::Buffers;
use super::reply::{Fault, Kind, Size};
use crate::clock;
use crate::limits::Held;

/// How slowly a body may come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The longest time without a single byte. Default 10s.
    pub idle_max: Wait,
    /// The longest time for the whole body, in steps of `idle_max`. Default 1m.
    pub time_max: Wait,
}

impl Default for Config {
    fn default() -> Self {
        Self { idle_max: Wait::secs(10), time_max: Wait::secs(60) }
    }
}

impl Config {
    /// Notes every value that is not accepted; `key` is the dotted key of this section.
    pub fn check(&self, key: &str, faults: &mut Faults) {
        let idle = Wait::millis(1)..=Wait::secs(600);
        faults.check_range(&format!("{key}.idle_max"), self.idle_max, idle);
        let time = self.idle_max..=Wait::secs(3600);
        faults.check_range(&format!("{key}.time_max"), self.time_max, time);
    }
}

/// A body as it comes in, frame by frame.
pub struct Feed {
    body: Incoming,
    idle_max: Duration,
    /// How many times the alarm may ring.
    rings_left: u32,
    alarm: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    moved: bool,
    ended: bool,
    /// Bytes that have come so far.
    pub received: u64,
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("received", &self.received).finish_non_exhaustive()
    }
}

impl Feed {
    /// A body of which nothing was read.
    #[must_use]
    pub fn new(body: Incoming, config: &Config) -> Self {
        let idle = config.idle_max.0.max(Duration::from_millis(1));
        let rings = config.time_max.0.as_nanos().div_ceil(idle.as_nanos());
        Self {
            ended: body.is_end_stream(),
            body,
            idle_max: idle,
            rings_left: u32::try_from(rings).unwrap_or(u32::MAX),
            alarm: None,
            moved: false,
            received: 0,
        }
    }

    /// Whether everything was read.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The next bytes, never empty, or `None` at the end.
    ///
    /// # Errors
    /// `Slow` when the client does not get on, `Gone` when it went away.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        while !self.ended {
            let Some(frame) = self.frame().await? else { break };
            // Trailers of a request mean nothing to us.
            let Ok(data) = frame.into_data() else { continue };
            if !data.is_empty() {
                self.received += data.len() as u64;
                self.moved = true;
                return Ok(Some(data));
            }
        }
        self.ended = true;
        Ok(None)
    }

    async fn frame(&mut self) -> Result<Option<Frame<Bytes>>, Fault> {
        poll_fn(|context| {
            loop {
                if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
                    let gone = |error| Fault::new(Kind::Gone, format!("body broke off: {error}"));
                    return Poll::Ready(frame.transpose().map_err(gone));
                }
                // Most bodies are there already and never need an alarm.
                let idle = self.idle_max;
                let alarm = self.alarm.get_or_insert_with(|| Box::pin(clock::sleep(idle)));
                if alarm.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.alarm = None;
                self.rings_left = self.rings_left.saturating_sub(1);
                if !std::mem::take(&mut self.moved) || self.rings_left == 0 {
                    return Poll::Ready(Err(self.slow()));
                }
            }
        })
        .await
    }

    fn slow(&self) -> Fault {
        let message = format!("body came too slowly, {} bytes so far", self.received);
        Fault::new(Kind::Slow, message)
    }
}

/// Reads an HTTP body of at most `limit` bytes, which is at least what it declares.
///
/// # Errors
/// `TooLarge`, `Slow`, `Gone`, or `Unavailable` when there is no room for it in time.
pub async fn read_http(
    feed: &mut Feed,
    declared: Option<u64>,
    limit: u64,
    held: &mut Held,
    buffers: &Buffers,
) -> Result<Bytes, Fault> {
    let declared = usize::try_from(declared.unwrap_or(0)).unwrap_or(usize::MAX);
    held.grow(declared).await?;
    let Some(first) = feed.next().await? else { return Ok(Bytes::new()) };
    held.grow(first.len().saturating_sub(declared)).await?;
    let mut whole = Whole::start(&first, buffers, declared.max(first.len()), limit);
    drop(first);
    while let Some(more) = feed.next().await? {
        let size = whole.len().saturating_add(more.len());
        if size as u64 > limit {
            return Err(Fault::too_large("body", Size::AtLeast(size as u64), limit));
        }
        whole.push(&more, held).await?;
    }
    Ok(whole.done())
}

/// Reads the one message of a unary gRPC call: whether it is compressed, and its bytes. A message
/// over `limit` is refused by its length prefix, before it is read.
///
/// # Errors
/// `Invalid` where the framing is wrong, `TooLarge`, `Slow`, `Gone`, or `Unavailable` when there
/// is no room for it in time.
pub async fn read_grpc(
    feed: &mut Feed,
    limit: u64,
    held: &mut Held,
    buffers: &Buffers,
) -> Result<(bool, Bytes), Fault> {
    let invalid = |message: String| Fault::new(Kind::Invalid, message);
    let mut first = feed.next().await?.unwrap_or_default();
    // The prefix alone may come in pieces.
    while first.len() < PREFIX_BYTES {
        let Some(more) = feed.next().await? else {
            let got = first.len();
            return Err(invalid(format!("gRPC message ends in its prefix, after {got} bytes")));
        };
        first = [first, more].concat().into();
    }
    let prefix = first.split_to(PREFIX_BYTES);
    let (compressed, length) = match prefix.first_chunk::<PREFIX_BYTES>() {
        Some([flag @ (0 | 1), length @ ..]) => (*flag == 1, u32::from_be_bytes(*length)),
        _ => return Err(invalid("gRPC message flag is neither 0 nor 1".to_owned())),
    };
    if u64::from(length) > limit {
        return Err(Fault::too_large("message", Size::Exact(u64::from(length)), limit));
    }
    let length = length as usize;
    held.grow(length).await?;
    let mut whole = Whole::start(&first, buffers, length, limit);
    // The connection reads the next frame into the same memory once nobody holds this one.
    drop((prefix, first));
    loop {
        if whole.len() > length {
            return Err(invalid("more bytes than the one message of a unary call".to_owned()));
        }
        let Some(more) = feed.next().await? else { break };
        whole.push(&more, held).await?;
    }
    if whole.len() < length {
        let got = whole.len();
        return Err(invalid(format!("gRPC message is cut: {got} of {length} bytes")));
    }
    Ok((compressed, whole.done()))
}

const PREFIX_BYTES: usize = 5;

/// A body in one buffer of the pool. Frames are copied out at once: a slice would keep the
/// connection's read buffer alive, which nobody has paid for, and have it read the next frame
/// into fresh memory.
struct Whole<'b> {
    bytes: Vec<u8>,
    buffers: &'b Buffers,
    /// What the permits cover.
    paid: usize,
    /// How large it may get.
    most: u64,
}

/// The least that is paid for at a time when the size is not known.
const STEP_BYTES: usize = 64 << 10;

impl<'b> Whole<'b> {
    fn start(first: &[u8], buffers: &'b Buffers, paid: usize, most: u64) -> Self {
        let mut bytes = buffers.take(paid.max(first.len()));
        bytes.extend_from_slice(first);
        Self { bytes, buffers, paid, most }
    }

    fn len(&self) -> usize {
        self.bytes.len()
    }

    async fn push(&mut self, more: &[u8], held: &mut Held) -> Result<(), Fault> {
        let size = self.len().saturating_add(more.len());
        if size > self.paid {
            let most = usize::try_from(self.most).unwrap_or(usize::MAX).saturating_sub(self.paid);
            let step = self.paid.max(STEP_BYTES).min(most).max(size - self.paid);
            held.grow(step).await?;
            self.paid += step;
        }
        self.bytes.extend_from_slice(more);
        Ok(())
    }

    fn done(self) -> Bytes {
        self.buffers.lend(self.bytes)
    }
}

/// Reads and forgets what is left of a body, so that an HTTP/1.1 client that is still sending gets
/// to read its answer instead of a reset connection. Bounded in bytes and time.
pub async fn discard(mut feed: Feed, bytes_max: u64) {
    const TIME_MAX: Duration = Duration::from_secs(5);
    let most = feed.received.saturating_add(bytes_max);
    let rest = async { while feed.received < most && matches!(feed.next().await, Ok(Some(_))) {} };
    // Over either bound the connection is closed instead.
    clock::timeout(TIME_MAX, rest).await.unwrap_or_default();
}
