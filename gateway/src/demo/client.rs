//! A small OTLP client over hyper: unary gRPC over HTTP/2, or protobuf over HTTP/1.1; in the clear or over TLS.
//!
//! Messages come from the generator, encoded once; answers go back as a [`Reply`], which says what
//! a well-behaved exporter does next. It is for benches and demos.

mod reply;
mod secure;

use std::fmt;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, TE};
use http::uri::{Authority, Scheme, Uri};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::clock::{self, Tasks};

pub use reply::Reply;
use secure::{Secure, Stream};

/// The path of the gRPC method.
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// The most that is read of an answer.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// How long connecting may take.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// How spans are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Protocol {
    /// Unary gRPC.
    Grpc,
    /// `POST /v1/traces` with protobuf.
    Http,
}

/// How messages are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Coding {
    /// Not at all.
    None,
    /// gzip, as most exporters can.
    Gzip,
    /// Zstandard.
    Zstd,
}

impl Coding {
    const fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }

    fn compress(self, body: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(body.to_vec()),
            Self::Gzip => {
                // Level 6 is what exporters use, by default of their libraries.
                let level = flate2::Compression::new(6);
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                encoder.write_all(body)?;
                encoder.finish()
            }
            Self::Zstd => zstd::bulk::compress(body, 3),
        }
    }
}

/// Where spans go, and how.
#[derive(Clone, Debug)]
pub struct Target {
    authority: Authority,
    uri: Uri,
    protocol: Protocol,
    coding: Coding,
    headers: HeaderMap,
    secure: Option<Secure>,
}

/// What went wrong between us and the server; a retry may help.
#[derive(Debug)]
pub struct Fault(String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

impl Fault {
    fn new(doing: &str, why: impl fmt::Display) -> Self {
        Self(format!("{doing}: {why}"))
    }
}

impl Target {
    /// Reads an endpoint such as `http://127.0.0.1:4317` or `localhost:4318/otlp`.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn parse(endpoint: &str, protocol: Protocol, coding: Coding) -> Result<Self, Fault> {
        let refuse = |why: &dyn fmt::Display| Fault::new(&format!("endpoint {endpoint:?}"), why);
        let text = match endpoint.split_once("://") {
            None => format!("http://{endpoint}"),
            Some(("http" | "grpc", rest)) => format!("http://{rest}"),
            Some(("https" | "grpcs", rest)) => format!("https://{rest}"),
            Some(_) => return Err(refuse(&"only http:// and https:// are spoken here")),
        };
        let parsed: Uri = text.parse().map_err(|fault: http::uri::InvalidUri| refuse(&fault))?;
        let authority = parsed.authority().cloned().ok_or_else(|| refuse(&"names no host"))?;
        let base = parsed.path().trim_end_matches('/');
        let path = match protocol {
            Protocol::Grpc => format!("{base}{EXPORT}"),
            Protocol::Http if base.ends_with("/v1/traces") => base.to_owned(),
            Protocol::Http => format!("{base}/v1/traces"),
        };
        let scheme = parsed.scheme().cloned().unwrap_or(Scheme::HTTP);
        let uri = uri(scheme, &authority, &path).map_err(|fault| refuse(&fault))?;
        let mut headers = HeaderMap::new();
        let (kind, coded) = match protocol {
            Protocol::Grpc => ("application/grpc", HeaderName::from_static("grpc-encoding")),
            Protocol::Http => ("application/x-protobuf", CONTENT_ENCODING),
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if let Some(name) = coding.name() {
            headers.insert(coded, HeaderValue::from_static(name));
        }
        match protocol {
            Protocol::Grpc => headers.insert(TE, HeaderValue::from_static("trailers")),
            Protocol::Http => headers.insert(HOST, host(&authority)),
        };
        Ok(Self { authority, uri, protocol, coding, headers, secure: None })
    }

    /// The target with the root of the server's certificate, which `https://` needs.
    ///
    /// # Errors
    /// Says what is wrong with the file, or that it is missing.
    pub fn with_roots(mut self, ca_file: Option<&Path>) -> Result<Self, Fault> {
        if self.uri.scheme() != Some(&Scheme::HTTPS) {
            return Ok(self);
        }
        let missing = "names no file with the root of the server's certificate";
        let path = ca_file.ok_or_else(|| Fault::new("https://", missing))?;
        self.secure = Some(Secure::open(path, self.protocol)?);
        Ok(self)
    }

    /// The target with another header on every request.
    ///
    /// # Errors
    /// Says what is wrong with the name or the value.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, Fault> {
        let refuse = |why: &dyn fmt::Display| Fault::new(&format!("header {name:?}"), why);
        let key = HeaderName::try_from(name).map_err(|fault| refuse(&fault))?;
        let value = HeaderValue::try_from(value).map_err(|fault| refuse(&fault))?;
        self.headers.insert(key, value);
        Ok(self)
    }

    /// How spans are sent.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Compresses and frames an `ExportTraceServiceRequest`, ready to be sent many times.
    ///
    /// # Errors
    /// When the compressor refuses, or the message is longer than 4 GiB.
    pub fn message(&self, body: Vec<u8>) -> Result<Bytes, Fault> {
        let refuse = |why: &dyn fmt::Display| Fault::new("encode a message", why);
        let body = match self.coding {
            Coding::None => body,
            coding => coding.compress(&body).map_err(|fault| refuse(&fault))?,
        };
        if self.protocol == Protocol::Http {
            return Ok(body.into());
        }
        let length = u32::try_from(body.len()).map_err(|fault| refuse(&fault))?;
        let mut frame = BytesMut::with_capacity(body.len() + 5);
        frame.put_u8(u8::from(self.coding != Coding::None));
        frame.put_u32(length);
        frame.put_slice(&body);
        Ok(frame.freeze())
    }
}

