//! Tempo's messages, as protobuf and as protobuf's JSON: one type for both.
//!
//! Names and numbers are those of `pkg/tempopb/tempo.proto` in grafana/tempo; nothing else is taken
//! from there, and what only Tempo's own parts tell each other is left out. The JSON has the rules of
//! protobuf: 64-bit integers as text, what is zero or empty left out, names in lowerCamelCase.
//! Grafana refuses a whole answer for one key that it does not know: nothing may be added here.

pub(crate) mod request;

use std::collections::BTreeMap;

use prost::Message;
use serde::{Serialize, Serializer};

/// `opentelemetry.proto.common.v1.KeyValue`, which Tempo has under a name of its own.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(crate) struct KeyValue {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<AnyValue>,
}

/// `AnyValue`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(crate) struct AnyValue {
    #[prost(oneof = "Any", tags = "1, 2, 3, 4, 5, 6, 7")]
    #[serde(flatten)]
    pub(crate) value: Option<Any>,
}

/// What an `AnyValue` may be.
#[derive(Clone, PartialEq, prost::Oneof, Serialize)]
pub(crate) enum Any {
    #[prost(string, tag = "1")]
    #[serde(rename = "stringValue")]
    Text(String),
    #[prost(bool, tag = "2")]
    #[serde(rename = "boolValue")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    #[serde(rename = "intValue", serialize_with = "as_text")]
    Int(i64),
    #[prost(double, tag = "4")]
    #[serde(rename = "doubleValue", serialize_with = "as_number")]
    Double(f64),
    #[prost(message, tag = "5")]
    #[serde(rename = "arrayValue")]
    Array(ArrayValue),
    #[prost(message, tag = "6")]
    #[serde(rename = "kvlistValue")]
    Pairs(KeyValueList),
    #[prost(bytes, tag = "7")]
    #[serde(rename = "bytesValue", serialize_with = "as_base64")]
    Bytes(Vec<u8>),
}

/// `ArrayValue`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(crate) struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) values: Vec<AnyValue>,
}

/// `KeyValueList`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(crate) struct KeyValueList {
    #[prost(message, repeated, tag = "1")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) values: Vec<KeyValue>,
}

/// What a search answers; in a stream, what it found since the last one.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(crate) struct SearchResponse {
    /// There even where it is empty, as in Tempo's answers.
    #[prost(message, repeated, tag = "1")]
    pub(crate) traces: Vec<Trace>,
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metrics: Option<SearchMetrics>,
}

/// `TraceSearchMetadata`.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Trace {
    #[prost(string, tag = "1")]
    #[serde(rename = "traceID")]
    pub(crate) trace_id: String,
    #[prost(string, tag = "2")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) root_service_name: String,
    #[prost(string, tag = "3")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) root_trace_name: String,
    #[prost(uint64, tag = "4")]
    #[serde(serialize_with = "as_text", skip_serializing_if = "is_zero")]
    pub(crate) start_time_unix_nano: u64,
    #[prost(uint32, tag = "5")]
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) duration_ms: u32,
    /// Deprecated, and what Kiali reads: the first of the others.
    #[prost(message, optional, tag = "6")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) span_set: Option<SpanSet>,
    #[prost(message, repeated, tag = "7")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) span_sets: Vec<SpanSet>,
    #[prost(btree_map = "string, message", tag = "8")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) service_stats: BTreeMap<String, ServiceStats>,
}

/// How much of a trace is a service's.
#[derive(Clone, Copy, PartialEq, Eq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServiceStats {
    #[prost(uint32, tag = "1")]
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) span_count: u32,
    #[prost(uint32, tag = "2")]
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) error_count: u32,
}

/// Spans of a trace that belong together.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(crate) struct SpanSet {
    #[prost(message, repeated, tag = "1")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) spans: Vec<Span>,
    #[prost(uint32, tag = "2")]
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) matched: u32,
    #[prost(message, repeated, tag = "3")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) attributes: Vec<KeyValue>,
}

/// A span that was found.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Span {
    #[prost(string, tag = "1")]
    #[serde(rename = "spanID")]
    pub(crate) span_id: String,
    #[prost(string, tag = "2")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    #[prost(uint64, tag = "3")]
    #[serde(serialize_with = "as_text", skip_serializing_if = "is_zero")]
    pub(crate) start_time_unix_nano: u64,
    #[prost(uint64, tag = "4")]
    #[serde(serialize_with = "as_text", skip_serializing_if = "is_zero")]
    pub(crate) duration_nanos: u64,
    #[prost(message, repeated, tag = "5")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) attributes: Vec<KeyValue>,
}

/// What was looked at. Jobs are our units: row groups and segments.
#[derive(Clone, Copy, PartialEq, Eq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SearchMetrics {
    #[prost(uint32, tag = "1")]
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) inspected_traces: u32,
    #[prost(uint64, tag = "2")]
    #[serde(serialize_with = "as_text", skip_serializing_if = "is_zero")]
    pub(crate) inspected_bytes: u64,
    #[prost(uint32, tag = "4")]
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) completed_jobs: u32,
    #[prost(uint32, tag = "5")]
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) total_jobs: u32,
    #[prost(uint64, tag = "7")]
    #[serde(serialize_with = "as_text", skip_serializing_if = "is_zero")]
    pub(crate) inspected_spans: u64,
}

