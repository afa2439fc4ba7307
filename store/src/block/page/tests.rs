//! What is encoded is decoded, and any bytes are decoded or refused.

use model::column::count;
use proptest::prelude::*;

use super::*;
use crate::error::{Error, Kind};

/// Entries of a column: absent, or a number to make a value of.
fn entries() -> impl Strategy<Value = Vec<Option<u16>>> {
    prop::collection::vec(prop::option::weighted(0.7, 0u16..300), 0..400)
}

/// Writes entries as a flat column that may be absent and reads all of it back.
fn round_trip(entries: &[Option<u16>], physical: Physical, encoding: Encoding, page_rows: u32) {
    let numbers: Vec<u16> = entries.iter().flatten().copied().collect();
    let def: Vec<u8> = entries.iter().map(|entry| u8::from(entry.is_some())).collect();
    let bools: Vec<bool> = numbers.iter().map(|n| n % 2 == 1).collect();
    let words32: Vec<u32> =
        numbers.iter().map(|n| u32::from(*n).wrapping_mul(0x9e37_79b1)).collect();
    let words: Vec<u64> =
        numbers.iter().map(|n| u64::from(*n).wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    let fixed: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let texts: Vec<Vec<u8>> = numbers.iter().map(|n| vec![b'x'; usize::from(*n % 40)]).collect();
    let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    let codes: Vec<u32> = numbers.iter().map(|n| u32::from(*n)).collect();
    let dictionary: Vec<u64> = (0..300).collect();
    let values = match (encoding, physical) {
        (Encoding::Dictionary, _) => Values::Codes(&codes),
        (_, Physical::Boolean) => Values::Bools(&bools),
        (_, Physical::Int32) => Values::Words32(&words32),
        (_, Physical::Int64 | Physical::Double) => Values::Words(&words),
        (_, Physical::Fixed(_)) => Values::Fixed(&fixed),
        (_, Physical::Bytes) => Values::Texts(&texts),
    };
    let dictionary =
        (encoding == Encoding::Dictionary).then_some(Values::Words(dictionary.as_slice()));
    let rows = u32::try_from(entries.len()).unwrap();
    let levels = Levels { max_rep: 0, max_def: 1, rep: &[], def: &def };
    let chunk = Chunk { physical, encoding, levels, values, dictionary, rows, page_rows };
    let mut out = b"before".to_vec();
    let meta = Encoder::new(1, 1).unwrap().chunk(&mut out, 1_000, &chunk).unwrap();
    let coded = ChunkMeta::decode_all(&ChunkMeta::encode_all(std::slice::from_ref(&meta))).unwrap();
    assert_eq!(coded, std::slice::from_ref(&meta));

    let mut decoder = Decoder::new().unwrap();
    let bytes = |page: &PageMeta| {
        let at = usize::try_from(page.offset - 1_000).unwrap();
        &out[at..at + page.len as usize]
    };
    let mut found = Decoded::new(physical, meta.encoding);
    for page in &meta.pages {
        decoder.page(physical, meta.encoding, (0, 1), page, bytes(page), &mut found).unwrap();
    }
    assert_eq!(found.def, def);
    for page in &meta.pages {
        read_parts(&mut decoder, (physical, meta.encoding), page, bytes(page));
    }
    let expected = match (meta.encoding, physical) {
        (Encoding::Dictionary, _) => Owned::Codes(codes),
        (_, Physical::Boolean) => Owned::Bools(bools),
        (_, Physical::Int32) => Owned::Words32(words32),
        (_, Physical::Int64 | Physical::Double) if numbers.is_empty() => Owned::Words(Vec::new()),
        (_, Physical::Int64 | Physical::Double) => Owned::Words(words),
        (_, Physical::Fixed(_)) => Owned::Fixed(fixed),
        (_, Physical::Bytes) => {
            let mut end = 0;
            let ends = texts.iter().map(|text| {
                end += u32::try_from(text.len()).unwrap();
                end
            });
            Owned::Texts { ends: ends.collect(), bytes: texts.concat() }
        }
    };
    assert_eq!(found.values, expected);
    if let Some(page) = &meta.dictionary {
        let Owned::Words(values) = decoder.dictionary(physical, page, bytes(page)).unwrap() else {
            panic!("a dictionary of words")
        };
        assert_eq!(values, (0..300).collect::<Vec<u64>>());
    }
}

/// Parts of a page are, one behind the other, all of it.
fn read_parts(decoder: &mut Decoder, what: (Physical, Encoding), page: &PageMeta, bytes: &[u8]) {
    let (mut whole, mut parts) = (Decoded::new(what.0, what.1), Decoded::new(what.0, what.1));
    decoder.page(what.0, what.1, (0, 1), page, bytes, &mut whole).unwrap();
    let rows = page.rows as usize;
    let cuts = [0, rows / 3, rows / 3, rows / 3 + rows.min(1), rows / 2, rows];
    let mut at = 0;
    for cut in cuts {
        let range = at..cut.max(at);
        at = range.end;
        decoder.part(what, 1, page, bytes, range, &mut parts).unwrap();
    }
    assert_eq!(parts, whole);
    let past = decoder.part(what, 1, page, bytes, 0..rows + 1, &mut parts);
    assert!(past.is_err());
}

/// A column of words that is always there, written and changed, is refused or is not.
fn read_changed(change: impl Fn(&mut PageMeta, &mut Vec<u8>)) -> Result<(), Error> {
    let words: Vec<u64> = (0..9).collect();
    let levels = Levels { max_rep: 0, max_def: 1, rep: &[], def: &[1; 9] };
    let chunk = Chunk {
        physical: Physical::Int64,
        encoding: Encoding::Plain,
        levels,
        values: Values::Words(&words),
        dictionary: None,
        rows: 9,
        page_rows: 9,
    };
    let mut out = Vec::new();
    let mut page = Encoder::new(1, 1).unwrap().chunk(&mut out, 0, &chunk).unwrap().pages[0];
    change(&mut page, &mut out);
    let mut found = Decoded::new(Physical::Int64, Encoding::Plain);
    let mut decoder = Decoder::new().unwrap();
    decoder.page(Physical::Int64, Encoding::Plain, (0, 1), &page, &out, &mut found)
}

#[test]
fn a_page_is_refused_that_is_not_what_was_written() {
    read_changed(|_, _| ()).unwrap();
    let bits = read_changed(|_, out| out[20] ^= 1).unwrap_err();
    assert_eq!(
        (bits.kind(), bits.to_string().as_str()),
        (Kind::Corrupt, "checksum mismatch in a page")
    );
    for change in [
        |page: &mut PageMeta| page.raw_len += 1,
        |page: &mut PageMeta| page.raw_len = u32::MAX,
        |page: &mut PageMeta| page.header_len = 0,
        |page: &mut PageMeta| page.header_len = u32::MAX,
        |page: &mut PageMeta| page.rows += 1,
        |page: &mut PageMeta| page.values -= 1,
        |page: &mut PageMeta| page.entries = u32::MAX,
        |page: &mut PageMeta| page.len -= 1,
    ] {
        let error = read_changed(|page, _| change(page)).unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt, "{error}");
    }
}

