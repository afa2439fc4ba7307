//! How long acks take while one query after the other is asked, beside how long they take without:
//! in one run, an open loop at a share of what the server can take, in turns.

use std::cell::Cell;
use std::time::Duration;

use serde_json::{Map, Value};

use super::ask::{Asker, QUESTIONS};
use super::{Args, drive, fill, line, make};
use crate::engine::{self, Drive, as_f64};
use crate::report;
use crate::say;

/// The share of the closed loop's rate that the open loop sends at.
const SHARE: f64 = 0.7;
/// Requests at a time on each connection: enough for a stall of some seconds.
const IN_FLIGHT: usize = 64;
/// How often each of both is measured, in turns.
const TURNS: usize = 3;

pub(super) async fn run(args: &Args) -> anyhow::Result<()> {
    let (before, truth) = make(args.spans / 4, args.seed + 1)?;
    let (messages, _) = make(args.spans, args.seed)?;
    let server = args.start().await?;
    let closed = engine::run(&before, 0..before.len(), &drive(&server)?).await;
    let rate = as_f64(closed.acked) / closed.elapsed.as_secs_f64() * SHARE;
    say(&format!("closed loop {:.0} spans/s, open loop {rate:.0}", rate / SHARE));
    fill(&server, &before, 1).await?;
    let drive = Drive { rate: Some(rate), in_flight: IN_FLIGHT, ..drive(&server)? };
    let asker = Asker::new(&server, 1)?;
    let part = messages.len() / (2 * TURNS);
    let (mut alone, mut along): (Vec<Duration>, Vec<Duration>) = (Vec::new(), Vec::new());
    let asked = Cell::new(0);
    for turn in 0..2 * TURNS {
        let range = turn * part..(turn + 1) * part;
        if turn % 2 == 0 {
            alone.extend(engine::run(&messages, range, &drive).await.waits);
            continue;
        }
        let loading = Cell::new(true);
        let load = async {
            let sent = engine::run(&messages, range, &drive).await;
            loading.set(false);
            sent
        };
        let queries = async {
            while loading.get() {
                let number = asked.replace(asked.get() + 1);
                let at = usize::try_from(number)? % QUESTIONS.len();
                if let Some(question) = QUESTIONS.get(at) {
                    asker.ask(&question.path(&truth, number, true)?).await?;
                }
            }
            anyhow::Ok(())
        };
        let (sent, queries) = tokio::join!(load, queries);
        queries?;
        along.extend(sent.waits);
    }
    server.stop().await?;
    let row = |waits: &[Duration]| {
        let mut row = Map::new();
        report::waits(&mut row, "ms", waits);
        row
    };
    let (alone, along) = (row(&alone), row(&along));
    line("| acks, ms | alone | with a query at any time | ratio |")?;
    line("|---|---|---|---|")?;
    for key in ["ms_p50", "ms_p99", "ms_p999", "ms_max"] {
        let number = |row: &Map<String, Value>| row.get(key).and_then(Value::as_f64).unwrap_or(0.0);
        let (alone, along) = (number(&alone), number(&along));
        line(&format!("| {key} | {alone:.2} | {along:.2} | {:.2} |", along / alone))?;
    }
    say(&format!("{} queries; the target of the ratio of p99 is 1.5", asked.get()));
    Ok(())
}
