//! Batches that plugins have failed on, the last few of them, to find out why.
//!
//! What a plugin that redacts has failed on is not redacted: letters and digits of all texts are masked, numbers are
//! cleared, before a batch is kept. Lengths, keys, and what is the same as what, stay.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use model::{Nanos, TenantId};
use traceweir_plugin::codes::{ENTRY_BYTES, HEADER_BYTES, batch as kind, layout};

use crate::configured::Configured;
use crate::digest::Digest;
use crate::error::Failure;
use crate::instance::Failed;
use crate::mask::mask_text;

/// Batches that are kept, and their bytes in all.
const BATCHES_MAX: usize = 64;
const BYTES_MAX: usize = 16 << 20;

/// A batch that a plugin failed on.
#[derive(Clone, Debug)]
pub struct Poison {
    /// When, since 1970.
    pub at: Nanos,
    /// The plugin, as it is attached.
    pub plugin: String,
    /// What it was loaded from.
    pub digest: Digest,
    /// Whose batch it was.
    pub tenant: TenantId,
    /// How it failed.
    pub failure: Failure,
    /// In words.
    pub message: String,
    /// The batch, masked.
    pub batch: Vec<u8>,
}

impl Poison {
    pub(crate) fn of(
        configured: &Configured,
        tenant: &TenantId,
        failed: &Failed,
        batch: &[u8],
    ) -> Self {
        Self {
            at: configured.wall(),
            plugin: configured.setup().name.clone(),
            digest: configured.plugin().digest().clone(),
            tenant: tenant.clone(),
            failure: failed.failure,
            message: failed.message.clone(),
            batch: masked(batch),
        }
    }
}

/// The last failures.
#[derive(Debug, Default)]
pub struct Failures {
    kept: Mutex<VecDeque<Poison>>,
}

impl Failures {
    pub(crate) fn note(&self, poison: Poison) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if poison.batch.len() > BYTES_MAX {
            return;
        }
        kept.push_back(poison);
        let bytes = |kept: &VecDeque<Poison>| kept.iter().map(|of| of.batch.len()).sum::<usize>();
        while kept.len() > BATCHES_MAX || bytes(&kept) > BYTES_MAX {
            kept.pop_front();
        }
    }

    /// Those of a plugin, the newest first.
    #[must_use]
    pub fn of(&self, plugin: &str) -> Vec<Poison> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().rev().filter(|of| of.plugin == plugin).cloned().collect()
    }
}

/// A batch of ours without what it says.
fn masked(batch: &[u8]) -> Vec<u8> {
    let mut out = batch.to_vec();
    let sections =
        batch.get(28..32).and_then(<[u8]>::first_chunk).map_or(0, |n| u32::from_le_bytes(*n));
    for section in 0..sections as usize {
        let at = HEADER_BYTES + section * ENTRY_BYTES;
        let Some(entry) = batch.get(at..at + ENTRY_BYTES) else { return Vec::new() };
        let word = |at: usize| {
            entry
                .get(at..)
                .and_then(<[u8]>::first_chunk)
                .map_or(0, |n| u32::from_le_bytes(*n) as usize)
        };
        let of = u16::from_le_bytes(*entry.first_chunk().unwrap_or(&[0; 2]));
        let is_value = matches!(of, kind::ATTRIBUTE | kind::PAIRS);
        let is_structure = matches!(of, kind::PAIRS_KEY | kind::SPAN_ATTRIBUTE_KEYS);
        let range = word(8)..word(8).saturating_add(word(12));
        let Some(section) = out.get_mut(range) else { return Vec::new() };
        match entry.get(2).copied() {
            Some(layout::TEXT) if !is_structure => mask_texts(section, mask_text),
            Some(layout::BLOB) => mask_texts(section, mask_blob),
            Some(layout::U64) if is_value => section.fill(0),
            _ => {}
        }
    }
    out
}

fn mask_texts(section: &mut [u8], mask: impl Fn(&mut [u8])) {
    let word = |section: &[u8], at: usize| {
        section
            .get(at..)
            .and_then(<[u8]>::first_chunk)
            .map_or(0, |n| u32::from_le_bytes(*n) as usize)
    };
    let (values, indices) = (word(section, 0), word(section, 4));
    let ends = 8 + 4 * indices;
    let heap = ends + 4 * (values + 1);
    for value in 0..values {
        let (start, end) = (word(section, ends + 4 * value), word(section, ends + 4 * (value + 1)));
        if let Some(text) = section.get_mut(heap + start..heap + end) {
            mask(text);
        }
    }
}

/// As a field that no value has, of the same length.
fn mask_blob(blob: &mut [u8]) {
    let length = blob.len();
    blob.fill(0);
    match (blob, length) {
        ([tag, len, ..], 2..=129) => {
            *tag = 0x7a;
            *len = u8::try_from(length - 2).unwrap_or_default();
        }
        ([tag, low, high, ..], 131..=16_386) => {
            *tag = 0x7a;
            let rest = length - 3;
            *low = u8::try_from(rest & 0x7f).unwrap_or_default() | 0x80;
            *high = u8::try_from(rest >> 7).unwrap_or_default();
        }
        _ => {}
    }
}
