//! What holds for any bytes, and the seeds to start from. The fuzz targets and the short form in
//! `tests/it/fuzz.rs` share this file.

#![allow(dead_code, reason = "each of its users takes a part")]

#[path = "blocks.rs"]
mod blocks;
#[path = "edits.rs"]
mod edits;
#[path = "loads.rs"]
mod loads;
#[path = "queries.rs"]
mod queries;

use std::cell::RefCell;
use std::sync::LazyLock;

use model::batch::{Batch, Limits};
use model::json::{self, Flavour};
use model::otlp::Traces;
use model::{Nanos, TenantId};
use store::log::record::{self, FRAME_BYTES, Seal, Unpacker};

/// Requests by hand; the seeds of the other targets are made of them.
const REQUESTS: [&str; 5] = [
    include_str!("seeds/empty.json"),
    include_str!("seeds/span.json"),
    include_str!("seeds/values.json"),
    include_str!("seeds/spelling.json"),
    include_str!("seeds/refused.json"),
];

/// The segment that records are said to be of.
const SEAL: Seal = Seal { writer: 7, segment: 3 };

/// Seeds by target.
pub(crate) fn seeds() -> [(&'static str, Vec<Vec<u8>>); 11] {
    let requests = || REQUESTS.iter().map(|request| request.trim_end().as_bytes().to_vec());
    let decoded = || requests().map(|json| json::decode(&json).expect("seeds are well-formed"));
    let record = |body: Vec<u8>| repaired(&frame(&body));
    [
        ("otlp_json", requests().collect()),
        ("otlp_proto", decoded().collect()),
        ("wal_record", decoded().map(record).collect()),
        ("block_section", BLOCK.parts()),
        ("block_read", BLOCK.parts_in_place()),
        ("traceql", queries::seeds()),
        ("otlp_outline", decoded().collect()),
        ("plugin_edits", CASES.edits()),
        ("plugin_decisions", CASES.decisions()),
        ("plugin_batch", CASES.batches()),
        ("plugin_load", loads::seeds()),
    ]
}

/// Plugins that are shown the requests, all in one.
static CASES: LazyLock<edits::Cases> = LazyLock::new(|| {
    let requests = REQUESTS.iter().map(|request| json::decode(request.trim_end().as_bytes()));
    let requests: Vec<Vec<u8>> =
        requests.map(|request| request.expect("seeds are well-formed")).collect();
    // Messages of one type, one after the other, are one message.
    edits::Cases::of(&requests.concat())
});

/// What a processor answers is applied or refused as a whole.
pub(crate) fn plugin_edits(bytes: &[u8]) {
    CASES.plugin_edits(bytes);
}

/// So is what a sampler answers; the first byte says which.
pub(crate) fn plugin_decisions(bytes: &[u8]) {
    CASES.plugin_decisions(bytes);
}

/// The SDK reads a batch, or refuses it.
pub(crate) fn plugin_batch(bytes: &[u8]) {
    edits::plugin_batch(bytes);
}

/// A plugin is loaded, or refused with a reason.
pub(crate) fn plugin_load(bytes: &[u8]) {
    loads::plugin_load(bytes);
}

/// Taking notes of a request changes nothing, and what they say can be edited.
pub(crate) fn otlp_outline(bytes: &[u8]) {
    CASES.otlp_outline(bytes);
}

/// A block of the requests.
static BLOCK: LazyLock<blocks::Block> = LazyLock::new(|| {
    let requests = REQUESTS.iter().map(|request| json::decode(request.trim_end().as_bytes()));
    blocks::Block::of(requests.map(|request| request.expect("seeds are well-formed")))
});

/// Sections and pages of a block are read or refused.
pub(crate) fn block_section(bytes: &[u8]) {
    blocks::decoders(bytes);
}

/// So is a block with a part that is not what was written, though its checksum is right.
pub(crate) fn block_read(bytes: &[u8]) {
    blocks::read(&BLOCK, bytes);
}

/// A text is a query, or it is refused with a place in it.
pub(crate) fn traceql(bytes: &[u8]) {
    queries::check(bytes);
}

/// A request is walked or refused as a whole; what was walked comes out so that it walks again to
/// the same.
pub(crate) fn otlp_proto(bytes: &[u8]) {
    otlp_proto_into(&mut batches(), bytes);
}

/// Two empty batches.
pub(crate) fn batches() -> [Batch; 2] {
    [1, 2].map(|seed| Batch::new(Limits::default(), seed))
}

/// As [`otlp_proto`], behind what the batches hold already.
pub(crate) fn otlp_proto_into([first, second]: &mut [Batch; 2], bytes: &[u8]) {
    let before = first.len();
    let Ok(appended) = first.append(&TenantId::single(), Nanos(1), bytes, &[]) else {
        assert_eq!(first.len(), before, "a refused request leaves nothing behind");
        return;
    };
    assert_eq!((first.len() - before) as u64, appended.spans);
    let once = emitted(first, before);
    let before = second.len();
    let walked = second.append(&TenantId::single(), Nanos(1), &once, &[]).expect("our own bytes");
    assert_eq!((walked.spans, walked.refused.len()), (appended.spans, 0));
    assert_eq!(emitted(second, before), once);
    json::encode(&once, Flavour::TempoV2).expect("our own bytes");
}

fn emitted(batch: &Batch, from: usize) -> Vec<u8> {
    let mut traces = Traces::new();
    let row = |at: usize| u32::try_from(at).expect("rows fit 32 bits");
    (row(from)..row(batch.len())).for_each(|row| traces.push(batch, row));
    traces.encode()
}

/// JSON becomes protobuf that becomes JSON that becomes the same protobuf; a fault names a byte
/// of the input.
pub(crate) fn otlp_json(bytes: &[u8]) {
    match json::decode(bytes) {
        Ok(otlp) => {
            let encoded = json::encode(&otlp, Flavour::Otlp).expect("our own bytes");
            let again = json::decode(encoded.as_bytes());
            assert_eq!(again.as_ref(), Ok(&otlp), "{encoded}");
        }
        Err(fault) => assert!(fault.offset <= bytes.len(), "{fault}"),
    }
    // The other direction takes whatever comes, too.
    drop(json::encode(bytes, Flavour::TempoV1));
}

/// A record is read or refused, also where its checksums are right and the rest is not.
pub(crate) fn wal_record(bytes: &[u8]) {
    thread_local! {
        static UNPACKER: RefCell<Unpacker> = RefCell::default();
    }
    UNPACKER.with_borrow_mut(|unpacker| {
        drop(record::decode(bytes, SEAL, unpacker));
        if let Ok(record) = record::decode(&repaired(bytes), SEAL, unpacker) {
            assert_eq!(record.segment, SEAL.segment);
        }
    });
}

/// The bytes with magic, lengths and checksums made right: no fuzzer guesses a crc32c.
fn repaired(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().max(FRAME_BYTES), 0);
    let (frame, payload) = bytes.split_at_mut(FRAME_BYTES);
    let mut put = |at: usize, value: u32| {
        frame[at..at + 4].copy_from_slice(&value.to_le_bytes());
    };
    put(0, u32::from_le_bytes(*b"TWIR"));
    put(4, u32::try_from(SEAL.segment).expect("a small number"));
    // The body takes what tenant and edits leave.
    let tenant = usize::from(frame[25]).min(payload.len());
    let edits = u32::from_le_bytes([frame[28], frame[29], frame[30], frame[31]]) as usize;
    let edits = edits.min(payload.len() - tenant);
    let body = payload.len() - tenant - edits;
    let mut put = |at: usize, value: usize| {
        let value = u32::try_from(value).expect("small inputs");
        frame[at..at + 4].copy_from_slice(&value.to_le_bytes());
    };
    put(28, edits);
    put(32, body);
    frame[25] = u8::try_from(tenant).expect("it was a byte");
    let payload_crc = crc32c::crc32c(payload);
    frame[40..44].copy_from_slice(&payload_crc.to_le_bytes());
    let seal = crc32c::crc32c(&SEAL.writer.to_le_bytes());
    let seal = crc32c::crc32c_append(seal, &SEAL.segment.to_le_bytes());
    let crc = crc32c::crc32c_append(seal, &frame[..44]);
    frame[44..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// A raw record of tenant `t` with one run of refused rows; its checksums are still to be made.
fn frame(body: &[u8]) -> Vec<u8> {
    const EDITS: [u8; 4] = [1, 2, 0, 1];
    let mut bytes = vec![0; FRAME_BYTES];
    // Kind (record), length of the tenant, format (OTLP), coding (raw).
    bytes[24..28].copy_from_slice(&[1, 1, 1, 0]);
    bytes[28] = EDITS.len().to_le_bytes()[0];
    let raw_len = u32::try_from(body.len()).expect("small seeds");
    bytes[36..40].copy_from_slice(&raw_len.to_le_bytes());
    bytes.push(b't');
    bytes.extend_from_slice(&EDITS);
    bytes.extend_from_slice(body);
    bytes
}
