//! Traces of more rows than a part may have, in memory that does not grow with them.
//!
//! Besides the list of its rows, which the caller has, a trace costs one bit a row: keys are
//! looked at in windows, each the smallest that are left, found by going through all rows.

use model::batch::Batch;

use super::repeated::{arrival, identity};
use super::{Ordered, Orderer, Place, effective_start, word};

/// Parts in a window at least. Larger windows need fewer looks at all rows and more memory: this
/// is 6.4 MB.
const WINDOW_PARTS: usize = 4;

impl Orderer {
    /// As [`Orderer::trace`], in parts of nearly the same size by effective start.
    pub(super) fn huge_trace(&mut self, sources: &[&Batch], places: &[Place], out: &mut Ordered) {
        self.find_repeated(sources, places);
        self.repeated.settle(out);
        let mut left = places.len() - self.repeated.len();
        let parts = left.div_ceil(self.part_rows);
        let part_rows = left.div_ceil(parts);
        let repeated = std::mem::take(&mut self.repeated);
        let mut window = std::mem::take(&mut self.window);
        let (mut from, mut number) = (0, 0);
        while left > 0 {
            let kept = places.iter().enumerate().filter(|(at, _)| !repeated.contains(*at));
            let keys = kept.map(|(at, place)| {
                let start = effective_start(sources[place.source as usize], place.row);
                u128::from(start.0) << 64 | at as u128
            });
            fill(&mut window, keys, from, WINDOW_PARTS * self.part_rows);
            let whole =
                if window.len() == left { left } else { window.len() / part_rows * part_rows };
            for part in window[..whole].chunks(part_rows) {
                let rows = part.iter().map(|key| places[arrival(*key)]);
                let Some(mut trace) = self.load(sources, rows) else { continue };
                (trace.part, trace.oversized) = (number, parts > 1);
                self.tree.index(&self.spans);
                self.append(trace, out);
                number += 1;
            }
            from = window[whole - 1] + 1;
            left -= whole;
        }
        (self.repeated, self.window) = (repeated, window);
    }

    fn find_repeated(&mut self, sources: &[&Batch], places: &[Place]) {
        self.repeated.reset(places.len());
        let (mut from, mut left) = (0, places.len());
        while left > 0 {
            let keys = places.iter().zip(0..).map(|(Place { source, row }, at)| {
                let batch = sources[*source as usize];
                identity(word(batch.span_id(*row)), batch.kind(*row).cast_unsigned(), at)
            });
            fill(&mut self.window, keys, from, WINDOW_PARTS * self.part_rows);
            self.repeated.find(sources, places, &self.window);
            left -= self.window.len();
            from = self.window.last().map_or(from, |last| last + 1);
        }
    }
}

/// Fills the window with the smallest keys (all different) that are not below `from`, ascending:
/// all of them, or at least `len` and less than twice as many.
pub(super) fn fill(
    window: &mut Vec<u128>,
    keys: impl Iterator<Item = u128>,
    from: u128,
    len: usize,
) {
    window.clear();
    let mut last = u128::MAX;
    for key in keys {
        if key < from || key > last {
            continue;
        }
        window.push(key);
        if window.len() == 2 * len {
            last = *window.select_nth_unstable(len - 1).1;
            window.truncate(len);
        }
    }
    window.sort_unstable();
}
