//! The codec of records: what goes in comes out, and nothing else ever does.

use proptest::prelude::*;

use super::*;

const SEAL: Seal = Seal { writer: 0x1234_5678_9abc_def0, segment: 7 };

fn encoded(tenant: &str, rows: &[u64], body: &[u8], coding: Coding) -> (Vec<u8>, Record) {
    let tenant = TenantId::parse(tenant).unwrap();
    let edits = Edits { refused: rows.iter().copied().collect() };
    let stored = match coding {
        Coding::Raw => body.to_vec(),
        Coding::Zstd => zstd::bulk::compress(body, -3).unwrap(),
    };
    let parts = Parts {
        sequence: 41,
        tenant: &tenant,
        received_at: Nanos(99),
        format: Format::OtlpProtobuf,
        coding,
        raw_len: u32::try_from(body.len()).unwrap(),
        edits: &edits.encode(),
        body: &stored,
    };
    let mut out = Vec::new();
    encode(&parts, SEAL, &mut out);
    let record = Record {
        segment: SEAL.segment,
        sequence: 41,
        received_at: Nanos(99),
        format: Format::OtlpProtobuf,
        body: Bytes::copy_from_slice(body),
        tenant,
        edits,
    };
    (out, record)
}

fn any_record() -> impl Strategy<Value = (Vec<u8>, Record)> {
    let rows = prop::collection::btree_set(0u64..500, 0..20);
    let body = prop::collection::vec(0u8..8, 0..600);
    ("[a-z]{1,150}", rows, body, any::<bool>()).prop_map(|(tenant, rows, body, packed)| {
        let coding = if packed { Coding::Zstd } else { Coding::Raw };
        encoded(&tenant, &rows.into_iter().collect::<Vec<_>>(), &body, coding)
    })
}

proptest! {
    #[test]
    fn records_come_back((bytes, record) in any_record()) {
        prop_assert!((bytes.len() as u64).is_multiple_of(ALIGN));
        prop_assert_eq!(decode(&bytes, SEAL, &mut Unpacker::default()).unwrap(), record);
    }

    #[test]
    fn any_bytes_give_a_record_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(decode(&bytes, SEAL, &mut Unpacker::default()).is_err());
    }

    #[test]
    fn a_frame_with_a_right_checksum_and_any_fields_is_no_panic(
        fields in prop::collection::vec(any::<u8>(), FRAME_BYTES),
        payload in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut frame: [u8; FRAME_BYTES] = fields.try_into().unwrap();
        frame[..4].copy_from_slice(b"TWIR");
        frame[4..8].copy_from_slice(&SEAL.low().to_le_bytes());
        frame[40..44].copy_from_slice(&crc32c::crc32c(&payload).to_le_bytes());
        frame[25] %= 10;
        frame[28..36].fill(0);
        let body_len = u32::try_from(payload.len().saturating_sub(usize::from(frame[25]))).unwrap();
        frame[32..36].copy_from_slice(&body_len.to_le_bytes());
        let crc = SEAL.checksum(&frame[..FRAME_BYTES - 4]);
        frame[FRAME_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        let bytes: Vec<u8> = frame.into_iter().chain(payload).collect();
        if let Ok(record) = decode(&bytes, SEAL, &mut Unpacker::default()) {
            prop_assert!(record.body.len() <= BODY_BYTES_MAX);
        }
    }

    #[test]
    fn a_flipped_bit_never_gives_another_record((bytes, _) in any_record(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut flipped = bytes.clone();
        let at = at.index(bytes.len());
        flipped[at] ^= 1 << bit;
        let padding = bytes.len() - at <= 7;
        match decode(&flipped, SEAL, &mut Unpacker::default()) {
            Err(error) => prop_assert_eq!(error.kind(), Kind::Corrupt),
            Ok(_) => prop_assert!(padding, "byte {at} of {} was flipped unnoticed", bytes.len()),
        }
    }
}

#[test]
fn another_segments_or_writers_record_is_none() {
    let (bytes, _) = encoded("a", &[], b"body", Coding::Raw);
    for seal in [
        Seal { segment: 8, ..SEAL },
        Seal { segment: SEAL.segment + (1 << 32), ..SEAL },
        Seal { writer: 1, ..SEAL },
    ] {
        let error = decode(&bytes, seal, &mut Unpacker::default()).unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt);
    }
}

#[test]
fn what_a_newer_version_wrote_is_refused_not_skipped() {
    for (offset, value, says) in
        [(24, 9, "kind 9"), (26, 2, "body format 2"), (27, 7, "body coding 7")]
    {
        let (mut bytes, _) = encoded("a", &[], b"body", Coding::Raw);
        bytes[offset] = value;
        let crc = SEAL.checksum(&bytes[..FRAME_BYTES - 4]);
        bytes[FRAME_BYTES - 4..FRAME_BYTES].copy_from_slice(&crc.to_le_bytes());
        let error = decode(&bytes, SEAL, &mut Unpacker::default()).unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn a_body_that_is_longer_than_it_says_is_corrupt() {
    let stored = zstd::bulk::compress(&[0; 1 << 20], 1).unwrap();
    let fault = Unpacker::default().unpack(Coding::Zstd, &stored, 100).unwrap_err();
    assert!(!fault.is_empty());
    let fault = Unpacker::default().unpack(Coding::Raw, b"", BODY_BYTES_MAX + 1).unwrap_err();
    assert!(fault.contains("over the limit"), "{fault}");
}
