//! What an answer means for the sender: the rules of the OTLP specification for exporters.

use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use http::header::RETRY_AFTER;
use model::wire::{Reader, Value};

use super::Answer;

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The spans are stored, but for `rejected` of them.
    Accepted {
        /// Spans that were not stored.
        rejected: u64,
        /// Why.
        message: String,
    },
    /// Nothing is stored now; the same message may be sent again.
    Retry {
        /// How long to wait, where the server says it.
        after: Option<Duration>,
        /// The code and the server's words.
        message: String,
    },
    /// Nothing is stored, and sending it again would not help.
    Refused {
        /// The code and the server's words.
        message: String,
    },
}

/// gRPC codes that the OTLP specification lets exporters retry; RESOURCE_EXHAUSTED only with a
/// hint.
const RETRYABLE: [u32; 7] = [1, 4, 8, 10, 11, 14, 15];
const RESOURCE_EXHAUSTED: u32 = 8;

/// Reads the answer to a unary call.
pub(super) fn grpc(answer: &Answer) -> Reply {
    let find = |name: &str| answer.trailers.get(name).or_else(|| answer.headers.get(name));
    let text = |name: &str| find(name).and_then(|value| value.to_str().ok());
    let Some(code) = text("grpc-status").and_then(|code| code.parse::<u32>().ok()) else {
        let message = format!("no gRPC status, HTTP {}", answer.status);
        return match answer.status {
            429 | 502..=504 => Reply::Retry { after: None, message },
            _ => Reply::Refused { message },
        };
    };
    if code == 0 {
        return accepted(answer.body.get(5..).unwrap_or_default());
    }
    let message = format!("gRPC code {code}: {}", text("grpc-message").unwrap_or_default());
    let after = find("grpc-status-details-bin").and_then(|value| retry_info(value.as_bytes()));
    if RETRYABLE.contains(&code) && (code != RESOURCE_EXHAUSTED || after.is_some()) {
        return Reply::Retry { after, message };
    }
    Reply::Refused { message }
}

/// Reads the answer to a POST.
pub(super) fn http(answer: &Answer) -> Reply {
    let words = field(&answer.body, 2).map(String::from_utf8_lossy).unwrap_or_default();
    let message = format!("HTTP {}: {words}", answer.status);
    match answer.status {
        200..=299 => accepted(&answer.body),
        429 | 502..=504 => Reply::Retry { after: retry_after(&answer.headers), message },
        _ => Reply::Refused { message },
    }
}

/// Reads an `ExportTraceServiceResponse`; one that cannot be read tells of no rejected spans.
fn accepted(body: &[u8]) -> Reply {
    let partial = field(body, 1).unwrap_or_default();
    let message = field(partial, 2).map(String::from_utf8_lossy).unwrap_or_default();
    Reply::Accepted { rejected: number(partial, 1).unwrap_or(0), message: message.into_owned() }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The delay of a `google.rpc.RetryInfo` among the details of a `google.rpc.Status`.
fn retry_info(header: &[u8]) -> Option<Duration> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let status = GeneralPurpose::new(&STANDARD, config).decode(header).ok()?;
    let mut fields = Reader::new(&status);
    while let Ok(Some(detail)) = fields.next() {
        let (3, Value::Bytes(any)) = (detail.number, detail.value) else { continue };
        if field(any, 1).is_some_and(|url| url.ends_with(b"google.rpc.RetryInfo")) {
            let delay = field(field(any, 2)?, 1)?;
            let seconds = Duration::from_secs(number(delay, 1).unwrap_or(0));
            return Some(seconds + Duration::from_nanos(number(delay, 2).unwrap_or(0)));
        }
    }
    None
}

/// The first field of bytes with the number.
fn field(message: &[u8], number: u32) -> Option<&[u8]> {
    let mut fields = Reader::new(message);
    while let Ok(Some(field)) = fields.next() {
        if let (true, Value::Bytes(bytes)) = (field.number == number, field.value) {
            return Some(bytes);
        }
    }
    None
}

/// The first varint field with the number.
fn number(message: &[u8], number: u32) -> Option<u64> {
    let mut fields = Reader::new(message);
    while let Ok(Some(field)) = fields.next() {
        if let (true, Value::Varint(value)) = (field.number == number, field.value) {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use model::wire::{put_bytes, put_message, put_u64};

    use super::*;

    fn answer(status: u16, trailers: &[(&'static str, String)], body: Vec<u8>) -> Answer {
        let trailers =
            trailers.iter().map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap()));
        Answer {
            status,
            headers: HeaderMap::new(),
            trailers: trailers.collect(),
            body: body.into(),
        }
    }

    fn details(seconds: u64) -> String {
        let mut status = Vec::new();
        put_u64(&mut status, 1, 14);
        put_message(&mut status, 3, |any| {
            put_bytes(any, 1, b"type.googleapis.com/google.rpc.RetryInfo");
            put_message(any, 2, |info| put_message(info, 1, |delay| put_u64(delay, 1, seconds)));
        });
        base64::engine::general_purpose::STANDARD_NO_PAD.encode(status)
    }

    #[test]
    fn a_retry_hint_is_read_from_the_details() {
        let trailers = [("grpc-status", "14".into()), ("grpc-status-details-bin", details(3))];
        let Reply::Retry { after, .. } = grpc(&answer(200, &trailers, Vec::new())) else {
            panic!("not retryable")
        };
        assert_eq!(after, Some(Duration::from_secs(3)));
    }

    #[test]
    fn exhausted_is_retried_only_with_a_hint() {
        let bare = [("grpc-status", "8".into())];
        assert!(matches!(grpc(&answer(200, &bare, Vec::new())), Reply::Refused { .. }));
        let hinted = [("grpc-status", "8".into()), ("grpc-status-details-bin", details(1))];
        assert!(matches!(grpc(&answer(200, &hinted, Vec::new())), Reply::Retry { .. }));
    }

    #[test]
    fn a_partial_success_says_how_many_and_why() {
        let mut body = Vec::new();
        put_message(&mut body, 1, |partial| {
            put_u64(partial, 1, 2);
            put_bytes(partial, 2, b"span id is all zeros");
        });
        let reply = Reply::Accepted { rejected: 2, message: "span id is all zeros".into() };
        assert_eq!(http(&answer(200, &[], body)), reply);
    }

    #[test]
    fn only_passing_answers_of_http_are_retried() {
        for (status, retried) in
            [(429, true), (503, true), (400, false), (413, false), (500, false)]
        {
            let reply = http(&answer(status, &[], Vec::new()));
            assert_eq!(matches!(reply, Reply::Retry { .. }), retried, "{status}");
        }
    }
}
