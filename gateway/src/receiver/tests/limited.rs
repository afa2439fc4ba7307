//! What tenants are told that send more than they may.

use model::{ByteSize, TenantId};
use store::{Error, Kind};

use super::*;
use crate::limits::account::Unit;
use crate::overrides::values::{Ingestion, LongAttributes};

fn ingestion(ingestion: Ingestion) -> Setup {
    let limits = Limits { ingestion, ..Limits::default() };
    Setup { limits, tenancy: Tenancy::Header, ..Setup::default() }
}

/// So many spans, each of a trace of its own, with an attribute of so many bytes.
fn spans(count: u8, attribute: usize) -> String {
    let span = |number| {
        let value = "v".repeat(attribute);
        format!(
            r#"{{"traceId":"{number:032x}","spanId":"{number:016x}","name":"job","attributes":[
               {{"key":"k","value":{{"stringValue":"{value}"}}}}]}}"#
        )
    };
    let spans: Vec<String> = (1..=count).map(span).collect();
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, spans.join(","))
}

impl Rig {
    async fn spans(&self, tenant: &str, body: String) -> Answer {
        self.send("POST", "/v1/traces", &[JSON, ("x-scope-orgid", tenant)], body).await
    }

    fn left(&self, tenant: &str, unit: Unit) -> i64 {
        let tenant = TenantId::parse(tenant).unwrap();
        let accounts = &self.receiver.intake.accounts;
        accounts.account(&tenant, None).balance(unit).unwrap()
    }

    fn refused(&self, tenant: &str) -> Vec<(&'static str, u64)> {
        let tenant = TenantId::parse(tenant).unwrap();
        let account = self.receiver.intake.accounts.account(&tenant, None);
        account.refused().filter(|(_, count)| *count > 0).collect()
    }
}

#[tokio::test]
async fn over_the_rate_of_spans_is_429_and_resource_exhausted_with_the_wait() {
    let rig = Rig::with(ingestion(Ingestion { rate_spans: 10, ..Ingestion::default() })).await;
    // More than the burst at once goes through, and is paid for.
    assert_eq!(rig.spans("a", spans(50, 1)).await.status, StatusCode::OK);
    assert_eq!(rig.left("a", Unit::Spans), -30);
    let answer = rig.spans("a", spans(1, 1)).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    // Three seconds, spread by up to a half, in whole ones.
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((4..=5).contains(&wait), "{wait}");
    let told = answer.json();
    let message = told["message"].as_str().unwrap();
    let words = "tenant a sends more spans than ingestion.rate_spans allows: 10 in a second, 20 at once; \
                 there is room again in 3s 2ms";
    assert_eq!((message, told["code"].as_i64()), (words, Some(8)));
    assert_eq!(told["details"][0]["@type"], "type.googleapis.com/google.rpc.RetryInfo");
    let body = model::json::decode(spans(1, 1).as_bytes()).unwrap();
    let answer = rig.call(EXPORT, &[("x-scope-orgid", "a")], framed(0, &body)).await;
    assert_eq!(answer.grpc().0, 8);
    assert!(!answer.header("grpc-status-details-bin").is_empty());
    // Others are not concerned, and what was refused has cost nothing.
    assert_eq!(rig.spans("b", spans(1, 1)).await.status, StatusCode::OK);
    assert_eq!((rig.left("a", Unit::Spans), rig.sink.seen().len()), (-30, 2));
    assert_eq!(rig.refused("a"), [("rate_spans", 2)]);
    let requests = rig.receiver.stats().requests();
    assert!(requests.contains(&("grpc", "identity", "limited", 1)), "{requests:?}");
}

