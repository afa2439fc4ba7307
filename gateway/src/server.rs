//! The listeners: one type for every port, HTTP/1.1 and HTTP/2 (prior knowledge) on each, in the clear or
//! over TLS.
//!
//! Connections come in here and requests go out to the port's [`Handler`]; what a path means is
//! the handler's business. Guards against what strangers do with connections live here too: a cap,
//! header sizes and times, an age after which a connection is asked to go (so that long-lived gRPC
//! spreads over replicas), and the drain.
//!
//! ```text
//! let server = Server::bind(addr, config, stats).await?;     // port 0 allowed
//! tasks.spawn("otlp grpc", async move { server.serve(handler, None, drain).await; });
//! ```

pub mod body;
mod connection;
pub mod drain;
mod mismatch;
mod stream;
pub mod tls;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, Response};
use model::metric::{Counter, Gauge};
use model::{ByteSize, Faults, Wait};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{info, warn};

pub use body::Body;
pub use drain::{Drain, DrainTrigger};
pub use tls::{Acceptor, Certificate};

use crate::clock::{self, Tasks};
use connection::Shared;

/// How every port treats its connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Connections at a time, per port; more are closed as they come. Default 1024.
    pub connections_max: u32,
    /// How long a client may take from connecting to the end of its first header. Default 10s.
    pub header_wait: Wait,
    /// The largest header list, in bytes. Default 80KiB: tokens are long.
    pub header_bytes_max: ByteSize,
    /// How long an HTTP/1.1 connection may be idle between requests. Default 75s.
    pub idle_max: Wait,
    /// How long a client may take nothing of what is sent to it. Default 30s.
    pub stall_max: Wait,
    /// How old a connection may get before it is asked to go (GOAWAY, `connection: close`), give
    /// or take a tenth. Default 5m; `0s` never asks.
    pub age_max: Wait,
    /// How long requests may go on after that. Default 30s.
    pub age_grace: Wait,
    /// HTTP/2 streams at a time, per connection. Default 100.
    pub streams_max: u32,
    /// HTTP/2 flow control: bytes that a connection may send ahead of us. Default 1MiB; more did
    /// not raise throughput on one host, and matters only over long distances.
    pub window_bytes: ByteSize,
    /// All windows and read buffers of a port together; connections beyond get 64KiB each, so this
    /// and `connections_max` bound what strangers can have us buffer. Default 64MiB.
    pub windows_bytes_max: ByteSize,
    /// The largest HTTP/2 frame that clients may send. Default 1MiB: a usual batch in one frame
    /// halves the cost of receiving it (0.14 instead of 0.25 CPU-s per million spans).
    pub frame_bytes_max: ByteSize,
    /// How often a silent HTTP/2 client is pinged; it has as long to answer. Default 30s.
    pub ping_wait: Wait,
    /// How long requests under way may take when the server drains. Default 5s.
    pub drain_wait: Wait,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            header_wait: Wait::secs(10),
            header_bytes_max: ByteSize(80 << 10),
            idle_max: Wait::secs(75),
            stall_max: Wait::secs(30),
            age_max: Wait::secs(300),
            age_grace: Wait::secs(30),
            streams_max: 100,
            window_bytes: ByteSize::mib(1),
            windows_bytes_max: ByteSize::mib(64),
            frame_bytes_max: ByteSize::mib(1),
            ping_wait: Wait::secs(30),
            drain_wait: Wait::secs(5),
        }
    }
}

/// What HTTP/2 starts every window with.
const WINDOW_LEAST: u32 = 65_535;

impl Config {
    /// Notes every value that is not accepted; `key` is the dotted key of this section.
    pub fn check(&self, key: &str, faults: &mut Faults) {
        let key = |name: &str| format!("{key}.{name}");
        let wait = |least: u64, most: u64| Wait::millis(least)..=Wait::secs(most);
        let size = |least: u64, most: u64| ByteSize(least)..=ByteSize(most);
        faults.check_range(&key("connections_max"), self.connections_max, 1..=1_000_000);
        faults.check_range(&key("header_wait"), self.header_wait, wait(1, 600));
        let headers = size(1 << 10, 1 << 20);
        faults.check_range(&key("header_bytes_max"), self.header_bytes_max, headers);
        faults.check_range(&key("idle_max"), self.idle_max, wait(1, 3600));
        faults.check_range(&key("stall_max"), self.stall_max, wait(1, 3600));
        faults.check_range(&key("age_max"), self.age_max, wait(0, 7 * 86_400));
        faults.check_range(&key("age_grace"), self.age_grace, wait(1, 3600));
        faults.check_range(&key("streams_max"), self.streams_max, 1..=10_000);
        let windows = size(u64::from(WINDOW_LEAST), (1 << 31) - 1);
        faults.check_range(&key("window_bytes"), self.window_bytes, windows);
        faults.check_range(&key("windows_bytes_max"), self.windows_bytes_max, size(0, 1 << 40));
        let frames = size(1 << 14, (1 << 24) - 1);
        faults.check_range(&key("frame_bytes_max"), self.frame_bytes_max, frames);
        faults.check_range(&key("ping_wait"), self.ping_wait, wait(100, 3600));
        faults.check_range(&key("drain_wait"), self.drain_wait, wait(0, 600));
    }
}

