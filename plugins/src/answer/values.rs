//! A column of new values in an answer.

use model::otlp::held::{self, Any};
use traceweir_plugin::codes::{layout, tag};

use super::Fault;
use super::sections::{Section, Texts, u64_at};
use crate::draft::Value;

/// A column: tags, and by their types words, texts and blobs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Values<'a> {
    tags: &'a [u8],
    words: &'a [u8],
    texts: Texts<'a>,
    blobs: Texts<'a>,
}

/// What becomes of a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change<'a> {
    Keep,
    Remove,
    Set(Value<'a>),
}

/// What a value takes beside itself when it is written: tags and lengths, of it and of what it is in.
const HEAD_BYTES: usize = 32;

impl<'a> Values<'a> {
    /// Reads the sections of a column, for so many entries; with the bytes that its values take at most.
    pub(super) fn read(sections: &[Section<'a>], entries: usize) -> Result<(Self, usize), Fault> {
        let mut values = Values::default();
        let Some(first) = sections.first() else { return Ok((values, 0)) };
        for section in sections {
            let fixed = |bytes: usize| {
                let length = section.bytes.len();
                let needed = entries.saturating_mul(bytes);
                let fault = || section.fault(format!("has {length} bytes, expected {needed}"));
                section.bytes.get(..needed).ok_or_else(fault)
            };
            match section.layout {
                layout::U8 => values.tags = fixed(1)?,
                layout::U64 => values.words = fixed(8)?,
                layout::TEXT => values.texts = Texts::read(section, Some(entries))?,
                layout::BLOB => values.blobs = Texts::read(section, Some(entries))?,
                other => return Err(section.fault(format!("type is {other}"))),
            }
            if section.domain != first.domain {
                return Err(section.fault("parts of a column have different domains"));
            }
        }
        if first.layout != layout::U8 {
            return Err(first.fault("has no tags"));
        }
        let mut bytes = 0;
        for (entry, tag) in values.tags.iter().enumerate() {
            if *tag != tag::ABSENT {
                bytes += values.check(entry, *tag).map_err(|message| first.fault(message))?;
            }
        }
        Ok((values, bytes))
    }

    /// Checks an entry; tells how many bytes its value takes.
    #[inline]
    fn check(&self, entry: usize, tag: u8) -> Result<usize, String> {
        match (tag, self.word(entry)) {
            (tag::STRING, _) => match self.texts.get(entry) {
                Some(text) => Ok(text.len() + HEAD_BYTES),
                None => Err(format!("entry {entry} is a string and has no text")),
            },
            (tag::INT | tag::DOUBLE, Some(_)) | (tag::BOOL, Some(0 | 1)) => Ok(HEAD_BYTES),
            (tag::BOOL, Some(word)) => Err(format!("entry {entry} is the bool {word}")),
            (tag::INT | tag::DOUBLE | tag::BOOL, None) => {
                Err(format!("entry {entry} is a number and has no word"))
            }
            (tag::BYTES | tag::ARRAY | tag::MAP, _) => self.check_blob(entry, tag),
            (tag::EMPTY | tag::REMOVE, _) => Ok(HEAD_BYTES),
            (other, _) => Err(format!("entry {entry} has the tag {other}")),
        }
    }

    fn check_blob(&self, entry: usize, tag: u8) -> Result<usize, String> {
        let Some(blob) = self.blobs.get(entry) else {
            return Err(format!("entry {entry} has no blob"));
        };
        let any = held::check(blob)
            .map_err(|message| format!("entry {entry} is no AnyValue: {message}"))?;
        match (tag, any) {
            (tag::BYTES, Any::Bytes(_)) | (tag::ARRAY, Any::Array) | (tag::MAP, Any::Map) => {
                Ok(blob.len() + HEAD_BYTES)
            }
            _ => Err(format!("entry {entry} is of another type than its tag {tag}")),
        }
    }

    #[inline]
    fn word(&self, entry: usize) -> Option<u64> {
        u64_at(self.words, 8 * entry)
    }

    /// The number of an entry.
    pub(super) fn int(&self, entry: usize) -> u64 {
        self.word(entry).unwrap_or_default()
    }

    /// What the value of an entry takes at most.
    pub(super) fn bytes(&self, entry: usize) -> usize {
        match self.tags.get(entry) {
            Some(&tag::STRING) => self.texts.get(entry).map_or(0, <[u8]>::len) + HEAD_BYTES,
            Some(&(tag::BYTES | tag::ARRAY | tag::MAP)) => {
                self.blobs.get(entry).map_or(0, <[u8]>::len) + HEAD_BYTES
            }
            Some(&tag::ABSENT) | None => 0,
            Some(_) => HEAD_BYTES,
        }
    }

    /// The text of an entry.
    pub(super) fn text(&self, entry: usize) -> &'a [u8] {
        self.texts.get(entry).unwrap_or_default()
    }

    /// The number of the text of an entry among all texts, where they are a dictionary.
    #[inline]
    pub(super) fn number(&self, entry: usize) -> Option<usize> {
        match self.tags.get(entry) {
            Some(&tag::STRING) => self.texts.number(entry),
            _ => None,
        }
    }

    /// The tags of all entries.
    pub(super) const fn tags(&self) -> &'a [u8] {
        self.tags
    }

    /// What becomes of an entry.
    #[inline]
    pub(super) fn get(&self, entry: usize) -> Change<'a> {
        let tag = self.tags.get(entry).copied().unwrap_or(tag::ABSENT);
        Change::Set(match tag {
            tag::ABSENT => return Change::Keep,
            tag::REMOVE => return Change::Remove,
            tag::STRING => Value::String(self.text(entry)),
            tag::INT => Value::Int(self.int(entry)),
            tag::DOUBLE => Value::Double(self.int(entry)),
            tag::BOOL => Value::Bool(self.int(entry) != 0),
            tag::EMPTY => Value::Encoded(&[]),
            _ => Value::Encoded(self.blobs.get(entry).unwrap_or_default()),
        })
    }
}
