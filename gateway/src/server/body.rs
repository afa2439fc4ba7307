//! Bodies of answers: bytes, bytes with gRPC trailers, or a stream of tonic's.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};

/// The error of a body that is made elsewhere.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer.
#[derive(Debug, Default)]
pub struct Body {
    inner: Inner,
}

#[derive(Debug, Default)]
enum Inner {
    #[default]
    Empty,
    Full(Bytes),
    /// Data first (when there is any), then the trailers.
    Trailed(Option<Bytes>, Box<HeaderMap>),
    Trailers(Box<HeaderMap>),
    Stream(http_body_util::combinators::UnsyncBoxBody<Bytes, BodyError>),
}

impl Body {
    /// No bytes.
    #[must_use]
    pub const fn empty() -> Self {
        Self { inner: Inner::Empty }
    }

    /// Bytes, then trailers, as gRPC answers are.
    #[must_use]
    pub fn trailed(data: Bytes, trailers: HeaderMap) -> Self {
        Self { inner: Inner::Trailed(Some(data), Box::new(trailers)) }
    }

    /// A body that is made elsewhere.
    pub fn stream<B>(body: B) -> Self
    where
        B: hyper::body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        Self { inner: Inner::Stream(body.map_err(Into::into).boxed_unsync()) }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::empty() } else { Self { inner: Inner::Full(bytes) } }
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let inner = &mut self.get_mut().inner;
        if let Inner::Stream(stream) = inner {
            return Pin::new(stream).poll_frame(context);
        }
        let frame = match std::mem::take(inner) {
            Inner::Empty | Inner::Stream(_) => None,
            Inner::Full(data) => Some(Frame::data(data)),
            Inner::Trailed(Some(data), trailers) => {
                *inner = Inner::Trailers(trailers);
                Some(Frame::data(data))
            }
            Inner::Trailed(None, trailers) | Inner::Trailers(trailers) => {
                Some(Frame::trailers(*trailers))
            }
        };
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Empty => true,
            Inner::Stream(stream) => stream.is_end_stream(),
            Inner::Full(_) | Inner::Trailed(..) | Inner::Trailers(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Empty | Inner::Trailers(_) => SizeHint::with_exact(0),
            Inner::Full(data) => SizeHint::with_exact(data.len() as u64),
            Inner::Trailed(data, _) => {
                SizeHint::with_exact(data.as_ref().map_or(0, |data| data.len() as u64))
            }
            Inner::Stream(stream) => stream.size_hint(),
        }
    }
}

/// A body of bytes cannot fail; hyper's error type wants a way to say so.
impl From<http_body_util::Full<Bytes>> for Body {
    fn from(full: http_body_util::Full<Bytes>) -> Self {
        Self {
            inner: Inner::Stream(full.map_err(|never: Infallible| match never {}).boxed_unsync()),
        }
    }
}
