//! The JSON walk against prost: what comes out is what the types of OTLP would have written.

mod arbitrary;
mod render;
mod rules;

use opentelemetry_proto::tonic::trace::v1::TracesData;
use proptest::prelude::*;
use prost::Message;

use super::{Flavour, decode, encode, encode_attribute};
use crate::wire;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_request_in_any_spelling_decodes_to_the_bytes_of_prost(
        traces in arbitrary::traces(),
        style: u64,
    ) {
        let json = render::otlp(&traces, style);
        let decoded = decode(json.as_bytes());
        prop_assert_eq!(decoded.as_deref(), Ok(&*traces.encode_to_vec()), "{}", json);
    }

    #[test]
    fn encoding_loses_nothing(traces in arbitrary::traces()) {
        let bytes = traces.encode_to_vec();
        let json = encode(&bytes, Flavour::Otlp).unwrap();
        check_is_json(&json)?;
        prop_assert_eq!(decode(json.as_bytes()), Ok(bytes), "{}", json);
    }

    #[test]
    fn every_flavour_is_json_of_one_line(traces in arbitrary::traces()) {
        let bytes = traces.encode_to_vec();
        for flavour in [Flavour::TempoV1, Flavour::TempoV2] {
            check_is_json(&encode(&bytes, flavour).unwrap())?;
        }
    }

    #[test]
    fn the_order_of_the_fields_does_not_matter_when_encoding(traces in arbitrary::traces()) {
        let bytes = traces.encode_to_vec();
        let backwards = backwards(&bytes, &[1, 2, 2]);
        let expected = encode(&bytes, Flavour::Otlp);
        prop_assert_eq!(encode(&backwards, Flavour::Otlp), expected);
    }

    #[test]
    fn any_text_gives_bytes_or_a_fault(text in ".{0,200}") {
        check_total(text.as_bytes())?;
    }

    #[test]
    fn any_bytes_give_bytes_or_a_fault(bytes: Vec<u8>) {
        check_total(&bytes)?;
        drop(encode(&bytes, Flavour::Otlp));
        drop(encode_attribute(&bytes));
    }

    #[test]
    fn a_damaged_request_gives_bytes_or_a_fault(
        traces in arbitrary::traces(),
        style: u64,
        cut: prop::sample::Index,
        place: prop::sample::Index,
        byte: u8,
    ) {
        let mut json = render::otlp(&traces, style).into_bytes();
        json.truncate(cut.index(json.len()) + 1);
        let place = place.index(json.len());
        json[place] = byte;
        check_total(&json)?;
        let mut proto = traces.encode_to_vec();
        if !proto.is_empty() {
            let place = place % proto.len();
            proto[place] = byte;
            drop(encode(&proto, Flavour::Otlp));
        }
    }
}

/// What decodes is well-formed protobuf; what does not names a byte of the input.
fn check_total(json: &[u8]) -> Result<(), TestCaseError> {
    match decode(json) {
        Ok(bytes) => prop_assert!(TracesData::decode(&*bytes).is_ok()),
        Err(fault) => prop_assert!(fault.offset <= json.len(), "{fault}"),
    }
    Ok(())
}

/// The decoder skips over an unknown key's value by the grammar of JSON alone.
fn check_is_json(json: &str) -> Result<(), TestCaseError> {
    prop_assert_eq!(decode(format!("{{\"unknown\":[{json}]}}").as_bytes()), Ok(Vec::new()));
    prop_assert!(!json.contains('\n'));
    Ok(())
}

/// The same message with its fields by descending number, down the `path` of field numbers to the
/// messages within.
fn backwards(bytes: &[u8], path: &[u32]) -> Vec<u8> {
    let mut reader = wire::Reader::new(bytes);
    let mut fields = Vec::new();
    while let Some(field) = reader.next().unwrap() {
        let mut out = Vec::new();
        match (field.value, path) {
            (wire::Value::Bytes(inner), [number, path @ ..]) if *number == field.number => {
                wire::put_bytes(&mut out, field.number, &backwards(inner, path));
            }
            (wire::Value::Bytes(inner), _) => wire::put_bytes(&mut out, field.number, inner),
            (wire::Value::Varint(value), _) => wire::put_u64(&mut out, field.number, value),
            (wire::Value::Fixed64(value), _) => wire::put_fixed64(&mut out, field.number, value),
            (wire::Value::Fixed32(value), _) => wire::put_fixed32(&mut out, field.number, value),
            (wire::Value::Group, _) => {}
        }
        fields.push((field.number, out));
    }
    fields.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    fields.into_iter().flat_map(|(_, out)| out).collect()
}
