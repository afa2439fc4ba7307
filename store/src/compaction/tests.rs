//! What is joined, when, and what it costs over a year of minutes.

use super::*;
use crate::block::section::Location;

const MINUTE: u64 = 60 * 1_000_000_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// The start of a day.
const START: u64 = 20_000 * DAY;

fn block(number: u64, end: u64, rows: u64) -> Arc<BlockMeta> {
    Arc::new(BlockMeta {
        id: BlockId { writer: 1, number },
        sort: Sort::Normal,
        rows,
        traces: rows / 10,
        bytes: rows * 40,
        starts: (end.saturating_sub(MINUTE), end),
        received: (end.saturating_sub(MINUTE), end),
        created_at: end,
        compactions: 0,
        directory: Location { offset: 0, len: 0, crc: 0 },
        oversized: false,
    })
}

fn late(number: u64, end: u64, rows: u64) -> Arc<BlockMeta> {
    Arc::new(BlockMeta { sort: Sort::Straggler, ..(*block(number, end, rows)).clone() })
}

fn numbers(choice: Option<Choice>) -> Vec<u64> {
    choice.map(|choice| choice.blocks.iter().map(|id| id.number).collect()).unwrap_or_default()
}

fn ask(blocks: &[Arc<BlockMeta>], now: u64) -> Option<Choice> {
    choose(&Config::default(), blocks, Nanos(now), None)
}

/// What a tenant has after its blocks were joined as chosen, and what that wrote.
fn apply(blocks: &mut Vec<Arc<BlockMeta>>, choice: &Choice, next: u64) -> u64 {
    let chosen = |block: &Arc<BlockMeta>| choice.blocks.contains(&block.id);
    let of: Vec<_> = blocks.iter().filter(|block| chosen(block)).cloned().collect();
    let rows = of.iter().map(|block| block.rows).sum();
    let end = of.iter().map(|block| block.starts.1).max().unwrap();
    let place = blocks.iter().position(chosen).unwrap();
    blocks.retain(|block| !chosen(block));
    let joined = BlockMeta { sort: choice.sort, ..(*block(next, end, rows)).clone() };
    blocks.insert(place, Arc::new(joined));
    rows
}

#[test]
fn many_small_blocks_of_a_window_become_one_and_few_wait() {
    let mut blocks: Vec<_> = (0..7).map(|n| block(n, START + n * MINUTE, 100)).collect();
    let now = START + 10 * MINUTE;
    assert_eq!(ask(&blocks, now), None);
    blocks.push(block(7, START + 7 * MINUTE, 100));
    assert_eq!(numbers(ask(&blocks, now)), [0, 1, 2, 3, 4, 5, 6, 7]);
    // A large one is not written again for them.
    blocks.insert(3, block(8, START + MINUTE, 1_000));
    assert_eq!(numbers(ask(&blocks, now)), [0, 1, 2, 3, 4, 5, 6, 7]);
    // Of another hour.
    blocks[7] = block(7, START - MINUTE, 100);
    assert_eq!(ask(&blocks, now), None);
}

#[test]
fn when_a_window_is_over_late_spans_join_their_traces() {
    let blocks = vec![
        block(1, START + MINUTE, 1_000),
        late(2, START + 2 * MINUTE, 10),
        block(3, START + 50 * MINUTE, 900),
        late(4, START + HOUR + MINUTE, 10),
    ];
    assert_eq!(ask(&blocks, START + HOUR), None);
    let choice = ask(&blocks, START + HOUR + 21 * MINUTE);
    assert_eq!(choice.as_ref().map(|choice| choice.sort), Some(Sort::Normal));
    assert_eq!(numbers(choice), [1, 2, 3]);
    // Late spans alone stay what they are.
    let blocks = vec![late(2, START + 2 * MINUTE, 10), late(3, START + 3 * MINUTE, 10)];
    let choice = ask(&blocks, START + HOUR + 21 * MINUTE);
    assert_eq!(choice.map(|choice| choice.sort), Some(Sort::Straggler));
    // Few of them do not make a large block be written again.
    let blocks = vec![block(1, START + MINUTE, 1_000), late(2, START + 2 * MINUTE, 10)];
    assert_eq!(ask(&blocks, START + HOUR + 21 * MINUTE), None);
}

#[test]
fn hours_become_a_day_and_no_block_outlives_its_age_by_much() {
    let hours: Vec<_> = (0..24).map(|n| block(n, START + n * HOUR + MINUTE, 1_000)).collect();
    assert_eq!(ask(&hours, START + DAY), None);
    assert_eq!(numbers(ask(&hours, START + DAY + 21 * MINUTE)).len(), 24);
    // Kept for two days: six hours at most are together.
    let age = Some(Nanos(2 * DAY));
    let choice = choose(&Config::default(), &hours, Nanos(START + 2 * DAY), age);
    assert_eq!(numbers(choice), [18, 19, 20, 21, 22, 23]);
}

#[test]
fn blocks_that_are_large_stay() {
    let config = Config { spans_max: 10_000, ..Config::default() };
    let now = Nanos(START + 3 * DAY);
    let blocks = vec![block(1, START, 5_001), block(2, START, 4_000), block(3, START, 4_000)];
    assert_eq!(numbers(choose(&config, &blocks, now, None)), [2, 3]);
    let blocks = vec![block(1, START, 5_001), block(2, START, 5_001)];
    assert_eq!(choose(&config, &blocks, now, None), None);
    let blocks = vec![block(1, START, 5_000), block(2, START, 5_000), block(3, START, 5_000)];
    assert_eq!(numbers(choose(&config, &blocks, now, None)), [1, 2]);
}

#[test]
fn over_weeks_there_are_few_blocks_and_each_span_is_written_few_times() {
    for per_minute in [1u64, 600, 60_000, 600_000, 6_000_000] {
        let (mut blocks, mut next, mut written, mut most) = (Vec::new(), 0, 0, 0);
        let days = 4;
        for minute in 0..days * 24 * 60 {
            let now = START + minute * MINUTE;
            next += 1;
            blocks.push(block(next, now, per_minute));
            if minute % 7 == 0 {
                next += 1;
                blocks.push(late(next, now.saturating_sub(HOUR), per_minute / 100 + 1));
            }
            // It ends: each choice leaves fewer blocks.
            while let Some(choice) = ask(&blocks, now) {
                let before = blocks.len();
                next += 1;
                written += apply(&mut blocks, &choice, next);
                assert!(blocks.len() < before);
            }
            most = most.max(blocks.len());
        }
        let spans: u64 = blocks.iter().map(|block| block.rows).sum();
        let times = written / spans;
        let least = usize::try_from(spans / 8_000_000).unwrap();
        assert!(times <= 3, "{per_minute}: each span is written {times} times again");
        assert!(blocks.len() <= 120 + 3 * least, "{per_minute}: {} blocks", blocks.len());
        assert!(most <= 150 + 3 * least, "{per_minute}: {most} blocks at once");
    }
}
