//! Files of each version of the format, kept for good: every later program reads them as the one
//! that wrote them did.
//!
//! `TRACEWEIR_GOLDEN=write` makes those of the version that this program writes anew: only while no
//! release has that version.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::gateway::{Ended, Gateway, binary, run};
use tests::random::{Arbitrary, Rng};
use tests::wait::now_nanos;

const LEVELS: [&str; 2] = ["l0", "l1"];
/// Every version there was; the last one is what this program writes.
const VERSIONS: [u32; 2] = [1, 2];

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// A file of a version.
fn file(version: u32, rest: &str) -> PathBuf {
    dir().join(format!("version-{version}.{rest}"))
}

/// A file of the version that this program writes.
fn newest(rest: &str) -> PathBuf {
    file(*VERSIONS.last().unwrap(), rest)
}

fn block(arguments: &[&str]) -> Ended {
    run(binary().arg("block").args(arguments))
}

/// Writes what a gateway makes of anything that OTLP allows, and what it says of it.
fn write() {
    // Until no trace is so old that it gets a block of its own.
    let gateway = (1..).find_map(filled).unwrap();
    let l1 = only(&gateway.data().join("blocks/default")).unwrap();
    fs::copy(&l1, newest("l1.parquet")).unwrap();
    let told = block(&["cat", l1.to_str().unwrap(), "--limit", "100000"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    fs::write(newest("jsonl"), told.out).unwrap();
}

/// A gateway with one block; its L0 file is written already.
fn filled(seed: u64) -> Option<Gateway> {
    let gateway = Gateway::start();
    let mut arbitrary = Arbitrary::new(Rng::new(seed), 6).at(now_nanos());
    for _ in 0..8 {
        gateway.export(&arbitrary.request());
    }
    gateway.flush("l0");
    let l0 = only(&gateway.data().join("l0"))?;
    fs::copy(l0, newest("l0.parquet")).unwrap();
    gateway.flush("l1");
    only(&gateway.data().join("blocks/default")).map(|_| gateway)
}

/// The file of a folder that has one.
fn only(folder: &Path) -> Option<PathBuf> {
    let mut files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.next().filter(|_| files.next().is_none())
}

#[test]
fn files_of_every_version_are_read_as_they_were_written() {
    if std::env::var_os("TRACEWEIR_GOLDEN").is_some_and(|what| what == "write") {
        write();
    }
    VERSIONS.into_iter().for_each(reads);
}

fn reads(version: u32) {
    // One segment of the head and one merge of it: the same spans in the same order.
    let expected = fs::read_to_string(file(version, "jsonl")).unwrap();
    for level in LEVELS {
        let file = file(version, &format!("{level}.parquet"));
        let file = file.to_str().unwrap();
        let told = block(&["cat", file, "--limit", "100000"]);
        assert_eq!((told.code, told.err.as_str()), (Some(0), ""));
        for (found, wanted) in told.out.lines().zip(expected.lines()) {
            assert_eq!(found, wanted, "{file}");
        }
        let spans = expected.lines().count();
        assert_eq!(told.out.lines().count(), spans, "{file}");
        assert!(spans > 20, "{file}");

        let verified = block(&["verify", file]);
        assert_eq!((verified.code, verified.err.as_str()), (Some(0), ""), "{file}");
        let inspected = block(&["inspect", file, "--json"]);
        let inspected: Value = serde_json::from_str(inspected.out.trim()).unwrap();
        assert_eq!(inspected["header"]["rows"], spans, "{file}");
        assert_eq!(inspected["header"]["level"], level, "{file}");
    }
}
