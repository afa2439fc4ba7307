//! Chance by seed: a small generator of random numbers, and the lognormal shape of latencies.
//!
//! Everything here is whole-number arithmetic or plain `+ * /` on doubles, so that a seed gives the
//! same spans on every machine (`exp` and `ln` of the system's library differ in the last bits).

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "random bits are cut to size on purpose, and factors lie between 0.05 and 20"
)]

/// A seeded stream of random numbers (SplitMix64: Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

/// The step of the stream: 2^64 divided by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Mixes the bits of a number, so that neighbours share nothing.
pub(super) const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(mix(seed ^ STEP))
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number below `bound`, which is not zero.
    pub(super) const fn below(&mut self, bound: u64) -> u64 {
        ((self.next() as u128 * bound as u128) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub(super) const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True in `per_million` of a million cases.
    pub(super) const fn chance(&mut self, per_million: u64) -> bool {
        self.below(1_000_000) < per_million
    }

    /// One of the items; the list is not empty.
    pub(super) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
        bytes
    }
}

/// Sixteen bytes that stand for the `index`-th member of a population.
pub(super) fn member(seed: u64, index: u64) -> [u8; 16] {
    Random::new(seed ^ mix(index)).bytes()
}

/// How many factors the table holds.
const FACTORS: usize = 4096;

/// Factors around 1 with a lognormal distribution, as 16.16 fixed-point numbers.
#[derive(Debug)]
pub(super) struct Lognormal(Vec<u64>);

impl Lognormal {
    /// A table for the given spread (the standard deviation of the logarithm).
    pub(super) fn new(spread: f64) -> Self {
        let mut random = Random::new(STEP);
        let mut normal = || -> f64 {
            // The sum of twelve uniform numbers is near enough to normal (Irwin-Hall).
            let sum: f64 =
                (0..12).map(|_| random.below(1 << 32) as f64 / (1u64 << 32) as f64).sum();
            sum - 6.0
        };
        Self((0..FACTORS).map(|_| (exp(normal() * spread) * 65_536.0) as u64).collect())
    }

    /// The value times a factor.
    pub(super) fn spread(&self, random: &mut Random, value: u64) -> u64 {
        let factor = self.0[random.below(FACTORS as u64) as usize];
        (value * factor) >> 16
    }
}

/// The exponential function for small arguments, by (1 + x/1024)^1024.
fn exp(x: f64) -> f64 {
    let mut power = 1.0 + x / 1024.0;
    for _ in 0..10 {
        power *= power;
    }
    power
}