#[tokio::test]
async fn over_the_rate_of_bytes_is_refused_before_the_body_comes() {
    let rate = ByteSize(1_000);
    let rig = Rig::with(ingestion(Ingestion { rate_bytes: rate, ..Ingestion::default() })).await;
    let body = spans(20, 100);
    let wire = i64::try_from(body.len()).unwrap();
    assert_eq!(rig.spans("a", body).await.status, StatusCode::OK);
    assert_eq!(rig.left("a", Unit::Bytes), 2_000 - wire);
    // The rest of the body never comes.
    let request = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                   x-scope-orgid: a\r\ncontent-length: 100000\r\n\r\n{";
    let mut stream = rig.connect().await;
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    soon(tokio::io::AsyncReadExt::read_exact(&mut stream, &mut head)).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 429");
    assert_eq!(rig.left("a", Unit::Bytes), 2_000 - wire);
    assert_eq!(rig.refused("a"), [("rate_bytes", 1)]);
}

#[tokio::test]
async fn decompressed_bytes_count_and_a_request_that_comes_again_does_not() {
    let rate = ByteSize(1 << 20);
    let rig = Rig::with(ingestion(Ingestion { rate_bytes: rate, ..Ingestion::default() })).await;
    let body = spans(100, 1_000);
    let size = i64::try_from(body.len()).unwrap();
    let packed = zstd::encode_all(body.as_bytes(), 3).unwrap();
    let headers = [JSON, ("x-scope-orgid", "a"), ("content-encoding", "zstd")];
    rig.sink.next(Play::Refuse(Error::new(Kind::Unavailable, "head is full")));
    let send = || rig.send("POST", "/v1/traces", &headers, packed.clone());
    assert_eq!(send().await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(rig.left("a", Unit::Bytes), 2 << 20);
    assert_eq!(send().await.status, StatusCode::OK);
    // By the nanosecond, which are not quite a byte each.
    let left = rig.left("a", Unit::Bytes);
    assert!((left - ((2 << 20) - size)).abs() <= 2, "{left}");
}

#[tokio::test]
async fn too_many_spans_are_refused_for_good_and_long_attributes_one_by_one() {
    let limits = Ingestion {
        request_spans_max: 3,
        attribute_bytes_max: ByteSize(100),
        ..Ingestion::default()
    };
    let rig = Rig::with(ingestion(limits.clone())).await;
    let answer = rig.spans("a", spans(4, 1)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.header("retry-after"), "");
    let told = answer.json();
    let words =
        "request has more spans than ingestion.request_spans_max of tenant a allows, which is 3";
    assert!(told["message"].as_str().unwrap().starts_with(words), "{told}");
    assert_eq!(rig.refused("a"), [("request_spans", 1)]);
    assert_eq!(rig.spans("a", spans(3, 10)).await.status, StatusCode::OK);
    rig.sink.seen();
    // The store is told which spans are not taken; here nothing of it is played.
    assert_eq!(rig.spans("a", spans(2, 200)).await.status, StatusCode::OK);
    assert_eq!(rig.sink.checked().last().unwrap().refusals[0].reason.label(), "attribute_bytes");

    let cut = Ingestion { long_attributes: LongAttributes::Cut, ..limits };
    let rig = Rig::with(ingestion(cut)).await;
    assert_eq!(rig.spans("a", spans(1, 200)).await.status, StatusCode::OK);
    assert!(rig.sink.checked().last().unwrap().refused.is_empty());
    let stored = rig.sink.bodies().pop().unwrap();
    assert!(String::from_utf8_lossy(&stored).contains(" bytes cut]"), "{stored:?}");
}

#[tokio::test]
async fn live_traces_and_their_bytes_are_bounded_for_each_tenant() {
    let limits = Ingestion { live_traces_max: 3, ..Ingestion::default() };
    let rig = Rig::with(ingestion(limits)).await;
    rig.sink.next(Play::Refuse(Error::new(Kind::Unavailable, "head is full")));
    // What was not stored does not count, nor what stands before a byte that is wrong.
    let others = spans(5, 1).replace("\"traceId\":\"0", "\"traceId\":\"f");
    let mut broken = model::json::decode(others.as_bytes()).unwrap();
    broken.extend([0x0a, 100]);
    let headers = [PROTOBUF, ("x-scope-orgid", "a")];
    assert_eq!(
        rig.send("POST", "/v1/traces", &headers, broken).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(rig.spans("a", others).await.status, StatusCode::SERVICE_UNAVAILABLE);
    for (tenant, refused) in [("a", 2), ("b", 2), ("a", 2)] {
        assert_eq!(rig.spans(tenant, spans(5, 1)).await.status, StatusCode::OK);
        let checked = rig.sink.checked().pop().unwrap();
        assert_eq!(checked.refused.len(), refused, "{tenant}");
        assert_eq!(checked.refusals[0].reason.to_string(), "more than 3 live traces");
    }
}