/// What the metrics page shows of one port.
#[derive(Debug, Default)]
pub struct Stats {
    /// Connections that are open.
    pub connections: Gauge,
    /// Connections that were accepted.
    pub accepted: Counter,
    /// Connections that were closed at once because there were too many.
    pub refused: Counter,
    /// Connections that were asked to go because of their age.
    pub aged: Counter,
    /// Connections that were closed because no request came in time.
    pub silent: Counter,
    /// Connections that ended with a protocol or I/O error.
    pub failed: Counter,
    /// Requests that were handed to the port's handler.
    pub requests: Counter,
}

/// Who sends a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The other end of the connection.
    pub addr: SocketAddr,
    /// Its certificate, where it has shown one: roots that we trust have signed it.
    pub certificate: Option<Arc<Certificate>>,
}

impl Peer {
    /// Whoever is at an address, and has shown no certificate.
    #[must_use]
    pub const fn at(addr: SocketAddr) -> Self {
        Self { addr, certificate: None }
    }
}

/// An answer that is being made.
pub type Reply = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// What a port does with its requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers a request. The answer is dropped half-way when the client goes away or resets its
    /// stream.
    fn handle(self: Arc<Self>, request: Request<Incoming>, peer: Peer) -> Reply;
}

/// A port that is bound and not yet served.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    addr: SocketAddr,
    config: Config,
    stats: Arc<Stats>,
}

impl Server {
    /// Binds a port; port 0 takes a free one, which [`Server::addr`] tells.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(addr: SocketAddr, config: Config, stats: Arc<Stats>) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        Ok(Self { listener, addr, config, stats })
    }

    /// The address that is bound.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves until the drain: then stops accepting, asks the connections to go, lets requests
    /// under way finish for `drain_wait` and closes the rest. Returns how many were closed so.
    ///
    /// # Cancel safety
    /// Dropped, it stops accepting and its connections go on without an owner: do not.
    pub async fn serve(
        self,
        handler: Arc<dyn Handler>,
        tls: Option<Acceptor>,
        mut drain: Drain,
    ) -> usize {
        let Self { listener, addr, config, stats } = self;
        let tasks = Tasks::new();
        let slots = Arc::new(Semaphore::new(config.connections_max as usize));
        let shared = Shared::new(config, (handler, tls), stats, tasks.clone(), drain.clone());
        let shared = Arc::new(shared);
        loop {
            let accepted = tokio::select! {
                biased;
                () = drain.wait() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, addr)) => {
                    admit(stream, Peer::at(addr), &slots, &shared);
                }
                Err(error) => accept_failed(addr, &error).await,
            }
        }
        drop(listener);
        let closed = tasks.join(shared.config.drain_wait.0).await;
        info!(%addr, closed = closed.len(), "port closed");
        closed.len()
    }
}

/// Starts the connection's task, or closes the connection when there are too many.
fn admit(stream: TcpStream, peer: Peer, slots: &Arc<Semaphore>, shared: &Arc<Shared>) {
    let Ok(slot) = Arc::clone(slots).try_acquire_owned() else {
        shared.stats.refused.inc();
        return;
    };
    shared.stats.accepted.inc();
    shared.tasks.spawn("connection", run(stream, peer, slot, Arc::clone(shared)));
}

async fn run(stream: TcpStream, peer: Peer, slot: OwnedSemaphorePermit, shared: Arc<Shared>) {
    let _slot = slot;
    let _open = shared.open();
    shared.serve(stream, peer).await;
}

/// A client that went away while it waited is its own affair; out of file handles is everybody's,
/// and passes only as connections close.
async fn accept_failed(addr: SocketAddr, error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset};
    if matches!(error.kind(), ConnectionAborted | ConnectionReset) {
        return;
    }
    warn!(%addr, %error, "cannot accept connections");
    clock::sleep(Duration::from_millis(500)).await;
}

#[cfg(test)]
mod tests;
