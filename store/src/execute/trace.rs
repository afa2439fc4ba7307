//! A trace by its id: every span that any part holds, each once.

use std::fmt;

use model::batch::Batch;
use model::otlp::Traces;
use model::{Nanos, TimeRange, TraceId};

use super::parts::{Carried, Parts};
use super::{Identities, Trace};
use crate::error::Error;
use crate::shelf::{Owner, Part};

/// The place of a span among those of its trace: by start, then by what tells it from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpanKey {
    start: Nanos,
    id: [u8; 8],
    kind: i32,
}

impl SpanKey {
    fn of(batch: &Batch, row: u32) -> Self {
        let id = *batch.span_id(row).as_bytes();
        Self { start: batch.start(row), id, kind: batch.kind(row) }
    }

    /// Reads what it was written as.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let (start, rest) = text.split_at_checked(16)?;
        let (id, kind) = rest.split_at_checked(16)?;
        let number = |text| u64::from_str_radix(text, 16).ok().filter(|_| is_hex);
        let kind = Some(kind).filter(|kind| kind.len() <= 8)?;
        let kind = u32::from_str_radix(kind, 16).ok()?.cast_signed();
        Some(Self { start: Nanos(number(start)?), id: number(id)?.to_be_bytes(), kind })
    }
}

impl fmt::Display for SpanKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, id, kind } = self;
        write!(f, "{:016x}{:016x}{kind:x}", start.0, u64::from_be_bytes(*id))
    }
}

/// Which spans are returned.
#[derive(Debug)]
enum Take {
    /// The first, until there are so many bytes.
    Until(usize),
    /// None: they are only looked at.
    Nothing,
    /// Those after the one and up to the other.
    Within(Option<SpanKey>, SpanKey),
}

/// What is gathered of a trace.
struct Gathered {
    traces: Traces,
    identities: Identities,
    encoded: Vec<u8>,
    take: Take,
    bytes: usize,
    spans: u64,
    /// Every span of the trace, and its bytes.
    keys: Vec<(SpanKey, usize)>,
    during: TimeRange,
    overlaps: bool,
}

/// Finds the spans of a trace that is not wholly outside of `during`: all of them, or a page of at
/// most about `bytes_max`, by [`SpanKey`], where there are more or some are left behind.
///
/// Cost: a look-up in each part, and the pages with the rows of the trace; twice for a page. Blocks of
/// a bucket are asked many at a time, each for its index of traces once.
///
/// # Errors
/// `Fatal` when a writer has panicked.
pub(crate) fn trace(
    parts: &Parts<'_>,
    id: TraceId,
    during: TimeRange,
    after: Option<SpanKey>,
    bytes_max: usize,
) -> Result<Option<(Trace, u64, u64)>, Error> {
    let take = if after.is_none() { Take::Until(bytes_max) } else { Take::Nothing };
    let mut whole = Gathered::of(parts, id, during, take)?;
    if !whole.overlaps {
        return Ok(None);
    }
    let all = whole.keys.len() as u64;
    let Identities { duplicates, conflicts, .. } = whole.identities;
    if after.is_none() && whole.spans == all {
        let (otlp, spans) = (whole.traces.encode(), whole.spans);
        let found = Trace { otlp, spans, before: 0, left_out: 0, next: None, partial: None };
        return Ok(Some((found, duplicates, conflicts)));
    }
    whole.keys.sort_unstable();
    let is_behind = |(key, _): &(SpanKey, usize)| after.is_some_and(|after| *key <= after);
    let before = whole.keys.partition_point(is_behind);
    let rest = whole.keys.get(before..).unwrap_or_default();
    let mut bytes = 0;
    let page = rest.iter().take_while(|(_, size)| {
        let fits = bytes < bytes_max;
        bytes += size;
        fits
    });
    let last = page.last().map(|(key, _)| *key);
    let more = rest.last().map(|(key, _)| *key) != last;
    let take = last.map_or(Take::Nothing, |last| Take::Within(after, last));
    let page = Gathered::of(parts, id, during, take)?;
    let found = Trace {
        otlp: page.traces.encode(),
        spans: page.spans,
        before: before as u64,
        left_out: all.saturating_sub(page.spans),
        next: last.filter(|_| more),
        partial: None,
    };
    Ok(Some((found, duplicates, conflicts)))
}

impl Gathered {
    fn of(parts: &Parts<'_>, id: TraceId, during: TimeRange, take: Take) -> Result<Self, Error> {
        let mut gathered = Self {
            traces: Traces::new(),
            identities: Identities::default(),
            encoded: Vec::new(),
            take,
            bytes: 0,
            spans: 0,
            keys: Vec::new(),
            during,
            overlaps: false,
        };
        let mut far = parts.far_traces(id);
        for (at, part) in parts.view.parts.iter().enumerate() {
            let whose = (parts.view.number(at), parts.carried(at));
            let Owner { tenant, hidden, .. } = parts.owner(at);
            if hidden.has(id) {
                continue;
            }
            if let Part::Head(segment, visible) = part {
                let batch = segment.read()?;
                let mut rows: Vec<u32> =
                    batch.trace_rows(tenant, id).filter(|row| row < visible).collect();
                rows.reverse();
                rows.into_iter().for_each(|row| gathered.add(whose, &batch, row));
                continue;
            }
            for batch in far.remove(&at).unwrap_or_else(|| parts.trace(at, id)) {
                let rows = 0..model::column::count(batch.len());
                rows.for_each(|row| gathered.add(whose, &batch, row));
            }
        }
        Ok(gathered)
    }

    fn add(&mut self, (owner, carried): (usize, Carried<'_>), batch: &Batch, row: u32) {
        self.overlaps |= self.during.contains(batch.effective_start(row));
        self.encoded.clear();
        batch.put_span(&mut self.encoded, row);
        if !self.identities.is_new(owner, batch, row, &self.encoded) {
            return;
        }
        let key = SpanKey::of(batch, row);
        self.keys.push((key, self.encoded.len()));
        let is_taken = match self.take {
            Take::Until(bytes_max) => self.bytes < bytes_max,
            Take::Nothing => false,
            Take::Within(after, last) => after.is_none_or(|after| key > after) && key <= last,
        };
        if is_taken {
            let resource = carried.by(batch.resources().get(batch.resource(row)));
            self.traces.push_span(batch, row, &resource, &self.encoded);
            self.spans += 1;
            self.bytes += self.encoded.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_were_written() {
        let key =
            |start, id: u64, kind| SpanKey { start: Nanos(start), id: id.to_be_bytes(), kind };
        for key in [key(0, 1, 0), key(u64::MAX, u64::MAX, -1), key(1_700_000_000, 0xa1, 5)] {
            assert_eq!(SpanKey::parse(&key.to_string()), Some(key));
        }
        for text in ["", "1", &"0".repeat(32), &"z".repeat(33), &"0".repeat(50), "+\u{e9}"] {
            assert_eq!(SpanKey::parse(text), None, "{text}");
        }
    }
}
