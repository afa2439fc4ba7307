//! A block of a bucket, read in chunks that are looked for in memory, then on disk, then asked of the
//! bucket: all that are missing at a time, those that are near each other in one request.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use model::Nanos;
use store::disk::{Content, File};

use crate::Shared;
use crate::tier::{Key, Loaded, Stay, Tier};

/// What is kept, and looked for, at a time: the disk rounds each up to pages of 4 KiB, and a request
/// costs more than reading so much.
pub(crate) const CHUNK_BYTES: u64 = 64 << 10;
/// So many chunks between two that are missing are better read along: a request costs as much as
/// reading 64 to 128 KiB, where S3 takes 20 ms to the first byte and then some 80 MB/s.
const GAP_CHUNKS: u32 = 1;
/// Pages of one trace stand in every column of a row group. Within so many chunks (8 MiB) they are read
/// in one request, with what is in between.
const PAGES_CHUNKS: u32 = 128;
/// No request is for more: 8 MiB.
const RUN_CHUNKS: u32 = 128;
/// Chunks that were fetched and not read yet, as far as they are counted.
const FRESH_MAX: usize = 4 << 10;

/// A block.
#[derive(Debug)]
pub(crate) struct Cached {
    inner: Arc<dyn File>,
    shared: Arc<Shared>,
    /// Who wrote it, and its number.
    block: (u64, u64),
    len: u64,
    /// When it was written.
    at: Nanos,
    /// Chunks that were asked of the bucket ahead: reading them is not told as a hit.
    fresh: Mutex<HashSet<u32>>,
}

/// Chunks by number.
type Chunks = BTreeMap<u32, Bytes>;

impl Cached {
    pub(crate) fn new(
        inner: Arc<dyn File>,
        shared: Arc<Shared>,
        block: (u64, u64),
        (len, at): (u64, Nanos),
    ) -> Self {
        Self { inner, shared, block, len, at, fresh: Mutex::default() }
    }

    fn key(&self, chunk: u32) -> Key {
        let (writer, number) = self.block;
        Key { writer, number, chunk }
    }

    /// The chunks that have these bytes, as far as the file goes.
    fn chunks_of(&self, range: &Range<u64>) -> Range<u32> {
        let end = range.end.min(self.len).div_ceil(CHUNK_BYTES);
        let number = |at: u64| u32::try_from(at).unwrap_or(u32::MAX);
        let end = number(end);
        number(range.start / CHUNK_BYTES).min(end)..end
    }

    /// Where a chunk stands.
    fn place(&self, chunk: u32) -> Range<u64> {
        let begin = u64::from(chunk) * CHUNK_BYTES;
        begin..(begin + CHUNK_BYTES).min(self.len)
    }

    fn fresh(&self) -> MutexGuard<'_, HashSet<u32>> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds chunks, or has them fetched; what is fetched before `certain` is kept as pages are.
    fn find(&self, content: Content, wanted: &[u32], certain: u32) -> io::Result<Chunks> {
        let (mut found, mut missing) = (Chunks::new(), Vec::new());
        for chunk in wanted {
            match self.shared.get_as(content, &self.key(*chunk)) {
                Some(bytes) => drop(found.insert(*chunk, bytes)),
                None => missing.push(*chunk),
            }
        }
        let in_memory = found.len();
        for tier in [self.shared.tier(content), self.shared.other_tier(content)] {
            if !missing.is_empty() {
                self.load(content, tier, &mut missing, &mut found);
            }
        }
        if let Some(counts) = self.shared.stats.of(content) {
            let mut fresh = self.fresh();
            let hit = |chunk: &&u32| !fresh.contains(chunk);
            let bytes = found.iter().filter(|(chunk, _)| hit(chunk)).map(|(_, bytes)| bytes.len());
            counts.hit_bytes.add(bytes.sum::<usize>() as u64);
            let ours = found.keys().filter(|chunk| fresh.contains(chunk)).count();
            counts.memory_hits.add(in_memory.saturating_sub(ours) as u64);
            counts.disk_hits.add((found.len() - in_memory) as u64);
            if content == Content::Columns {
                let hits = found.iter().filter(|(chunk, _)| !fresh.contains(chunk));
                hits.for_each(|(chunk, bytes)| self.shared.touch(self.key(*chunk), bytes, self.at));
            }
            fresh.retain(|chunk| !found.contains_key(chunk));
        }
        while !missing.is_empty() {
            missing = self.fetch((content, certain), &missing, &mut found)?;
        }
        Ok(found)
    }

