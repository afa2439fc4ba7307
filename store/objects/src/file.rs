//! An object, read in ranges.

use std::io;
use std::ops::Range;

use bytes::Bytes;
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
        whole(&(offset..end), &bytes)?;
        for (to, from) in buffer.iter_mut().zip(&bytes) {
            *to = *from;
        }
        Ok(bytes.len())
    }

    fn read_ranges(&self, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
        let within = |range: &Range<u64>| range.start.min(self.len)..range.end.min(self.len);
        let ranges: Vec<_> = ranges.iter().map(within).collect();
        // Those that follow each other are one request.
        let runs: Vec<&[Range<u64>]> = ranges.chunk_by(|a, b| a.end == b.start).collect();
        let asked: Vec<_> =
            runs.iter().filter_map(|run| Some(run.first()?.start..run.last()?.end)).collect();
        let read = self.client.read_all(&self.path, &asked).map_err(|fault| told(&fault))?;
        asked.iter().zip(&read).try_for_each(|(range, bytes)| whole(range, bytes))?;
        let mut parts = Vec::with_capacity(ranges.len());
        for (run, mut bytes) in runs.into_iter().zip(read) {
            for range in run {
                let len = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
                parts.push(bytes.split_to(len.min(bytes.len())));
            }
        }
        Ok(parts)
    }

    fn gap_bytes(&self) -> u64 {
        GAP_BYTES
    }
}

/// Insists on as many bytes as were asked for: an answer that is cut short is no end of the object.
pub(super) fn whole(range: &Range<u64>, bytes: &Bytes) -> io::Result<()> {
    let asked = range.end - range.start;
    if bytes.len() as u64 == asked {
        return Ok(());
    }
    let length = format!("{} bytes were sent of {asked}", bytes.len());
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, length))
}
