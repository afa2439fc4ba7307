//! Quantiles of a stream, mergeable, with a bounded relative error: DDSketch
//! (Masson, Rim, Lee: *DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error
//! Guarantees*, VLDB 2019, arxiv.org/abs/1908.10693).
//!
//! A quantile is within 1 % of a value that has this rank, as long as values spread over fewer than
//! [`BINS_MAX`] bins: 17 orders of magnitude of one sign. Beyond it the smallest magnitudes are
//! collapsed, which only low quantiles notice.

use std::collections::BTreeMap;

/// The relative error.
pub(super) const ERROR: f64 = 0.01;
/// (1 + error) / (1 - error): a bin is that much wider than the one before.
const GAMMA: f64 = (1.0 + ERROR) / (1.0 - ERROR);
/// The most bins of one sign.
const BINS_MAX: usize = 2_048;

/// Counts of values by the logarithm of their magnitude.
#[derive(Clone, Debug, Default)]
pub(super) struct Sketch {
    positive: BTreeMap<i32, u64>,
    negative: BTreeMap<i32, u64>,
    zeros: u64,
    count: u64,
}

impl Sketch {
    /// Adds a finite value; tells how many bins it has more.
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
        let before = bins.len();
        *bins.entry(bin(value.abs())).or_default() += 1;
        collapse(bins);
        bins.len().saturating_sub(before)
    }

    /// Adds what another has seen.
    #[cfg_attr(not(test), expect(dead_code, reason = "parts of a query run one after the other"))]
    pub(super) fn merge(&mut self, other: &Self) {
        for (bins, more) in
            [(&mut self.positive, &other.positive), (&mut self.negative, &other.negative)]
        {
            for (bin, count) in more {
                *bins.entry(*bin).or_default() += count;
            }
            collapse(bins);
        }
        self.zeros += other.zeros;
        self.count += other.count;
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
                return Some(-value(*bin));
            }
        }
        seen += self.zeros;
        if seen > rank {
            return Some(0.0);
        }
        for (bin, count) in &self.positive {
            seen += count;
            if seen > rank {
                return Some(value(*bin));
            }
        }
        None
    }
}

/// The bin of a magnitude: its logarithm, rounded up.
#[expect(clippy::cast_possible_truncation, reason = "logarithms of floats are small")]
fn bin(magnitude: f64) -> i32 {
    (magnitude.ln() / GAMMA.ln()).ceil() as i32
}

/// The value of a bin that is nowhere farther off than the error.
fn value(bin: i32) -> f64 {
    2.0 * GAMMA.powi(bin) / (GAMMA + 1.0)
}

fn collapse(bins: &mut BTreeMap<i32, u64>) {
    while bins.len() > BINS_MAX {
        let Some((_, count)) = bins.pop_first() else { return };
        if let Some(mut next) = bins.first_entry() {
            *next.get_mut() += count;
        }
    }
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
