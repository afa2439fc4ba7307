//! Questions with known answers, and how they are measured.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use gateway::clock::Tasks;
use gateway::demo::client::{Channel, Coding, Protocol, Target};
use gateway::demo::truth::Truth;
use model::Nanos;
use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message as _;
use serde_json::Value;

use crate::check::percent;
use crate::engine::as_f64;
use crate::process::Server;

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    pub(super) name: &'static str,
    /// What the median may be.
    pub(super) target_ms: u32,
    form: Form,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    /// Traces of the truth's samples.
    ById,
    /// The truth's query of that name: so many traces at most.
    Search { query: &'static str, limit: u64 },
    /// Spans by service.
    Rates,
    /// A series for each name.
    Quantiles,
}

/// The most traces that a search may be asked for.
const ALL: u64 = 9_900;

const fn search(name: &'static str, query: &'static str, limit: u64, target_ms: u32) -> Question {
    Question { name, target_ms, form: Form::Search { query, limit } }
}

/// In the order of the table; each with what is aimed at, on one core.
pub(super) const QUESTIONS: [Question; 10] = [
    Question { name: "trace by id", target_ms: 2, form: Form::ById },
    search("needle", "needle", 20, 2),
    search("absent value", "absent", 20, 1),
    search("status >= 500, all", "http status 500 and above", ALL, 15),
    search("name =~ .*checkout.*, all", "name with checkout", ALL, 20),
    search("duration > 1s, all", "span longer than 1s", ALL, 6),
    search("frontend >> postgresql, 20", "frontend >> postgresql", 20, 10),
    search("frontend error >> payment error, all", "frontend error >> payment error", ALL, 25),
    Question { name: "rate() by service", target_ms: 12, form: Form::Rates },
    Question { name: "p99 by name", target_ms: 25, form: Form::Quantiles },
];

/// Asked of what is in memory only.
pub(super) const IN_HEAD: Question = search("needle in the head", "needle", 20, 2);

/// How long answers took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    pub(super) p50_ms: f64,
    pub(super) p90_ms: f64,
    /// Of the server, per question.
    pub(super) cpu_ms: f64,
}

/// What a question came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    /// Each asked for the first time.
    pub(super) first: Waits,
    /// Asked before, within other bounds.
    pub(super) again: Waits,
    /// Traces, spans or series.
    pub(super) found: u64,
    pub(super) expected: u64,
    /// What the server says that it looked at.
    pub(super) bytes: f64,
    pub(super) spans: f64,
}

/// Asks one server, over one connection.
#[derive(Debug)]
pub(super) struct Asker {
    channel: Arc<Channel>,
    rounds: u64,
}

/// Rounds before those that are measured.
const WARM_UP: u64 = 3;
/// Steps of series.
const STEP_SECS: u64 = 60;
/// Exemplars of series, at most.
const EXEMPLARS: u64 = 100;

impl Asker {
    pub(super) fn new(server: &Server, rounds: u64) -> anyhow::Result<Self> {
        let target =
            Target::parse(&format!("http://{}", server.api), Protocol::Http, Coding::None)?;
        Ok(Self { channel: Channel::new(target, Tasks::new()), rounds: rounds.max(1) })
    }

    pub(super) async fn measure(
        &self,
        server: &Server,
        question: &Question,
        truth: &Truth,
    ) -> anyhow::Result<Measured> {
        let (first, last) = self.rounds(server, question, truth, true).await?;
        let (again, _) = self.rounds(server, question, truth, false).await?;
        let (found, expected) = question.judge(truth, self.last_round(), &last)?;
        let answer: Value = serde_json::from_slice(&last).unwrap_or_default();
        let number = |key: &str| {
            let number = &answer["metrics"][key];
            number.as_str().and_then(|text| text.parse().ok()).or(number.as_f64()).unwrap_or(0.0)
        };
        let (bytes, spans) = (number("inspectedBytes"), number("inspectedSpans"));
        Ok(Measured { first, again, found, expected, bytes, spans })
    }

    fn last_round(&self) -> u64 {
        WARM_UP + self.rounds - 1
    }

