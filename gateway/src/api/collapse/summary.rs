//! One span that stands for several.

use model::wire::{self, Fault, Reader, Value};
use model::{Nanos, SpanId};

use crate::api::prune;
use crate::api::span::Span;

/// What the attributes of a summary start with.
const PREFIX: &str = "aggregation.";

/// Upper bounds of the buckets of durations, in milliseconds; one more has the rest.
const BUCKETS: [u64; 11] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];

/// What is told of the spans.
#[derive(Clone, Debug)]
pub(super) struct Summary {
    spans: u64,
    start: Nanos,
    end: Nanos,
    shortest: Nanos,
    longest: Nanos,
    total: Nanos,
    /// Spans up to each bound.
    up_to: [u64; BUCKETS.len()],
    /// Where it hangs, if not where the first of them does.
    parent: Option<SpanId>,
}

impl Summary {
    pub(super) fn of<'s>(
        spans: impl Iterator<Item = &'s Span<'s>>,
        parent: Option<SpanId>,
    ) -> Self {
        let most = Nanos(u64::MAX);
        let mut summary = Self {
            spans: 0,
            start: most,
            end: Nanos(0),
            shortest: most,
            longest: Nanos(0),
            total: Nanos(0),
            up_to: [0; BUCKETS.len()],
            parent,
        };
        for span in spans {
            let duration = span.duration();
            summary.spans += 1;
            summary.start = summary.start.min(span.start);
            summary.end = summary.end.max(span.end);
            summary.shortest = summary.shortest.min(duration);
            summary.longest = summary.longest.max(duration);
            summary.total = summary.total.plus(duration);
            for (count, millis) in summary.up_to.iter_mut().zip(BUCKETS) {
                *count += u64::from(duration.0 <= millis * 1_000_000);
            }
        }
        summary
    }

    /// The first of the spans, with what is told of all of them.
    ///
    /// # Errors
    /// When the span is not what was written.
    pub(super) fn written(&self, first: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut out = Vec::with_capacity(first.len() + 512);
        let mut reader = Reader::new(first);
        while let Some(field) = reader.next()? {
            match (field.number, field.value, self.parent) {
                (4, Value::Bytes(_), Some(parent)) => {
                    wire::put_bytes(&mut out, 4, parent.as_bytes());
                }
                (7, Value::Fixed64(_), _) => wire::put_fixed64(&mut out, 7, self.start.0),
                (8, Value::Fixed64(_), _) => wire::put_fixed64(&mut out, 8, self.end.0),
                (number, value, _) => prune::put(&mut out, number, value),
            }
        }
        attribute(&mut out, "is_summary", |out| wire::put_u64(out, 2, 1));
        for (name, number) in [
            ("span_count", self.spans),
            ("duration_min_ns", self.shortest.0),
            ("duration_max_ns", self.longest.0),
            ("duration_avg_ns", self.total.0.checked_div(self.spans).unwrap_or(0)),
            ("duration_total_ns", self.total.0),
        ] {
            attribute(&mut out, name, |out| wire::put_u64(out, 3, number));
        }
        attribute(&mut out, "histogram_bucket_bounds_s", |out| {
            list(
                out,
                BUCKETS.iter().map(|millis| {
                    let whole = u32::try_from(*millis).unwrap_or(u32::MAX);
                    move |out: &mut Vec<u8>| {
                        wire::put_fixed64(out, 4, (f64::from(whole) / 1_000.0).to_bits());
                    }
                }),
            );
        });
        attribute(&mut out, "histogram_bucket_counts", |out| {
            let counts = self.up_to.iter().chain([&self.spans]);
            list(out, counts.map(|count| move |out: &mut Vec<u8>| wire::put_u64(out, 3, *count)));
        });
        Ok(out)
    }
}

/// Puts one attribute of a span.
fn attribute(out: &mut Vec<u8>, name: &str, value: impl FnOnce(&mut Vec<u8>)) {
    wire::put_message(out, 9, |out| {
        wire::put_bytes(out, 1, format!("{PREFIX}{name}").as_bytes());
        wire::put_message(out, 2, value);
    });
}

/// Puts a value that is a list of values.
fn list<F: FnOnce(&mut Vec<u8>)>(out: &mut Vec<u8>, values: impl Iterator<Item = F>) {
    wire::put_message(out, 5, |out| values.for_each(|value| wire::put_message(out, 1, value)));
}
