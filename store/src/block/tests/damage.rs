//! Damage: whatever happens to a byte of a block is told, and never believed.

use std::sync::Arc;

use model::column::Type;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::*;
use crate::block::schema::{Attribute, Schema, Table, Why};
use crate::block::section::terms::Run;
use crate::block::verify::{Problem, verify};
use crate::disk::File;
use crate::error::Kind;

fn problems(bytes: &[u8]) -> Vec<Problem> {
    let file: Arc<dyn File> = Arc::new(Bytes(bytes.to_vec()));
    verify(&file, "the block")
}

/// Few columns, so that the block is small: most attributes are in the rest.
fn narrow() -> Schema {
    let attribute =
        |table, key: &str, kind| (Attribute { table, key: key.to_owned(), kind }, Why::Bytes);
    let attributes = vec![
        attribute(Table::Span, "a", Type::String),
        attribute(Table::Span, "b", Type::Int),
        attribute(Table::Span, "c", Type::Bool),
        attribute(Table::Event, "exception.type", Type::String),
    ];
    Schema { attributes }
}

/// A few spans with something in most columns, always the same ones.
fn sample() -> Batch {
    let mut runner = TestRunner::deterministic();
    let requests = prop::collection::vec(request(), 1..2);
    loop {
        let sample = batch(&requests.new_tree(&mut runner).unwrap().current());
        let columns = sample.columns();
        let traces = sample.traces().len();
        if (4..8).contains(&sample.len()) && traces > 1 && !columns.links.row.is_empty() {
            return sample;
        }
    }
}

/// A block of all of a batch, in two row groups at least.
fn small(source: &Batch) -> Vec<u8> {
    let mut ordered = Ordered::default();
    let visible = u32::try_from(source.len()).unwrap();
    crate::block::order::tenants(&mut Orderer::default(), source, visible, &mut ordered);
    let options = Options { page_rows: 2, ..Options::L1 };
    let mut writer = Writer::new(Vec::new(), header(), narrow(), options).unwrap();
    let groups = cut(&ordered.traces, 1);
    assert!(groups.len() > 1, "{groups:?}");
    for group in groups {
        writer.row_group(&[source], &ordered, group).unwrap();
    }
    writer.finish().unwrap().0
}

/// All rows of a block, unless it cannot be read.
fn read_all(bytes: &[u8]) -> Result<Vec<Batch>, Error> {
    let reader = open(bytes)?;
    let group = |group| {
        let rows = reader.rows_of(group);
        reader.read(group, 0..rows.end - rows.start, Wanted::All, &tenant(), Indexed::Yes)
    };
    (0..reader.row_groups()).map(group).collect()
}

#[test]
fn every_changed_byte_is_found_and_none_is_believed() {
    const THREADS: usize = 2;
    let source = sample();
    let bytes = small(&source);
    assert_eq!(problems(&bytes), []);
    let expected = spans(&read_all(&bytes).unwrap());
    assert_eq!(expected, first_of_each(&source));
    let location = open(&bytes).unwrap().location();
    // What reads a block by its footer refuses it for the same checksum.
    let footer_at = usize::try_from(location.offset).unwrap() + location.len as usize;
    let check = |first: usize| {
        let mut bytes = bytes.clone();
        for at in (first..bytes.len()).step_by(THREADS) {
            let bit = 1 << (at / THREADS % 8);
            bytes[at] ^= bit;
            assert_ne!(problems(&bytes), [], "bit {bit} of byte {at}");
            match (at < footer_at).then(|| read_all(&bytes)) {
                None => {}
                Some(Ok(batches)) => assert_eq!(spans(&batches), expected, "byte {at}"),
                Some(Err(error)) => {
                    assert_eq!(error.kind(), Kind::Corrupt, "byte {at}: {error}");
                    assert!(error.to_string().starts_with("the block: "), "byte {at}: {error}");
                }
            }
            bytes[at] ^= bit;
        }
    };
    std::thread::scope(|scope| {
        (0..THREADS).for_each(|first| drop(scope.spawn(move || check(first))));
    });
}

#[test]
fn a_file_that_is_cut_or_longer_is_found() {
    let bytes = small(&sample());
    for len in (0..bytes.len()).step_by(97).chain([bytes.len() - 1]) {
        assert_ne!(problems(&bytes[..len]), [], "{len} bytes");
        assert!(read_all(&bytes[..len]).is_err(), "{len} bytes");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_ne!(problems(&longer), []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_the_writer_makes_is_sound(requests in prop::collection::vec(request(), 1..4),
        group_rows in 1u32..40, page_rows in 1u32..30) {
        let (bytes, _) = write(&batch(&requests), group_rows, page_rows);
        prop_assert_eq!(problems(&bytes), []);
    }
}

#[test]
fn rows_that_are_no_tenants_are_told() {
    let source = sample();
    let mut ordered = Ordered::default();
    let visible = u32::try_from(source.len()).unwrap();
    crate::block::order::tenants(&mut Orderer::default(), &source, visible, &mut ordered);
    let header = Header { level: Level::L0, tenant: None, ..header() };
    for missing in [0, 1] {
        let mut writer = Writer::new(Vec::new(), header.clone(), narrow(), Options::L0).unwrap();
        writer.row_group(&[&source], &ordered, 0..ordered.traces.len()).unwrap();
        let rows = u32::try_from(ordered.rows.len()).unwrap() - missing;
        writer.run(Run { tenant: tenant(), first_row: 0, rows, received: (1, 2) });
        let (bytes, _) = writer.finish().unwrap();
        assert_eq!(problems(&bytes).len(), missing as usize);
    }
}
