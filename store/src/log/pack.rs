//! Bodies on their way into the log: compressed once, outside of every lock.

use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};

use zstd::bulk::Compressor;

use crate::error::{Error, Kind};
use crate::log::record::{BODY_BYTES_MAX, Coding};

/// Compressors that are kept; each holds about 0.3 MB at fast levels. More callers than that at
/// once make their own.
const KEPT_MAX: usize = 16;
/// Scratch that is larger than this is given back: few bodies are.
const SCRATCH_BYTES_MAX: usize = 4 << 20;
/// Bodies below this are stored as they are: framing costs what compression gains.
const COMPRESS_BYTES_MIN: usize = 64;

/// A body as the log stores it.
#[derive(Debug)]
pub struct Packed {
    pub(crate) bytes: Vec<u8>,
    pub(crate) coding: Coding,
    pub(crate) raw_len: u32,
}

impl Packed {
    /// Bytes that will be stored.
    #[must_use]
    pub fn stored_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Compresses bodies with contexts and buffers that are used again: making a context for each
/// body of 10 spans costs more than compressing it.
pub struct Packer {
    level: i32,
    kept: Mutex<Vec<Context>>,
}

struct Context {
    compressor: Compressor<'static>,
    scratch: Vec<u8>,
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packer").field("level", &self.level).finish_non_exhaustive()
    }
}

impl Packer {
    /// Compresses at this zstd level.
    #[must_use]
    pub fn new(level: i32) -> Self {
        Self { level, kept: Mutex::new(Vec::new()) }
    }

    /// Compresses a body, or keeps it as it is where that is no larger.
    ///
    /// # Errors
    /// `TooLarge` past [`BODY_BYTES_MAX`].
    pub fn pack(&self, body: &[u8]) -> Result<Packed, Error> {
        let raw_len = u32::try_from(body.len()).ok().filter(|_| body.len() <= BODY_BYTES_MAX);
        let raw_len = raw_len.ok_or_else(|| {
            let len = body.len();
            Error::new(Kind::TooLarge, format!("body of {len} bytes is over {BODY_BYTES_MAX}"))
        })?;
        if body.len() >= COMPRESS_BYTES_MIN {
            let fail = |fault| Error::io("compress a body for the wal", fault);
            let mut context = self.take().map_err(fail)?;
            let bytes = context.compress(body).map_err(fail);
            self.put(context);
            let bytes = bytes?;
            if bytes.len() < body.len() {
                return Ok(Packed { bytes, coding: Coding::Zstd, raw_len });
            }
        }
        Ok(Packed { bytes: body.to_vec(), coding: Coding::Raw, raw_len })
    }

    fn take(&self) -> io::Result<Context> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.map_or_else(
            || Ok(Context { compressor: Compressor::new(self.level)?, scratch: Vec::new() }),
            Ok,
        )
    }

    fn put(&self, context: Context) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX {
            kept.push(context);
        }
    }
}

impl Context {
    /// Compresses into the scratch, whose pages are warm, and copies out what came.
    fn compress(&mut self, body: &[u8]) -> io::Result<Vec<u8>> {
        self.scratch.clear();
        self.scratch.reserve(zstd::zstd_safe::compress_bound(body.len()));
        self.compressor.compress_to_buffer(body, &mut self.scratch)?;
        let bytes = self.scratch.clone();
        if self.scratch.capacity() > SCRATCH_BYTES_MAX {
            self.scratch = Vec::new();
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_compressed_where_that_helps() {
        let packer = Packer::new(-3);
        let text = b"http.request.method GET ".repeat(100);
        let packed = packer.pack(&text).unwrap();
        assert_eq!(packed.coding, Coding::Zstd);
        assert!(packed.stored_len() < text.len() / 5, "{}", packed.stored_len());
        let random: Vec<u8> = (0..1000u64)
            .flat_map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 13).to_le_bytes()[..3].to_vec())
            .collect();
        let packed = packer.pack(&random).unwrap();
        assert_eq!((packed.coding, packed.bytes), (Coding::Raw, random));
        assert_eq!(packer.pack(b"").unwrap().coding, Coding::Raw);
    }

    #[test]
    fn a_body_over_the_limit_is_refused() {
        let error = Packer::new(1).pack(&vec![0; BODY_BYTES_MAX + 1]).unwrap_err();
        assert_eq!(error.kind(), Kind::TooLarge);
    }
}
