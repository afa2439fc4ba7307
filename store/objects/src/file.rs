//! An object, read in ranges.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use store::disk::File;

use super::Client;
use super::advice::told;

/// A request costs as much as reading so many bytes more: 96 KiB (between 64 and 128, where S3 in
/// one region takes about 20 ms to the first byte and then some 80 MB/s for one connection).
const GAP_BYTES: u64 = 96 << 10;

/// An object of a known length.
#[derive(Debug)]
pub(super) struct Object {
    client: Client,
    path: Path,
    len: u64,
}

impl Object {
    pub(super) fn new(client: Client, path: Path, len: u64) -> Self {
        Self { client, path, len }
    }
}

/// Nothing is changed in an object.
fn fixed() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "an object cannot be changed")
}

impl File for Object {
    fn len(&self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let end = offset.saturating_add(buffer.len() as u64).min(self.len);
        if end <= offset {
            return Ok(0);
        }
        let bytes = self.client.read(&self.path, offset..end).map_err(|fault| told(&fault))?;
        // It has as many: an answer that is cut short is no end of the object.
        let part = buffer.get_mut(..bytes.len()).filter(|part| part.len() as u64 == end - offset);
        let part = part.ok_or_else(|| {
            let length = format!("{} bytes were sent of {}", bytes.len(), end - offset);
            io::Error::new(io::ErrorKind::UnexpectedEof, length)
        })?;
        part.copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn read_ranges(&self, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
        let Client { objects, stats, .. } = &self.client;
        let within = |range: &Range<u64>| range.start.min(self.len)..range.end.min(self.len);
        let ranges: Vec<_> = ranges.iter().map(within).collect();
        stats.gets.add(ranges.len() as u64);
        // At most ten at a time; those that touch are one.
        let get = |range| objects.get_range(&self.path, range);
        let read = self.client.ask(object_store::coalesce_ranges(&ranges, get, 0));
        let read = read.map_err(io::Error::other)?;
        stats.read_bytes.add(read.iter().map(|bytes| bytes.len() as u64).sum());
        Ok(read)
    }

    fn gap_bytes(&self) -> u64 {
        GAP_BYTES
    }

    fn write_at(&self, _bytes: &[u8], _offset: u64) -> io::Result<()> {
        Err(fixed())
    }

    fn allocate(&self, _len: u64) -> io::Result<()> {
        Err(fixed())
    }

    fn set_len(&self, _len: u64) -> io::Result<()> {
        Err(fixed())
    }

    fn sync(&self) -> io::Result<()> {
        Err(fixed())
    }

    fn lock(&self) -> io::Result<bool> {
        Err(fixed())
    }
}
