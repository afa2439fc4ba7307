//! One connection, from accept to close: TLS, protocol, guards, age and drain.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use super::mismatch::Mismatch;
use super::stream::{HANDSHAKE, Stream, Version};
use super::tls::{Acceptor, Certificate};
use super::{Body, Config, Drain, Handler, Peer, Stats, WINDOW_LEAST};
use crate::clock::{self, Tasks};

/// What the connections of a port share.
pub(super) struct Shared {
    pub(super) config: Config,
    handler: Arc<dyn Handler>,
    /// What connections begin with; nothing where they stay in the clear.
    tls: Option<Acceptor>,
    mismatch: Arc<Mismatch>,
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
        (handler, tls): (Arc<dyn Handler>, Option<Acceptor>),
        stats: Arc<Stats>,
        tasks: Tasks,
        drain: Drain,
    ) -> Self {
        let windows = (config.windows_bytes_max.as_usize() / 1024).min(Semaphore::MAX_PERMITS);
        let windows = Arc::new(Semaphore::new(windows));
        let (mismatch, seen) = (Arc::default(), AtomicU64::new(0));
        Self { config, handler, tls, mismatch, stats, tasks, drain, windows, seen }
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
        let begun = tokio::select! {
            begun = clock::timeout(self.config.header_wait.0, self.begin(stream, peer)) => begun,
            // Nothing was asked yet, so nothing is owed.
            () = drain.wait() => return,
        };
        match begun {
            Some(Ok(Some(begun))) => self.run(begun).await,
            Some(Ok(None)) => {}
            Some(Err(_)) => self.stats.failed.inc(),
            None => self.stats.silent.inc(),
        }
    }

    /// Finds out what a client speaks, after the handshake where there is one. `None` where it went away, or
    /// what it speaks is nothing of ours.
    async fn begin(&self, stream: TcpStream, mut peer: Peer) -> io::Result<Option<Begun>> {
        let stall_max = self.config.stall_max.0;
        let (mut stream, is_expected) = match &self.tls {
            None => (Stream::clear(stream, stall_max), true),
            Some(acceptor) => {
                let mut first = [0];
                match stream.peek(&mut first).await? {
                    0 => return Ok(None),
                    _ if first == [HANDSHAKE] => {
                        let stream = self.shake_hands(acceptor, stream, &mut peer).await?;
                        (Stream::tls(stream, stall_max), true)
                    }
                    _ => (Stream::clear(stream, stall_max), false),
                }
            }
        };
        let Some(version) = stream.version().await? else { return Ok(None) };
        if version == Version::Tls {
            self.mismatch.seen(&peer, "a client speaks TLS to a port that is in the clear");
            stream.write_all(&ALERT).await?;
            return Ok(None);
        }
        if !is_expected {
            self.mismatch.seen(&peer, "a client speaks no TLS to a port that speaks nothing else");
        }
        let handler = match is_expected {
            true => Arc::clone(&self.handler),
            false => Arc::clone(&self.mismatch) as Arc<dyn Handler>,
        };
        Ok(Some(Begun { stream, version, peer, handler }))
    }

    async fn shake_hands(
        &self,
        acceptor: &Acceptor,
        stream: TcpStream,
        peer: &mut Peer,
    ) -> io::Result<TlsStream<TcpStream>> {
        let shaken = TlsAcceptor::from(acceptor.config()).accept(stream).await;
        let stream = shaken.inspect_err(|error| {
            acceptor.stats().handshakes_failed.inc();
            debug!(peer = %peer.addr, %error, "the handshake came to nothing");
        })?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        // It was verified; one that cannot be read stands for nobody.
        peer.certificate = shown.and_then(|der| Certificate::parse(der).ok()).map(Arc::new);
        Ok(stream)
    }

    async fn run(self: &Arc<Self>, begun: Begun) {
        match begun.version {
            Version::Http2 => self.serve_http2(begun).await,
            _ => self.serve_http1(begun).await,
        }
    }

    async fn serve_http1(self: &Arc<Self>, begun: Begun) {
        let (Begun { stream, handler, peer, .. }, config) = (begun, &self.config);
        let (window, _reserved) = self.window();
        let asked = Arc::new(AtomicBool::new(false));
        let service = self.service(peer.clone(), handler, Some(Arc::clone(&asked)));
        let service = service_fn(service);
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
                self.ended(&peer, result);
            }
            () = first => self.stats.silent.inc(),
        }
    }

    async fn serve_http2(self: &Arc<Self>, begun: Begun) {
        let (Begun { stream, handler, peer, .. }, config) = (begun, &self.config);
        let service = service_fn(self.service(peer.clone(), handler, None));
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
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let result = self.until_gone(connection, http2::Connection::graceful_shutdown).await;
        self.ended(&peer, result);
    }

    /// The service of one connection: hands each request to the port's handler.
    fn service(
        self: &Arc<Self>,
        peer: Peer,
        handler: Arc<dyn Handler>,
        asked: Option<Arc<AtomicBool>>,
    ) -> impl Fn(Request<Incoming>) -> Answer + Send + 'static {
        let shared = Arc::clone(self);
        move |request| {
            if let Some(asked) = &asked {
                asked.store(true, Ordering::Relaxed);
            }
            shared.stats.requests.inc();
            Answer(Arc::clone(&handler).handle(request, peer.clone()))
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
        clock::sleep(age.mul_f64(0.9 + 0.2 * clock::spread(number))).await;
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

    fn ended<E: std::fmt::Display>(&self, peer: &Peer, result: Option<Result<(), E>>) {
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

/// A connection of which is known what its client speaks.
struct Begun {
    stream: Stream,
    version: Version,
    peer: Peer,
    handler: Arc<dyn Handler>,
}

/// A fatal alert of TLS, `handshake_failure` (RFC 8446, 6): all that can be said to whoever begins with a
/// handshake where there is none.
const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

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
