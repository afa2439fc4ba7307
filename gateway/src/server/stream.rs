//! A connection, in the clear or over TLS, whose first bytes were read to tell HTTP/2 from HTTP/1.1, and
//! are read again.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::clock;

/// What a client with prior knowledge of HTTP/2 says first (RFC 9113, 3.4).
const PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Which protocol a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
    /// A handshake of TLS, on a connection in the clear.
    Tls,
}

/// What a record of TLS with a handshake begins with (RFC 8446, 5.1).
pub(super) const HANDSHAKE: u8 = 22;

/// What bytes go through.
#[derive(Debug)]
enum Inner {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The stream, with what was read ahead of its protocol.
#[derive(Debug)]
pub(super) struct Stream {
    inner: Inner,
    ahead: [u8; PREFACE.len()],
    filled: usize,
    taken: usize,
    stall: Stall,
}

impl Stream {
    /// In the clear; a client that takes nothing for longer than `stall_max` is given up.
    pub(super) const fn clear(stream: TcpStream, stall_max: Duration) -> Self {
        Self::new(Inner::Clear(stream), stall_max)
    }

    /// The same over TLS.
    pub(super) fn tls(stream: TlsStream<TcpStream>, stall_max: Duration) -> Self {
        Self::new(Inner::Tls(Box::new(stream)), stall_max)
    }

    const fn new(inner: Inner, stall_max: Duration) -> Self {
        let stall = Stall { max: stall_max, alarm: None };
        Self { inner, ahead: [0; PREFACE.len()], filled: 0, taken: 0, stall }
    }

    /// Reads until the protocol is known: at most the 24 bytes of the preface. `None` when the
    /// client went away before.
    pub(super) async fn version(&mut self) -> io::Result<Option<Version>> {
        loop {
            let (seen, room) = self.ahead.split_at_mut(self.filled);
            if !PREFACE.starts_with(seen) {
                let is_tls = seen.first() == Some(&HANDSHAKE);
                return Ok(Some(if is_tls { Version::Tls } else { Version::Http1 }));
            }
            if room.is_empty() {
                return Ok(Some(Version::Http2));
            }
            let mut room = ReadBuf::new(room);
            poll_fn(|context| self.inner.io().poll_read(context, &mut room)).await?;
            match room.filled().len() {
                0 => return Ok(None),
                read => self.filled += read,
            }
        }
    }
}

/// Ends a connection whose client takes nothing of what is sent to it. hyper has no such time: it would say
/// goodbye, and wait for ever until that is read.
struct Stall {
    max: Duration,
    /// There while the client takes nothing.
    alarm: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl fmt::Debug for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stall").field("max", &self.max).finish_non_exhaustive()
    }
}

impl Stall {
    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.alarm = None;
            return polled;
        }
        let max = self.max;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(clock::sleep(max)));
        let stalled = || io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing");
        alarm.as_mut().poll(context).map(|()| Err(stalled()))
    }
}

trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

impl Inner {
    fn io(&mut self) -> Pin<&mut dyn Io> {
        let io: &mut dyn Io = match self {
            Self::Clear(stream) => stream,
            Self::Tls(stream) => &mut **stream,
        };
        Pin::new(io)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let ahead = this.ahead.get(this.taken..this.filled).unwrap_or_default();
        if ahead.is_empty() {
            return this.inner.io().poll_read(context, buffer);
        }
        let (now, _) = ahead.split_at(ahead.len().min(buffer.remaining()));
        buffer.put_slice(now);
        this.taken += now.len();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = this.inner.io().poll_write(context, bytes);
        this.stall.watch(context, polled)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = this.inner.io().poll_flush(context);
        this.stall.watch(context, polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = this.inner.io().poll_shutdown(context);
        ready!(this.stall.watch(context, polled))?;
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = this.inner.io().poll_write_vectored(context, parts);
        this.stall.watch(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.inner {
            Inner::Clear(stream) => stream.is_write_vectored(),
            Inner::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
