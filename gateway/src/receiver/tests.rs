//! The receivers behind a real listener on a loopback port, in front of a scripted sink.

mod grpc;
mod guards;
mod http_otlp;
mod limited;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use model::otlp::Checked;
use model::{Clock, Nanos};
use prost::Message;
use store::{Accepted, Append};
use tokio::net::TcpStream;

use super::ingest::Ack;
use super::{Config, LogSpans, Parts, Port, Receiver, Sink, pb};
use crate::auth::{Auth, Tenancy};
use crate::clock::{self, Tasks};
use crate::compute::Compute;
use crate::limits::Accounts;
use crate::overrides::{Limits, Overrides};
use crate::server::{self, DrainTrigger, Server, drain};

/// A clock that stands still.
#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Nanos {
        Nanos::from_secs(1_800_000_000)
    }
    fn monotonic(&self) -> Nanos {
        Nanos(7)
    }
}

/// What the sink does with the next request; it accepts when nothing is scripted.
pub(crate) enum Play {
    /// Acknowledges.
    Accept(Accepted),
    /// Refuses at once.
    Refuse(store::Error),
    /// Fails when it should become durable.
    Fail(store::Error),
    /// Acknowledges when the other end is dropped.
    Wait(tokio::sync::oneshot::Receiver<()>),
    /// Panics.
    Panic,
}

/// A sink that plays a script and keeps what it was given.
#[derive(Default)]
pub(crate) struct Script {
    plays: Mutex<VecDeque<Play>>,
    seen: Mutex<Vec<Append>>,
    checked: Mutex<Vec<Checked>>,
}

impl Script {
    pub(crate) fn next(&self, play: Play) {
        self.plays.lock().unwrap().push_back(play);
    }

    pub(crate) fn seen(&self) -> Vec<Append> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    fn checked(&self) -> Vec<Checked> {
        std::mem::take(&mut self.checked.lock().unwrap())
    }

    pub(crate) fn bodies(&self) -> Vec<Bytes> {
        self.seen().into_iter().map(|append| append.body).collect()
    }
}

impl Sink for Script {
    fn append(&self, request: Append, checked: Checked) -> Result<Ack, store::Error> {
        self.checked.lock().unwrap().push(checked);
        let play = self.plays.lock().unwrap().pop_front();
        self.seen.lock().unwrap().push(request);
        match play {
            None => Ok(Box::pin(async { Ok(Accepted { spans: 1, ..Accepted::default() }) })),
            Some(Play::Accept(accepted)) => Ok(Box::pin(async { Ok(accepted) })),
            Some(Play::Refuse(error)) => Err(error),
            Some(Play::Fail(error)) => Ok(Box::pin(async { Err(error) })),
            Some(Play::Wait(gate)) => Ok(Box::pin(async {
                assert!(gate.await.is_err());
                Ok(Accepted { spans: 1, ..Accepted::default() })
            })),
            Some(Play::Panic) => panic!("scripted"),
        }
    }
}

/// A running port.
pub(crate) struct Rig {
    pub(crate) addr: SocketAddr,
    pub(crate) sink: Arc<Script>,
    pub(crate) receiver: Arc<Receiver>,
    pub(crate) stats: Arc<server::Stats>,
    pub(crate) tasks: Tasks,
    pub(crate) trigger: DrainTrigger,
}

/// How a rig differs from production.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) receiver: Config,
    pub(crate) server: server::Config,
    pub(crate) tenancy: Tenancy,
    pub(crate) limits: Limits,
}

/// An answer, over whichever protocol.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.trailers.get(name).or_else(|| self.headers.get(name));
        value.map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The `google.rpc.Status` of an OTLP/HTTP answer.
    pub(crate) fn rpc_status(&self) -> pb::Status {
        assert_eq!(self.header("content-type"), "application/x-protobuf");
        pb::Status::decode(&*self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.header("content-type"), "application/json");
        serde_json::from_slice(&self.body).unwrap()
    }

    /// gRPC code and message.
    pub(crate) fn grpc(&self) -> (u32, String) {
        assert_eq!(self.status, StatusCode::OK);
        assert_eq!(self.header("content-type"), "application/grpc");
        let message = self.header("grpc-message").replace("%22", "\"").replace("%25", "%");
        (self.header("grpc-status").parse().unwrap(), message)
    }
}