    /// How long answers took, and the last one.
    async fn rounds(
        &self,
        server: &Server,
        question: &Question,
        truth: &Truth,
        is_new: bool,
    ) -> anyhow::Result<(Waits, bytes::Bytes)> {
        for round in 0..WARM_UP {
            self.ask(&question.path(truth, round, is_new)?).await?;
        }
        let cpu = server.busy()?;
        let mut waits = Vec::new();
        let mut last = bytes::Bytes::new();
        for round in WARM_UP..=self.last_round() {
            let path = question.path(truth, round, is_new)?;
            let began = Instant::now();
            last = self.ask(&path).await?;
            waits.push(began.elapsed());
        }
        let cpu = server.busy()?.saturating_sub(cpu);
        waits.sort_unstable();
        let at = |share: usize| {
            let rank = (waits.len() * share).div_ceil(100).max(1);
            waits.get(rank - 1).map_or(0.0, Duration::as_secs_f64) * 1e3
        };
        let cpu_ms = cpu.as_secs_f64() * 1e3 / as_f64(self.rounds);
        Ok((Waits { p50_ms: at(50), p90_ms: at(90), cpu_ms }, last))
    }

    /// The answer; anything but a whole one is a fault.
    pub(super) async fn ask(&self, path: &str) -> anyhow::Result<bytes::Bytes> {
        let accept = if path.starts_with("/api/traces/") {
            "application/protobuf"
        } else {
            "application/json"
        };
        let (status, body) = self.channel.get(path, &[("accept", accept)]).await?;
        let text = || String::from_utf8_lossy(body.get(..300).unwrap_or(&body)).into_owned();
        anyhow::ensure!(status == 200, "{path}: status {status}: {}", text());
        Ok(body)
    }
}

impl Question {
    /// What is asked in a round: all that there is, within other bounds each time. Where it is to be
    /// new, also with another limit or number of exemplars, by which answers are known.
    pub(super) fn path(&self, truth: &Truth, round: u64, is_new: bool) -> anyhow::Result<String> {
        let second = Nanos::SECOND.0;
        let (start, end) = (truth.start / second - 2 - round, truth.end / second + 2 + round);
        let other = if is_new { 1 + round } else { 0 };
        let series = |query: &str| {
            format!(
                "/api/metrics/query_range?q={}&start={start}&end={end}&step={STEP_SECS}&exemplars={}",
                percent(query),
                EXEMPLARS - other
            )
        };
        Ok(match self.form {
            Form::ById => {
                let count = u64::try_from(truth.samples.len())?.max(1);
                let at = usize::try_from(round * 7 % count)?;
                let sample = truth.samples.get(at).context("the truth has no samples")?;
                format!("/api/traces/{}", sample.id)
            }
            Form::Search { query, limit } => {
                let q = percent(&known(truth, query)?.traceql);
                let limit = limit + other;
                format!("/api/search?q={q}&start={start}&end={end}&limit={limit}")
            }
            Form::Rates => series("{ } | rate() by(resource.service.name)"),
            Form::Quantiles => series("{ } | quantile_over_time(duration, .99) by(name)"),
        })
    }

    /// What was found, and what should have been.
    fn judge(&self, truth: &Truth, round: u64, body: &[u8]) -> anyhow::Result<(u64, u64)> {
        if let Form::ById = self.form {
            let data = TracesData::decode(body)?;
            let scopes = data.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
            let spans = scopes.map(|scope| scope.spans.len() as u64).sum();
            let path = self.path(truth, round, true)?;
            let sample = truth.samples.iter().find(|sample| path.ends_with(&sample.id));
            return Ok((spans, sample.context("a sample")?.spans));
        }
        let answer: Value = serde_json::from_slice(body)?;
        let list = |key: &str| answer[key].as_array().cloned().unwrap_or_default();
        Ok(match self.form {
            Form::Search { query, limit } => {
                let limit = limit + 1 + round;
                (list("traces").len() as u64, known(truth, query)?.traces.min(limit))
            }
            Form::Rates => {
                let samples = list("series");
                let samples = samples.iter().filter_map(|series| series["samples"].as_array());
                let sum: f64 =
                    samples.flatten().filter_map(|sample| sample["value"].as_f64()).sum();
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a count of spans"
                )]
                let spans = (sum * as_f64(STEP_SECS)).round() as u64;
                (spans, truth.spans)
            }
            _ => {
                let names = truth.names.values().filter(|name| name.spans > 0).count();
                (list("series").len() as u64, names as u64)
            }
        })
    }
}

fn known<'t>(truth: &'t Truth, name: &str) -> anyhow::Result<&'t gateway::demo::truth::Query> {
    truth
        .queries
        .iter()
        .find(|query| query.name == name)
        .context("a query that is not in the truth")
}
