//! Every coding, whole and broken, and what bombs may cost.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use proptest::prelude::*;

use super::super::buffers::POOLED_BYTES_MIN;
use super::*;

/// Adds up what is paid for, and gives at most `most`.
struct Purse {
    paid: usize,
    most: usize,
}

impl Room for Purse {
    fn take(&mut self, bytes: usize) -> Result<(), Fault> {
        self.paid += bytes;
        if self.paid <= self.most { Ok(()) } else { Err(Fault::new(Kind::Unavailable, "full")) }
    }
}

const LIMIT: usize = 1 << 20;

fn run(coding: Coding, body: &[u8]) -> (Result<Vec<u8>, Fault>, usize) {
    let mut purse = Purse { paid: 0, most: usize::MAX };
    let result = inflate(coding, body, LIMIT, &mut purse, &Buffers::default());
    (result, purse.paid)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::default());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut writer = ZlibEncoder::new(Vec::new(), Compression::default());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn raw_deflate(bytes: &[u8]) -> Vec<u8> {
    let mut writer = DeflateEncoder::new(Vec::new(), Compression::default());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// As a streaming encoder writes it: without its size.
fn zstd_unsized(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

fn zstd_sized(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 3).unwrap()
}

fn snappy_block(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).unwrap()
}

fn snappy_framed(bytes: &[u8]) -> Vec<u8> {
    let mut writer = snap::write::FrameEncoder::new(Vec::new());
    writer.write_all(bytes).unwrap();
    writer.into_inner().unwrap()
}

type Encode = fn(&[u8]) -> Vec<u8>;

const ENCODINGS: [(&str, Coding, Encode); 8] = [
    ("identity", Coding::Identity, <[u8]>::to_vec),
    ("gzip", Coding::Gzip, gzip),
    ("zlib", Coding::Deflate, zlib),
    ("raw deflate", Coding::Deflate, raw_deflate),
    ("zstd", Coding::Zstd, zstd_sized),
    ("zstd, streamed", Coding::Zstd, zstd_unsized),
    ("snappy block", Coding::Snappy, snappy_block),
    ("snappy framed", Coding::Snappy, snappy_framed),
];

/// Compresses about as well as spans do.
fn text(length: usize) -> Vec<u8> {
    (0u32..)
        .flat_map(|i| format!("span {} of trace {}; ", i % 97, i).into_bytes())
        .take(length)
        .collect()
}

#[test]
fn every_coding_gives_back_what_went_in() {
    for (name, coding, encode) in ENCODINGS {
        for length in [0, 1, 100, 70_000, LIMIT] {
            let plain = text(length);
            let (result, paid) = run(coding, &encode(&plain));
            assert!(result.as_deref() == Ok(&plain[..]), "{name} of {length}: {:?}", result.err());
            // Buffers are rounded up, which the pool's own bound covers.
            assert!(paid + POOLED_BYTES_MIN >= length, "{name} of {length} paid {paid}");
            assert!(paid <= LIMIT + STEP_BYTES, "{name} of {length} paid {paid}");
        }
    }
}

#[test]
fn one_byte_over_the_limit_is_too_large() {
    for (name, coding, encode) in ENCODINGS {
        let (result, paid) = run(coding, &encode(&text(LIMIT + 1)));
        let fault = result.unwrap_err();
        assert_eq!(fault.kind(), Kind::TooLarge, "{name}: {fault}");
        assert!(fault.to_string().contains(&format!("limit is {LIMIT} bytes")), "{name}: {fault}");
        assert!(paid <= LIMIT + STEP_BYTES, "{name} paid {paid}");
    }
}

#[test]
fn a_bomb_costs_no_more_than_the_limit() {
    let zeros = vec![0; 64 << 20];
    for (name, coding, encode) in ENCODINGS.iter().skip(1) {
        let (result, paid) = run(*coding, &encode(&zeros));
        assert_eq!(result.unwrap_err().kind(), Kind::TooLarge, "{name}");
        assert!(paid <= LIMIT + STEP_BYTES, "{name} paid {paid}");
    }
}

#[test]
fn what_looks_like_a_bomb_is_measured_before_it_is_paid_for() {
    let limit = 16 << 20;
    let sized = |megabytes: usize| {
        let zeros = vec![0; megabytes << 20];
        [
            (Coding::Gzip, gzip(&zeros)),
            (Coding::Deflate, zlib(&zeros)),
            (Coding::Deflate, raw_deflate(&zeros)),
            (Coding::Zstd, zstd_unsized(&zeros)),
        ]
    };
    let run = |coding, body: &[u8]| {
        let mut purse = Purse { paid: 0, most: usize::MAX };
        let result = inflate(coding, body, limit, &mut purse, &Buffers::default());
        (result, purse.paid)
    };
    for (coding, bomb) in sized(64) {
        let (result, paid) = run(coding, &bomb);
        assert_eq!(result.unwrap_err().kind(), Kind::TooLarge, "{coding:?}");
        let most = (2 * SUSPECT_RATIO * bomb.len()).max(2 * SUSPECT_BYTES);
        assert!(paid <= most, "{coding:?}: {paid} for {} bytes", bomb.len());
    }
    // What only looks like one comes back whole, and takes what it needs.
    for (coding, body) in sized(15) {
        let (result, paid) = run(coding, &body);
        assert_eq!(result.unwrap(), vec![0; 15 << 20], "{coding:?}");
        assert!(paid <= (15 << 20) + 1, "{coding:?}: {paid}");
    }
    // And of several members the size of all of them counts.
    let members = [gzip(&vec![0; 9 << 20]), gzip(&vec![1; 9 << 20])].concat();
    let (result, paid) = run(Coding::Gzip, &members);
    assert_eq!(result.unwrap_err().kind(), Kind::TooLarge);
    assert!(paid < 3 << 20, "{paid}");
}

