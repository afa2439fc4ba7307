//! The values of one column, encoded as its table says.

use super::super::gather::{self, Texts};
use super::super::index::Noted;
use super::frame::Nested;
use crate::block::page::{Chunk, ChunkMeta, Encoder, Encoding, Levels, Physical, Values};
use crate::block::schema::{Coding, Leaf, Presence};
use crate::error::Error;

/// A column chunk on its way into pages.
pub(super) struct Page<'p> {
    pub(super) leaf: &'p Leaf,
    pub(super) rows: u32,
    pub(super) page_rows: u32,
    pub(super) encoder: &'p mut Encoder,
    pub(super) out: (&'p mut Vec<u8>, u64),
    pub(super) noted: &'p mut Noted,
}

impl Page<'_> {
    pub(super) fn texts(
        &mut self,
        levels: &Nested,
        numbers: impl ExactSizeIterator<Item = u32> + Clone,
        space: &[&[u8]],
    ) -> Result<ChunkMeta, Error> {
        let may_be_plain = self.leaf.coding == Coding::Adaptive;
        match gather::texts(numbers, space, may_be_plain) {
            Texts::Dictionary(dictionary, codes) => {
                self.noted.dictionary(&dictionary);
                self.coded(levels, Values::Texts(&dictionary), &codes)
            }
            Texts::Plain(values) => {
                self.noted.plain(&values);
                self.chunk(levels, Encoding::DeltaLength, Values::Texts(&values), None)
            }
        }
    }

    pub(super) fn words(&mut self, levels: &Nested, values: &[u64]) -> Result<ChunkMeta, Error> {
        match (self.leaf.physical, self.leaf.coding) {
            (Physical::Boolean, _) => {
                let bools: Vec<bool> = values.iter().map(|word| *word != 0).collect();
                self.chunk(levels, Encoding::Plain, Values::Bools(&bools), None)
            }
            (_, Coding::Adaptive | Coding::Dictionary) => match gather::words(values) {
                Some((dictionary, codes)) => self.coded(levels, Values::Words(&dictionary), &codes),
                None => self.chunk(levels, Encoding::Delta, Values::Words(values), None),
            },
            (_, Coding::Delta) => self.chunk(levels, Encoding::Delta, Values::Words(values), None),
            (_, Coding::Split) => self.chunk(levels, Encoding::Split, Values::Words(values), None),
            (_, Coding::Plain) => self.chunk(levels, Encoding::Plain, Values::Words(values), None),
        }
    }

    pub(super) fn words32(&mut self, levels: &Nested, values: &[u32]) -> Result<ChunkMeta, Error> {
        if self.leaf.coding == Coding::Dictionary
            && let Some((dictionary, codes)) = gather::small(values)
        {
            return self.coded(levels, Values::Words32(&dictionary), &codes);
        }
        self.chunk(levels, Encoding::Delta, Values::Words32(values), None)
    }

    pub(super) fn fixed(&mut self, levels: &Nested, bytes: &[u8]) -> Result<ChunkMeta, Error> {
        self.chunk(levels, Encoding::Plain, Values::Fixed(bytes), None)
    }

    pub(super) fn coded(
        &mut self,
        levels: &Nested,
        dictionary: Values<'_>,
        codes: &[u32],
    ) -> Result<ChunkMeta, Error> {
        self.chunk(levels, Encoding::Dictionary, Values::Codes(codes), Some(dictionary))
    }

    pub(super) fn chunk(
        &mut self,
        levels: &Nested,
        encoding: Encoding,
        values: Values<'_>,
        dictionary: Option<Values<'_>>,
    ) -> Result<ChunkMeta, Error> {
        debug_assert!(
            self.leaf.presence == Presence::Sparse
                || self.leaf.max_rep > 0
                || levels.def.is_empty()
        );
        let Leaf { physical, max_rep, max_def, .. } = *self.leaf;
        let levels = Levels { max_rep, max_def, rep: &levels.rep, def: &levels.def };
        let (rows, page_rows) = (self.rows, self.page_rows);
        let chunk = Chunk { physical, encoding, levels, values, dictionary, rows, page_rows };
        let (out, base) = (&mut *self.out.0, self.out.1);
        self.encoder.chunk(out, base, &chunk)
    }
}
