//! A catalog of blocks, and of other catalogs: written a partition at a time.

use std::collections::HashSet;
use std::iter::Peekable;
use std::sync::Arc;

use model::wire::take_varint;
use model::{Nanos, TenantId};
use tracing::warn;

use super::partition::{self, Record};
use super::{Of, catalog_name, partitions};
use crate::backend::{Backend, Upload};
use crate::block::reader::Reader;
use crate::block::section::hashes::{self as set, Hashes};
use crate::block::section::{Id, damaged, index};
use crate::disk::{Content, File};
use crate::error::{Error, Kind};
use crate::manifest::{BlockId, Catalog};

/// A partition is about as large: a request for it takes hardly longer than one for a byte.
const PARTITION_BYTES: u64 = 64 << 10;
/// Partitions of a kind are two to the power of this at most.
const SHARED_MAX: u32 = 10;
/// What a trace takes: ten and a half bits.
const TRACE_BYTES_TIMES_4: u64 = 5;
/// So much of what fresh blocks tell is held.
const FRESH_BYTES_MAX: usize = 64 << 20;
/// So much of another catalog is read at a time.
const READ_BYTES: u64 = 4 << 20;

/// What a new catalog is made of.
struct Input<'i> {
    fresh: Vec<Fresh>,
    others: Vec<(&'i Catalog, Arc<dyn File>)>,
    is_live: &'i HashSet<BlockId>,
}

/// A block that no catalog has.
struct Fresh {
    id: BlockId,
    /// The hashes of its traces, ascending.
    traces: Vec<u32>,
    /// The set of its texts: how many, of how many bits, and the set. Nothing where it tells none.
    texts: Option<(usize, u32, Vec<u8>)>,
}

impl Fresh {
    fn open(id: BlockId, reader: &Reader) -> Result<Self, Error> {
        let named = |error: Error| Error::new(error.kind(), format!("{}: {error}", reader.name()));
        let index = reader.section(Id::TraceIndex, 0)?;
        let index = index.ok_or_else(|| damaged(format!("{} has no index", reader.name())))?;
        let head = index::fanout_len(&index).map_err(named)?;
        let entries = index::entries(index.get(head..).unwrap_or_default());
        let mut traces: Vec<u32> = entries.map(|entry| entry.hash).collect();
        traces.sort_unstable();
        traces.dedup();
        let section = reader.section(Id::Texts, 0);
        let read = section.and_then(|section| section.map(|section| texts(&section)).transpose());
        let texts = match read {
            // Nothing else is read of it, so nothing else is wrong.
            Err(error) if error.kind() == Kind::Corrupt => {
                warn!(block = reader.name(), %error, "its texts are in no catalog");
                None
            }
            read => read?,
        };
        Ok(Self { id, traces, texts })
    }

    /// Bytes held, about.
    fn bytes(&self) -> usize {
        self.traces.len() * 4 + self.texts.as_ref().map_or(0, |(.., set)| set.len())
    }
}

/// What a block's section of texts has: how many, of how many bits, and the set.
fn texts(section: &[u8]) -> Result<(usize, u32, Vec<u8>), Error> {
    let fault = || damaged("the set of texts ends early or holds what cannot be");
    let mut rest = section;
    let count = take_varint(&mut rest).and_then(|count| usize::try_from(count).ok());
    let bits = take_varint(&mut rest).and_then(|bits| u32::try_from(bits).ok());
    let count = count.filter(|count| *count <= rest.len() * 8).ok_or_else(fault)?;
    let bits = bits.filter(|bits| (1..=set::HASH_BITS).contains(bits)).ok_or_else(fault)?;
    Ok((count, bits, rest.to_vec()))
}

/// Writes a catalog of blocks that none has, and of those of other catalogs that are in use. Durable
/// when it returns; the caller commits it, or removes it.
///
/// Fresh blocks that would take too much memory are left for the next time: some 64 MB are held, and a few
/// of each other catalog.
///
/// # Errors
/// `Corrupt` (names the block or the catalog), `Unavailable`, `Io`.
pub(crate) fn build(
    backend: &dyn Backend,
    tenant: &TenantId,
    id: BlockId,
    fresh: &[(BlockId, Arc<Reader>)],
    others: &[Arc<Catalog>],
    is_live: &HashSet<BlockId>,
) -> Result<Catalog, Error> {
    let (mut taken, mut bytes) = (Vec::new(), 0);
    for (id, reader) in fresh {
        let block = Fresh::open(*id, reader)?;
        bytes += block.bytes();
        taken.push(block);
        if bytes >= FRESH_BYTES_MAX {
            break;
        }
    }
    write(backend, (tenant, id), taken, others, is_live)
}

