//! A small HTTP/1.1 client that can also send what a good one would not.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Longer than any answer takes, and the end of a test that hangs.
pub const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// No answer that a test asks for is larger.
const BODY_BYTES_MAX: u64 = 256 << 20;

/// An answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {:?}", self.status, self.headers, self.text())
    }
}

impl Reply {
    /// The first header of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The content type without its parameters.
    #[must_use]
    pub fn content_type(&self) -> &str {
        let value = self.header("content-type").unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|fault| panic!("no JSON, {fault}: {self:?}"))
    }
}

/// A request, sent with [`Request::send`] or over a [`Connection`].
#[derive(Clone, Debug)]
pub struct Request {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    None,
    Sized(Vec<u8>),
    Chunked(Vec<u8>),
    /// A length that is told, and nothing after it.
    Claimed(u64),
}

impl Request {
    /// A request without a body.
    #[must_use]
    pub fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: Body::None }
    }

    /// GET
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// POST of OTLP protobuf to `/v1/traces`.
    #[must_use]
    pub fn otlp(body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", "/v1/traces").header("content-type", "application/x-protobuf").body(body)
    }

    /// POST of OTLP/JSON to `/v1/traces`.
    #[must_use]
    pub fn otlp_json(body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", "/v1/traces").header("content-type", "application/json").body(body)
    }

    /// Sets a header; one that was set before goes.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Another path.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// A body with its length.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Sized(body.into());
        self
    }

    /// A body in chunks, its length not told.
    #[must_use]
    pub fn chunked(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Chunked(body.into());
        self
    }

    /// Claims a length and sends nothing of it: whoever answers did so by the length alone.
    #[must_use]
    pub fn claimed(mut self, length: u64) -> Self {
        self.body = Body::Claimed(length);
        self
    }

    /// Sends it over a connection of its own.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn send(&self, to: SocketAddr) -> Reply {
        self.try_send(to).unwrap_or_else(|fault| panic!("{} {}: {fault}", self.method, self.path))
    }

    /// Sends it over a connection of its own.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn try_send(&self, to: SocketAddr) -> io::Result<Reply> {
        Connection::open(to)?.send(self)
    }
}

/// A connection that is kept.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn open(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&to, ANSWER_WAIT)?;
        stream.set_read_timeout(Some(ANSWER_WAIT))?;
        stream.set_write_timeout(Some(ANSWER_WAIT))?;
        stream.set_nodelay(true)?;
        let reader = BufReader::new(stream.try_clone()?);
        Ok(Self { stream, reader })
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn send(&mut self, request: &Request) -> io::Result<Reply> {
        // The answer may come, and the reading end close, before we have sent everything.
        let sent = self.write(request);
        let reply = self.read();
        if reply.is_err() {
            sent?;
        }
        reply
    }

    fn write(&mut self, request: &Request) -> io::Result<()> {
        let mut head = Vec::new();
        write!(head, "{} {} HTTP/1.1\r\nhost: localhost\r\n", request.method, request.path)?;
        for (name, value) in &request.headers {
            write!(head, "{name}: {value}\r\n")?;
        }
        match &request.body {
            Body::None => {}
            Body::Sized(body) => write!(head, "content-length: {}\r\n", body.len())?,
            Body::Chunked(_) => write!(head, "transfer-encoding: chunked\r\n")?,
            Body::Claimed(length) => write!(head, "content-length: {length}\r\n")?,
        }
        write!(head, "\r\n")?;
        self.stream.write_all(&head)?;
        match &request.body {
            Body::Sized(body) => self.stream.write_all(body)?,
            Body::Chunked(body) => {
                for chunk in body.chunks(64 << 10) {
                    self.stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes())?;
                    self.stream.write_all(chunk)?;
                    self.stream.write_all(b"\r\n")?;
                }
                self.stream.write_all(b"0\r\n\r\n")?;
            }
            Body::None | Body::Claimed(_) => {}
        }
        self.stream.flush()
    }

    fn read(&mut self) -> io::Result<Reply> {
        let status = self.line()?;
        let code = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = code.ok_or_else(|| broken(format!("status line {status:?}")))?;
        let mut reply = Reply { status, headers: Vec::new(), body: Vec::new() };
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) =
                line.split_once(':').ok_or_else(|| broken(format!("header {line:?}")))?;
            reply.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        reply.body = match (reply.header("transfer-encoding"), reply.header("content-length")) {
            (Some("chunked"), _) => self.chunks()?,
            (_, Some(length)) => {
                let length = length.parse().map_err(|_| broken("content-length".to_owned()))?;
                self.bytes(length)?
            }
            _ => Vec::new(),
        };
        Ok(reply)
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let length = u64::from_str_radix(line.trim(), 16)
                .map_err(|_| broken(format!("chunk length {line:?}")))?;
            body.extend(self.bytes(length)?);
            self.line()?;
            if length == 0 {
                return Ok(body);
            }
        }
    }

    fn bytes(&mut self, length: u64) -> io::Result<Vec<u8>> {
        if length > BODY_BYTES_MAX {
            return Err(broken(format!("an answer of {length} bytes")));
        }
        let mut body = Vec::new();
        let count = (&mut self.reader).take(length).read_to_end(&mut body)?;
        if (count as u64) < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(body)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if (&mut self.reader).take(64 << 10).read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

fn broken(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