fn uri(scheme: Scheme, authority: &Authority, path: &str) -> Result<Uri, http::Error> {
    Uri::builder().scheme(scheme).authority(authority.clone()).path_and_query(path).build()
}

fn host(authority: &Authority) -> HeaderValue {
    HeaderValue::from_str(authority.as_str()).unwrap_or_else(|_| HeaderValue::from_static("-"))
}

/// A channel to one server: one connection for gRPC, for HTTP as many as there are requests at a
/// time. Connects when it is needed, and again when the connection is gone.
#[derive(Debug)]
pub struct Channel {
    target: Target,
    tasks: Tasks,
    shared: Mutex<Option<http2::SendRequest<Full<Bytes>>>>,
    idle: Mutex<Vec<http1::SendRequest<Full<Bytes>>>>,
}

/// Idle HTTP/1.1 connections that are kept.
const IDLE_MAX: usize = 256;

impl Channel {
    /// A channel that is not connected yet. Its connections run as tasks of `tasks`.
    #[must_use]
    pub fn new(target: Target, tasks: Tasks) -> Arc<Self> {
        Arc::new(Self { target, tasks, shared: Mutex::new(None), idle: Mutex::default() })
    }

    /// Where it goes.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// Sends a message that [`Target::message`] made, for the tenant if there is one.
    ///
    /// # Errors
    /// When no answer came; whether the spans were stored is not known then.
    ///
    /// # Cancel safety
    /// Dropped, the request may have been sent, and its answer is lost.
    pub async fn send(&self, message: Bytes, tenant: Option<&str>) -> Result<Reply, Fault> {
        let mut request = Request::post(self.target.uri.clone()).body(Full::new(message));
        if let Ok(request) = &mut request {
            request.headers_mut().clone_from(&self.target.headers);
            if let Some(tenant) = tenant {
                let tenant =
                    HeaderValue::try_from(tenant).map_err(|fault| Fault::new("tenant", fault))?;
                request.headers_mut().insert("x-scope-orgid", tenant);
            }
        }
        let request = request.map_err(|fault| Fault::new("build a request", fault))?;
        let answer = match self.target.protocol {
            Protocol::Grpc => self.multiplexed(request).await?,
            Protocol::Http => self.exclusive(request).await?,
        };
        Ok(match self.target.protocol {
            Protocol::Grpc => reply::grpc(&answer),
            Protocol::Http => reply::http(&answer),
        })
    }

