//! Blocks with parts that are not what was written, their checksums made right: no fuzzer guesses
//! a crc32c.

use std::sync::Arc;

use model::batch::{Batch, Indexed};
use model::{Nanos, TenantId, TraceId};
use store::block::cache::Cache;
use store::block::order::{self, Ordered, Orderer};
use store::block::page::{ChunkMeta, Decoded, Decoder, Encoding, PageMeta, Physical};
use store::block::reader::{Reader, Wanted};
use store::block::schema::Schema;
use store::block::section::{Directory, Header, Id, Level, Location, Section, Sort};
use store::block::section::{index, lists, summary, terms};
use store::block::writer::promote::Candidates;
use store::block::writer::{Options, Sink, Writer, cut};
use store::disk::File;
use store::error::{Error, Kind};

/// A block, and where its directory stands.
#[derive(Debug)]
pub(crate) struct Block {
    bytes: Vec<u8>,
    location: Location,
}

impl Block {
    /// A block of these requests (OTLP protobuf) in several row groups and pages. Its columns are
    /// few, so that a reader is done with it soon.
    pub(crate) fn of(requests: impl Iterator<Item = Vec<u8>>) -> Self {
        let [mut batch, _] = super::batches();
        for request in requests {
            drop(batch.append(&TenantId::single(), Nanos(1), &request, &[]));
        }
        let rows = u32::try_from(batch.len()).expect("a few rows");
        let mut ordered = Ordered::default();
        order::tenants(&mut Orderer::default(), &batch, rows, &mut ordered);
        let options = Options { page_rows: 2, ..Options::L1 };
        let writer = Writer::new(Bytes(Vec::new()), header(), schema(&batch), options);
        let mut writer = writer.expect("a writer");
        for group in cut(&ordered.traces, 4) {
            writer.row_group(&[&batch], &ordered, group).expect("rows");
        }
        let (Bytes(bytes), written) = writer.finish().expect("a block");
        Self { bytes, location: written.directory }
    }

    /// What its sections and its directory hold: what to start from.
    pub(crate) fn parts(&self) -> Vec<Vec<u8>> {
        let reader = self.open().expect("our own block");
        let sections = &reader.directory().sections;
        let section = |section: &Section| reader.section(section.id, section.part);
        let read = sections.iter().map(|of| section(of).expect("our own section"));
        let directory = reader.directory().encode().expect("our own directory");
        read.flatten().chain([directory]).collect()
    }

    /// The same, and pages of its first row group, as [`read`] takes them.
    pub(crate) fn parts_in_place(&self) -> Vec<Vec<u8>> {
        let placed = |kind: u8, at: usize, part: &[u8]| {
            let at = u8::try_from(at % 256).expect("it is below 256");
            [&[kind, at], part].concat()
        };
        let parts = self.parts();
        let (directory, sections) = parts.split_last().expect("it has a directory");
        let mut all = vec![placed(0, 0, directory)];
        all.extend(sections.iter().enumerate().map(|(at, part)| placed(1, at, part)));
        let tables = self.open().and_then(|reader| reader.tables(0)).expect("a row group");
        for (at, chunk) in tables.chunks.iter().enumerate() {
            let page = chunk.pages.first().map(|page| (4, page));
            for (kind, page) in page.into_iter().chain(chunk.dictionary.as_ref().map(|d| (6, d))) {
                let body = self.page(page).get(page.header_len as usize..).unwrap_or_default();
                let raw = zstd::bulk::decompress(body, page.raw_len as usize);
                all.push(placed(kind, at, &raw.expect("our own page")));
            }
        }
        all
    }

    fn open(&self) -> Result<Reader, Error> {
        let file = Arc::new(Bytes(self.bytes.clone()));
        let cache = Arc::new(Cache::new(1 << 20));
        Reader::open(file, self.location, "block".to_owned(), cache)
    }

    /// The block with other bytes as its directory.
    fn with_directory(&self, directory: &[u8]) -> Self {
        let offset = self.location.offset;
        let mut bytes = self.bytes.clone();
        bytes.truncate(at_byte(offset));
        bytes.extend_from_slice(directory);
        let crc = crc32c::crc32c(directory);
        Self { bytes, location: Location { offset, len: narrow(directory.len()), crc } }
    }