fn write(
    backend: &dyn Backend,
    (tenant, id): (&TenantId, BlockId),
    fresh: Vec<Fresh>,
    others: &[Arc<Catalog>],
    is_live: &HashSet<BlockId>,
) -> Result<Catalog, Error> {
    let open = |catalog: &Arc<Catalog>| {
        backend.open_known(&catalog_name(tenant, catalog.id), catalog.bytes(), Nanos(0))
    };
    let files = others.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let input = Input {
        fresh,
        others: others.iter().map(|catalog| &**catalog).zip(files).collect(),
        is_live,
    };
    let name = catalog_name(tenant, id);
    let mut upload = backend.begin(&name)?;
    let catalog = Catalog {
        id,
        blocks: input.blocks(),
        traces: input.write(Of::Traces, &mut *upload)?,
        texts: input.write(Of::Texts, &mut *upload)?,
    };
    if upload.finish()? {
        Ok(catalog)
    } else {
        Err(Error::new(Kind::Io, format!("{name} is there already")))
    }
}

/// The hashes of a fresh block that are left.
type Left<'f> = Peekable<Box<dyn Iterator<Item = Result<u32, Error>> + 'f>>;

impl Input<'_> {
    fn blocks(&self) -> Vec<BlockId> {
        let others = self.others.iter().flat_map(|(catalog, _)| &catalog.blocks).copied();
        let live = others.filter(|id| self.is_live.contains(id));
        live.chain(self.fresh.iter().map(|block| block.id)).collect()
    }

    /// How many bits the hashes of a partition share.
    fn shared(&self, of: Of) -> u32 {
        let fresh = self.fresh.iter().map(|block| match of {
            Of::Traces => block.traces.len() as u64 * TRACE_BYTES_TIMES_4 / 4,
            Of::Texts => block.texts.as_ref().map_or(0, |(.., set)| set.len() as u64),
        });
        let others = || self.others.iter().map(|(catalog, _)| catalog);
        let live = others().map(|catalog| {
            let (lengths, _) = partitions(catalog, of);
            let bytes: u64 = lengths.iter().map(|len| u64::from(*len)).sum();
            let live = catalog.blocks.iter().filter(|id| self.is_live.contains(id)).count() as u64;
            bytes / (catalog.blocks.len() as u64).max(1) * live
        });
        let bytes: u64 = fresh.chain(live).sum();
        let wanted = (bytes / PARTITION_BYTES).max(1).next_power_of_two().trailing_zeros();
        // In steps, as sets are copied as they are while the number stays.
        let wanted = wanted.next_multiple_of(2);
        // Partitions are divided and never put together again: it is of no use to anybody.
        let before = others().map(|catalog| shared_of(partitions(catalog, of).0)).max();
        wanted.min(SHARED_MAX).max(before.unwrap_or(0))
    }

    /// Writes the partitions of a kind; their lengths.
    fn write(&self, of: Of, upload: &mut dyn Upload) -> Result<Vec<u32>, Error> {
        let shared = self.shared(of);
        let mut others: Vec<Other<'_>> =
            self.others.iter().map(|(catalog, file)| Other::new(catalog, file, of)).collect();
        let mut fresh: Vec<Option<(Left<'_>, u32)>> =
            self.fresh.iter().map(|block| left(block, of)).collect();
        let mut lengths = Vec::with_capacity(1 << shared);
        let (mut out, mut hashes) = (Vec::new(), Vec::new());
        for number in 0..1u32 << shared {
            partition::begin(&mut out);
            for other in &mut others {
                other.copy((number, shared), self.is_live, &mut out)?;
            }
            for block in &mut fresh {
                let Some((left, known)) = block else {
                    partition::put_unknown(&mut out);
                    continue;
                };
                let is_in = |hash: &Result<u32, Error>| {
                    let of = |hash: &u32| u64::from(*hash) >> (set::HASH_BITS - shared);
                    hash.as_ref().map_or(true, |hash| of(hash) == u64::from(number))
                };
                hashes.clear();
                while let Some(hash) = left.next_if(is_in) {
                    hashes.push(hash?);
                }
                partition::put(&mut out, &hashes, (shared, *known));
            }
            partition::end(&mut out);
            upload.write_as(Content::Once, &out)?;
            lengths.push(model::column::count(out.len()));
        }
        Ok(lengths)
    }
}

/// The hashes of a fresh block in the full width, and how many bits are known of each; nothing where it
/// does not tell them.
fn left(block: &Fresh, of: Of) -> Option<(Left<'_>, u32)> {
    match of {
        Of::Traces => {
            let all: Box<dyn Iterator<Item = _>> = Box::new(block.traces.iter().copied().map(Ok));
            Some((all.peekable(), set::HASH_BITS))
        }
        Of::Texts => {
            let (count, bits, bytes) = block.texts.as_ref()?;
            let up = set::HASH_BITS - bits;
            let all =
                Hashes::new(bytes, *count, *bits).map(move |hash| hash.map(|hash| hash << up));
            let all: Box<dyn Iterator<Item = _>> = Box::new(all);
            Some((all.peekable(), *bits))
        }
    }
}

