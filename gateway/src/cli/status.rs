//! `traceweir status`: asks a running server and prints what it says as a table.

use std::fmt::Write as _;
use std::time::Duration;

use http::Method;
use model::ByteSize;
use serde_json::Value;

use super::{Exit, admin, complain, print};

/// How long a server may take to answer.
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// Show what a running server does: WAL, head, budgets, lag.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  traceweir status
  traceweir status --admin 127.0.0.1:3201 --json
  traceweir status --check ready && echo welcome

Exit codes:
  0  the server answered (and is what --check asks for)
  1  it did not, or is not
  2  wrong usage")]
pub(super) struct Args {
    #[command(flatten)]
    server: admin::Server,
    /// Print the server's own JSON
    #[arg(long)]
    json: bool,
    /// Print nothing; tell by the exit code whether the server is ready, or alive
    #[arg(long, value_enum, conflicts_with = "json")]
    check: Option<Check>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Check {
    /// It takes spans and answers queries.
    Ready,
    /// It runs, perhaps still reading its log.
    Live,
}

pub(super) fn run(args: &Args) -> Exit {
    let path = match args.check {
        Some(Check::Ready) => "/ready",
        Some(Check::Live) => "/live",
        None => "/status",
    };
    let (code, body) = match args.server.ask((Method::GET, path), "", ANSWER_WAIT) {
        Ok(answer) => answer,
        Err(fault) => {
            complain(&fault);
            return Exit::Failed;
        }
    };
    if code != 200 {
        complain(&format!("the server answered {code}: {}", body.trim()));
        return Exit::Failed;
    }
    if args.check.is_some() {
        return Exit::Done;
    }
    match serde_json::from_str::<Value>(&body) {
        Ok(_) if args.json => print(&format!("{body}\n")),
        Ok(status) => print(&table(&status)),
        Err(_) => {
            complain(&format!(
                "{} is not the administration port of a traceweir",
                args.server.address
            ));
            Exit::Failed
        }
    }
}

/// Lines of `name  value`, with bars for what has a bound.
fn table(status: &Value) -> String {
    let text = |path: &str| match status.pointer(path) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "?".to_owned(),
        Some(other) => other.to_string(),
    };
    let number = |path: &str| status.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let bytes = |path: &str| size(number(path));
    let share = |used: &str, most: &str| share(number(used), number(most));
    let mut out = String::new();
    let mut row =
        |name: &str, value: String| writeln!(out, "{name:<11} {value}").unwrap_or_default();
    row(
        "traceweir",
        format!("{}, {}, up {}", text("/version"), text("/phase"), wait(number("/uptime_ms"))),
    );
    row("directory", format!("{}, writer {}", text("/store/directory"), text("/store/writer")));
    row(
        "cpu",
        format!(
            "{} cores, {} used since the start",
            text("/budget/cores"),
            wait(number("/budget/cpu_ms"))
        ),
    );
    row("memory", share("/budget/memory_bytes", "/budget/memory_bytes_max"));
    row("disk", share("/budget/disk_bytes", "/budget/disk_bytes_max"));
    row(
        "received",
        format!(
            "{} spans, {} refused",
            number("/receiver/spans"),
            number("/receiver/refused_spans")
        ),
    );
    let requests = status.pointer("/receiver/requests").and_then(Value::as_array);
    let outcomes = requests
        .into_iter()
        .flatten()
        .filter_map(|pair| Some(format!("{} {}", pair.get(1)?, pair.get(0)?.as_str()?)));
    let outcomes: Vec<_> = outcomes.collect();
    row("requests", if outcomes.is_empty() { "none yet".to_owned() } else { outcomes.join(", ") });
    row(
        "in flight",
        format!(
            "{} requests, {}, {} jobs waiting",
            number("/receiver/requests_in_flight"),
            bytes("/receiver/bytes_in_flight"),
            number("/receiver/jobs_queued")
        ),
    );
    row(
        "head",
        format!(
            "{}, {} spans in {} segments",
            share("/store/head/bytes", "/store/head/bytes_max"),
            number("/store/head/rows"),
            number("/store/head/segments")
        ),
    );
    row(
        "wal",
        format!(
            "{} in {} segments",
            share("/store/wal/disk_bytes", "/store/wal/bytes_max"),
            number("/store/wal/segments")
        ),
    );
    row(
        "wal lag",
        format!(
            "{} requests, {} wait for the disk",
            number("/store/wal/queue_records"),
            bytes("/store/wal/queue_bytes")
        ),
    );
    row(
        "l0",
        format!(
            "{} in {} files, the oldest {}",
            share("/store/l0/bytes", "/store/l0/bytes_max"),
            number("/store/l0/files"),
            wait(number("/store/l0/oldest_ms"))
        ),
    );
    row(
        "blocks",
        format!(
            "{} in {} blocks of {} tenants, {} spans",
            bytes("/store/blocks/bytes"),
            number("/store/blocks/blocks"),
            number("/store/blocks/tenants"),
            number("/store/blocks/spans")
        ),
    );
    for damaged in status.pointer("/store/damaged").and_then(Value::as_array).into_iter().flatten()
    {
        row("DAMAGED", damaged.as_str().unwrap_or_default().to_owned());
    }
    let replay = format!(
        "{} of {}, {} requests, {} damaged stretches",
        bytes("/store/replay/bytes"),
        bytes("/store/replay/bytes_total"),
        number("/store/replay/records"),
        number("/store/replay/corrupt")
    );
    row("replay", replay);
    for (name, path) in [("wal is full", "/store/wal/full"), ("wal failed", "/store/wal/failed")] {
        if let Some(Value::String(why)) = status.pointer(path) {
            row(name, why.clone());
        }
    }
    out
}

fn share(used: u64, most: u64) -> String {
    let percent = used.saturating_mul(100).checked_div(most).unwrap_or(0);
    format!("{} of {} ({percent} %)", size(used), size(most))
}

/// A size in its largest unit that leaves at least two digits.
fn size(bytes: u64) -> String {
    let unit = [1_u64 << 40, 1 << 30, 1 << 20, 1 << 10].into_iter().find(|unit| bytes / unit >= 10);
    ByteSize(unit.map_or(bytes, |unit| bytes / unit * unit)).to_string()
}

fn wait(millis: u64) -> String {
    let rounded = if millis >= 10_000 { millis / 1000 * 1000 } else { millis };
    model::Wait::millis(rounded).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_reads_what_is_there_and_says_what_is_not() {
        let status = serde_json::json!({
            "version": "1.2.3", "phase": "ready", "uptime_ms": 61_500,
            "budget": {"cores": 0.5, "memory_bytes": 52_428_800, "memory_bytes_max": 104_857_600},
            "receiver": {"spans": 7, "requests": [["ok", 3], ["invalid", 1]]},
            "store": {"wal": {"full": "no space"}},
        });
        let table = table(&status);
        for line in [
            "traceweir   1.2.3, ready, up 1m 1s\n",
            "directory   ?, writer ?\n",
            "memory      50MiB of 100MiB (50 %)\n",
            "received    7 spans, 0 refused\n",
            "requests    3 ok, 1 invalid\n",
            "wal is full no space\n",
        ] {
            assert!(table.contains(line), "{line}\nnot in\n{table}");
        }
    }

    #[test]
    fn sizes_keep_two_digits() {
        let sizes = [0, 900, 20_480, 10 << 20, (15 << 30) + 5].map(size);
        assert_eq!(sizes, ["0B", "900B", "20KiB", "10MiB", "15GiB"]);
    }
}
