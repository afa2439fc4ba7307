//! `traceweir query metrics`: series as lines of bars, or single numbers.

use model::{Clock, Wait};

use super::search::{line, wait};
use super::server::{Server, path};
use crate::api::pb::{Any, AnyValue, KeyValue, QueryInstantResponse, QueryRangeResponse, Sample};
use crate::cli::complain;
use crate::cli::table::{Table, time};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  traceweir query metrics '{ status = error } | rate() by(resource.service.name)'
  traceweir query metrics '{ } | quantile_over_time(duration, 0.5, 0.99)' --since 6h --step 5m
  traceweir query metrics '{ } | count_over_time() by(status)' --instant

Exit codes:
  0  the series are printed; there may be none
  1  the query is none, or no server answers
  2  wrong usage")]
pub(super) struct Args {
    /// What to compute, in TraceQL
    #[arg(value_name = "QUERY")]
    query: String,
    /// How far back to look, such as 30m or 1d
    #[arg(long, value_name = "TIME", value_parser = wait, default_value = "1h")]
    since: Wait,
    /// The length of an interval; what fits the range if it is not given
    #[arg(long, value_name = "TIME", value_parser = wait, conflicts_with = "instant")]
    step: Option<Wait>,
    /// One number for each series, over the whole time
    #[arg(long)]
    instant: bool,
    /// Print what the server answers
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// What to print, in a terminal that is so many columns wide.
///
/// # Errors
/// Says why there is nothing.
pub(super) fn run(args: &Args, clock: &dyn Clock, columns: usize) -> Result<String, String> {
    let now = clock.now();
    let step = args.step.map(|step| format!("{}ns", step.nanos().0));
    let parameters = [
        ("q", Some(args.query.clone())),
        ("start", Some(now.minus(args.since.nanos()).0.to_string())),
        ("end", Some(now.0.to_string())),
        ("step", step),
    ];
    let at = if args.instant { "/api/metrics/query" } else { "/api/metrics/query_range" };
    let path = path(at, &parameters);
    if args.json {
        return args.server.json(&path);
    }
    if args.instant {
        let found: QueryInstantResponse = args.server.message(&path)?;
        warn(&found.message);
        return Ok(numbers(&found));
    }
    let found: QueryRangeResponse = args.server.message(&path)?;
    warn(&found.message);
    Ok(lines(&found, columns))
}

fn warn(message: &str) {
    if !message.is_empty() {
        complain(&format!("the answer is not whole: {}", line(message)));
    }
}

fn numbers(found: &QueryInstantResponse) -> String {
    if found.series.is_empty() {
        return "no series\n".to_owned();
    }
    let mut table = Table::new(&["VALUE", "SERIES"]);
    for series in &found.series {
        table.row(vec![short(series.value), labels(&series.labels)]);
    }
    table.text()
}

fn lines(found: &QueryRangeResponse, columns: usize) -> String {
    if found.series.is_empty() {
        return "no series\n".to_owned();
    }
    let at = |sample: &Sample| time(sample.timestamp_ms.unsigned_abs() * 1_000_000);
    let all = || found.series.iter().flat_map(|series| &series.samples);
    let first = all().min_by_key(|sample| sample.timestamp_ms);
    let last = all().max_by_key(|sample| sample.timestamp_ms);
    let (Some(first), Some(last)) = (first, last) else { return "no samples\n".to_owned() };
    // All series are drawn against one scale of time.
    let width = (columns / 3).clamp(10, 60);
    let mut table = Table::new(&["MIN", "MAX", "LAST", "OVER TIME", "SERIES"]);
    for series in &found.series {
        let values = || series.samples.iter().map(|sample| sample.value);
        let min = values().fold(f64::INFINITY, f64::min);
        let max = values().fold(f64::NEG_INFINITY, f64::max);
        let bars = bars(&series.samples, (first.timestamp_ms, last.timestamp_ms), width);
        let end = values().next_back().unwrap_or(f64::NAN);
        table.row(vec![short(min), short(max), short(end), bars, labels(&series.labels)]);
    }
    format!("{} to {}\n{}", at(first), at(last), table.text())
}

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A bar for each stretch of time: the largest of its samples. A blank where there is none.
fn bars(samples: &[Sample], (first, last): (i64, i64), width: usize) -> String {
    let mut cells: Vec<Option<f64>> = vec![None; width];
    let span = last.abs_diff(first).max(1);
    for sample in samples.iter().filter(|sample| sample.value.is_finite()) {
        let place = u128::from(sample.timestamp_ms.abs_diff(first)) * (width as u128 - 1);
        let place = usize::try_from(place / u128::from(span)).unwrap_or(0);
        if let Some(cell) = cells.get_mut(place) {
            *cell = Some(cell.map_or(sample.value, |known| known.max(sample.value)));
        }
    }
    let largest = cells.iter().flatten().copied().fold(0.0, f64::max);
    let bar = |value: f64| {
        // The last bar that the value reaches; none of them is the lowest.
        let reached = BARS.iter().zip(1_u8..=8).rev();
        let mut reached = reached.filter(|(_, n)| value * 8.0 >= largest * f64::from(*n));
        if value > 0.0 { reached.next().map_or(BARS[0], |(bar, _)| *bar) } else { BARS[0] }
    };
    cells.into_iter().map(|cell| cell.map_or(' ', bar)).collect()
}

fn labels(labels: &[KeyValue]) -> String {
    let shown = labels.iter().map(|KeyValue { key, value }| {
        let value = value.as_ref().map(text).unwrap_or_default();
        format!("{}={value}", line(key))
    });
    let all: Vec<String> = shown.collect();
    if all.is_empty() { "(all)".to_owned() } else { all.join(" ") }
}

fn text(value: &AnyValue) -> String {
    match &value.value {
        None => String::new(),
        Some(Any::Text(text)) => line(text),
        Some(Any::Bool(value)) => value.to_string(),
        Some(Any::Int(value)) => value.to_string(),
        Some(Any::Double(value)) => value.to_string(),
        Some(other) => line(&serde_json::to_string(other).unwrap_or_default()),
    }
}

/// A number with four digits or so.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        1e6.. | ..1e-3 => format!("{value:.3e}"),
        100.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.3}"),
        _ if value.is_nan() => "-".to_owned(),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::pb::{InstantSeries, TimeSeries};

    fn label(key: &str, value: Any) -> KeyValue {
        KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
    }

    #[test]
    fn series_are_lines_of_bars() {
        let sample = |minute: i64, value| Sample { timestamp_ms: minute * 60_000, value };
        let samples = vec![sample(0, 0.0), sample(3, 4.0), sample(9, 8.0)];
        let labels = vec![label("resource.service.name", Any::Text("shop\n".to_owned()))];
        let series = TimeSeries { labels, samples, exemplars: Vec::new() };
        let found = QueryRangeResponse { series: vec![series], ..QueryRangeResponse::default() };
        let text = lines(&found, 30);
        let expected = "1970-01-01T00:00:00Z to 1970-01-01T00:09:00Z\n\
                        MIN  MAX    LAST   OVER TIME   SERIES\n\
                        0    8.000  8.000  ▁  ▄     █  resource.service.name=shop\n";
        assert_eq!(text, expected);
        assert_eq!(lines(&QueryRangeResponse::default(), 80), "no series\n");
    }

    #[test]
    fn numbers_are_a_table() {
        let series = InstantSeries { labels: vec![label("p", Any::Double(0.9))], value: 0.25 };
        let found = QueryInstantResponse { series: vec![series], ..Default::default() };
        assert_eq!(numbers(&found), "VALUE   SERIES\n0.2500  p=0.9\n");
        for (value, text) in [
            (0.0, "0"),
            (1_234_567.0, "1.235e6"),
            (0.000_01, "1.000e-5"),
            (123.456, "123.5"),
            (-1.5, "-1.500"),
            (f64::NAN, "-"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
