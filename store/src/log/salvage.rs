//! Makes the log whole after replay: ends its last segment, sets damaged files aside.
//!
//! A damaged segment is copied to `quarantine/` as it is, and then replaced by a file of its good
//! records. That is one rename within the directory of the log: at each moment exactly one of the
//! two is replayed, and the evidence is durable before the damaged file goes.

use std::io;
use std::path::{Path, PathBuf};

use tracing::{error, warn};

use crate::disk::{Disk, File, is_full, parent};
use crate::error::Error;
use crate::log::record::{FRAME_BYTES, Seal};
use crate::log::replay::{Replayed, Scanned};
use crate::log::segment::{self, HEADER_BYTES, encode_header, write_end};
use crate::log::shared::Spare;

/// Bytes that are copied at once.
const COPY_BYTES: u64 = 1 << 20;

/// Settles every segment that was read, in order.
///
/// # Errors
/// `Io` when the disk fails; a full disk leaves damaged files where they are.
pub(crate) fn finish(log: &mut Replayed, scanned: Vec<Scanned>) -> Result<(), Error> {
    let last = scanned.iter().rposition(|found| !found.is_empty());
    for (at, found) in scanned.into_iter().enumerate() {
        let number = found.number;
        let fail = |fault| {
            let path = segment::path(&log.dir, number);
            Error::io(format!("settle {}", path.display()), fault)
        };
        let unfinished = !found.ended && Some(at) != last && !found.is_empty();
        if found.is_empty() {
            log.files.remove(&number);
            log.spares.push(Spare { number, len: found.len });
        } else if found.damaged || unfinished {
            if !found.damaged {
                warn!(segment = number, "the end of a wal segment is missing");
                log.stats.replay_corrupt.inc();
            }
            let len = set_aside(log, &found).map_err(fail)?;
            log.files.insert(number, len);
        } else if !found.ended {
            let len = end(log, &found).map_err(fail)?;
            log.files.insert(number, len);
        } else if Some(at) == last {
            // Whoever ended it may have been killed before its sync, and what is seen now must stay.
            let file = log.disk.open(&segment::path(&log.dir, number)).map_err(fail)?;
            file.sync().map_err(fail)?;
        }
    }
    Ok(())
}

/// Ends the last segment behind its last good record.
fn end(log: &Replayed, found: &Scanned) -> io::Result<u64> {
    if found.begun > 0 {
        let (segment, bytes) = (found.number, found.begun);
        warn!(segment, bytes, "cut a record that was begun and not finished off the wal");
        log.stats.replay_cut_bytes.add(found.begun);
    }
    let len = found.end() + FRAME_BYTES as u64;
    let file = log.disk.open(&segment::path(&log.dir, found.number))?;
    // The header's seal: a directory that was copied keeps its writer's id, and its own otherwise.
    let seal = seal_of(&*file, log.writer, found.number)?;
    write_end(&*file, seal, found.records, found.end())?;
    file.set_len(len)?;
    file.sync()?;
    Ok(len)
}

/// Sets a damaged file aside, its good records staying in the log. The length of what stays.
fn set_aside(log: &Replayed, found: &Scanned) -> io::Result<u64> {
    let (disk, number) = (&*log.disk, found.number);
    let damaged = segment::path(&log.dir, number);
    let salvage = segment::salvage_path(&log.dir, number);
    let copied = keep_evidence(disk, &log.dir, found)
        .and_then(|aside| Ok((aside, copy_good(log, found, &damaged, &salvage)?)));
    let (aside, len) = match copied {
        Err(fault) if is_full(&fault) => {
            warn!(segment = number, "no space to set a damaged wal segment aside, left in place");
            segment::remove_if_there(disk, &salvage)?;
            return Ok(found.len);
        }
        copied => copied?,
    };
    disk.rename(&salvage, &damaged)?;
    disk.sync_dir(&log.dir)?;
    error!(segment = number, records = found.records, file = %aside.display(),
        "set a damaged wal segment aside, its readable records are kept");
    log.stats.replay_quarantined.inc();
    Ok(len)
}

/// Copies the damaged file into the quarantine, which is made if needed; where it is there.
fn keep_evidence(disk: &dyn Disk, wal: &Path, found: &Scanned) -> io::Result<PathBuf> {
    let dir = parent(wal).join("quarantine");
    disk.create_dir(&dir)?;
    let fresh = dir.join("copy.tmp");
    segment::remove_if_there(disk, &fresh)?;
    let names = disk.list(&dir)?;
    let name = |again| format!("wal-{:020}.{again}.damaged", found.number);
    let name = (0..=names.len()).map(name).find(|name| !names.contains(name)).unwrap_or_default();
    let made = disk.create_new(&fresh).and_then(|copy| {
        let source = disk.open(&segment::path(wal, found.number))?;
        copy.allocate(found.len)?;
        copy_bytes(&*source, (0, found.len), &*copy, 0)?;
        copy.sync()
    });
    if let Err(fault) = made {
        segment::remove_if_there(disk, &fresh)?;
        return Err(fault);
    }
    disk.rename(&fresh, &dir.join(&name))?;
    disk.sync_dir(&dir)?;
    Ok(dir.join(name))
}

/// Writes a segment of the good records alone.
fn copy_good(log: &Replayed, found: &Scanned, from: &Path, to: &Path) -> io::Result<u64> {
    let source = log.disk.open(from)?;
    let seal = seal_of(&*source, log.writer, found.number)?;
    segment::remove_if_there(&*log.disk, to)?;
    let copy = log.disk.create_new(to)?;
    let good: u64 = found.good.iter().map(|(start, end)| end - start).sum();
    let len = HEADER_BYTES + good + FRAME_BYTES as u64;
    copy.allocate(len)?;
    copy.write_at(&encode_header(seal), 0)?;
    let mut at = HEADER_BYTES;
    for (start, end) in &found.good {
        copy_bytes(&*source, (*start, *end), &*copy, at)?;
        at += end - start;
    }
    write_end(&*copy, seal, found.records, at)?;
    copy.sync()?;
    Ok(len)
}

/// Copies the bytes from `start` to `end` to the other file, at `at`.
fn copy_bytes(
    from: &dyn File,
    (start, end): (u64, u64),
    to: &dyn File,
    mut at: u64,
) -> io::Result<()> {
    let mut buffer = Vec::new();
    let mut offset = start;
    while offset < end {
        let count = usize::try_from((end - offset).min(COPY_BYTES)).unwrap_or(usize::MAX);
        buffer.resize(count, 0);
        if from.read_at(&mut buffer, offset)? != count {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        to.write_at(&buffer, at)?;
        offset += count as u64;
        at += count as u64;
    }
    Ok(())
}

/// What the records of this file are checked with, as replay found it.
fn seal_of(file: &dyn File, writer: u64, segment: u64) -> io::Result<Seal> {
    let mut header = vec![0; usize::try_from(HEADER_BYTES).unwrap_or(0)];
    let count = file.read_at(&mut header, 0)?;
    header.truncate(count);
    Ok(match segment::decode_header(&header) {
        segment::Header::Ours(seal) if seal.segment == segment => seal,
        _ => Seal { writer, segment },
    })
}
