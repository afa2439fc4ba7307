//! One connection, from accept to close: protocol, guards, age and drain.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::debug;

use super::stream::{Stream, Version};
use super::{Body, Config, Drain, Handler, Peer, Stats, WINDOW_LEAST};
use crate::clock::{self, Tasks};
use crate::limits::spread;

/// What the connections of a port share.
pub(super) struct Shared {
    pub(super) config: Config,
    handler: Arc<dyn Handler>,
    pub(super) stats: Arc<Stats>,
    pub(super) tasks: Tasks,
    drain: Drain,
    /// Window bytes that are left, in KiB.
    windows: Arc<Semaphore>,
    /// Counts connections, to spread their ages.
    seen: AtomicU64,
}

/// Counts a connection while it is open.
pub(super) struct Open(Arc<Stats>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.sub(1);
    }
}

impl Shared {
    pub(super) fn new(
        config: Config,
        handler: Arc<dyn Handler>,
        stats: Arc<Stats>,
        tasks: Tasks,
        drain: Drain,
    ) -> Self {
        let windows = (config.windows_bytes_max.as_usize() / 1024).min(Semaphore::MAX_PERMITS);
        let windows = Arc::new(Semaphore::new(windows));
        Self { config, handler, stats, tasks, drain, windows, seen: AtomicU64::new(0) }
    }

    pub(super) fn open(&self) -> Open {
        self.stats.connections.add(1);
        Open(Arc::clone(&self.stats))
    }

    /// Serves the connection until it ends, is too old, or the server drains.
    pub(super) async fn serve(self: Arc<Self>, stream: TcpStream, peer: Peer) {
        // Without it small answers wait for the client's delayed acknowledgements.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(peer = %peer.addr, %error, "cannot set nodelay");
        }
        let mut drain = self.drain.clone();
        let mut stream = Stream::new(stream);
        let version = tokio::select! {
            version = clock::timeout(self.config.header_wait.0, stream.version()) => version,
            // Nothing was asked yet, so nothing is owed.
            () = drain.wait() => return,
        };
        match version {
            Some(Ok(Some(Version::Http1))) => self.serve_http1(stream, peer).await,
            Some(Ok(Some(Version::Http2))) => self.serve_http2(stream, peer).await,
            Some(Ok(None)) => {}
            Some(Err(_)) => self.stats.failed.inc(),
            None => self.stats.silent.inc(),
        }
    }

    async fn serve_http1(self: &Arc<Self>, stream: Stream, peer: Peer) {
        let config = &self.config;
        let (window, _reserved) = self.window();
        let asked = Arc::new(AtomicBool::new(false));
        let service = service_fn(self.service(peer, Some(Arc::clone(&asked))));
        let headers = config.header_bytes_max.as_usize();
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(config.idle_max.0.max(config.header_wait.0))
            .max_header_size(headers)
            .max_buf_size(READ_BUFFER_BYTES.min(window as usize).max(headers).max(8192))
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        // hyper's own timeout covers the pause between requests too, which may be longer.
        let first = async {
            clock::sleep(config.header_wait.0).await;
            if asked.load(Ordering::Relaxed) {
                pending::<()>().await;
            }
        };
        tokio::select! {
            result = self.until_gone(connection, http1::Connection::graceful_shutdown) => {
                self.ended(peer, result);
            }
            () = first => self.stats.silent.inc(),
        }
    }

    async fn serve_http2(self: &Arc<Self>, stream: Stream, peer: Peer) {
        let config = &self.config;
        let (window, _reserved) = self.window();
        // A frame is buffered whole before anyone looks at the window.
        let frame = saturate(config.frame_bytes_max.0).min(window).max(FRAME_LEAST);
        let connection = http2::Builder::new(self.tasks.clone())
            .timer(TokioTimer::new())
            .max_concurrent_streams(config.streams_max)
            .max_header_list_size(saturate(config.header_bytes_max.0))
            .initial_connection_window_size(window)
            .initial_stream_window_size(window)
            .max_frame_size(frame)
            .keep_alive_interval(config.ping_wait.0)
            .keep_alive_timeout(config.ping_wait.0)
            .max_pending_accept_reset_streams(RESET_STREAMS_MAX)
            .max_local_error_reset_streams(RESET_STREAMS_MAX)
            .serve_connection(TokioIo::new(stream), service_fn(self.service(peer, None)));
        tokio::pin!(connection);
        let result = self.until_gone(connection, http2::Connection::graceful_shutdown).await;
        self.ended(peer, result);
    }

    /// The service of one connection: hands each request to the port's handler.
    fn service(
        self: &Arc<Self>,
        peer: Peer,
        asked: Option<Arc<AtomicBool>>,
    ) -> impl Fn(Request<Incoming>) -> Answer + Send + 'static {
        let shared = Arc::clone(self);
        move |request| {
            if let Some(asked) = &asked {
                asked.store(true, Ordering::Relaxed);
            }
            shared.stats.requests.inc();
            Answer(Arc::clone(&shared.handler).handle(request, peer))
        }
    }

    /// Drives the connection; asks it to go on age or drain, and drops it when it does not.
    async fn until_gone<C, E>(
        &self,
        mut connection: Pin<&mut C>,
        ask: fn(Pin<&mut C>),
    ) -> Option<Result<(), E>>
    where
        C: Future<Output = Result<(), E>>,
    {
        let mut drain = self.drain.clone();
        let grace = tokio::select! {
            result = connection.as_mut() => return Some(result),
            () = self.too_old() => {
                self.stats.aged.inc();
                self.config.age_grace.0
            }
            // The owner of the tasks closes what is left after `drain_wait`.
            () = drain.wait() => Duration::MAX,
        };
        ask(connection.as_mut());
        clock::timeout(grace, connection).await
    }

    /// Resolves at the connection's age, spread by a tenth around the configured one.
    async fn too_old(&self) {
        let age = self.config.age_max.0;
        if age.is_zero() {
            return pending().await;
        }
        let number = self.seen.fetch_add(1, Ordering::Relaxed);
        clock::sleep(age.mul_f64(0.9 + 0.2 * spread(number))).await;
    }

    /// How much this connection may have us buffer before anybody reads it, and the reservation
    /// for that. When the budget is used up it is the least that the protocols allow.
    fn window(&self) -> (u32, Option<OwnedSemaphorePermit>) {
        let wanted = self.config.window_bytes.0;
        let units = u32::try_from(wanted.div_ceil(1024)).unwrap_or(u32::MAX);
        match Arc::clone(&self.windows).try_acquire_many_owned(units) {
            Ok(reserved) => (saturate(wanted), Some(reserved)),
            Err(_) => (WINDOW_LEAST.min(saturate(wanted)), None),
        }
    }

    fn ended<E: std::fmt::Display>(&self, peer: Peer, result: Option<Result<(), E>>) {
        match result {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                self.stats.failed.inc();
                debug!(peer = %peer.addr, %error, "connection failed");
            }
            None => debug!(peer = %peer.addr, "connection outlived its grace"),
        }
    }
}

/// HTTP/1.1 reads up to so much at a time.
const READ_BUFFER_BYTES: usize = 256 << 10;

/// The smallest limit on frames that HTTP/2 allows.
const FRAME_LEAST: u32 = 1 << 14;

/// Streams that a client may reset without being heard before it is cut off (rapid reset).
const RESET_STREAMS_MAX: usize = 64;

/// A handler's answer, as hyper wants it: never an error.
struct Answer(super::Reply);

impl Future for Answer {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        self.0.as_mut().poll(context).map(Ok)
    }
}

fn saturate(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
