//! Which blocks are joined into fewer ones: the `compaction` keys, and the choice.
//!
//! Blocks stand in windows of time, by their newest start: an hour each, and of a day once that is
//! over. While spans of a window still arrive, many small blocks of it become one; when it is over,
//! all that is small becomes one, late spans with the traces that they belong to. A block is joined
//! with others only where most of what is written was in smaller blocks: so what a span costs grows
//! with the logarithm of its tenant's spans.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Faults, Nanos, Wait};
use serde::{Deserialize, Serialize};

use crate::block::section::Sort;
use crate::manifest::{BlockId, BlockMeta};

/// When blocks are joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether this process joins blocks.
    pub enabled: bool,
    /// Blocks of one window of time are joined with each other; windows that are over make a longer
    /// one.
    pub window: Wait,
    /// The longer one: an eighth of `retention.age` at most, so that what is old can go.
    pub window_max: Wait,
    /// Most spans of a block; blocks of more than half of that stay as they are.
    pub spans_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        let (window, window_max) = (Wait::secs(3_600), Wait::secs(86_400));
        Self { enabled: true, window, window_max, spans_max: 8_000_000 }
    }
}

impl Config {
    /// Notes every value that is out of its range.
    pub fn check(&self, faults: &mut Faults) {
        let (second, month) = (Wait::secs(1), Wait::secs(31 * 86_400));
        faults.check_range("compaction.window", self.window, second..=month);
        faults.check_range("compaction.window_max", self.window_max, self.window..=month);
        faults.check_range("compaction.spans_max", self.spans_max, 1_000..=SPANS_MAX);
    }
}

/// Most spans of a block: a block has 32 bits of rows, and half of them are for safety's sake.
const SPANS_MAX: u64 = 1 << 31;
/// Most traces of a block: a merge holds 130 bytes of each, about.
const TRACES_MAX: u64 = 1_000_000;
/// Most blocks that are joined at once: each is open, and a slice of it is held.
const BLOCKS_MAX: usize = 64;
/// How long after its end a window is over: what arrives later is late anyway.
const OPEN_FOR: Nanos = Nanos::from_secs(20 * 60);

/// What is joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The blocks, in the order in which their spans arrived.
    pub(crate) blocks: Vec<BlockId>,
    /// What sort of block they become.
    pub(crate) sort: Sort,
}

/// How small blocks must be to be joined.
struct Rule {
    /// So many at least.
    blocks_min: usize,
    /// The largest has at most this many times (as a fraction) what the others have together.
    largest: (u64, u64),
}

/// While spans of the window arrive: an eighth of it is written again at most.
const OPEN: Rule = Rule { blocks_min: 8, largest: (1, 3) };
/// When it is over: once more, and late spans do not make a large block be written again.
const OVER: Rule = Rule { blocks_min: 2, largest: (8, 1) };

/// The blocks of a tenant that are joined next, if any. `age` is how long blocks are kept.
pub(crate) fn choose(
    config: &Config,
    blocks: &[Arc<BlockMeta>],
    now: Nanos,
    age: Option<Nanos>,
) -> Option<Choice> {
    let mut windows: BTreeMap<(u64, u64), Vec<&BlockMeta>> = BTreeMap::new();
    for block in blocks {
        windows.entry(window(config, Nanos(block.starts.1), now, age)).or_default().push(block);
    }
    // The newest are asked for most.
    windows.iter().rev().find_map(|((start, length), blocks)| {
        let end = Nanos(start.saturating_add(*length)).plus(OPEN_FOR);
        if now > end {
            return join(config, blocks, &OVER);
        }
        let of = |sort: Sort| {
            blocks.iter().copied().filter(|block| block.sort == sort).collect::<Vec<_>>()
        };
        join(config, &of(Sort::Normal), &OPEN).or_else(|| join(config, &of(Sort::Straggler), &OPEN))
    })
}

/// The window of a time: its start and length, in nanoseconds.
fn window(config: &Config, newest: Nanos, now: Nanos, age: Option<Nanos>) -> (u64, u64) {
    let short = config.window.nanos().0.max(1);
    let long = age.map_or(u64::MAX, |age| age.0 / 8).min(config.window_max.nanos().0);
    // Windows of the short length are parts of one of the long.
    let long = (long / short).max(1) * short;
    let of = |length: u64| (newest.0 / length * length, length);
    let (start, _) = of(long);
    let is_over = now > Nanos(start.saturating_add(long)).plus(OPEN_FOR);
    of(if is_over { long } else { short })
}

/// As many of these blocks, the smallest first, as the rule allows.
fn join(config: &Config, blocks: &[&BlockMeta], rule: &Rule) -> Option<Choice> {
    let mut by_size: Vec<&BlockMeta> = blocks.to_vec();
    by_size.retain(|block| block.rows <= config.spans_max / 2);
    by_size.sort_by_key(|block| block.rows);
    let (mut spans, mut traces, mut fitting) = (0u64, 0u64, 0);
    for (before, block) in by_size.iter().take(BLOCKS_MAX).enumerate() {
        let others = spans;
        spans = spans.saturating_add(block.rows);
        traces = traces.saturating_add(block.traces);
        if spans > config.spans_max || traces > TRACES_MAX {
            break;
        }
        let (times, of) = rule.largest;
        if before + 1 >= rule.blocks_min && block.rows.saturating_mul(of) <= others * times {
            fitting = before + 1;
        }
    }
    by_size.truncate(fitting);
    let chosen = |block: &&&BlockMeta| by_size.iter().any(|of| of.id == block.id);
    let chosen: Vec<&BlockMeta> = blocks.iter().filter(chosen).copied().collect();
    let is_late = chosen.iter().all(|block| block.sort == Sort::Straggler);
    let sort = if is_late { Sort::Straggler } else { Sort::Normal };
    let blocks: Vec<BlockId> = chosen.iter().map(|block| block.id).collect();
    (!blocks.is_empty()).then_some(Choice { blocks, sort })
}

#[cfg(test)]
mod tests;