    /// Asks for a path of the same server over HTTP/1.1, with these headers: status and body.
    ///
    /// # Errors
    /// When no answer came.
    ///
    /// # Cancel safety
    /// Dropped, the answer is lost.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Result<(u16, Bytes), Fault> {
        let uri: Uri = path.parse().map_err(|fault| Fault::new("path", fault))?;
        let mut request = Request::get(uri).header(HOST, host(&self.target.authority));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::default()).map_err(|fault| Fault::new("path", fault))?;
        let answer = self.exclusive(request).await?;
        Ok((answer.status, answer.body))
    }

    async fn multiplexed(&self, request: Request<Full<Bytes>>) -> Result<Answer, Fault> {
        let mut sender = self.shared().await?;
        let response = sender.send_request(request).await;
        Answer::read(response.map_err(|fault| Fault::new("send", source(&fault)))?).await
    }

    /// A handle of the one connection.
    async fn shared(&self) -> Result<http2::SendRequest<Full<Bytes>>, Fault> {
        let mut shared = self.shared.lock().await;
        if let Some(sender) = shared.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let io = self.connect().await?;
        let (sender, connection) = http2::Builder::new(self.tasks.clone())
            .handshake(io)
            .await
            .map_err(|fault| Fault::new("handshake", source(&fault)))?;
        // How it ended, the requests say.
        self.tasks.spawn("http2 connection", async move { drop(connection.await) });
        *shared = Some(sender.clone());
        Ok(sender)
    }

    async fn exclusive(&self, request: Request<Full<Bytes>>) -> Result<Answer, Fault> {
        let mut sender = self.take().await?;
        let mut request = request;
        if self.target.protocol == Protocol::Http || request.method() == http::Method::GET {
            // HTTP/1.1 to an origin names the path alone.
            let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
            *request.uri_mut() = path.parse().map_err(|fault| Fault::new("path", fault))?;
        }
        let response = sender.send_request(request).await;
        let response = response.map_err(|fault| Fault::new("send", source(&fault)))?;
        let answer = Answer::read(response).await?;
        let mut idle = self.idle.lock().await;
        if idle.len() < IDLE_MAX {
            idle.push(sender);
        }
        Ok(answer)
    }

    /// A connection that nobody else uses.
    async fn take(&self) -> Result<http1::SendRequest<Full<Bytes>>, Fault> {
        while let Some(mut sender) = { self.idle.lock().await.pop() } {
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        let io = self.connect().await?;
        let (sender, connection) =
            http1::handshake(io).await.map_err(|fault| Fault::new("handshake", source(&fault)))?;
        self.tasks.spawn("http1 connection", async move { drop(connection.await) });
        Ok(sender)
    }

    async fn connect(&self) -> Result<TokioIo<Stream>, Fault> {
        let address = self.target.authority.as_str();
        let doing = || format!("connect to {address}");
        let stream = clock::timeout(CONNECT_WAIT, TcpStream::connect(address))
            .await
            .ok_or_else(|| Fault::new(&doing(), "took more than 5s"))?
            .map_err(|fault| Fault::new(&doing(), fault))?;
        stream.set_nodelay(true).map_err(|fault| Fault::new(&doing(), fault))?;
        let Some(secure) = &self.target.secure else {
            return Ok(TokioIo::new(Stream::Clear(stream)));
        };
        let handshake = secure.connect(stream, self.target.authority.host());
        let stream = clock::timeout(CONNECT_WAIT, handshake)
            .await
            .ok_or_else(|| Fault::new(&doing(), "the handshake took more than 5s"))?
            .map_err(|fault| Fault::new(&doing(), fault))?;
        Ok(TokioIo::new(stream))
    }
}

/// The innermost cause: hyper's own words say only where it happened.
fn source(fault: &dyn std::error::Error) -> String {
    match fault.source() {
        Some(inner) => format!("{fault}: {}", source(inner)),
        None => fault.to_string(),
    }
}

/// An answer, read to its end.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    trailers: HeaderMap,
    body: Bytes,
}

impl Answer {
    async fn read(response: Response<hyper::body::Incoming>) -> Result<Self, Fault> {
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|fault| Fault::new("read an answer", fault))?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        let status = parts.status.as_u16();
        Ok(Self { status, headers: parts.headers, trailers, body: body.to_bytes() })
    }
}