/// Five bytes of protobuf with no span in them: a field that nobody knows.
pub(crate) const SPANS: &[u8] = b"z\x03abc";

/// A number in a field that nobody knows.
pub(crate) fn fixed32(number: u32) -> Vec<u8> {
    [&[0x7d][..], &number.to_le_bytes()].concat()
}

pub(crate) const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");
pub(crate) const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// A message with its gRPC prefix.
pub(crate) fn framed(flag: u8, message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap();
    [&[flag][..], &length.to_be_bytes(), message].concat().into()
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        let sink = Arc::new(Script::default());
        let tasks = Tasks::new();
        let overrides = Overrides::of(setup.limits);
        let parts = Parts {
            accounts: Accounts::new(overrides, Arc::new(Still)),
            plugins: crate::attach::tests::none(),
            sink: Arc::<Script>::clone(&sink),
            compute: Compute::start(1, 64).unwrap(),
            clock: Arc::new(Still),
            tasks: tasks.clone(),
        };
        let auth = Auth::none(setup.tenancy, Arc::new(Still));
        let receiver = Receiver::new(setup.receiver, auth, LogSpans::Off, parts);
        let stats = Arc::new(server::Stats::default());
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::bind(anywhere, setup.server, Arc::clone(&stats)).await.unwrap();
        let addr = server.addr();
        let (trigger, drain) = drain::channel();
        let port = Arc::new(Port::new(&receiver, "spans live here", None));
        tasks.spawn("port", async move {
            server.serve(port, None, drain).await;
        });
        Self { addr, sink, receiver, stats, tasks, trigger }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    pub(crate) async fn http1(&self) -> http1::SendRequest<Full<Bytes>> {
        let io = TokioIo::new(self.connect().await);
        let (sender, connection) = http1::handshake(io).await.unwrap();
        self.tasks.spawn("client", async { drop(connection.await) });
        sender
    }

    pub(crate) async fn http2<B>(&self) -> http2::SendRequest<B>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let io = TokioIo::new(self.connect().await);
        let (sender, connection) = http2::handshake(self.tasks.clone(), io).await.unwrap();
        self.tasks.spawn("client", async { drop(connection.await) });
        sender
    }

    pub(crate) fn request<B>(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: B,
    ) -> Request<B> {
        let mut request = Request::builder().method(method).header("host", "test");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.uri(format!("http://{}{path}", self.addr)).body(body).unwrap()
    }

    /// One request over HTTP/1.1.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let request = self.request(method, path, headers, Full::new(body.into()));
        answer(self.http1().await.send_request(request).await.unwrap()).await
    }

    /// `POST /v1/traces` with protobuf.
    pub(crate) async fn post(&self, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let headers = [&[PROTOBUF], headers].concat();
        self.send("POST", "/v1/traces", &headers, body).await
    }

    /// One unary call; `body` has its prefix already.
    pub(crate) async fn call(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let headers = [&[("content-type", "application/grpc"), ("te", "trailers")], headers];
        let request = self.request("POST", path, &headers.concat(), Full::new(body.into()));
        answer(self.http2().await.send_request(request).await.unwrap()).await
    }

    /// Waits until the condition holds.
    pub(crate) async fn until(&self, what: &str, holds: fn(&Self) -> bool) {
        let wait = async {
            while !holds(self) {
                clock::sleep(Duration::from_millis(1)).await;
            }
        };
        assert!(clock::timeout(Duration::from_secs(10), wait).await.is_some(), "never: {what}");
    }
}

pub(crate) async fn answer(response: http::Response<hyper::body::Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or_default();
    Answer { status: head.status, headers: head.headers, body: body.to_bytes(), trailers }
}

/// Runs the future, which must not take long.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    clock::timeout(Duration::from_secs(10), future).await.expect("took too long")
}
