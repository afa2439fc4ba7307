//! A million inputs over the parsers of foreign bytes: seeds, mutated, and bytes of chance. The
//! full form is `./dev prove fuzz`.

#[path = "../fuzz/checks.rs"]
mod checks;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Of all parsers together.
const INPUTS: u64 = 1_000_000;

/// The longest input, in bytes.
const INPUT_BYTES_MAX: usize = 4 << 10;

#[test]
fn a_million_inputs_and_no_parser_panics() {
    let threads = 2_usize;
    std::thread::scope(|scope| {
        for first in 0..2 {
            scope.spawn(move || try_all((first..INPUTS).step_by(threads)));
        }
    });
}

/// Runs the inputs of one thread.
fn try_all(numbers: impl Iterator<Item = u64>) {
    let seeds = checks::seeds();
    let mut batches = checks::batches();
    for (done, number) in numbers.enumerate() {
        // Making batches costs more than an input; old ones grow.
        if done % 1_000 == 999 {
            batches = checks::batches();
        }
        // The input follows from its number alone.
        let mut chance = Chance(number);
        let (target, seeds) = chance.pick(&seeds).expect("there are targets");
        // One reads a block each time, as long as fifty others take; one tries corrections; one compiles.
        let one_of = match *target {
            "block_read" => 50,
            "traceql" | "otlp_outline" => 4,
            "plugin_load" => 500,
            _ => 1,
        };
        if chance.below(one_of) != 0 {
            continue;
        }
        let input = input(&mut chance, seeds);
        let check = || match *target {
            "otlp_json" => checks::otlp_json(&input),
            "otlp_proto" => checks::otlp_proto_into(&mut batches, &input),
            "block_section" => checks::block_section(&input),
            "block_read" => checks::block_read(&input),
            "traceql" => checks::traceql(&input),
            "otlp_outline" => checks::otlp_outline(&input),
            "plugin_edits" => checks::plugin_edits(&input),
            "plugin_decisions" => checks::plugin_decisions(&input),
            "plugin_batch" => checks::plugin_batch(&input),
            "plugin_load" => checks::plugin_load(&input),
            _ => checks::wal_record(&input),
        };
        let caught = catch_unwind(AssertUnwindSafe(check));
        assert!(caught.is_ok(), "input {number} for {target}: {}", input.escape_ascii());
    }
}

/// A seed with a few changes, or bytes of chance.
fn input(chance: &mut Chance, seeds: &[Vec<u8>]) -> Vec<u8> {
    if chance.below(16) == 0 {
        let length = chance.below(200);
        return (0..length).map(|_| chance.byte()).collect();
    }
    let mut bytes = chance.pick(seeds).cloned().unwrap_or_default();
    for _ in 0..=chance.below(6) {
        change(chance, &mut bytes, seeds);
        bytes.truncate(INPUT_BYTES_MAX);
    }
    bytes
}

fn change(chance: &mut Chance, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    const TELLING: [u8; 16] = *b"\x00\x01\x7f\x80\xff\"\\{}[],:-0e";
    let at = chance.index(bytes.len() + 1);
    let end = (at + chance.index(32)).min(bytes.len());
    match chance.below(8) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => {
            let copy = bytes[at..end].to_vec();
            let to = chance.index(bytes.len() + 1);
            bytes.splice(to..to, copy);
        }
        3 => {
            let other = chance.pick(seeds).map(Vec::as_slice).unwrap_or_default();
            let from = chance.index(other.len() + 1);
            let to = (from + chance.index(64)).min(other.len());
            bytes.splice(at..end, other[from..to].iter().copied());
        }
        4 => {
            let telling = chance.pick(&TELLING).copied().unwrap_or_default();
            bytes.insert(at, telling);
        }
        kind => {
            let telling = chance.pick(&TELLING).copied().unwrap_or_default();
            let random = chance.byte();
            if let Some(byte) = bytes.get_mut(at) {
                match kind {
                    5 => *byte = telling,
                    6 => *byte = random,
                    _ => *byte ^= 1 << (random % 8),
                }
            }
        }
    }
}

/// Chance from a seed (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// A place below `length` (0 where that is 0).
    fn index(&mut self, length: usize) -> usize {
        let bound = u64::try_from(length).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.below(bound)).unwrap_or(0)
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.index(items.len()))
    }
}
