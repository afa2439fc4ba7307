//! `tempopb.StreamingQuerier`, as much as the tests read of it, written down here once more on
//! purpose: what the gateway answers is judged by another hand than the one that wrote it.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;

use crate::coding::Coding;
use crate::gateway::Gateway;
use crate::h2::{self, Answer};

/// `tempopb.SearchRequest`
#[derive(Clone, PartialEq, Eq, Message)]
pub struct SearchRequest {
    /// By tags.
    #[prost(btree_map = "string, string", tag = "1")]
    pub tags: BTreeMap<String, String>,
    /// 0 is 20.
    #[prost(uint32, tag = "4")]
    pub limit: u32,
    /// In seconds.
    #[prost(uint32, tag = "5")]
    pub start: u32,
    /// In seconds.
    #[prost(uint32, tag = "6")]
    pub end: u32,
    /// TraceQL.
    #[prost(string, tag = "8")]
    pub query: String,
    /// 0 is 3.
    #[prost(uint32, tag = "9")]
    pub spans: u32,
}

/// `tempopb.SearchResponse`
#[derive(Clone, PartialEq, Message)]
pub struct SearchResponse {
    /// What was found since the last one.
    #[prost(message, repeated, tag = "1")]
    pub traces: Vec<Trace>,
}

/// `tempopb.TraceSearchMetadata`
#[derive(Clone, PartialEq, Message)]
pub struct Trace {
    /// In hex, without leading zeros.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The service of the root.
    #[prost(string, tag = "2")]
    pub service: String,
    /// Spans that belong together.
    #[prost(message, repeated, tag = "7")]
    pub sets: Vec<SpanSet>,
}

/// `tempopb.SpanSet`
#[derive(Clone, PartialEq, Message)]
pub struct SpanSet {
    /// Some of them.
    #[prost(message, repeated, tag = "1")]
    pub spans: Vec<Span>,
    /// How many there are.
    #[prost(uint32, tag = "2")]
    pub matched: u32,
}

/// `tempopb.Span`
#[derive(Clone, PartialEq, Message)]
pub struct Span {
    /// In hex.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Where the query reads it.
    #[prost(string, tag = "2")]
    pub name: String,
    /// What the query reads.
    #[prost(message, repeated, tag = "5")]
    pub attributes: Vec<KeyValue>,
}

impl Span {
    /// An attribute as text.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<String> {
        text(&self.attributes, key)
    }
}

/// `tempopb.QueryRangeRequest`; the first three of it are `QueryInstantRequest`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct MetricsRequest {
    /// TraceQL.
    #[prost(string, tag = "1")]
    pub query: String,
    /// In nanoseconds.
    #[prost(uint64, tag = "2")]
    pub start: u64,
    /// In nanoseconds.
    #[prost(uint64, tag = "3")]
    pub end: u64,
    /// In nanoseconds.
    #[prost(uint64, tag = "4")]
    pub step: u64,
    /// How many.
    #[prost(uint32, tag = "16")]
    pub exemplars: u32,
}

/// `tempopb.QueryRangeResponse`
#[derive(Clone, PartialEq, Message)]
pub struct RangeResponse {
    /// By their labels.
    #[prost(message, repeated, tag = "1")]
    pub series: Vec<Series>,
}

/// `tempopb.TimeSeries`
#[derive(Clone, PartialEq, Message)]
pub struct Series {
    /// What it is of.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<KeyValue>,
    /// By time.
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
    /// Spans that stand for others.
    #[prost(message, repeated, tag = "4")]
    pub exemplars: Vec<Exemplar>,
}

/// `tempopb.Exemplar`
#[derive(Clone, PartialEq, Message)]
pub struct Exemplar {
    /// `trace:id` among them.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<KeyValue>,
    /// The number.
    #[prost(double, tag = "2")]
    pub value: f64,
    /// When the span started.
    #[prost(int64, tag = "3")]
    pub at_ms: i64,
}

impl Exemplar {
    /// A label as text.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<String> {
        text(&self.labels, key)
    }
}

impl Series {
    /// A label as text.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<String> {
        text(&self.labels, key)
    }

    /// All samples together.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.samples.iter().map(|sample| sample.value).sum()
    }
}

/// `tempopb.Sample`
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Sample {
    /// The number.
    #[prost(double, tag = "1")]
    pub value: f64,
    /// The end of the interval.
    #[prost(int64, tag = "2")]
    pub at_ms: i64,
}

/// `tempopb.QueryInstantResponse`
#[derive(Clone, PartialEq, Message)]
pub struct InstantResponse {
    /// By their labels.
    #[prost(message, repeated, tag = "1")]
    pub series: Vec<Number>,
}

/// `tempopb.InstantSeries`
#[derive(Clone, PartialEq, Message)]
pub struct Number {
    /// What it is of.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<KeyValue>,
    /// The number.
    #[prost(double, tag = "2")]
    pub value: f64,
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::BoolValue(value) => value.to_string(),
        Value::IntValue(value) => value.to_string(),
        Value::DoubleValue(value) => value.to_string(),
        other => format!("{other:?}"),
    })
}

/// Every message is shorter than this.
const PACKET_BYTES_MAX: usize = 1 << 20;

impl Gateway {
    /// A call of `tempopb.StreamingQuerier` on the query port.
    #[must_use]
    pub fn ask(&self, method: &str, request: &impl Message) -> Answer {
        let path = format!("/tempopb.StreamingQuerier/{method}");
        let framed = h2::frame(Coding::None, &request.encode_to_vec());
        h2::call(self.at.http, &path, &[], framed)
    }

    /// The messages of such a call; insists that there are some, and short ones.
    #[must_use]
    pub fn stream<M: Message + Default>(&self, method: &str, request: &impl Message) -> Vec<M> {
        let answer = self.ask(method, request);
        assert_eq!((answer.code, &*answer.message), (0, ""), "{method}");
        assert!(!answer.messages.is_empty(), "{method}: no message");
        let decode = |message: &Vec<u8>| {
            assert!(message.len() <= PACKET_BYTES_MAX, "{method}: {} bytes", message.len());
            M::decode(message.as_slice()).expect("a message of the method")
        };
        answer.messages.iter().map(decode).collect()
    }

    /// All traces that a query finds, as they come.
    #[must_use]
    pub fn find(&self, query: &str, limit: u32, spans: u32) -> Vec<Trace> {
        let query = query.to_owned();
        let request = SearchRequest { query, limit, spans, ..SearchRequest::default() };
        let messages: Vec<SearchResponse> = self.stream("Search", &request);
        messages.into_iter().flat_map(|message| message.traces).collect()
    }

    /// The series of a query over a range.
    #[must_use]
    pub fn series(&self, request: &MetricsRequest) -> Vec<Series> {
        let mut messages: Vec<RangeResponse> = self.stream("MetricsQueryRange", request);
        // Clients keep the last message only.
        messages.pop().expect("there is one").series
    }
}