    /// The block with other bytes in one of its sections.
    fn with_section(&self, at: usize, raw: &[u8]) -> Self {
        let mut directory = self.open().expect("our own block").directory().clone();
        let mut bytes = self.bytes.clone();
        bytes.truncate(at_byte(self.location.offset));
        let at = at % directory.sections.len();
        if let Some(section) = directory.sections.get_mut(at) {
            (section.offset, section.crc) = (self.location.offset, crc32c::crc32c(raw));
            (section.len, section.raw_len) = (narrow(raw.len()), narrow(raw.len()));
        }
        bytes.extend_from_slice(raw);
        let location = Location { offset: bytes.len() as u64, ..self.location };
        Self { bytes, location }.with_directory(&directory.encode().expect("our own directory"))
    }

    /// The block with other bytes as a page of a column of its first row group: as its dictionary,
    /// where it has one and that is meant, else as its only page.
    fn with_page(&self, at: usize, raw: &[u8], is_dictionary: bool) -> Self {
        let reader = self.open().expect("our own block");
        let mut chunks = reader.tables(0).expect("a row group").chunks.clone();
        let at = at % chunks.len();
        let chunk = chunks.swap_remove(at);
        let body = frame(raw);
        let page = PageMeta {
            len: narrow(body.len()),
            raw_len: narrow(raw.len()),
            crc: crc32c::crc32c(&body),
            ..PageMeta::default()
        };
        let mut bytes = self.bytes.clone();
        bytes.truncate(at_byte(self.location.offset));
        let mut place = |page: PageMeta, body: &[u8]| {
            let offset = bytes.len() as u64;
            bytes.extend_from_slice(body);
            PageMeta { offset, ..page }
        };
        let dictionary = chunk.dictionary.map(|old| match is_dictionary {
            true => place(PageMeta { entries: old.entries, values: old.values, ..page }, &body),
            false => place(old, self.page(&old)),
        });
        let pages = match chunk.dictionary {
            Some(_) if is_dictionary => {
                chunk.pages.iter().map(|old| place(*old, self.page(old))).collect()
            }
            _ => {
                let sum = |of: fn(&PageMeta) -> u32| chunk.pages.iter().map(of).sum();
                let (rows, entries) = (sum(|page| page.rows), sum(|page| page.entries));
                let values = sum(|page| page.values);
                vec![place(PageMeta { rows, entries, values, ..page }, &body)]
            }
        };
        chunks.push(ChunkMeta { dictionary, pages, ..chunk });
        let last = chunks.len() - 1;
        chunks.swap(at, last);
        let location = Location { offset: bytes.len() as u64, ..self.location };
        let sections = &reader.directory().sections;
        let columns = sections.iter().position(|section| section.id == Id::Columns);
        Self { bytes, location }
            .with_directory(&reader.directory().encode().expect("our own directory"))
            .with_section(columns.unwrap_or(0), &ChunkMeta::encode_all(&chunks))
    }

    fn page(&self, page: &PageMeta) -> &[u8] {
        let begin = at_byte(page.offset);
        self.bytes.get(begin..begin + page.len as usize).expect("our own page")
    }

    /// Reads all of it in every way that there is; whatever is read can be written out.
    fn read(&self) {
        let Ok(reader) = self.open() else { return };
        drop(reader.tenants());
        drop(reader.find(TraceId::from_array([7; 16])));
        for group in 0..reader.row_groups().min(4) {
            let rows = reader.rows_of(group);
            let summary = reader.summary(group);
            if let Some(trace) = summary.iter().find_map(|summary| summary.traces.first()) {
                drop(reader.find(trace.id));
            }
            let rows = rows.end - rows.start;
            for rows in [0..rows, rows / 2..rows] {
                let read = reader.read(group, rows, Wanted::All, &TenantId::single(), Indexed::Yes);
                match read {
                    Ok(batch) => drop(super::emitted(&batch, 0)),
                    Err(error) => assert!(matches!(error.kind(), Kind::Corrupt | Kind::Refused)),
                }
            }
        }
    }
}

/// Bytes in place of a part of a block: the first byte says of which kind, the second which one.
pub(crate) fn read(block: &Block, bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let Some((at, bytes)) = bytes.split_first() else { return };
    let at = usize::from(*at);
    match kind % 8 {
        0 => block.with_directory(bytes).read(),
        1..=3 => block.with_section(at, bytes).read(),
        4..=6 => block.with_page(at, bytes, kind % 8 == 6).read(),
        _ => drop(store::block::verify::verify(&file(bytes), "block")),
    }
}

