//! `traceweir query search`: traces that a query finds, a line for each.

use model::{Clock, Nanos, Wait};

use super::read;
use super::server::{Server, path};
use super::waterfall::duration;
use crate::api::pb::{SearchResponse, Trace};
use crate::cli::table::{Table, time};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  traceweir query search '{ status = error }'
  traceweir query search '{ resource.service.name = \"shop\" && duration > 1s }' --since 1h
  traceweir query search '{ span.http.route = \"/cart\" } | select(span.user)' --json | jq .

Exit codes:
  0  the traces are printed; there may be none
  1  the query is none, or no server answers
  2  wrong usage")]
pub(super) struct Args {
    /// What to look for, in TraceQL
    #[arg(value_name = "QUERY", default_value = "{ }")]
    query: String,
    /// How far back to look, such as 30m or 2d; everything if it is not given
    #[arg(long, value_name = "TIME", value_parser = wait)]
    since: Option<Wait>,
    /// At most so many traces, the newest
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
    /// At most so many spans of each, in the JSON
    #[arg(long, value_name = "N", default_value_t = 3)]
    spans: u32,
    /// Print what the server answers
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// Reads a length of time.
pub(super) fn wait(text: &str) -> Result<Wait, String> {
    let read = humantime::parse_duration(text);
    read.map(Wait).map_err(|fault| format!("{fault}; write it as 30m, 1h or 2d"))
}

/// What to print.
///
/// # Errors
/// Says why there is nothing.
pub(super) fn run(args: &Args, clock: &dyn Clock) -> Result<String, String> {
    let now = clock.now();
    let secs = |at: Nanos| Some((at.0 / Nanos::SECOND.0).to_string());
    let start = args.since.and_then(|since| secs(now.minus(since.nanos())));
    let end = args.since.and_then(|_| secs(now.plus(Nanos::SECOND)));
    let parameters = [
        ("q", Some(args.query.clone())),
        ("limit", Some(args.limit.to_string())),
        ("spss", Some(args.spans.to_string())),
        ("start", start),
        ("end", end),
    ];
    let path = path("/api/search", &parameters);
    if args.json {
        return args.server.json(&path);
    }
    let found: SearchResponse = args.server.message(&path)?;
    Ok(table(&found.traces))
}

fn table(traces: &[Trace]) -> String {
    if traces.is_empty() {
        return "no traces\n".to_owned();
    }
    let mut table = Table::new(&["START", "TRACE", "DURATION", "SPANS", "SERVICE", "NAME"]);
    for trace in traces {
        let matched: u64 = trace.span_sets.iter().map(|set| u64::from(set.matched)).sum();
        let all: u64 = trace.service_stats.values().map(|stats| u64::from(stats.span_count)).sum();
        let spans = if all > 0 { format!("{matched}/{all}") } else { matched.to_string() };
        table.row(vec![
            time(trace.start_time_unix_nano),
            format!("{:0>32}", line(&trace.trace_id)),
            duration(u64::from(trace.duration_ms) * Nanos::MILLISECOND.0),
            spans,
            line(&trace.root_service_name),
            line(&trace.root_trace_name),
        ]);
    }
    table.text()
}

/// Text that stays on its line.
pub(super) fn line(text: &str) -> String {
    read::text(text.as_bytes()).replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::api::pb::{ServiceStats, SpanSet};

    #[test]
    fn each_trace_is_a_line() {
        let stats = ServiceStats { span_count: 9, error_count: 0 };
        let trace = Trace {
            trace_id: "463ac35c9f6413ad".to_owned(),
            root_service_name: "shop\u{1b}[0m".to_owned(),
            root_trace_name: "GET /\ncart".to_owned(),
            start_time_unix_nano: 1_700_000_000_000_000_000,
            duration_ms: 1_500,
            span_sets: vec![SpanSet { matched: 3, ..SpanSet::default() }],
            service_stats: BTreeMap::from([("shop".to_owned(), stats)]),
            ..Trace::default()
        };
        let text = table(&[trace]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(
            lines[1],
            "2023-11-14T22:13:20Z  0000000000000000463ac35c9f6413ad  1.50s     3/9    \
             shop\\u{1b}[0m  GET / cart"
        );
        assert_eq!(table(&[]), "no traces\n");
        assert_eq!(wait("2d").unwrap(), Wait::secs(172_800));
        assert!(wait("soon").is_err());
    }
}
