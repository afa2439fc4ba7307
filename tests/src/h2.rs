//! HTTP/2 in the clear with prior knowledge, and unary gRPC on top, frame by frame.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use ::h2::client::SendRequest;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request};
use prost::Message;
use tokio::runtime::{Builder, Runtime};

use crate::coding::Coding;
use crate::http::{ANSWER_WAIT, Reply};
use crate::pb;

/// One connection. It is driven only during calls: nothing happens on it in between.
pub struct Connection {
    runtime: Runtime,
    sender: SendRequest<Bytes>,
    to: SocketAddr,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("to", &self.to).finish_non_exhaustive()
    }
}

/// What a gRPC call came to.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The gRPC code.
    pub code: u32,
    /// The message, decoded.
    pub message: String,
    /// `grpc-status-details-bin`, decoded.
    pub details: Option<pb::Status>,
    /// The first message of the answer, and what follows it.
    pub body: Vec<u8>,
    /// All messages of the answer.
    pub messages: Vec<Vec<u8>>,
    /// Headers and trailers together.
    pub headers: Vec<(String, String)>,
}

impl Answer {
    /// How long the client is asked to wait.
    #[must_use]
    pub fn retry_seconds(&self) -> Option<f64> {
        self.details.as_ref()?.retry_seconds()
    }
}

/// A message with gRPC's five bytes in front.
#[must_use]
pub fn frame(coding: Coding, message: &[u8]) -> Vec<u8> {
    let packed = coding.pack(message);
    let length = u32::try_from(packed.len()).expect("messages of a test are small");
    let mut framed = vec![u8::from(coding != Coding::None)];
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(&packed);
    framed
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens, or does not speak HTTP/2.
    pub fn open(to: SocketAddr) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let sender = runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(to).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) =
                ::h2::client::handshake(stream).await.map_err(io::Error::other)?;
            runtime.spawn(connection);
            io::Result::Ok(sender)
        })?;
        Ok(Self { runtime, sender, to })
    }

    /// One HTTP request. Trailers come behind the headers of the answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn send(
        &mut self,
        method: &Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> io::Result<Reply> {
        let mut request =
            Request::builder().method(method).uri(format!("http://{}{path}", self.to));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).map_err(io::Error::other)?;
        let sender = self.sender.clone();
        self.runtime.block_on(async {
            let all = exchange(sender, request, body.into());
            let limited = tokio::time::timeout(ANSWER_WAIT, all).await;
            limited.map_err(io::Error::other)?
        })
    }

    /// One gRPC call with one message.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn call(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        framed: Vec<u8>,
    ) -> io::Result<Answer> {
        let mut all = vec![("content-type", "application/grpc"), ("te", "trailers")];
        all.extend_from_slice(headers);
        let reply = self.send(&Method::POST, path, &all, framed)?;
        answer(reply).map_err(|what| io::Error::new(io::ErrorKind::InvalidData, what))
    }

    /// One gRPC call with the message as it is.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn export(&mut self, message: &impl Message) -> io::Result<Answer> {
        let framed = frame(Coding::None, &message.encode_to_vec());
        self.call(crate::otlp::EXPORT, &[], framed)
    }
}

/// One gRPC call over a connection of its own.
///
/// # Panics
/// When there is no answer.
#[must_use]
pub fn call(to: SocketAddr, path: &str, headers: &[(&str, &str)], framed: Vec<u8>) -> Answer {
    Connection::open(to)
        .and_then(|mut connection| connection.call(path, headers, framed))
        .unwrap_or_else(|fault| panic!("{path}: {fault}"))
}

async fn exchange(
    sender: SendRequest<Bytes>,
    request: Request<()>,
    body: Bytes,
) -> io::Result<Reply> {
    let mut sender = sender.ready().await.map_err(io::Error::other)?;
    let (response, mut stream) =
        sender.send_request(request, body.is_empty()).map_err(io::Error::other)?;
    // The answer may come, and the stream be reset, before we have sent everything.
    let sending = async {
        let mut rest = body;
        while !rest.is_empty() {
            stream.reserve_capacity(rest.len());
            let Some(Ok(room)) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await else {
                return;
            };
            let part = rest.split_to(room.min(rest.len()));
            if stream.send_data(part, rest.is_empty()).is_err() {
                return;
            }
        }
    };
    let (response, ()) = tokio::join!(response, sending);
    let (parts, mut incoming) = response.map_err(io::Error::other)?.into_parts();
    let mut body = BytesMut::new();
    while let Some(chunk) = incoming.data().await {
        let chunk = chunk.map_err(io::Error::other)?;
        incoming.flow_control().release_capacity(chunk.len()).map_err(io::Error::other)?;
        body.extend_from_slice(&chunk);
    }
    let trailers = incoming.trailers().await.map_err(io::Error::other)?;
    let mut headers = plain(&parts.headers);
    headers.extend(trailers.iter().flat_map(plain));
    Ok(Reply { status: parts.status.as_u16(), headers, body: body.to_vec() })
}

fn plain(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

fn answer(reply: Reply) -> Result<Answer, String> {
    if reply.status != 200 || reply.content_type() != "application/grpc" {
        return Err(format!("no gRPC answer: {reply:?}"));
    }
    let code = reply.header("grpc-status").and_then(|code| code.parse().ok());
    let Some(code) = code else {
        return Err(format!("no grpc-status: {reply:?}"));
    };
    let message = unescape(reply.header("grpc-message").unwrap_or_default());
    let details = reply.header("grpc-status-details-bin").map(|text| {
        let bytes = STANDARD_NO_PAD.decode(text).or_else(|_| STANDARD.decode(text));
        bytes.ok().and_then(|bytes| pb::Status::decode(bytes.as_slice()).ok())
    });
    let details = match details {
        None => None,
        Some(Some(status)) => Some(status),
        Some(None) => return Err(format!("details are no google.rpc.Status: {reply:?}")),
    };
    let body = reply.body.get(5..).unwrap_or_default().to_vec();
    let messages = messages(&reply.body)?;
    Ok(Answer { code, message, details, body, messages, headers: reply.headers })
}

/// Messages without their prefixes.
fn messages(mut body: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut messages = Vec::new();
    while !body.is_empty() {
        let (prefix, rest) = body.split_first_chunk::<5>().ok_or("a prefix that is cut")?;
        let [0, length @ ..] = *prefix else {
            return Err("an answer is compressed".to_owned());
        };
        let length = u32::from_be_bytes(length) as usize;
        let (message, rest) = rest.split_at_checked(length).ok_or("a message that is cut")?;
        messages.push(message.to_vec());
        body = rest;
    }
    Ok(messages)
}

/// Undoes the percent-encoding of `grpc-message`.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (first, escaped) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
