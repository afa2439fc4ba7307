//! Each rule of the decoder and the encoder by hand.

use opentelemetry_proto::tonic::trace::v1::{Span, TracesData};
use prost::Message;

use super::super::{Fault, Flavour, decode, encode, encode_attribute};

fn span_json(span: &str) -> String {
    format!("{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{span}]}}]}}]}}")
}

fn span(json: &str) -> Span {
    let bytes = decode(span_json(json).as_bytes()).unwrap_or_else(|fault| panic!("{fault}"));
    let mut traces = TracesData::decode(&*bytes).unwrap();
    assert_eq!(traces.encode_to_vec(), bytes, "canonical");
    traces.resource_spans.remove(0).scope_spans.remove(0).spans.remove(0)
}

fn fault(json: &str) -> Fault {
    decode(span_json(json).as_bytes()).unwrap_err()
}

fn value(json: &str) -> String {
    let json = format!("{{\"attributes\":[{{\"key\":\"k\",\"value\":{json}}}]}}");
    let bytes = decode(span_json(&json).as_bytes()).unwrap_or_else(|fault| panic!("{fault}"));
    let out = encode(&bytes, Flavour::Otlp).unwrap();
    out.split_once("\"value\":").unwrap().1.strip_suffix("}]}]}]}]}").unwrap().to_owned()
}

#[test]
fn what_other_decoders_get_wrong_is_read() {
    let read = span(
        r#"{"kind":"SPAN_KIND_SERVER","status":{"code":"STATUS_CODE_ERROR"},
            "attributes":[{"key":"a","value":{"doubleValue":"NaN"}}]}"#,
    );
    assert_eq!((read.kind, read.status.unwrap().code), (2, 2));
    assert_eq!(decode(b"{\"resourceSpans\":null}"), Ok(Vec::new()));
    let snake = br#"{"resource_spans":[{"scope_spans":[{"spans":[{"name":"a"}]}]}]}"#;
    assert_eq!(decode(snake).unwrap(), decode(span_json("{\"name\":\"a\"}").as_bytes()).unwrap());
}

