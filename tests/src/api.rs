//! What the tests ask the query API for.

use std::fmt::Write;
use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message;
use serde_json::Value;

use crate::gateway::Gateway;
use crate::http::{Reply, Request};
use crate::spans::Spans;
use crate::wait::until;

/// Bytes as lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writes to memory do not fail");
    }
    text
}

/// A query parameter, every byte that might mean something escaped.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                escaped.push(char::from(byte));
            }
            _ => write!(escaped, "%{byte:02X}").expect("writes to memory do not fail"),
        }
    }
    escaped
}

impl Gateway {
    /// GET on the query port.
    #[must_use]
    pub fn get(&self, path: &str) -> Reply {
        Request::get(path).send(self.at.http)
    }

    /// GET on the query port, asking for protobuf.
    #[must_use]
    pub fn get_protobuf(&self, path: &str) -> Reply {
        Request::get(path).header("accept", "application/protobuf").send(self.at.http)
    }

    /// All spans of a trace; none where it is unknown.
    #[must_use]
    pub fn trace(&self, trace_id: &[u8]) -> Spans {
        let mut spans = Spans::new();
        let reply = self.get_protobuf(&format!("/api/traces/{}", hex(trace_id)));
        if reply.status == 404 {
            return spans;
        }
        assert_eq!(reply.status, 200, "{reply:?}");
        let data = TracesData::decode(reply.body.as_slice()).expect("a TracesData");
        spans.add(&data.resource_spans);
        spans
    }

    /// The traces that `/api/search?{query}` finds.
    #[must_use]
    pub fn search(&self, query: &str) -> Vec<Value> {
        let reply = self.get(&format!("/api/search?{query}"));
        assert_eq!(reply.status, 200, "{reply:?}");
        let mut answer = reply.json();
        match answer["traces"].take() {
            Value::Array(traces) => traces,
            // Empty fields are left out.
            Value::Null => Vec::new(),
            other => panic!("no traces in the answer but {other}"),
        }
    }

    /// The sum of a metric over all of its labels; 0 where it is not there.
    #[must_use]
    pub fn metric(&self, name: &str) -> f64 {
        let reply = Request::get("/metrics").send(self.at.admin);
        assert_eq!(reply.status, 200, "{reply:?}");
        let text = reply.text();
        let samples = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let found = series.split('{').next()?;
            if found == name { value.parse::<f64>().ok() } else { None }
        });
        samples.sum()
    }

    /// One OTLP/HTTP request; insists that all of it was taken.
    pub fn export(&self, message: &impl Message) {
        let reply = Request::otlp(message.encode_to_vec()).send(self.at.otlp_http);
        assert_eq!((reply.status, reply.body.len()), (200, 0), "{reply:?}");
    }

    /// The same, sent again while it is told to come back, as every client does.
    pub fn export_until_taken(&self, message: &impl Message) {
        let body = message.encode_to_vec();
        until("an ack", Duration::from_secs(60), || {
            let reply = Request::otlp(body.clone()).send(self.at.otlp_http);
            if reply.status == 503 {
                assert!(reply.header("retry-after").is_some(), "{reply:?}");
                return None;
            }
            assert_eq!((reply.status, reply.body.len()), (200, 0), "{reply:?}");
            Some(())
        });
    }
}
