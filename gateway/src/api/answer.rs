//! An answer: status, type and bytes, gzipped where that pays.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use prost::Message;
use serde::Serialize;

use super::call::Call;
use super::error::Fault;
use super::guard;
use super::hint::{HINT_HEADER, PARTIAL_HEADER, escaped};
use crate::limits::Held;

/// Below this, in bytes, gzip saves no packet.
const GZIP_BYTES_MIN: usize = 1 << 10;

/// What a handler gives.
#[derive(Debug)]
pub(super) struct Answer {
    response: Response<Bytes>,
}

impl Answer {
    fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        Self { response }
    }

    pub(super) fn text(status: StatusCode, text: impl Into<Bytes>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", text)
    }

    pub(super) fn json(json: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, "application/json", json)
    }

    pub(super) fn protobuf(message: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, "application/protobuf", message)
    }

    /// A message of Tempo's, in the form that the client asks for.
    ///
    /// # Errors
    /// When it cannot be written, which no message of ours does.
    pub(super) fn message<M: Message + Serialize>(call: &Call, message: &M) -> Result<Self, Fault> {
        if call.takes_protobuf() {
            return Ok(Self::protobuf(message.encode_to_vec()));
        }
        let json = serde_json::to_vec(message);
        json.map(Self::json).map_err(|fault| Fault::internal(fault.to_string()))
    }

    /// The same answer, which says why it may miss something.
    pub(super) fn with_partial(self, why: Option<&str>) -> Self {
        match why {
            None => self,
            Some(why) => self.with(PARTIAL_HEADER, &escaped(why)),
        }
    }

    /// The same answer with the hints for its query, where there are some.
    pub(super) fn with_hints(self, hints: &str) -> Self {
        if hints.is_empty() { self } else { self.with(HINT_HEADER, &escaped(hints)) }
    }

    /// Text of another type.
    pub(super) fn typed(content_type: &'static str, text: String) -> Self {
        Self::new(StatusCode::OK, content_type, text)
    }

    /// The same answer with one more header, if its value is one.
    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.response.headers_mut().insert(name, value);
        }
        self
    }

    /// Bytes of its body.
    pub(super) fn len(&self) -> usize {
        self.response.body().len()
    }

    /// The same answer, which holds memory until it is sent.
    pub(super) fn holding(self, held: Held) -> Self {
        Self { response: self.response.map(|body| guard::paid(body, held)) }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The same answer, gzipped if it is long. Computes: about 10 ms for a megabyte.
    pub(super) fn packed(self) -> Self {
        let body = self.response.body();
        if body.len() < GZIP_BYTES_MIN {
            return self;
        }
        let out = Vec::with_capacity(body.len() / 4);
        let mut encoder = GzEncoder::new(out, Compression::fast());
        // Writing to memory does not fail; if it did, the plain answer is as good.
        match encoder.write_all(body).and_then(|()| encoder.finish()) {
            Ok(packed) => {
                let response = self.response.map(|_| Bytes::from(packed));
                Self { response }.with(header::CONTENT_ENCODING, "gzip")
            }
            Err(_) => self,
        }
    }

    /// The response; to `HEAD` all but the body.
    pub(super) fn into_response(self, without_body: bool) -> Response<Bytes> {
        let length = self.response.body().len().to_string();
        let named = self
            .with(header::CONTENT_LENGTH, &length)
            .with(header::VARY, "accept, accept-encoding, x-scope-orgid");
        if without_body { named.response.map(|_| Bytes::new()) } else { named.response }
    }
}
