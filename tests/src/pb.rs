//! The messages around OTLP that the tests read, written down here once more on purpose: what the
//! gateway answers is judged by another hand than the one that wrote it.

use opentelemetry_proto::tonic::trace::v1::TracesData;

/// `google.rpc.Status`
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Status {
    /// A gRPC code.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// For people.
    #[prost(string, tag = "2")]
    pub message: String,
    /// For machines.
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<Any>,
}

/// `google.protobuf.Any`
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Any {
    /// What the value is.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// A message.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// `google.rpc.RetryInfo`
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct RetryInfo {
    /// When to come back.
    #[prost(message, optional, tag = "1")]
    pub retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Delay {
    /// Whole seconds.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// The rest.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl Status {
    /// How long the client is asked to wait, in seconds.
    #[must_use]
    pub fn retry_seconds(&self) -> Option<f64> {
        use prost::Message;
        let url = "type.googleapis.com/google.rpc.RetryInfo";
        let any = self.details.iter().find(|any| any.type_url == url)?;
        let delay = RetryInfo::decode(any.value.as_slice()).ok()?.retry_delay?;
        let seconds = i32::try_from(delay.seconds).ok()?;
        Some(f64::from(seconds) + f64::from(delay.nanos) / 1e9)
    }
}

/// `tempopb.TraceByIDResponse`: its trace is OTLP's `TracesData` on the wire.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TraceById {
    /// The trace.
    #[prost(message, optional, tag = "1")]
    pub trace: Option<TracesData>,
}
