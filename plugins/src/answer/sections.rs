//! The table of an answer's sections, and how each type is read: what is wrong is told, and what was read once is
//! known to be right.

use traceweir_plugin::codes::{
    ANSWER_MAGIC, ENTRY_BYTES, HEADER_BYTES, NONE, VERSION, answer, layout,
};

use super::Fault;
use crate::batch::Shape;
use crate::projection::Owner;

/// Most sections: four types of each of 256 fields that are set, and of as many that are added, and more.
const SECTIONS_MAX: usize = 8 << 10;

/// A section that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Section<'a> {
    pub(super) kind: u16,
    pub(super) argument: u32,
    pub(super) layout: u8,
    pub(super) domain: u8,
    pub(super) bytes: &'a [u8],
}

impl Section<'_> {
    pub(super) const fn name(&self) -> (u16, u32) {
        (self.kind, self.argument)
    }

    pub(super) fn fault(&self, message: impl Into<String>) -> Fault {
        Fault::of(self.name(), message)
    }
}

/// The sections of an answer that are known, by kind, argument and type.
pub(super) fn sections<'a>(answer: &'a [u8], shape: &Shape) -> Result<Vec<Section<'a>>, Fault> {
    let header = |message: String| Fault::new("header", message);
    let number = |at: usize| u32_at(answer, at).ok_or_else(|| header("ends early".to_owned()));
    if number(0)? != ANSWER_MAGIC {
        return Err(header(format!(
            "magic is {:#010x}, expected {ANSWER_MAGIC:#010x}",
            number(0)?
        )));
    }
    // The upper half is flags, of which none is known.
    let version = number(4)? & 0xffff;
    if version != u32::from(VERSION) {
        return Err(header(format!("version is {version}, expected {VERSION}")));
    }
    let of = |owner: Owner| u32::try_from(shape.shown(owner)).unwrap_or(NONE);
    let traces = u32::try_from(shape.traces.len()).unwrap_or(NONE);
    for (at, expected, what) in [
        (8, of(Owner::Span), "spans"),
        (12, of(Owner::Resource), "resources"),
        (16, of(Owner::Scope), "scopes"),
        (20, of(Owner::Event), "events"),
        (24, traces, "traces"),
    ] {
        let said = number(at)?;
        if said != expected {
            return Err(header(format!("says {said} {what}, the batch has {expected}")));
        }
    }
    let count = number(28)? as usize;
    if count > SECTIONS_MAX {
        return Err(header(format!("has {count} sections, limit is {SECTIONS_MAX}")));
    }
    let table = answer.get(HEADER_BYTES..HEADER_BYTES + count * ENTRY_BYTES);
    let table = table.ok_or_else(|| header("table reaches past the end".to_owned()))?;
    let mut found = Vec::with_capacity(count);
    for row in table.as_chunks::<ENTRY_BYTES>().0 {
        found.extend(section(answer, row)?);
    }
    found.sort_unstable_by_key(|of: &Section<'_>| (of.kind, of.argument, of.layout, of.domain));
    let same = |of: &Section<'_>| (of.kind, of.argument, of.layout);
    let pair = found.windows(2).find(|pair| pair.first().map(same) == pair.last().map(same));
    match pair.and_then(<[_]>::first) {
        Some(twice) => Err(twice.fault("stands twice")),
        None => Ok(found),
    }
}

/// A row of the table; nothing for a kind that is not known.
fn section<'a>(answer: &'a [u8], row: &[u8; ENTRY_BYTES]) -> Result<Option<Section<'a>>, Fault> {
    let [k0, k1, layout, domain, a0, a1, a2, a3, o0, o1, o2, o3, l0, l1, l2, l3] = *row;
    let kind = u16::from_le_bytes([k0, k1]);
    if !(answer::KEEP..=answer::DELETE_STARTS).contains(&kind) {
        return Ok(None);
    }
    let argument = u32::from_le_bytes([a0, a1, a2, a3]);
    let offset = u32::from_le_bytes([o0, o1, o2, o3]) as usize;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    let bytes = answer.get(offset..).and_then(|rest| rest.get(..length));
    let bytes = bytes.ok_or_else(|| Fault::of((kind, argument), "reaches past the end"))?;
    Ok(Some(Section { kind, argument, layout, domain, bytes }))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// A section of texts or blobs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Texts<'a> {
    /// Which value each entry has; empty where each has its own.
    index: &'a [u8],
    /// Where values end, and 0 before.
    ends: &'a [u8],
    heap: &'a [u8],
    /// How many entries there are.
    pub(super) entries: usize,
}

