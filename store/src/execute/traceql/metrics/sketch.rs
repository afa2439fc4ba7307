//! Quantiles of a stream, mergeable, with a bounded relative error: DDSketch
//! (Masson, Rim, Lee: *DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error
//! Guarantees*, VLDB 2019, arxiv.org/abs/1908.10693).
//!
//! Bins are those of its linearly interpolated mapping: 64 for each power of two, told by the first
//! bits of a float, without a logarithm. A quantile is within 0.8 % of a value that has this rank, as
//! long as values spread over fewer than [`BINS_MAX`] bins: 19 orders of magnitude of one sign.
//! Beyond it the smallest magnitudes are collapsed, which only low quantiles notice.

/// The relative error: half a bin, of one whose width is 1/64 of its lower end.
#[cfg(test)]
pub(super) const ERROR: f64 = 1.0 / 129.0;
/// Bits of a float's fraction that do not tell its bin.
const BELOW: u32 = 52 - 6;
/// The most bins of one sign.
const BINS_MAX: usize = 4_096;
/// Bins are added so many at a time.
const BINS_STEP: u32 = 64;

/// Counts of values by the logarithm of their magnitude.
#[derive(Clone, Debug, Default)]
pub(super) struct Sketch {
    positive: Bins,
    negative: Bins,
    zeros: u64,
    count: u64,
}

/// Counts of neighbouring bins.
#[derive(Clone, Debug, Default)]
struct Bins {
    first: u32,
    counts: Vec<u64>,
}

impl Sketch {
    /// Adds a finite value; tells how many bins it has more.
    #[inline]
    pub(super) fn add(&mut self, value: f64) -> usize {
        self.count += 1;
        let bins = match value {
            value if value > f64::MIN_POSITIVE => &mut self.positive,
            value if value < -f64::MIN_POSITIVE => &mut self.negative,
            _ => {
                self.zeros += 1;
                return 0;
            }
        };
        bins.add(bin(value.abs()), 1)
    }

    /// Adds what another has seen; tells how many bins it has more.
    pub(super) fn merge(&mut self, other: &Self) -> usize {
        let mut more = 0;
        for (bins, others) in
            [(&mut self.positive, &other.positive), (&mut self.negative, &other.negative)]
        {
            for (bin, count) in others.iter() {
                more += bins.add(bin, count);
            }
        }
        self.zeros += other.zeros;
        self.count += other.count;
        more
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Heap bytes held.
    pub(super) fn heap_bytes(&self) -> usize {
        (self.positive.counts.capacity() + self.negative.counts.capacity()) * size_of::<u64>()
    }

    /// The value below which this share of all values is; `None` where there are none.
    pub(super) fn quantile(&self, share: f64) -> Option<f64> {
        let last = self.count.checked_sub(1)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank among fewer than 2^53 values"
        )]
        let rank = (share.clamp(0.0, 1.0) * last as f64).floor() as u64;
        let mut seen = 0;
        for (bin, count) in self.negative.iter().rev() {
            seen += count;
            if seen > rank {
                return Some(-value(bin));
            }
        }
        seen += self.zeros;
        if seen > rank {
            return Some(0.0);
        }
        for (bin, count) in self.positive.iter() {
            seen += count;
            if seen > rank {
                return Some(value(bin));
            }
        }
        None
    }
}

impl Bins {
    /// Bins with values, the smallest magnitude first.
    fn iter(&self) -> impl DoubleEndedIterator<Item = (u32, u64)> {
        let bins = (self.first..).zip(&self.counts).map(|(bin, count)| (bin, *count));
        bins.filter(|(_, count)| *count > 0).collect::<Vec<_>>().into_iter()
    }

    #[inline]
    fn add(&mut self, bin: u32, count: u64) -> usize {
        let at = bin.checked_sub(self.first).map(|at| at as usize);
        if let Some(slot) = at.and_then(|at| self.counts.get_mut(at)) {
            *slot += count;
            return 0;
        }
        self.grow(bin, count)
    }

    #[cold]
    fn grow(&mut self, bin: u32, count: u64) -> usize {
        let before = self.counts.len();
        let end = |bins: &Self| bins.first + model::column::count(bins.counts.len());
        let aligned = bin / BINS_STEP * BINS_STEP;
        if self.counts.is_empty() {
            self.first = aligned;
        }
        let last = end(self).max(aligned + BINS_STEP);
        let first =
            self.first.min(aligned).max(last.saturating_sub(model::column::count(BINS_MAX)));
        let mut counts = vec![0; (last - first) as usize];
        for (at, count) in (self.first..).zip(&self.counts) {
            // What falls below the first one is counted in it.
            if let Some(slot) = counts.get_mut(at.saturating_sub(first) as usize) {
                *slot += *count;
            }
        }
        if let Some(slot) = counts.get_mut(bin.saturating_sub(first) as usize) {
            *slot += count;
        }
        (self.first, self.counts) = (first, counts);
        self.counts.len().saturating_sub(before)
    }
}

/// The bin of a magnitude: its exponent and the first bits of its fraction, 17 in all.
#[inline]
const fn bin(magnitude: f64) -> u32 {
    (magnitude.to_bits() >> BELOW) as u32
}

/// The value of a bin that is nowhere farther off than the error.
fn value(bin: u32) -> f64 {
    let low = f64::from_bits(u64::from(bin) << BELOW);
    let high = f64::from_bits((u64::from(bin) + 1) << BELOW);
    2.0 * low / (1.0 + low / high)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn quantiles_are_within_the_error_and_merge(
            values in prop::collection::vec(prop_oneof![-1e6..1e6f64, Just(0.0), 0.0..1e-3], 1..200),
            split in any::<prop::sample::Index>(),
            share in 0.0..=1.0f64,
        ) {
            let at = split.index(values.len());
            let (mut one, mut other) = (Sketch::default(), Sketch::default());
            for value in &values[..at] {
                one.add(*value);
            }
            for value in &values[at..] {
                other.add(*value);
            }
            one.merge(&other);
            let mut sorted = values;
            sorted.sort_by(f64::total_cmp);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss,
                clippy::cast_precision_loss, reason = "few values")]
            let exact = sorted[(share * (sorted.len() - 1) as f64).floor() as usize];
            let found = one.quantile(share).unwrap();
            prop_assert!((found - exact).abs() <= exact.abs() * ERROR * 1.000_001, "{found} {exact}");
        }
    }

    #[test]
    fn of_no_values_there_is_no_quantile() {
        assert_eq!(Sketch::default().quantile(0.5), None);
    }
}