    /// Whether memory has a chunk, or the disk: then memory has it afterwards.
    fn is_near(&self, chunk: u32) -> bool {
        let key = self.key(chunk);
        self.shared.get(&key).is_some() || {
            let tier = self.shared.tier(Content::Directory);
            matches!(tier.load(&[key], Stay::Long).as_slice(), [Loaded::Found(_)])
        }
    }

    /// Takes what the disk has; what it has not stays missing.
    fn load(&self, content: Content, tier: &Tier, missing: &mut Vec<u32>, found: &mut Chunks) {
        let keys: Vec<Key> = missing.iter().map(|chunk| self.key(*chunk)).collect();
        let loaded = tier.load(&keys, stay(content));
        for (chunk, loaded) in std::mem::take(missing).into_iter().zip(loaded) {
            let expected = self.place(chunk);
            match loaded {
                // Of an object by this name there is one, and it is never changed.
                Loaded::Found(bytes) if bytes.len() as u64 == expected.end - expected.start => {
                    found.insert(chunk, bytes);
                }
                Loaded::Absent => missing.push(chunk),
                _ => {
                    self.shared.stats.lost.inc();
                    missing.push(chunk);
                }
            }
        }
    }

    /// Fetches what nobody else does, waits for the rest; what others could not fetch is left.
    fn fetch(
        &self,
        (content, certain): (Content, u32),
        missing: &[u32],
        found: &mut Chunks,
    ) -> io::Result<Vec<u32>> {
        let keys: Vec<Key> = missing.iter().map(|chunk| self.key(*chunk)).collect();
        let mut claim = self.shared.flights.claim(&keys);
        let mut own = Vec::new();
        for key in claim.own.clone() {
            // It may have come between the look and the claim.
            match self.shared.get(&key) {
                Some(bytes) => {
                    found.insert(key.chunk, bytes.clone());
                    claim.land(&key, bytes);
                }
                None => own.push(key.chunk),
            }
        }
        if let Some(counts) = self.shared.stats.of(content) {
            counts.misses.add(own.len() as u64);
        }
        let runs = runs(&own, content == Content::Pages);
        let ranges: Vec<_> = runs
            .iter()
            .map(|run| self.place(run.start).start..self.place(run.end.saturating_sub(1)).end)
            .collect();
        let fetched =
            if ranges.is_empty() { Vec::new() } else { self.inner.read_ranges(&ranges)? };
        for ((run, range), bytes) in runs.iter().zip(&ranges).zip(fetched) {
            for chunk in own.iter().copied().filter(|chunk| run.contains(chunk)) {
                let place = self.place(chunk);
                let part = |at: u64| usize::try_from(at - range.start).unwrap_or(usize::MAX);
                // Nothing where the object is shorter than it should be: whoever reads says so.
                let part = part(place.start)..part(place.end).min(bytes.len());
                // Copied: a slice would keep all that came with it.
                let bytes = Bytes::copy_from_slice(bytes.get(part).unwrap_or_default());
                if bytes.len() as u64 == place.end - place.start {
                    let content = if chunk < certain { Content::Pages } else { content };
                    self.shared.keep(content, self.key(chunk), &bytes, self.at);
                    claim.land(&self.key(chunk), bytes.clone());
                }
                found.insert(chunk, bytes);
            }
        }
        let others = std::mem::take(&mut claim.others);
        // Whoever waits for ours need not wait for these.
        drop(claim);
        let waited = others.into_iter().filter_map(|(key, flight)| match flight.wait() {
            Some(bytes) => {
                found.insert(key.chunk, bytes);
                None
            }
            None => Some(key.chunk),
        });
        Ok(waited.collect())
    }
}