/// Each decoder alone.
pub(crate) fn decoders(bytes: &[u8]) {
    drop(Directory::decode(bytes));
    drop(ChunkMeta::decode_all(bytes));
    drop(lists::decode_resources(bytes));
    drop(lists::decode_scopes(bytes));
    drop(lists::decode_shapes(bytes));
    for traces in 0..4 {
        drop(summary::decode(bytes, &vec![[traces; 16]; usize::from(traces)]));
    }
    drop(terms::decode_tenants(bytes));
    drop(terms::decode(bytes, |_, _| true));
    let hash = terms::hash(bytes);
    if let Ok(filters) = terms::decode_filters(bytes) {
        assert!(filters.iter().filter(|filter| filter.may_hold(hash)).count() <= filters.len());
    }
    drop(index::sums(bytes));
    if let Ok(fanout) = index::Fanout::decode(bytes) {
        let place = fanout.place(fanout.bucket(hash));
        let bucket = bytes.get(place).unwrap_or_default();
        assert_eq!(index::entries(bucket).count(), bucket.len() / index::ENTRY_BYTES);
    }
    page(bytes);
}

/// Bytes as a page of some kind; the first ones say which.
fn page(bytes: &[u8]) {
    let Some(([kind, rows, values, levels], raw)) = bytes.split_first_chunk::<4>() else { return };
    let (physical, encoding) = match kind % 10 {
        0 => (Physical::Boolean, Encoding::Plain),
        1 => (Physical::Int32, Encoding::Delta),
        2 => (Physical::Int64, Encoding::Delta),
        3 => (Physical::Int32, Encoding::Dictionary),
        4 => (Physical::Bytes, Encoding::DeltaLength),
        5 => (Physical::Bytes, Encoding::Plain),
        6 => (Physical::Fixed(16), Encoding::Plain),
        7 => (Physical::Double, Encoding::Plain),
        8 => (Physical::Int32, Encoding::Plain),
        _ => (Physical::Bytes, Encoding::Dictionary),
    };
    let body = frame(raw);
    let page = PageMeta {
        len: narrow(body.len()),
        raw_len: narrow(raw.len()),
        rows: u32::from(*rows),
        entries: u32::from(*rows).max(u32::from(*values)),
        values: u32::from(*values),
        crc: crc32c::crc32c(&body),
        ..PageMeta::default()
    };
    let max = (levels % 3, levels / 3 % 4);
    let mut decoder = Decoder::new().expect("a decompressor");
    let mut found = Decoded::new(physical, encoding);
    drop(decoder.page(physical, encoding, max, &page, &body, &mut found));
    drop(decoder.dictionary(physical, &page, &body));
}

/// A zstd frame that holds bytes as they are: content size in four bytes, then raw blocks.
fn frame(raw: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 1 << 16;
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    frame.extend_from_slice(&narrow(raw.len()).to_le_bytes());
    let blocks = raw.len().div_ceil(BLOCK).max(1);
    for at in 0..blocks {
        let block = raw.get(at * BLOCK..).unwrap_or_default();
        let block = block.get(..BLOCK).unwrap_or(block);
        let header = narrow(block.len()) << 3 | u32::from(at + 1 == blocks);
        frame.extend(header.to_le_bytes().into_iter().take(3));
        frame.extend_from_slice(block);
    }
    frame
}

/// A column for each of the first few attributes, the others without one.
fn schema(batch: &Batch) -> Schema {
    let mut candidates = Candidates::default();
    candidates.add_batch(batch);
    let mut schema = candidates.choose();
    let mut taken = 0;
    schema.attributes.retain(|(_, why)| {
        taken += 1;
        *why != store::block::schema::Why::Pinned && taken % 2 == 0
    });
    schema
}

fn header() -> Header {
    Header {
        level: Level::L1,
        sort: Sort::Normal,
        tenant: Some(TenantId::single().as_str().to_owned()),
        writer: 7,
        number: 1,
        created_at: 1,
        sequence: 1,
        consumed: Vec::new(),
        replaced: Vec::new(),
        compactions: 0,
        rows: 0,
        traces: 0,
        starts: (0, 0),
        received: (1, 1),
        oversized: false,
    }
}

fn at_byte(offset: u64) -> usize {
    usize::try_from(offset).expect("a small block")
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).expect("small inputs")
}

fn file(bytes: &[u8]) -> Arc<dyn File> {
    Arc::new(Bytes(bytes.to_vec()))
}

/// A file in memory.
#[derive(Debug)]
struct Bytes(Vec<u8>);

impl Sink for Bytes {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

impl File for Bytes {
    fn len(&self) -> std::io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.0.get(at..)).unwrap_or_default();
        let len = buffer.len().min(rest.len());
        buffer.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        Ok(len)
    }

    fn write_at(&self, _: &[u8], _: u64) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    fn allocate(&self, _: u64) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    fn set_len(&self, _: u64) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    fn sync(&self) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    fn lock(&self) -> std::io::Result<bool> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}
