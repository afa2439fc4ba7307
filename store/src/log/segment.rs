//! Segment files: their names, their header, and how a file becomes one.
//!
//! A segment is `wal/{number}.wal`, preallocated; its first 4 KiB are a header that is written
//! once, and records follow. A file that is not finished yet ends in `.tmp`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, File};
use crate::log::record::{FRAME_BYTES, Frame, Seal};

/// Records start here: no write of records ever touches the block that the header is in.
pub(crate) const HEADER_BYTES: u64 = 4096;

/// The version of segments and records.
const VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"TWIRWAL\n";
const HEADER_LEN: usize = 64;

/// A segment that is ready to be written to.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    /// The length of the file.
    pub(crate) len: u64,
    pub(crate) file: Arc<dyn File>,
}

impl Segment {
    /// Where records must end, so that the mark of the end fits behind them.
    pub(crate) fn limit(&self) -> u64 {
        self.len.saturating_sub(FRAME_BYTES as u64)
    }

    /// Bytes for records.
    pub(crate) fn capacity(&self) -> u64 {
        self.limit().saturating_sub(HEADER_BYTES)
    }
}

/// The length of a file whose records may take `capacity` bytes.
pub(crate) fn len_for(capacity: u64) -> u64 {
    (capacity + HEADER_BYTES + FRAME_BYTES as u64).next_multiple_of(HEADER_BYTES)
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// A segment of this version.
    Ours(Seal),
    /// A segment of a version that we cannot read.
    Newer(u32),
    /// No header.
    None,
}

pub(crate) fn encode_header(seal: Seal) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&seal.writer.to_le_bytes());
    bytes.extend_from_slice(&seal.segment.to_le_bytes());
    bytes.resize(HEADER_LEN - 4, 0);
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes.resize(usize::try_from(HEADER_BYTES).unwrap_or(HEADER_LEN), 0);
    bytes
}

pub(crate) fn decode_header(bytes: &[u8]) -> Header {
    let field = |from: usize, to: usize| bytes.get(from..to).unwrap_or_default();
    let number = |from: usize| field(from, from + 8).try_into().map(u64::from_le_bytes);
    let crc = crc32c::crc32c(field(0, HEADER_LEN - 4)).to_le_bytes();
    if field(0, 8) != MAGIC || field(HEADER_LEN - 4, HEADER_LEN) != crc {
        return Header::None;
    }
    let version = field(8, 12).try_into().map_or(0, u32::from_le_bytes);
    match (version, number(12), number(20)) {
        (VERSION, Ok(writer), Ok(segment)) => Header::Ours(Seal { writer, segment }),
        (version, ..) => Header::Newer(version),
    }
}

pub(crate) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.wal"))
}

/// Where what is good of a damaged segment is gathered.
pub(crate) fn salvage_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.salvage.tmp"))
}

/// Where a file is made ready, out of sight of replay.
pub(crate) fn fresh_path(dir: &Path) -> PathBuf {
    dir.join("fresh.tmp")
}

/// What a name in the directory of the log stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Segment(u64),
    Unfinished,
    Foreign,
}

pub(crate) fn read_name(name: &str) -> Name {
    let number = |text: &str| match text.len() {
        20 => text.parse().ok(),
        _ => None,
    };
    match name.rsplit_once('.') {
        Some((text, "wal")) => number(text).map_or(Name::Foreign, Name::Segment),
        Some((_, "tmp")) => Name::Unfinished,
        _ => Name::Foreign,
    }
}

/// Makes a segment of `len` bytes: blocks reserved, header and name durable.
///
/// # Errors
/// What the disk says; what was begun is taken away again as far as the disk lets us.
pub(crate) fn create(disk: &dyn Disk, dir: &Path, seal: Seal, len: u64) -> io::Result<Segment> {
    let fresh = fresh_path(dir);
    let made = remove_if_there(disk, &fresh).and_then(|()| {
        let file = disk.create_new(&fresh)?;
        file.allocate(len)?;
        finish(disk, dir, file, seal, len)
    });
    if made.is_err() {
        // Gives the blocks back. The error that is reported is the first one.
        drop(remove_if_there(disk, &fresh));
    }
    made
}

/// Makes an old segment file, whose records nobody needs, into the segment of `seal`. Its blocks
/// are written already, so that later syncs carry data only.
///
/// # Errors
/// What the disk says; the file then is an unfinished one, which the next start removes.
pub(crate) fn recycle(
    disk: &dyn Disk,
    dir: &Path,
    old: &Path,
    seal: Seal,
    len: u64,
) -> io::Result<Segment> {
    let fresh = fresh_path(dir);
    disk.rename(old, &fresh)?;
    // Its old name must be gone for good before its old header is.
    disk.sync_dir(dir)?;
    let file = disk.open(&fresh)?;
    finish(disk, dir, file, seal, len)
}

fn finish(
    disk: &dyn Disk,
    dir: &Path,
    file: Arc<dyn File>,
    seal: Seal,
    len: u64,
) -> io::Result<Segment> {
    file.write_at(&encode_header(seal), 0)?;
    file.sync()?;
    disk.rename(&fresh_path(dir), &path(dir, seal.segment))?;
    disk.sync_dir(dir)?;
    Ok(Segment { number: seal.segment, len, file })
}

/// Writes the mark of the end behind `records` records; the caller syncs.
///
/// # Errors
/// What the disk says.
pub(crate) fn write_end(file: &dyn File, seal: Seal, records: u64, at: u64) -> io::Result<()> {
    file.write_at(&Frame::end(records).encode(seal), at)
}

pub(crate) fn remove_if_there(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => Err(fault),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_whose_segment_it_is() {
        let seal = Seal { writer: 3, segment: 9 };
        let bytes = encode_header(seal);
        assert_eq!(bytes.len() as u64, HEADER_BYTES);
        assert_eq!(decode_header(&bytes), Header::Ours(seal));
        for at in 0..HEADER_LEN {
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            assert_eq!(decode_header(&flipped), Header::None, "byte {at}");
        }
        let mut newer = bytes;
        newer[8] = 2;
        let crc = crc32c::crc32c(&newer[..HEADER_LEN - 4]);
        newer[HEADER_LEN - 4..HEADER_LEN].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(decode_header(&newer), Header::Newer(2));
        assert_eq!(decode_header(&[]), Header::None);
    }

    #[test]
    fn names_are_told_apart() {
        let dir = Path::new("d");
        let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(read_name(&name(path(dir, 12))), Name::Segment(12));
        assert_eq!(read_name(&name(salvage_path(dir, 12))), Name::Unfinished);
        assert_eq!(read_name(&name(fresh_path(dir))), Name::Unfinished);
        for name in ["12.wal", "x.wal", "0000000000000000000x.wal", "wal", "a.txt"] {
            assert_eq!(read_name(name), Name::Foreign, "{name}");
        }
    }
}
