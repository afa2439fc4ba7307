//! Reads the log at the start: every record in order, from a thread that runs ahead.
//!
//! Nothing is changed on the disk while records are handed out; [`Replay::finish`] then ends the
//! last segment where its records end, sets damaged files aside (`salvage`), and hands over to
//! [`crate::log::LocalWal::start`]. A crash at any point leaves a log that replays the same.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use tracing::{info, warn};

use crate::disk::Disk;
use crate::disk::data_dir::DataDir;
use crate::error::{Error, Kind};
use crate::log::config::Config;
use crate::log::record::{Record, Seal, Unpacker};
use crate::log::salvage;
use crate::log::scan::{Found, Scan};
use crate::log::segment::{self, HEADER_BYTES, Header, Name};
use crate::log::shared::Spare;
use crate::log::stats::Stats;

/// Bodies that are handed over at once; twice this may wait.
const BATCH_BYTES: usize = 4 << 20;
const BATCHES_MAX: usize = 2;
/// The smallest segment that a small disk leads to.
const SEGMENT_BYTES_MIN: u64 = 1 << 20;

/// The records of the log, oldest first. Blocking: read it on a thread that may wait.
#[derive(Debug)]
pub struct Replay {
    log: Replayed,
    batches: Receiver<Vec<Result<Record, Error>>>,
    batch: std::vec::IntoIter<Result<Record, Error>>,
    reader: JoinHandle<Result<Vec<Scanned>, Error>>,
    refused: Option<Error>,
    done: bool,
}

/// A log that was replayed to its end and may be written to.
#[derive(Debug)]
pub struct Replayed {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) writer: u64,
    pub(crate) config: Config,
    pub(crate) stats: Arc<Stats>,
    pub(crate) files: BTreeMap<u64, u64>,
    pub(crate) spares: Vec<Spare>,
    pub(crate) next_number: u64,
    pub(crate) segment_len: u64,
    /// While true the log takes no new space but for the segment that lets one be finished.
    pub(crate) saves_space: Arc<AtomicBool>,
}

/// What was found in a segment.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    pub(crate) number: u64,
    pub(crate) len: u64,
    pub(crate) records: u64,
    /// Stretches of good records as (start, end), ascending.
    pub(crate) good: Vec<(u64, u64)>,
    /// Whether anything in it is not what was written, a torn tail aside.
    pub(crate) damaged: bool,
    /// Whether it has the mark of the end.
    pub(crate) ended: bool,
    /// Bytes of a record that was begun at the end of the last good stretch.
    pub(crate) begun: u64,
}

impl Scanned {
    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0 && !self.damaged && self.begun == 0
    }

    /// Where good records end.
    pub(crate) fn end(&self) -> u64 {
        self.good.last().map_or(HEADER_BYTES, |(_, end)| *end)
    }
}

impl Replay {
    /// Opens the log of a data directory, made if it is not there, and starts reading. Segments
    /// below `sealed` hold nothing that is not elsewhere: they are removed unread.
    ///
    /// # Errors
    /// `Io` when the disk fails.
    pub fn start(
        data: &DataDir,
        config: &Config,
        stats: Arc<Stats>,
        sealed: u64,
    ) -> Result<Self, Error> {
        let disk = Arc::clone(data.disk());
        let dir = data.path().join("wal");
        let fail = |fault| Error::io(format!("open the wal in {}", dir.display()), fault);
        disk.create_dir(&dir).map_err(fail)?;
        let files = list(&*disk, &dir, sealed).map_err(fail)?;
        let free = disk.free_bytes(&dir).map_err(fail)?;
        stats.replay_bytes_total.set(files.values().sum());
        let log = Replayed {
            dir: dir.clone(),
            writer: data.writer(),
            config: config.clone(),
            stats,
            next_number: files.last_key_value().map_or(1, |(number, _)| number + 1).max(sealed),
            files,
            spares: Vec::new(),
            segment_len: segment_len(config.segment_bytes.0, free),
            saves_space: Arc::default(),
            disk,
        };
        let (sender, batches) = sync_channel(BATCHES_MAX);
        let reader = Reader {
            disk: Arc::clone(&log.disk),
            dir,
            writer: log.writer,
            stats: Arc::clone(&log.stats),
            sender,
            batch: Vec::new(),
            batch_bytes: 0,
            unpacker: Unpacker::default(),
        };
        let files = log.files.clone();
        let reader = thread::Builder::new()
            .name("wal-replay".to_owned())
            .spawn(move || reader.run(&files))
            .map_err(|fault| Error::io("start thread wal-replay", fault))?;
        let batch = Vec::new().into_iter();
        Ok(Self { log, batches, batch, reader, refused: None, done: false })
    }

    /// Makes the log ready to be written to. Every record must have been taken.
    ///
    /// # Errors
    /// `Refused` when a record was a newer version's, `Io` when the disk failed, `Fatal` when
    /// records are left.
    pub fn finish(self) -> Result<Replayed, Error> {
        if !self.done {
            return Err(Error::new(Kind::Fatal, "the wal was not replayed to its end"));
        }
        let panicked = |_| Error::new(Kind::Fatal, "the thread that replays the wal panicked");
        let scanned = self.reader.join().map_err(panicked)??;
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        let mut log = self.log;
        salvage::finish(&mut log, scanned)?;
        let records = log.stats.replay_records.get();
        info!(records, segments = log.files.len(), "replayed the wal");
        Ok(log)
    }
}

impl Iterator for Replay {
    type Item = Result<Record, Error>;