#[test]
fn integers_come_as_numbers_strings_and_exponents() {
    for (text, number) in [
        ("18446744073709551615", u64::MAX),
        ("\"18446744073709551615\"", u64::MAX),
        ("1e3", 1000),
        ("1.50e1", 15),
        ("\"12E+2\"", 1200),
        ("120e-1", 12),
        ("0.0e99999999999999999999", 0),
        ("-0", 0),
        ("10000000000000000000000000000000000000000000000000e-49", 1),
    ] {
        let read = span(&format!("{{\"startTimeUnixNano\":{text}}}"));
        assert_eq!(read.start_time_unix_nano, number, "{text}");
    }
    for text in [
        "18446744073709551616",
        "-1",
        "1.5",
        "1e-1",
        "1e99999999999999999999",
        "\"\"",
        "\"1 \"",
        "\"0x10\"",
        "true",
        "{}",
        "[]",
        "1e",
        "1.",
        "-",
        "99999999999999999999999999999999999999999999999999",
    ] {
        let fault = fault(&format!("{{\"startTimeUnixNano\":{text}}}"));
        assert_eq!(
            fault.path, "resourceSpans[0].scopeSpans[0].spans[0].startTimeUnixNano",
            "{text}: {fault}"
        );
    }
    assert_eq!(
        value("{\"intValue\":\"-9223372036854775808\"}"),
        r#"{"intValue":"-9223372036854775808"}"#
    );
    assert!(
        fault(r#"{"attributes":[{"value":{"intValue":9223372036854775808}}]}"#)
            .path
            .ends_with(".intValue")
    );
    assert!(fault("{\"flags\":4294967296}").path.ends_with(".flags"));
    assert_eq!(span("{\"flags\":4294967295}").flags, u32::MAX);
}

#[test]
fn doubles_come_as_numbers_and_names() {
    assert_eq!(value("{\"doubleValue\":1}"), r#"{"doubleValue":1}"#);
    assert_eq!(value("{\"doubleValue\":\"-2.5e-7\"}"), r#"{"doubleValue":-2.5e-7}"#);
    assert_eq!(value("{\"doubleValue\":\"-Infinity\"}"), r#"{"doubleValue":"-Infinity"}"#);
    assert_eq!(value("{\"doubleValue\":0}"), r#"{"doubleValue":0}"#);
    for text in ["1e999", "\"nan\"", "\"inf\"", "\"\"", "null1", ".5", "+1", "NaN"] {
        let json = format!("{{\"attributes\":[{{\"value\":{{\"doubleValue\":{text}}}}}]}}");
        assert!(fault(&json).path.ends_with("attributes[0].value.doubleValue"), "{text}");
    }
}

#[test]
fn enums_come_by_number_and_by_name() {
    assert_eq!(span("{\"kind\":3}").kind, 3);
    assert_eq!(span("{\"kind\":\"SPAN_KIND_CONSUMER\"}").kind, 5);
    assert_eq!(span("{\"kind\":\"4\"}").kind, 4);
    assert_eq!(span("{\"kind\":77}").kind, 77);
    assert_eq!(span("{\"kind\":\"SPAN_KIND_UNSPECIFIED\"}").kind, 0);
    let fault = fault("{\"kind\":\"server\"}");
    assert_eq!(fault.expected, "a name or number of the enum");
    assert_eq!(fault.path, "resourceSpans[0].scopeSpans[0].spans[0].kind");
}

#[test]
fn ids_are_hex_of_either_case_and_of_any_length() {
    let read =
        span(r#"{"traceId":"5B8EFFF798038103d269b633813fc60c","spanId":"","parentSpanId":null}"#);
    assert_eq!(read.trace_id[..4], [0x5b, 0x8e, 0xff, 0xf7]);
    assert_eq!((read.trace_id.len(), read.span_id.len(), read.parent_span_id.len()), (16, 0, 0));
    // An odd digit neither disappears into a valid length nor fills one up.
    for (digits, bytes) in [(1, 1), (15, 8), (17, 9), (31, 15), (33, 17)] {
        let read = span(&format!("{{\"traceId\":\"{}\"}}", "a".repeat(digits)));
        assert_eq!(read.trace_id.len(), bytes, "{digits}");
    }
    for (digits, bytes) in [(15, 7), (16, 8), (17, 9)] {
        let read = span(&format!("{{\"spanId\":\"{}\"}}", "a".repeat(digits)));
        assert_eq!(read.span_id.len(), bytes, "{digits}");
    }
    // Base64, as Tempo prints ids, is no hex.
    let fault = fault("{\"traceId\":\"W47/95gDgQPSabYzgT/GDA==\"}");
    assert_eq!(fault.expected, "an id of hex digits");
    assert_eq!(fault.offset, span_json("{\"traceId\":\"").len() - "]}]}]}".len());
    assert!(fault.to_string().contains("spans[0].traceId"), "{fault}");
}

#[test]
fn bytes_come_in_either_alphabet_padded_or_not() {
    for text in ["+/8=", "-_8=", "-_8", "+\\/8", "+/8"] {
        let read = value(&format!("{{\"bytesValue\":\"{text}\"}}"));
        assert_eq!(read, r#"{"bytesValue":"+/8="}"#, "{text}");
    }
    assert_eq!(value("{\"bytesValue\":\"\"}"), r#"{"bytesValue":""}"#);
    for text in ["a", "!!!!", "ab=c", "+_8="] {
        let json = format!("{{\"attributes\":[{{\"value\":{{\"bytesValue\":\"{text}\"}}}}]}}");
        assert!(fault(&json).path.ends_with(".bytesValue"), "{text}");
    }
}

#[test]
fn escapes_resolve_and_lone_surrogates_are_replaced() {
    let name = |text: &str| span(&format!("{{\"name\":\"{text}\"}}")).name;
    assert_eq!(name(r#"a\"b\\c\/d\b\f\n\r\té"#), "a\"b\\c/d\u{8}\u{c}\n\r\té");
    assert_eq!(name(r"\ud83d\uDE00"), "😀");
    assert_eq!(name(r"\ud83d"), "\u{fffd}");
    assert_eq!(name(r"\ud83dx"), "\u{fffd}x");
    assert_eq!(name(r"\ude00\ud83d"), "\u{fffd}\u{fffd}");
    assert_eq!(name(r"\ud83d\ud83d\ude00"), "\u{fffd}😀");
    assert_eq!(name(r"\ud83dA"), "\u{fffd}A");
    assert_eq!(name(r"\u0000"), "\0");
    for text in [r"\x", r"\u12", r"\u12g4", "\n", "\u{1}"] {
        assert!(fault(&format!("{{\"name\":\"{text}\"}}")).path.ends_with(".name"), "{text}");
    }
    assert_eq!(span(r#"{"\u006eame":"a"}"#).name, "a", "keys have escapes, too");
}

#[test]
fn of_a_key_that_comes_twice_the_last_counts_and_lists_are_joined() {
    assert_eq!(span(r#"{"name":"a","kind":2,"name":"b"}"#).name, "b");
    assert_eq!(span(r#"{"name":"a","name":""}"#).name, "");
    assert_eq!(span(r#"{"name":"a","name":null}"#).name, "a");
    let read = span(r#"{"attributes":[{"key":"a"}],"name":"n","attributes":[{"key":"b"}]}"#);
    let keys: Vec<_> = read.attributes.iter().map(|attribute| &*attribute.key).collect();
    assert_eq!(keys, ["a", "b"]);
    assert_eq!(value(r#"{"stringValue":"a","intValue":"1"}"#), r#"{"intValue":"1"}"#);
    assert_eq!(value(r#"{"intValue":"1","stringValue":"a"}"#), r#"{"stringValue":"a"}"#);
    assert_eq!(value(r#"{"intValue":"1","stringValue":null}"#), r#"{"intValue":"1"}"#);
}

#[test]
fn null_is_absent_and_keeps_its_place_among_values() {
    let read = span(r#"{"name":null,"attributes":[null,{"key":"a","value":null}],"events":null}"#);
    assert_eq!(read.attributes.len(), 1);
    assert_eq!(read.attributes[0].value, None);
    let array = value(r#"{"arrayValue":{"values":[{"intValue":1},null,{"boolValue":false}]}}"#);
    assert_eq!(array, r#"{"arrayValue":{"values":[{"intValue":"1"},{},{"boolValue":false}]}}"#);
}

#[test]
fn unknown_fields_are_skipped_to_a_bounded_depth() {
    let nested =
        |depth| format!("{{\"x\":{}{},\"name\":\"a\"}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(span(&nested(64)).name, "a");
    assert_eq!(fault(&nested(66)).expected, "at most 64 levels in a value that is not known");
    assert_eq!(fault(&nested(100_000)).expected, "at most 64 levels in a value that is not known");
    for broken in ["{\"x\":tru}", "{\"x\":[1,]}", "{\"x\":{\"a\" 1}}", "{\"x\":'a'}", "{\"x\":}"] {
        assert_eq!(fault(broken).path, "resourceSpans[0].scopeSpans[0].spans[0]", "{broken}");
    }
}

#[test]
fn values_nest_sixteen_deep() {
    let nested = |depth: usize| {
        let open = "{\"arrayValue\":{\"values\":[".repeat(depth - 1);
        format!("{open}{{\"intValue\":\"1\"}}{}", "]}}".repeat(depth - 1))
    };
    assert_eq!(value(&nested(16)), nested(16));
    let json = format!("{{\"attributes\":[{{\"value\":{}}}]}}", nested(17));
    assert_eq!(fault(&json).expected, "at most 16 levels of nested values");
    let json = format!("{{\"attributes\":[{{\"value\":{}}}]}}", nested(100_000));
    assert_eq!(fault(&json).expected, "at most 16 levels of nested values");
}

#[test]
fn a_fault_names_path_offset_and_what_was_found() {
    let whole = |json: &[u8]| decode(json).unwrap_err().to_string();
    assert_eq!(whole(b""), "malformed JSON at byte 0: expected an object, found the end");
    assert_eq!(whole(b"[]"), "malformed JSON at byte 0: expected an object, found \"[]\"");
    assert_eq!(
        whole(b"{} x"),
        "malformed JSON at byte 3: expected nothing after the request, found \"x\""
    );
    assert_eq!(
        whole(b"{\"resourceSpans\":{}}"),
        "malformed JSON at byte 17 (resourceSpans): expected an array, found \"{}}\""
    );
    assert_eq!(
        whole(b"{\"resourceSpans\":[{},{\"resource\":7}]}"),
        "malformed JSON at byte 33 (resourceSpans[1].resource): expected an object, found \"7}]}\""
    );
    assert_eq!(
        whole(b"{\"resourceSpans\":[{\"schemaUrl\":\"a\xffb\"}]}"),
        "malformed JSON at byte 33 (resourceSpans[0].schemaUrl): expected UTF-8, found byte 0xff"
    );
    assert_eq!(
        whole(b"{\"resourceSpans\":[{\"schemaUrl\":\"a"),
        "malformed JSON at byte 33 (resourceSpans[0].schemaUrl): expected the rest of the string, \
         found the end"
    );
    assert_eq!(
        whole(b"\x0a\x05\x12\x03"),
        "malformed JSON at byte 1: expected an object, found \"\\u{5}\\u{12}\\u{3}\""
    );
}

#[test]
fn an_empty_request_and_a_byte_order_mark_pass() {
    for json in [&b"{}"[..], b" { } \r\n", b"\xef\xbb\xbf{}", b"{\"resourceSpans\":[]}"] {
        assert_eq!(decode(json), Ok(Vec::new()));
    }
}

/// A span with a bit of everything.
fn full() -> Vec<u8> {
    let json = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name",
        "value":{"stringValue":"shop"}}]},"scopeSpans":[{"scope":{"name":"lib"},"spans":[{
        "traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",
        "parentSpanId":"eee19b7ec3c1b173","name":"GET /\u0001\"<","kind":3,"flags":257,
        "startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712661000000000",
        "droppedLinksCount":2,"status":{"code":2,"message":"broken"},"events":[{"name":"e",
        "timeUnixNano":"5"}],"links":[{"traceId":"5b8efff798038103d269b633813fc60c"}],
        "attributes":[{"key":"b","value":{"bytesValue":"AAE="}}]}]}]}]}"#;
    decode(json.as_bytes()).unwrap()
}

#[test]
fn tempo_v1_has_batches_and_base64_ids() {
    assert_eq!(
        encode(&full(), Flavour::TempoV1).unwrap(),
        concat!(
            r#"{"batches":[{"resource":{"attributes":[{"key":"service.name","value":"#,
            r#"{"stringValue":"shop"}}]},"scopeSpans":[{"scope":{"name":"lib"},"spans":[{"#,
            r#""traceId":"W47/95gDgQPSabYzgT/GDA==","spanId":"7uGbfsPBsXQ=","#,
            r#""parentSpanId":"7uGbfsPBsXM=","name":"GET /\u0001\"<","kind":"SPAN_KIND_CLIENT","#,
            r#""startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712661000000000","#,
            r#""attributes":[{"key":"b","value":{"bytesValue":"AAE="}}],"#,
            r#""events":[{"timeUnixNano":"5","name":"e"}],"#,
            r#""links":[{"traceId":"W47/95gDgQPSabYzgT/GDA=="}],"droppedLinksCount":2,"#,
            r#""status":{"message":"broken","code":"STATUS_CODE_ERROR"},"flags":257}]}]}]}"#,
        )
    );
}

#[test]
fn tempo_v2_and_otlp_have_resource_spans() {
    let v2 = encode(&full(), Flavour::TempoV2).unwrap();
    assert!(v2.starts_with("{\"resourceSpans\":[") && v2.contains("W47/95gDgQPSabYzgT/GDA=="));
    let otlp = encode(&full(), Flavour::Otlp).unwrap();
    assert!(otlp.contains("\"traceId\":\"5b8efff798038103d269b633813fc60c\""), "{otlp}");
    assert_eq!(decode(otlp.as_bytes()).unwrap(), full());
    assert_eq!(encode(&[], Flavour::TempoV2).unwrap(), "{}");
}

#[test]
fn foreign_protobuf_is_encoded_with_care() {
    // An unknown field, a wire type that does not fit, and text that is no UTF-8.
    let mut bytes = Vec::new();
    crate::wire::put_u64(&mut bytes, 1000, 7);
    crate::wire::put_u64(&mut bytes, 1, 7);
    crate::wire::put_message(&mut bytes, 1, |out| crate::wire::put_bytes(out, 3, b"a\xff\xfeb"));
    let json = encode(&bytes, Flavour::Otlp).unwrap();
    assert_eq!(json, "{\"resourceSpans\":[{\"schemaUrl\":\"a\u{fffd}\u{fffd}b\"}]}");
    let fault = encode(&[10, 2, 8], Flavour::Otlp).unwrap_err();
    assert_eq!(fault.offset, 1);
    let mut deep = Vec::new();
    for _ in 0..1000 {
        let mut outer = Vec::new();
        crate::wire::put_message(&mut outer, 5, |out| {
            crate::wire::put_bytes(out, 1, &deep);
        });
        deep = outer;
    }
    let mut attribute = Vec::new();
    crate::wire::put_bytes(&mut attribute, 2, &deep);
    assert_eq!(encode_attribute(&attribute).unwrap_err().what, "values nest too deeply");
}

#[test]
fn one_attribute_is_written_by_itself() {
    let mut attribute = Vec::new();
    crate::wire::put_bytes(&mut attribute, 1, b"http.status");
    crate::wire::put_message(&mut attribute, 2, |out| crate::wire::put_u64(out, 3, 0));
    let json = encode_attribute(&attribute).unwrap();
    assert_eq!(json, r#"{"key":"http.status","value":{"intValue":"0"}}"#);
}