/// Names, without their scopes.
#[derive(Clone, PartialEq, Eq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SearchTagsResponse {
    /// There even where it is empty: clients go through it without asking.
    #[prost(string, repeated, tag = "1")]
    pub(crate) tag_names: Vec<String>,
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metrics: Option<MetadataMetrics>,
}

/// Names by their scopes.
#[derive(Clone, PartialEq, Eq, Message, Serialize)]
pub(crate) struct SearchTagsV2Response {
    #[prost(message, repeated, tag = "1")]
    pub(crate) scopes: Vec<TagScope>,
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metrics: Option<MetadataMetrics>,
}

/// `SearchTagsV2Scope`.
#[derive(Clone, PartialEq, Eq, Message, Serialize)]
pub(crate) struct TagScope {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, repeated, tag = "2")]
    pub(crate) tags: Vec<String>,
}

/// Values as text.
#[derive(Clone, PartialEq, Eq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SearchTagValuesResponse {
    #[prost(string, repeated, tag = "1")]
    pub(crate) tag_values: Vec<String>,
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metrics: Option<MetadataMetrics>,
}

/// Values with their types.
#[derive(Clone, PartialEq, Eq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SearchTagValuesV2Response {
    #[prost(message, repeated, tag = "1")]
    pub(crate) tag_values: Vec<TagValue>,
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metrics: Option<MetadataMetrics>,
}

/// A value: `string`, `int`, `float`, `bool`, `duration` or `keyword`.
#[derive(Clone, PartialEq, Eq, Message, Serialize)]
pub(crate) struct TagValue {
    #[prost(string, tag = "1")]
    pub(crate) r#type: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

/// What was looked at for names and values.
#[derive(Clone, Copy, PartialEq, Eq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MetadataMetrics {
    #[prost(uint64, tag = "1")]
    #[serde(serialize_with = "as_text", skip_serializing_if = "is_zero")]
    pub(crate) inspected_bytes: u64,
    #[prost(uint32, tag = "2")]
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) total_jobs: u32,
    #[prost(uint32, tag = "3")]
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) completed_jobs: u32,
}

/// Series over time.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(crate) struct QueryRangeResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) series: Vec<TimeSeries>,
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metrics: Option<SearchMetrics>,
    #[prost(enumeration = "PartialStatus", tag = "3")]
    #[serde(serialize_with = "as_name", skip_serializing_if = "is_complete")]
    pub(crate) status: i32,
    #[prost(string, tag = "4")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) message: String,
}

/// Whether an answer is all that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum PartialStatus {
    Complete = 0,
    Partial = 1,
}

/// One series.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(crate) struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) labels: Vec<KeyValue>,
    #[prost(message, repeated, tag = "2")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) samples: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) exemplars: Vec<Exemplar>,
}

/// One number of a series.
#[derive(Clone, Copy, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sample {
    #[prost(int64, tag = "2")]
    #[serde(serialize_with = "as_text", skip_serializing_if = "is_zero")]
    pub(crate) timestamp_ms: i64,
    #[prost(double, tag = "1")]
    #[serde(serialize_with = "as_number", skip_serializing_if = "is_zero")]
    pub(crate) value: f64,
}

/// A span that stands for others.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) labels: Vec<KeyValue>,
    #[prost(double, tag = "2")]
    #[serde(serialize_with = "as_number", skip_serializing_if = "is_zero")]
    pub(crate) value: f64,
    #[prost(int64, tag = "3")]
    #[serde(serialize_with = "as_text", skip_serializing_if = "is_zero")]
    pub(crate) timestamp_ms: i64,
}

/// Single numbers.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(crate) struct QueryInstantResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) series: Vec<InstantSeries>,
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metrics: Option<SearchMetrics>,
    #[prost(enumeration = "PartialStatus", tag = "3")]
    #[serde(serialize_with = "as_name", skip_serializing_if = "is_complete")]
    pub(crate) status: i32,
    #[prost(string, tag = "4")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) message: String,
}

/// One number and what it is of.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(crate) struct InstantSeries {
    #[prost(message, repeated, tag = "1")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) labels: Vec<KeyValue>,
    #[prost(double, tag = "2")]
    #[serde(serialize_with = "as_number", skip_serializing_if = "is_zero")]
    pub(crate) value: f64,
}

fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_complete(status: &i32) -> bool {
    *status == PartialStatus::Complete as i32
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn as_name<S: Serializer>(_: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str("PARTIAL")
}

fn as_text<T: ToString, S: Serializer>(number: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&number.to_string())
}

/// A number, and by its name where JSON has none.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn as_number<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match *number {
        number if number.is_nan() => serializer.serialize_str("NaN"),
        f64::INFINITY => serializer.serialize_str("Infinity"),
        f64::NEG_INFINITY => serializer.serialize_str("-Infinity"),
        number => serializer.serialize_f64(number),
    }
}

fn as_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    use base64::Engine;
    serializer.serialize_str(&base64::prelude::BASE64_STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests;
