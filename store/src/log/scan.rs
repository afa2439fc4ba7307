//! Finds the frames of one segment file, whatever bytes are in it.
//!
//! Where a frame is not what was written, the scan goes on at the next place that has a frame
//! with the right checksum over frame and payload: O(bytes), since a place is looked at closely
//! only when it starts like a frame of this segment.

use std::io;
use std::sync::Arc;

use crate::disk::File;
use crate::log::record::{ALIGN, FRAME_BYTES, Frame, NoFrame, Seal};
use crate::log::segment::HEADER_BYTES;

/// Bytes that are read at once.
const CHUNK_BYTES: u64 = 2 << 20;

/// Reads one segment from its start to its end.
#[derive(Debug)]
pub(crate) struct Scan {
    window: Window,
    seal: Seal,
    offset: u64,
    /// The next record has at least this sequence.
    sequence: u64,
}

/// What comes next in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A record; its payload is behind the frame.
    Record { frame: Frame, offset: u64 },
    /// Bytes that are not what was written, with something good behind them.
    Damage { from: u64, to: u64 },
    /// The mark of the end.
    End,
    /// No mark of the end, and nothing good from here on; `begun` bytes belong to a record that
    /// was begun here.
    Tail { from: u64, begun: u64 },
}

impl Scan {
    pub(crate) fn new(file: Arc<dyn File>, len: u64, seal: Seal) -> Self {
        let window = Window { file, len, start: 0, bytes: Vec::new() };
        Self { window, seal, offset: HEADER_BYTES, sequence: 0 }
    }

    /// Where the scan is.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// # Errors
    /// When the disk cannot read.
    pub(crate) fn next(&mut self) -> io::Result<Found> {
        let from = self.offset;
        match self.at(from)? {
            Ok(frame) if frame.is_end() => Ok(Found::End),
            Ok(frame) => Ok(self.take(frame, from)),
            Err(begun) => match self.find_behind(from)? {
                Some(to) => {
                    self.offset = to;
                    Ok(Found::Damage { from, to })
                }
                None => Ok(Found::Tail { from, begun }),
            },
        }
    }

    /// The payload of the record that was found last.
    ///
    /// # Errors
    /// When the disk cannot read.
    pub(crate) fn payload(&mut self, frame: &Frame, offset: u64) -> io::Result<&[u8]> {
        let payload = self.window.get(offset + FRAME_BYTES as u64, frame.payload_len())?;
        Ok(payload.unwrap_or_default())
    }

    fn take(&mut self, frame: Frame, offset: u64) -> Found {
        self.offset = offset + frame.total_len();
        self.sequence = frame.sequence.saturating_add(1);
        Found::Record { frame, offset }
    }

    /// The frame at this offset, if it and its payload are what was written; else how many bytes
    /// of a record seem to be there.
    fn at(&mut self, offset: u64) -> io::Result<Result<Frame, u64>> {
        let Some(bytes) = self.window.get(offset, FRAME_BYTES as u64)? else { return Ok(Err(0)) };
        let Some(bytes) = bytes.first_chunk() else { return Ok(Err(0)) };
        let frame = match Frame::decode(bytes, self.seal) {
            Ok(frame) => frame,
            Err(NoFrame::Unwritten) => return Ok(Err(0)),
            Err(NoFrame::Damaged) => return Ok(Err(FRAME_BYTES as u64)),
        };
        if frame.is_end() {
            return Ok(Ok(frame));
        }
        let payload = self.window.get(offset + FRAME_BYTES as u64, frame.payload_len())?;
        let good =
            frame.sequence >= self.sequence && payload.is_some_and(|bytes| frame.covers(bytes));
        Ok(if good { Ok(frame) } else { Err(frame.total_len()) })
    }

    /// The next offset behind `from` with a good frame.
    fn find_behind(&mut self, from: u64) -> io::Result<Option<u64>> {
        let start = self.seal.frame_start();
        let mut offset = from + ALIGN;
        while offset + FRAME_BYTES as u64 <= self.window.len {
            let some = (self.window.len - offset).min(CHUNK_BYTES);
            let Some(bytes) = self.window.get(offset, some)? else { return Ok(None) };
            let places = bytes.chunks_exact(start.len());
            let Some(place) = places.clone().position(|place| place == start) else {
                offset += (places.len() as u64 * ALIGN).max(ALIGN);
                continue;
            };
            offset += place as u64 * ALIGN;
            if self.at(offset)?.is_ok() {
                return Ok(Some(offset));
            }
            offset += ALIGN;
        }
        Ok(None)
    }
}

/// The bytes around the scan.
#[derive(Debug)]
struct Window {
    file: Arc<dyn File>,
    /// The length of the file.
    len: u64,
    /// Where in the file `bytes` start.
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// So many bytes from this offset on; `None` where the file is shorter.
    fn get(&mut self, offset: u64, count: u64) -> io::Result<Option<&[u8]>> {
        let Some(end) = offset.checked_add(count).filter(|end| *end <= self.len) else {
            return Ok(None);
        };
        if offset < self.start || end > self.start + self.bytes.len() as u64 {
            let load = count.max(CHUNK_BYTES).min(self.len - offset);
            let load = usize::try_from(load).unwrap_or(usize::MAX);
            self.bytes.resize(load, 0);
            let loaded = self.file.read_at(&mut self.bytes, offset)?;
            self.bytes.truncate(loaded);
            self.start = offset;
        }
        let from = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Ok(self.bytes.get(from..).and_then(|bytes| bytes.get(..count)))
    }
}