#[test]
fn levels_above_the_highest_are_refused() {
    let raw = [&[3, 0, 0, 0, 3, 0b11_10_01_00, 0b11_10_01_00], [7u8; 8].as_slice()].concat();
    let raw = [raw, vec![0; 8]].concat();
    let packed = zstd::bulk::compress(&raw, 1).unwrap();
    let page = |values| PageMeta {
        len: count(packed.len()),
        raw_len: count(raw.len()),
        entries: 8,
        rows: 8,
        values,
        crc: crc32c::crc32c(&packed),
        ..PageMeta::default()
    };
    let read = |max_def, values| {
        let mut found = Decoded::new(Physical::Int64, Encoding::Plain);
        let mut decoder = Decoder::new().unwrap();
        let page = page(values);
        decoder.page(Physical::Int64, Encoding::Plain, (0, max_def), &page, &packed, &mut found)
    };
    read(3, 2).unwrap();
    read(2, 2).unwrap_err();
}

#[test]
fn pages_of_large_values_end_early() {
    let large = vec![b'x'; 3 << 19];
    let texts: Vec<&[u8]> = vec![&large; 10];
    let chunk = Chunk {
        physical: Physical::Bytes,
        encoding: Encoding::DeltaLength,
        levels: Levels { max_rep: 0, max_def: 0, rep: &[], def: &[] },
        values: Values::Texts(&texts),
        dictionary: None,
        rows: 10,
        page_rows: 8_192,
    };
    let meta = Encoder::new(1, 1).unwrap().chunk(&mut Vec::new(), 0, &chunk).unwrap();
    let rows: Vec<u32> = meta.pages.iter().map(|page| page.rows).collect();
    assert_eq!(rows.iter().sum::<u32>(), 10);
    assert!(rows.iter().all(|rows| (1..=2).contains(rows)), "{rows:?}");
}