impl<'a> Texts<'a> {
    /// Reads a section, for so many entries or for as many as it has.
    pub(super) fn read(section: &Section<'a>, entries: Option<usize>) -> Result<Self, Fault> {
        let fault = |message: &str| section.fault(message);
        let bytes = section.bytes;
        let (Some(values), Some(indices)) = (u32_at(bytes, 0), u32_at(bytes, 4)) else {
            return Err(fault("ends early"));
        };
        let (values, indices) = (values as usize, indices as usize);
        let split = bytes.get(8..).and_then(|rest| rest.split_at_checked(4 * indices));
        let split = split.and_then(|(index, rest)| {
            rest.split_at_checked(4 * (values + 1)).map(|(ends, heap)| (index, ends, heap))
        });
        let Some((index, ends, heap)) = split else { return Err(fault("ends early")) };
        let has = if indices == 0 { values } else { indices };
        let entries = entries.unwrap_or(has);
        if has < entries {
            return Err(section.fault(format!("has {has} entries, expected {entries}")));
        }
        let heap = check_ends(ends, heap).map_err(fault)?;
        if section.layout == layout::TEXT {
            check_texts(ends, heap).map_err(fault)?;
        }
        let texts = Self { index, ends, heap, entries };
        let known = |index: &[u8; 4]| {
            let value = u32::from_le_bytes(*index);
            value == NONE || (value as usize) < values
        };
        if !index.as_chunks().0.iter().all(known) {
            return Err(fault("an index is that of no value"));
        }
        Ok(texts)
    }

    /// The text of an entry, if it has one.
    #[inline]
    pub(super) fn get(&self, entry: usize) -> Option<&'a [u8]> {
        let value = if self.index.is_empty() { entry } else { self.number(entry)? };
        self.value(value)
    }

    /// The number of the value of an entry, if it has one by an index: entries of the same number have the same.
    #[inline]
    pub(super) fn number(&self, entry: usize) -> Option<usize> {
        u32_at(self.index, 4 * entry).filter(|value| *value != NONE).map(|value| value as usize)
    }

    fn value(&self, value: usize) -> Option<&'a [u8]> {
        let (from, to) = (u32_at(self.ends, 4 * value)?, u32_at(self.ends, 4 * value + 4)?);
        self.heap.get(from as usize..to as usize)
    }

    /// All values, whether or not an entry has them.
    pub(super) fn values(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let texts = *self;
        (0..).map_while(move |value| texts.value(value))
    }
}

/// Ends begin with 0, go up, and the last one is within the heap: the heap as far as there are values in it.
fn check_ends<'a>(ends: &[u8], heap: &'a [u8]) -> Result<&'a [u8], &'static str> {
    let mut before = 0;
    for (place, end) in ends.as_chunks().0.iter().enumerate() {
        let end = u32::from_le_bytes(*end);
        if place == 0 && end != 0 {
            return Err("the first value does not begin at 0");
        }
        if end < before {
            return Err("a value ends before it begins");
        }
        before = end;
    }
    heap.get(..before as usize).ok_or("a value reaches past the end")
}

/// All values together are UTF-8, and none ends within a character: then each of them is.
fn check_texts(ends: &[u8], heap: &[u8]) -> Result<(), &'static str> {
    if heap.is_ascii() {
        return Ok(());
    }
    let whole = |end: &[u8; 4]| {
        heap.get(u32::from_le_bytes(*end) as usize).is_none_or(|byte| byte & 0xc0 != 0x80)
    };
    let right = simdutf8::basic::from_utf8(heap).is_ok() && ends.as_chunks().0.iter().all(whole);
    right.then_some(()).ok_or("text is not UTF-8")
}