/// How many bits the hashes of a partition share, of so many partitions.
pub(super) fn shared_of(lengths: &[u32]) -> u32 {
    lengths.len().max(1).next_power_of_two().trailing_zeros()
}

/// Another catalog, read from its first partition to its last.
struct Other<'c> {
    catalog: &'c Catalog,
    file: &'c Arc<dyn File>,
    lengths: &'c [u32],
    shared: u32,
    /// Where the next partition stands that is not read yet.
    offset: u64,
    /// Partitions that are read: the first of them, and their bytes one after the other.
    first: usize,
    read: Vec<u8>,
}

impl<'c> Other<'c> {
    fn new(catalog: &'c Catalog, file: &'c Arc<dyn File>, of: Of) -> Self {
        let (lengths, offset) = partitions(catalog, of);
        let shared = shared_of(lengths);
        Self { catalog, file, lengths, shared, offset, first: 0, read: Vec::new() }
    }

    /// The bytes of a partition: this one, or one behind those before.
    fn partition(&mut self, at: usize) -> Result<&[u8], Error> {
        let len = |range: std::ops::Range<usize>| -> usize {
            let lengths = self.lengths.get(range).unwrap_or_default();
            lengths.iter().map(|len| *len as usize).sum()
        };
        let mut begin = len(self.first..at);
        let own = len(at..at + 1);
        if begin + own > self.read.len() {
            self.first = at;
            begin = 0;
            let mut bytes = 0;
            let rest = self.lengths.get(at..).unwrap_or_default().iter();
            let fitting = rest.take_while(|len| {
                let is_first = bytes == 0;
                bytes += u64::from(**len);
                is_first || bytes <= READ_BYTES
            });
            self.read.resize(fitting.map(|len| *len as usize).sum(), 0);
            let fail = |fault| Error::io(format!("read catalog {}", self.catalog.id), fault);
            let read = self.file.read_as(Content::Once, &mut self.read, self.offset);
            if read.map_err(fail)? < self.read.len() {
                return Err(damaged(format!("catalog {} ends early", self.catalog.id)));
            }
            self.offset += self.read.len() as u64;
        }
        Ok(self.read.get(begin..begin + own).unwrap_or_default())
    }