#[test]
fn a_size_that_is_only_claimed_is_not_paid_for() {
    // A block that claims 1 MB in seven bytes.
    let (result, paid) = run(Coding::Snappy, &[0xc0, 0x84, 0x3d, 0, 0, 0, 0]);
    assert_eq!((result.unwrap_err().kind(), paid), (Kind::Invalid, 0));
    // A gzip trailer that claims 4 GB.
    let mut lies = gzip(b"x");
    let end = lies.len() - 4;
    lies[end..].fill(0xff);
    let (result, paid) = run(Coding::Gzip, &lies);
    assert_eq!(result.unwrap_err().kind(), Kind::Invalid);
    assert!(paid <= STEP_BYTES, "{paid}");
}

#[test]
fn no_room_is_unavailable() {
    let plain = text(500_000);
    for (name, coding, encode) in ENCODINGS {
        let mut purse = Purse { paid: 0, most: 100_000 };
        let result = inflate(coding, &encode(&plain), LIMIT, &mut purse, &Buffers::default());
        assert_eq!(result.unwrap_err().kind(), Kind::Unavailable, "{name}");
    }
}

#[test]
fn a_cut_body_is_invalid_wherever_it_is_cut() {
    let plain = text(3000);
    for (name, coding, encode) in ENCODINGS.iter().skip(1) {
        let body = encode(&plain);
        for length in 1..body.len() {
            let (result, _) = run(*coding, &body[..length]);
            // A framed stream may end after any chunk, so an early end can look whole.
            let framed = *name == "snappy framed" && length <= SNAPPY_FRAMED.len();
            assert!(result.is_err() || framed, "{name} cut at {length}");
        }
    }
}

#[test]
fn members_and_frames_may_follow_each_other() {
    let (one, two) = (text(1000), text(50_000));
    let both = [one.clone(), two.clone()].concat();
    for (coding, encode) in [
        (Coding::Gzip, gzip as Encode),
        (Coding::Zstd, zstd_sized),
        (Coding::Zstd, zstd_unsized),
        (Coding::Snappy, snappy_framed),
    ] {
        let (result, _) = run(coding, &[encode(&one), encode(&two)].concat());
        assert!(result.as_deref() == Ok(&both[..]), "{coding:?}");
    }
    let padded = [gzip(&one), vec![0; 512]].concat();
    assert!(run(Coding::Gzip, &padded).0 == Ok(one));
    let members = gzip(b"").repeat(GZIP_MEMBERS_MAX + 1);
    assert_eq!(run(Coding::Gzip, &members).0.unwrap_err().kind(), Kind::Invalid);
}

#[test]
fn a_frame_that_wants_a_huge_window_is_refused() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(&text(10_000)).unwrap();
    let body = encoder.finish().unwrap();
    assert_eq!(run(Coding::Zstd, &body).0.unwrap_err().kind(), Kind::Invalid);
}

#[test]
fn names_are_read_without_case() {
    assert_eq!(Coding::parse(b""), Ok(Coding::Identity));
    assert_eq!(Coding::parse(b" GZIP "), Ok(Coding::Gzip));
    assert_eq!(Coding::parse(b"zlib"), Ok(Coding::Deflate));
    assert_eq!(Coding::parse(b"br").unwrap_err().kind(), Kind::Coding);
    assert_eq!(Coding::parse(b"gzip, gzip").unwrap_err().kind(), Kind::Coding);
    assert_eq!(Coding::parse(&[0xff; 4000]).unwrap_err().kind(), Kind::Coding);
}

proptest! {
    #[test]
    fn any_bytes_give_a_body_or_a_fault(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        for (_, coding, _) in ENCODINGS {
            let (result, paid) = run(coding, &body);
            prop_assert!(result.is_err() || result.is_ok_and(|body| body.len() <= LIMIT));
            prop_assert!(paid <= LIMIT + STEP_BYTES);
        }
    }

    #[test]
    fn any_flipped_bit_gives_a_body_or_a_fault(
        encoding in 0..ENCODINGS.len(), place in any::<prop::sample::Index>(), bit in 0..8u8,
    ) {
        let (_, coding, encode) = ENCODINGS[encoding];
        let mut body = encode(&text(5000));
        let place = place.index(body.len());
        body[place] ^= 1 << bit;
        let (result, paid) = run(coding, &body);
        prop_assert!(result.is_err() || result.is_ok_and(|body| body.len() <= LIMIT));
        prop_assert!(paid <= LIMIT + STEP_BYTES);
    }

    #[test]
    fn any_body_comes_back(plain in proptest::collection::vec(any::<u8>(), 0..5000)) {
        for (name, coding, encode) in ENCODINGS {
            prop_assert_eq!(run(coding, &encode(&plain)).0, Ok(plain.clone()), "{}", name);
        }
    }
}
