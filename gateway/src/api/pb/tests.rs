//! What the messages look like as JSON.

use serde_json::json;

use super::*;

fn value(value: Any) -> AnyValue {
    AnyValue { value: Some(value) }
}

#[test]
fn values_are_written_by_their_types() {
    let of = |any| serde_json::to_value(value(any)).unwrap();
    assert_eq!(of(Any::Text("x".to_owned())), json!({"stringValue": "x"}));
    assert_eq!(of(Any::Bool(false)), json!({"boolValue": false}));
    assert_eq!(of(Any::Int(-5)), json!({"intValue": "-5"}));
    assert_eq!(of(Any::Double(1.5)), json!({"doubleValue": 1.5}));
    assert_eq!(of(Any::Double(f64::NAN)), json!({"doubleValue": "NaN"}));
    assert_eq!(of(Any::Double(f64::NEG_INFINITY)), json!({"doubleValue": "-Infinity"}));
    assert_eq!(of(Any::Bytes(vec![1, 2])), json!({"bytesValue": "AQI="}));
    let array = ArrayValue { values: vec![value(Any::Int(1))] };
    assert_eq!(of(Any::Array(array)), json!({"arrayValue": {"values": [{"intValue": "1"}]}}));
    let pair = KeyValue { key: "k".to_owned(), value: None };
    let pairs = KeyValueList { values: vec![pair] };
    assert_eq!(of(Any::Pairs(pairs)), json!({"kvlistValue": {"values": [{"key": "k"}]}}));
    assert_eq!(serde_json::to_value(AnyValue::default()).unwrap(), json!({}));
}

#[test]
fn zeros_are_left_out_and_lists_stay() {
    let text = |message: &dyn erased::Json| message.json();
    assert_eq!(text(&SearchResponse::default()), r#"{"traces":[]}"#);
    assert_eq!(text(&SearchTagsResponse::default()), r#"{"tagNames":[]}"#);
    let range = QueryRangeResponse {
        metrics: Some(SearchMetrics { inspected_bytes: 7, ..SearchMetrics::default() }),
        series: vec![TimeSeries {
            samples: vec![Sample { timestamp_ms: 1, value: 0.0 }],
            ..TimeSeries::default()
        }],
        status: PartialStatus::Partial.into(),
        message: "half".to_owned(),
    };
    assert_eq!(
        text(&range),
        concat!(
            r#"{"series":[{"samples":[{"timestampMs":"1"}]}],"metrics":{"inspectedBytes":"7"},"#,
            r#""status":"PARTIAL","message":"half"}"#
        )
    );
    let instant = QueryInstantResponse {
        series: vec![InstantSeries { value: f64::INFINITY, labels: Vec::new() }],
        ..QueryInstantResponse::default()
    };
    assert_eq!(text(&instant), r#"{"series":[{"value":"Infinity"}]}"#);
}

mod erased {
    pub(super) trait Json {
        fn json(&self) -> String;
    }

    impl<T: serde::Serialize> Json for T {
        fn json(&self) -> String {
            serde_json::to_string(self).unwrap()
        }
    }
}