/// How long bytes are to be kept in memory.
pub(crate) const fn stay(content: Content) -> Stay {
    if matches!(content, Content::Columns | Content::Once) { Stay::Short } else { Stay::Long }
}

/// What is asked for at a time, of chunks that are missing, ascending.
fn runs(missing: &[u32], is_trace: bool) -> Vec<Range<u32>> {
    let span = missing.first().zip(missing.last()).map_or(0, |(first, last)| last - first + 1);
    let is_whole = is_trace && span <= PAGES_CHUNKS;
    let mut runs: Vec<Range<u32>> = Vec::new();
    for chunk in missing.iter().copied() {
        match runs.last_mut() {
            Some(run)
                if (is_whole || chunk - run.end <= GAP_CHUNKS)
                    && chunk - run.start < RUN_CHUNKS =>
            {
                run.end = chunk + 1;
            }
            _ => runs.push(chunk..chunk + 1),
        }
    }
    runs
}

impl File for Cached {
    fn len(&self) -> io::Result<u64> {
        Ok(self.len)
    }

    /// Past the cache: nobody says what it is.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, offset)
    }

    fn read_as(&self, content: Content, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if content == Content::Once {
            return self.inner.read_at(buffer, offset);
        }
        let range = offset..offset.saturating_add(buffer.len() as u64);
        let chunks: Vec<u32> = self.chunks_of(&range).collect();
        let mut filled = 0;
        for (chunk, bytes) in self.find(content, &chunks, 0)? {
            let begin = self.place(chunk).start;
            let skip = usize::try_from(range.start.saturating_sub(begin)).unwrap_or(usize::MAX);
            let bytes = bytes.get(skip..).unwrap_or_default();
            let rest = buffer.get_mut(filled..).unwrap_or_default();
            let len = bytes.len().min(rest.len());
            for (to, from) in rest.iter_mut().zip(bytes) {
                *to = *from;
            }
            filled += len;
        }
        Ok(filled)
    }

    fn read_ranges(&self, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
        self.inner.read_ranges(ranges)
    }

    fn prefetch(&self, content: Content, ranges: &[Range<u64>]) {
        if content == Content::Once {
            return;
        }
        let mut chunks: Vec<u32> = ranges.iter().flat_map(|range| self.chunks_of(range)).collect();
        chunks.sort_unstable();
        chunks.dedup();
        let mut certain = 0;
        if content == Content::Directory {
            // What stands before a directory is read with it on the chance that it is needed: not where
            // the directory is near already.
            if chunks.last().is_some_and(|last| self.is_near(*last)) {
                return;
            }
            certain = ranges.last().map_or(0, |range| self.chunks_of(range).start);
        }
        chunks.retain(|chunk| self.shared.get(&self.key(*chunk)).is_none());
        if chunks.is_empty() {
            return;
        }
        // What cannot be had is asked for again when it is read, and told then.
        if let Ok(found) = self.find(content, &chunks, certain) {
            let mut fresh = self.fresh();
            if fresh.len() + found.len() > FRESH_MAX {
                fresh.clear();
            }
            fresh.extend(found.keys());
        }
    }

    fn prefetch_bytes_max(&self) -> u64 {
        self.shared.prefetch_bytes_max
    }

    /// Chunks that are missing are put together here.
    fn gap_bytes(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_together_is_asked_for_together() {
        assert_eq!(runs(&[1, 2, 4, 7, 8], false), [1..5, 7..9]);
        assert_eq!(runs(&[1, 2, 4, 7, 100], true), vec![1..101; 1]);
        assert_eq!(runs(&[1, 2, 4, 7, 200], true), [1..5, 7..8, 200..201]);
        assert_eq!(runs(&(0..300).collect::<Vec<_>>(), false), [0..128, 128..256, 256..300]);
        assert!(runs(&[], true).is_empty());
    }
}
