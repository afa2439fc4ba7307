//! The log's files, read and damaged by hand: what `docs/reference/wal-format.md` says, once more.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Records start behind the header.
const HEADER_BYTES: usize = 4096;
const FRAME_BYTES: usize = 48;
const KIND_RECORD: u8 = 1;

/// One segment file with the places of its records.
#[derive(Clone, Debug)]
pub struct Segment {
    /// The file.
    pub path: PathBuf,
    /// Where each record is, frame included, in order.
    pub records: Vec<Range<usize>>,
}

/// All segments that have records, oldest first.
#[must_use]
pub fn segments(data: &Path) -> Vec<Segment> {
    let list = fs::read_dir(data.join("wal")).expect("the directory of the log");
    let paths = list.map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "wal")).collect();
    paths.sort();
    let segments = paths.into_iter().map(|path| {
        let bytes = fs::read(&path).expect("a segment");
        Segment { path, records: records(&bytes) }
    });
    segments.filter(|segment| !segment.records.is_empty()).collect()
}

/// Follows the frames from one to the next.
fn records(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut records = Vec::new();
    let mut at = HEADER_BYTES;
    while let Some(frame) = bytes.get(at..at + FRAME_BYTES) {
        if !frame.starts_with(b"TWIR") || frame.get(24) != Some(&KIND_RECORD) {
            break;
        }
        let length = |from: usize| {
            let field = frame.get(from..from + 4).and_then(|field| field.try_into().ok());
            u32::from_le_bytes(field.expect("inside of the frame")) as usize
        };
        let tenant = usize::from(frame.get(25).copied().unwrap_or_default());
        let payload = tenant + length(28) + length(32);
        let end = at + FRAME_BYTES + payload.next_multiple_of(8);
        records.push(at..end.min(bytes.len()));
        at = end;
    }
    records
}

impl Segment {
    /// Changes the bytes of the file in place.
    pub fn damage(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(&self.path).expect("a segment");
        change(&mut bytes);
        fs::write(&self.path, bytes).expect("a writable segment");
    }
}