    /// Adds what its blocks in use have in a partition of so many shared bits, which are its own or more.
    fn copy(
        &mut self,
        (number, shared): (u32, u32),
        is_live: &HashSet<BlockId>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let (catalog, own) = (self.catalog, self.shared);
        let at = number >> (shared - own);
        let bytes = self.partition(at as usize)?;
        let mut hashes = Vec::new();
        let copied = partition::read(bytes, catalog.blocks.len(), |block, Record { set, raw }| {
            if catalog.blocks.get(block).is_none_or(|id| !is_live.contains(id)) {
                return Ok(());
            }
            let Some(set) = set.filter(|_| shared > own) else {
                out.extend_from_slice(raw);
                return Ok(());
            };
            let known = own + set.bits;
            hashes.clear();
            for hash in set.full(at, own) {
                let hash = hash?;
                if u64::from(hash) >> (set::HASH_BITS - shared) == u64::from(number) {
                    hashes.push(hash);
                }
            }
            partition::put(out, &hashes, (shared, known));
            Ok(())
        });
        copied.map_err(|error| Error::new(error.kind(), format!("catalog {}: {error}", catalog.id)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::backend::Local;
    use crate::block::section::hashes::{high, mixed};
    use crate::disk::RealDisk;
    use crate::shelf::Readers;
    use crate::shelf::catalog::Asked;

    fn id(number: u64) -> BlockId {
        BlockId { writer: 1, number }
    }

    fn hash(seed: u64) -> u32 {
        high(mixed(seed))
    }

    /// A block of so many traces and texts, or of texts that are not told.
    fn block(number: u64, (traces, told): (u64, Option<u64>)) -> Fresh {
        let ascending = |of: u64, count: u64| {
            let hashes = (0..count).map(|at| hash(of << 60 | number << 32 | at));
            let mut hashes: Vec<u32> = hashes.collect();
            hashes.sort_unstable();
            hashes.dedup();
            hashes
        };
        let texts = told.map(|count| {
            let mut hashes = ascending(2, count);
            let bits = set::bits_for(hashes.len());
            hashes.iter_mut().for_each(|hash| *hash >>= set::HASH_BITS - bits);
            hashes.dedup();
            let mut bytes = Vec::new();
            set::encode(&hashes, bits, &mut bytes);
            (hashes.len(), bits, bytes)
        });
        Fresh { id: id(number), traces: ascending(1, traces), texts }
    }

    fn sizes() -> impl Strategy<Value = Vec<(u64, Option<u64>)>> {
        let texts = prop_oneof![4 => (0u64..3_000).prop_map(Some), 1 => Just(None)];
        prop::collection::vec((0u64..600, texts), 1..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
        #[test]
        fn what_a_block_has_is_never_missed_and_hardly_anything_else_is_found(
            rounds in prop::collection::vec(sizes(), 1..4),
            gone in prop::collection::vec(0u64..40, 0..6),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let local = Arc::new(Local::new(Arc::new(RealDisk), dir.path()));
            let backend: Arc<dyn Backend> = local;
            let readers = Readers::new(Arc::clone(&backend), Arc::new(crate::block::cache::Cache::new(0)));
            let tenant = TenantId::single();
            let mut number = 0;
            let mut all: Vec<(u64, (u64, Option<u64>))> = Vec::new();
            let mut before: Vec<Arc<Catalog>> = Vec::new();
            for (round, sizes) in (0..).zip(rounds) {
                let of: Vec<_> = sizes.into_iter().map(|size| { number += 1; (number, size) }).collect();
                all.extend(&of);
                all.retain(|(number, _)| round == 0 || !gone.contains(number));
                let is_live: HashSet<BlockId> = all.iter().map(|(number, _)| id(*number)).collect();
                let of = of.into_iter().filter(|(number, _)| is_live.contains(&id(*number)));
                let fresh = of.map(|(number, size)| block(number, size)).collect();
                let catalog = write(&*backend, (&tenant, id(1_000 + round)), fresh, &before, &is_live).unwrap();
                prop_assert_eq!(catalog.blocks.len(), is_live.len());
                before = vec![Arc::new(catalog)];
            }
            let asked = Asked::new(&readers, before.iter().map(|of| (&tenant, of)).collect());
            let (mut wrong, mut asks) = (0u64, 0u64);
            for (number, (traces, texts)) in &all {
                for (of, seed, count) in [(Of::Traces, 1u64, *traces), (Of::Texts, 2, texts.unwrap_or(0))] {
                    for at in (0..count).step_by(97) {
                        let sought = [hash(seed << 60 | number << 32 | at)];
                        prop_assert!(asked.may_have(of, &sought, id(*number)), "{of:?} {at} of {number}");
                        for (other, (_, texts)) in all.iter().filter(|(other, _)| other != number) {
                            if of == Of::Texts && texts.is_none() {
                                prop_assert!(asked.may_have(of, &sought, id(*other)));
                                continue;
                            }
                            asks += 1;
                            wrong += u64::from(asked.may_have(of, &sought, id(*other)));
                        }
                    }
                }
            }
            // One in two hundred and fifty-six at most, and some luck.
            prop_assert!(wrong <= asks / 128 + 4, "{wrong} of {asks}");
            prop_assert!(asked.may_have(Of::Traces, &[7], id(999_999)), "it is in no catalog");
        }
    }

    #[test]
    fn a_catalog_that_is_damaged_or_gone_has_all_of_its_blocks_asked() {
        let dir = tempfile::tempdir().unwrap();
        let backend: Arc<dyn Backend> = Arc::new(Local::new(Arc::new(RealDisk), dir.path()));
        let readers =
            Readers::new(Arc::clone(&backend), Arc::new(crate::block::cache::Cache::new(0)));
        let tenant = TenantId::single();
        let is_live = (1..=9).map(id).collect();
        let fresh = (1..=9).map(|number| block(number, (50, Some(200)))).collect();
        let catalog = write(&*backend, (&tenant, id(100)), fresh, &[], &is_live).unwrap();
        let catalogs = [Arc::new(catalog)];
        let sought = [hash(1 << 60 | 3 << 32)];
        let ask = || -> Vec<u64> {
            let asked = Asked::new(&readers, catalogs.iter().map(|of| (&tenant, of)).collect());
            (1..=9).filter(|number| asked.may_have(Of::Traces, &sought, id(*number))).collect()
        };
        assert_eq!(ask(), [3]);
        let path = dir.path().join(catalog_name(&tenant, id(100)));
        let mut bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len() as u64, catalogs[0].bytes());
        bytes[40] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(ask(), (1..=9).collect::<Vec<u64>>());
        assert!(readers.catalogs.is_bad(id(100)));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(ask(), (1..=9).collect::<Vec<u64>>());
        assert_eq!(readers.catalogs.failed.get(), 2);
    }
}