#[test]
fn a_column_with_other_values_than_levels_is_not_written() {
    let chunk = Chunk {
        physical: Physical::Int64,
        encoding: Encoding::Plain,
        levels: Levels { max_rep: 0, max_def: 1, rep: &[], def: &[1, 0, 1] },
        values: Values::Words(&[1, 2]),
        dictionary: None,
        rows: 3,
        page_rows: 2,
    };
    let mut encoder = Encoder::new(1, 1).unwrap();
    let mut write = |chunk: Chunk<'_>| encoder.chunk(&mut Vec::new(), 0, &chunk).map(drop);
    write(chunk).unwrap();
    for chunk in [
        Chunk { values: Values::Words(&[1]), ..chunk },
        Chunk { values: Values::Words(&[1, 2, 3]), ..chunk },
        Chunk { rows: 2, ..chunk },
        Chunk { rows: 4, ..chunk },
    ] {
        assert_eq!(write(chunk).unwrap_err().kind(), Kind::Fatal);
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(entries in entries(), page_rows in 1u32..500) {
        for (physical, encoding) in [
            (Physical::Boolean, Encoding::Plain),
            (Physical::Int32, Encoding::Plain),
            (Physical::Int32, Encoding::Delta),
            (Physical::Int64, Encoding::Plain),
            (Physical::Int64, Encoding::Delta),
            (Physical::Int64, Encoding::Dictionary),
            (Physical::Int64, Encoding::Split),
            (Physical::Double, Encoding::Plain),
            (Physical::Fixed(8), Encoding::Plain),
            (Physical::Bytes, Encoding::Plain),
            (Physical::Bytes, Encoding::DeltaLength),
        ] {
            round_trip(&entries, physical, encoding, page_rows);
        }
    }

    #[test]
    fn lists_are_cut_where_rows_end(lists in prop::collection::vec(0usize..5, 1..60), page_rows in 1u32..20) {
        let (mut rep, mut def, mut words) = (Vec::new(), Vec::new(), Vec::new());
        for list in &lists {
            if *list == 0 {
                rep.push(0);
                def.push(0);
            }
            for nth in 0..*list {
                rep.push(u8::from(nth > 0));
                def.push(1);
                words.push(words.len() as u64);
            }
        }
        let levels = Levels { max_rep: 1, max_def: 1, rep: &rep, def: &def };
        let rows = u32::try_from(lists.len()).unwrap();
        let chunk = Chunk {
            physical: Physical::Int64, encoding: Encoding::Delta, levels,
            values: Values::Words(&words), dictionary: None, rows, page_rows,
        };
        let mut out = Vec::new();
        let meta = Encoder::new(1, 1).unwrap().chunk(&mut out, 0, &chunk).unwrap();
        let mut found = Decoded::new(Physical::Int64, Encoding::Delta);
        let mut decoder = Decoder::new().unwrap();
        for page in &meta.pages {
            let begins = found.rep.len();
            let at = usize::try_from(page.offset).unwrap();
            let bytes = &out[at..at + page.len as usize];
            decoder.page(Physical::Int64, Encoding::Delta, (1, 1), page, bytes, &mut found).unwrap();
            prop_assert_eq!(found.rep[begins], 0);
            let begun = count_of(&found.rep[begins..], 0);
            prop_assert_eq!(begun, page.rows as usize);
        }
        prop_assert_eq!(found, Decoded { rep, def, values: Owned::Words(words) });
        prop_assert_eq!(meta.pages.iter().map(|page| page.rows).sum::<u32>(), rows);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        drop(ChunkMeta::decode_all(&bytes));
        let raw = zstd::bulk::compress(&bytes, 1).unwrap();
        let mut decoder = Decoder::new().unwrap();
        for (physical, encoding) in [
            (Physical::Int64, Encoding::Delta),
            (Physical::Bytes, Encoding::DeltaLength),
            (Physical::Bytes, Encoding::Plain),
            (Physical::Boolean, Encoding::Plain),
            (Physical::Int32, Encoding::Dictionary),
        ] {
            let page = PageMeta {
                len: u32::try_from(raw.len()).unwrap(),
                raw_len: u32::try_from(bytes.len()).unwrap(),
                entries: 9, values: 5, rows: 9,
                crc: crc32c::crc32c(&raw),
                ..PageMeta::default()
            };
            let mut found = Decoded::new(physical, encoding);
            drop(decoder.page(physical, encoding, (1, 2), &page, &raw, &mut found));
            drop(decoder.dictionary(physical, &page, &raw));
        }
    }
}
