//! Results: a JSON line each on standard output as they come, and a table for people at the end.

use std::io::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::engine::{Sent, as_f64};
use crate::say;

/// The results of a run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<(String, Map<String, Value>)>,
}

impl Report {
    /// Prints a result, and keeps it for the table.
    pub(crate) fn add(&mut self, name: &str, result: Map<String, Value>) -> anyhow::Result<()> {
        let mut line = json!({ "name": name });
        if let Some(line) = line.as_object_mut() {
            line.extend(result.clone());
        }
        writeln!(std::io::stdout().lock(), "{line}")?;
        self.rows.push((name.to_owned(), result));
        Ok(())
    }

    /// Prints the table.
    pub(crate) fn table(&self) {
        for (name, result) in &self.rows {
            let cells: Vec<String> =
                result.iter().map(|(key, value)| format!("{key}={value}")).collect();
            say(&format!("{name:<10} {}", cells.join(" ")));
        }
    }
}

/// What the sender saw.
pub(crate) fn sent(sent: &Sent) -> Map<String, Value> {
    let secs = sent.elapsed.as_secs_f64();
    let mut row = Map::new();
    row.insert("spans".into(), json!(sent.acked));
    row.insert("requests".into(), json!(sent.requests));
    row.insert("spans_per_s".into(), round(as_f64(sent.acked) / secs, 0));
    row.insert("mb_per_s".into(), round(as_f64(sent.raw_bytes) / secs / 1e6, 1));
    row.insert("wire_b_per_span".into(), per(sent.wire_bytes, sent.acked, 1));
    waits(&mut row, "ack_ms", &sent.waits);
    row.insert("sender_cpu_s_per_m".into(), cpu_per_m(sent.own_cpu, sent.acked));
    for (key, count) in
        [("rejected", sent.rejected), ("lost", sent.lost), ("retries", sent.retries)]
    {
        if count > 0 {
            row.insert(key.into(), json!(count));
        }
    }
    if let Some(trouble) = &sent.trouble {
        row.insert("trouble".into(), json!(trouble));
    }
    row
}

/// Quantiles of waits, in milliseconds.
pub(crate) fn waits(row: &mut Map<String, Value>, key: &str, waits: &[Duration]) {
    let mut sorted = waits.to_vec();
    sorted.sort_unstable();
    for (name, thousandths) in [("p50", 500), ("p99", 990), ("p999", 999), ("max", 1000)] {
        let rank = (sorted.len() * thousandths).div_ceil(1000).max(1);
        if let Some(wait) = sorted.get(rank - 1) {
            row.insert(format!("{key}_{name}"), round(wait.as_secs_f64() * 1e3, 3));
        }
    }
}

/// Processor seconds per million spans.
pub(crate) fn cpu_per_m(cpu: Duration, spans: u64) -> Value {
    round(cpu.as_secs_f64() * 1e6 / as_f64(spans.max(1)), 3)
}

/// One number per another.
pub(crate) fn per(number: u64, of: u64, digits: u32) -> Value {
    round(as_f64(number) / as_f64(of.max(1)), digits)
}

/// A number with so many digits after the point.
pub(crate) fn round(number: f64, digits: u32) -> Value {
    let scale = f64::from(10_u32.pow(digits));
    json!((number * scale).round() / scale)
}