    /// The next record, or why it cannot be had: `Refused` for one that a newer version wrote,
    /// `Io` when the disk cannot read, which ends the replay. Damage is skipped and counted.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.batch.next() {
                if let Err(error) = &record {
                    let again = Error::new(error.kind(), error.to_string());
                    self.refused.get_or_insert(again);
                }
                return Some(record);
            }
            match self.batches.recv() {
                Ok(batch) => self.batch = batch.into_iter(),
                Err(_) => {
                    self.done = true;
                    return None;
                }
            }
        }
    }
}

/// The segments in the directory with their lengths; what was never finished is removed, and what
/// is sealed.
fn list(disk: &dyn Disk, dir: &Path, sealed: u64) -> io::Result<BTreeMap<u64, u64>> {
    let mut files = BTreeMap::new();
    let mut changed = false;
    for name in disk.list(dir)? {
        match segment::read_name(&name) {
            Name::Segment(number) if number < sealed => {
                disk.remove(&dir.join(&name))?;
                changed = true;
            }
            Name::Segment(number) => {
                files.insert(number, disk.open(&dir.join(&name))?.len()?);
            }
            Name::Unfinished => {
                disk.remove(&dir.join(&name))?;
                changed = true;
            }
            Name::Foreign => warn!(name, "not a wal segment, left alone"),
        }
    }
    if changed {
        disk.sync_dir(dir)?;
    }
    Ok(files)
}

/// Smaller segments than asked for where the disk is small.
fn segment_len(asked: u64, free: u64) -> u64 {
    let most = (free / 16).max(SEGMENT_BYTES_MIN);
    if asked > most {
        info!(bytes = most, "wal segments are smaller than configured: little space is free");
    }
    asked.min(most).next_multiple_of(HEADER_BYTES)
}

/// Runs ahead on a thread of its own: reads, checks and decompresses.
struct Reader {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    writer: u64,
    stats: Arc<Stats>,
    sender: SyncSender<Vec<Result<Record, Error>>>,
    batch: Vec<Result<Record, Error>>,
    batch_bytes: usize,
    unpacker: Unpacker,
}

/// Nobody takes the records any more.
struct Unwanted;

impl Reader {
    fn run(mut self, files: &BTreeMap<u64, u64>) -> Result<Vec<Scanned>, Error> {
        let mut scanned = Vec::new();
        let mut done = 0;
        for (number, len) in files {
            match self.read(*number, *len, done) {
                Ok(Ok(found)) => scanned.push(found),
                Ok(Err(Unwanted)) => return Ok(scanned),
                Err(error) => {
                    let again = Error::new(error.kind(), error.to_string());
                    let told = self.send(Err(error)).and_then(|()| self.flush());
                    return told.map_or_else(|Unwanted| Ok(scanned), |()| Err(again));
                }
            }
            done += len;
            self.stats.replay_bytes.set(done);
        }
        // A failure to hand over means that the replay was dropped.
        Ok(self.flush().map_or_else(|Unwanted| Vec::new(), |()| scanned))
    }

    /// Reads one segment.
    fn read(
        &mut self,
        number: u64,
        len: u64,
        done: u64,
    ) -> Result<Result<Scanned, Unwanted>, Error> {
        let path = segment::path(&self.dir, number);
        let fail = |fault| Error::io(format!("read {}", path.display()), fault);
        let file = self.disk.open(&path).map_err(fail)?;
        let mut header = vec![0; usize::try_from(HEADER_BYTES.min(len)).unwrap_or(0)];
        file.read_at(&mut header, 0).map_err(fail)?;
        let mut found = Scanned { number, len, ..Scanned::default() };
        let seal = match segment::decode_header(&header) {
            Header::Ours(seal) if seal.segment == number => seal,
            Header::Newer(version) => {
                let path = path.display();
                let message = format!("{path} was written by a newer version: format {version}");
                return Err(Error::new(Kind::Refused, message));
            }
            Header::Ours(_) | Header::None => {
                self.note_damage(number, 0, HEADER_BYTES);
                found.damaged = true;
                Seal { writer: self.writer, segment: number }
            }
        };
        let mut scan = Scan::new(file, len, seal);
        loop {
            match scan.next().map_err(fail)? {
                Found::Record { frame, offset } => {
                    let payload = scan.payload(&frame, offset).map_err(fail)?;
                    let record = frame.open(payload, number, &mut self.unpacker);
                    let end = scan.offset();
                    if matches!(&record, Err(error) if error.kind() == Kind::Corrupt) {
                        self.note_damage(number, offset, end);
                        found.damaged = true;
                        continue;
                    }
                    found.records += 1;
                    match found.good.last_mut() {
                        Some((_, last)) if *last == offset => *last = end,
                        _ => found.good.push((offset, end)),
                    }
                    self.stats.replay_bytes.set(done + end);
                    if self.send(record).is_err() {
                        return Ok(Err(Unwanted));
                    }
                }
                Found::Damage { from, to } => {
                    self.note_damage(number, from, to);
                    found.damaged = true;
                }
                Found::End => {
                    found.ended = true;
                    return Ok(Ok(found));
                }
                Found::Tail { begun, .. } => {
                    found.begun = begun;
                    return Ok(Ok(found));
                }
            }
        }
    }

    fn note_damage(&self, segment: u64, from: u64, to: u64) {
        warn!(segment, from, to, "damaged bytes in the wal, skipped");
        self.stats.replay_corrupt.inc();
        self.stats.replay_corrupt_bytes.add(to - from);
    }

    fn send(&mut self, record: Result<Record, Error>) -> Result<(), Unwanted> {
        if let Ok(record) = &record {
            self.batch_bytes += record.body.len();
            self.stats.replay_records.inc();
        }
        self.batch.push(record);
        if self.batch_bytes >= BATCH_BYTES || self.batch.len() >= 1024 {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<(), Unwanted> {
        self.batch_bytes = 0;
        self.sender.send(std::mem::take(&mut self.batch)).map_err(|_| Unwanted)
    }
}
