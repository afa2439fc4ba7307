//! JSON that may turn out too long: it is counted to the end of one bound, and kept up to another.

use std::io::{Error, ErrorKind, Write};

use serde::Serialize;

use crate::api::error::Fault;

/// Writes JSON: how long it is, as far as it is counted, and all of it where that is within `keep`.
///
/// # Errors
/// When it cannot be written, which nothing of ours does.
pub(super) fn json(
    value: &impl Serialize,
    keep: usize,
    count: usize,
) -> Result<(usize, Option<Vec<u8>>), Fault> {
    let mut bounded = Bounded { kept: Vec::new(), keep, written: 0, count };
    let written = serde_json::to_writer(&mut bounded, value);
    let Bounded { kept, written: bytes, .. } = bounded;
    match written {
        Ok(()) => Ok((bytes, (bytes <= keep).then_some(kept))),
        Err(_) if bytes > count => Ok((bytes, None)),
        Err(fault) => Err(Fault::internal(fault.to_string())),
    }
}

struct Bounded {
    kept: Vec<u8>,
    keep: usize,
    written: usize,
    count: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.written = self.written.saturating_add(bytes.len());
        if self.written > self.count {
            return Err(Error::new(ErrorKind::FileTooLarge, "too long"));
        }
        if self.written <= self.keep {
            self.kept.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
