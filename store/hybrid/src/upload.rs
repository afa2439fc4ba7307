//! A block on its way to the bucket: what tells where things are in it is kept here as it passes, so
//! that the first query finds it.

use std::sync::Arc;

use bytes::Bytes;
use store::Error;
use store::backend::Upload;
use store::disk::Content;

use crate::Shared;
use crate::file::CHUNK_BYTES;
use crate::tier::Key;

/// Most of one block that is held until it is there.
const HELD_BYTES_MAX: usize = 16 << 20;

/// See the module.
pub(crate) struct Through {
    inner: Box<dyn Upload>,
    shared: Arc<Shared>,
    block: (u64, u64),
    /// The chunk that is not full yet, and what of the index is in it.
    chunk: Vec<u8>,
    content: Option<Content>,
    number: u32,
    held: Vec<(u32, Content, Bytes)>,
    held_bytes: usize,
}

impl Through {
    pub(crate) fn new(inner: Box<dyn Upload>, shared: Arc<Shared>, block: (u64, u64)) -> Self {
        Self {
            inner,
            shared,
            block,
            chunk: Vec::new(),
            content: None,
            number: 0,
            held: Vec::new(),
            held_bytes: 0,
        }
    }

    fn pass(&mut self, content: Option<Content>, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.content = self.content.or(content);
            let room = usize::try_from(CHUNK_BYTES).unwrap_or(usize::MAX) - self.chunk.len();
            let (part, rest) = bytes.split_at(room.min(bytes.len()));
            self.chunk.extend_from_slice(part);
            if part.len() == room {
                self.close();
            }
            bytes = rest;
        }
    }

    /// The chunk is full, or the last one.
    fn close(&mut self) {
        if let Some(content) = self.content.take() {
            if self.held_bytes + self.chunk.len() <= HELD_BYTES_MAX {
                self.held_bytes += self.chunk.len();
                let bytes = Bytes::copy_from_slice(&self.chunk);
                self.held.push((self.number, content, bytes));
            } else if let Some(counts) = self.shared.stats.of(content) {
                counts.dropped.inc();
            }
        }
        self.chunk.clear();
        self.number = self.number.saturating_add(1);
    }
}

impl Upload for Through {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.inner.write(bytes)?;
        self.pass(None, bytes);
        Ok(())
    }

    fn write_as(&mut self, content: Content, bytes: &[u8]) -> Result<(), Error> {
        self.inner.write_as(content, bytes)?;
        self.pass(Some(content).filter(|content| content.is_index()), bytes);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<bool, Error> {
        self.close();
        let Self { inner, shared, block: (writer, number), held, .. } = *self;
        let is_there = inner.finish()?;
        if is_there {
            for (chunk, content, bytes) in held {
                shared.keep(content, Key { writer, number, chunk }, &bytes, shared.clock.now());
            }
        }
        Ok(is_there)
    }
}
