//! A processor that drops or marks what nobody looks for: health checks, scrapes of metrics, crawlers, and CORS
//! preflights, with all that hangs below them in the batch.
//!
//! It is no head sampler, which would have to drop whole traces: a deployment that asks ten services whether they are
//! ready is no noise, though each of its ten questions is.
//!
//! Each text of a batch is looked at once; a batch without noise costs that and no more.

mod agents;
mod config;
mod lists;
mod paths;

use kit::Url;
use traceweir_plugin::host::metrics::{self, Metric};
use traceweir_plugin::{
    Answer, Batch, Column, ConfigError, Field, Info, Intrinsic, Owner, Plugin, PluginError,
    Processor, Projection, Read, TextId, Value, Write, config as json, export_processor,
};

use self::config::{Action, Config, Rules};
use self::lists::Reason;

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// A path or URL.
    Path,
    /// A user agent.
    Agent,
    /// A service of gRPC, or a method behind its name.
    Service,
    /// What `user_agent.synthetic.type` says.
    Synthetic,
}

/// Where it stands: by the names of the semantic conventions, new and old.
const SOURCES: &[(What, &[&str])] = &[
    (What::Path, &["http.route"]),
    (What::Agent, &["user_agent.original", "http.user_agent"]),
    (What::Service, &["rpc.service", "rpc.method"]),
    (What::Synthetic, &["user_agent.synthetic.type"]),
];
/// Where the path itself stands; the first counts, as the others say the same.
const URLS: [&str; 4] = ["url.path", "http.target", "url.full", "http.url"];
const METHODS: [&str; 2] = ["http.request.method", "http.method"];
const STATUSES: [&str; 2] = ["http.response.status_code", "http.status_code"];

const ERROR: u8 = 2;
/// From here on HTTP says that the server is at fault. Spans of proxies often say so in no other way.
const SERVER_ERROR: i64 = 500;

/// What a request does, by its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Reads,
    /// A check or crawler does not: so what an agent that also scrapes has sent stays.
    Writes,
    /// OPTIONS.
    Asks,
}

/// An instance.
#[derive(Debug)]
pub struct Noise {
    rules: Rules,
    keeps_errors: bool,
    urls: [Read; 4],
    sources: Vec<(What, Read)>,
    methods: [Read; 2],
    statuses: [Read; 2],
    /// What is marked, where nothing is dropped.
    mark: Option<Write>,
    counters: [Metric; 4],
    failed: Metric,
}

impl Plugin for Noise {
    fn describe() -> Info {
        Info {
            name: "noise".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: "drops or marks health checks, scrapes and bots".to_owned(),
            config_schema: include_str!("../schema.json").to_owned(),
            stateless: true,
        }
    }

    fn configure(text: &str) -> Result<(Self, Projection), ConfigError> {
        let config: Config = json::parse(text)?;
        let rules = config.rules()?;
        let mut projection = Projection::default();
        for intrinsic in [
            Intrinsic::TraceId,
            Intrinsic::SpanId,
            Intrinsic::ParentSpanId,
            Intrinsic::Name,
            Intrinsic::Kind,
            Intrinsic::StatusCode,
        ] {
            projection.read(intrinsic);
        }
        let mut read = |key: &str| projection.read(Field::attribute(Owner::Span, key));
        let sources =
            SOURCES.iter().flat_map(|(what, keys)| keys.iter().map(move |key| (*what, *key)));
        let sources = sources.filter(|(what, _)| *what != What::Synthetic || rules.bots);
        let sources = sources.map(|(what, key)| (what, read(key))).collect();
        let urls = URLS.map(&mut read);
        let (methods, statuses) = (METHODS.map(&mut read), STATUSES.map(&mut read));
        let mark = match config.action {
            Action::Drop => None,
            Action::Mark => Some(projection.write(Field::attribute(Owner::Span, config.attribute))),
        };
        let counter = |reason: Reason| {
            let name = reason.name();
            metrics::counter(&format!("{name}_spans"), &format!("Spans dropped or marked: {name}."))
        };
        let plugin = Self {
            rules,
            keeps_errors: config.keep_errors,
            urls,
            sources,
            methods,
            statuses,
            mark,
            counters: Reason::ALL.map(counter),
            failed: metrics::counter(
                "failed_spans",
                "Spans of noise that stay, as something failed.",
            ),
        };
        Ok((plugin, projection))
    }
}

/// The request that a span is part of.
#[derive(Clone, Copy)]
struct Request {
    /// The row of its highest span.
    top: usize,
    reason: Reason,
}

impl Processor for Noise {
    fn process(&mut self, batch: &Batch<'_>) -> Result<Answer, PluginError> {
        let mut answer = Answer::edits(batch);
        let Some(found) = self.found(batch)? else { return Ok(answer) };
        let request =
            |(top, reason): (usize, Option<Reason>)| Some(Request { top, reason: reason? });
        let mut requests: Vec<Option<Request>> =
            found.into_iter().enumerate().map(request).collect();
        batch.parents()?.inherit(&mut requests);
        let failed = if self.keeps_errors { self.failed(batch, &requests)? } else { Vec::new() };
        let mut counts = [0_u64; 4];
        let mut kept = 0;
        let mut marks: [Option<TextId>; 4] = [None; 4];
        for (row, request) in requests.into_iter().enumerate() {
            let Some(Request { top, reason }) = request else { continue };
            if failed.get(top) == Some(&true) {
                kept += 1;
                continue;
            }
            counts[reason as usize] += 1;
            match self.mark {
                None => answer.drop_span(row, reason.name()),
                Some(write) => {
                    let values = answer.set(write, Owner::Span);
                    let mark =
                        marks[reason as usize].get_or_insert_with(|| values.text(reason.name()));
                    values.put_text(row, *mark);
                }
            }
        }
        for (counter, count) in self.counters.iter().zip(counts) {
            answer.count(*counter, count);
        }
        answer.count(self.failed, kept);
        Ok(answer)
    }
}

impl Noise {
    /// Why each span is noise by itself; `None` where none is.
    fn found(&self, batch: &Batch<'_>) -> Result<Option<Vec<Option<Reason>>>, PluginError> {
        let rows = batch.rows();
        let mut found: Option<Vec<Option<Reason>>> = None;
        let mut note = |row: usize, reason: Reason| {
            let found = found.get_or_insert_with(|| vec![None; rows]);
            if let Some(there) = found.get_mut(row) {
                *there = Some(there.map_or(reason, |there| there.min(reason)));
            }
        };
        let kinds = batch.kinds()?;
        let methods = Methods::new(batch, self.methods)?;
        let counts = |row: usize, what: What| {
            let kind = kinds.get(row).copied().unwrap_or_default();
            // What asks: client and producer. What it calls itself is its own affair.
            let is_asked = matches!(kind, 0..=2);
            match what {
                What::Service => is_asked || kind == 3,
                What::Path => (is_asked || kind == 3) && methods.of(row) != Method::Writes,
                What::Agent | What::Synthetic => is_asked && methods.of(row) != Method::Writes,
            }
        };
        let urls = self.urls.iter().map(|read| batch.column(*read));
        let mut urls = urls.map(|column| column.map(Judged::new)).collect::<Result<Vec<_>, _>>()?;
        for row in 0..rows {
            let mut texts = urls.iter_mut();
            let reason = texts.find_map(|urls| urls.of(row, |url| self.reason(What::Path, url)));
            if let Some((_, reason)) = reason.flatten().filter(|(what, _)| counts(row, *what)) {
                note(row, reason);
            }
        }
        let mut hold = |reasons: Vec<Judgement>, text: &dyn Fn(usize) -> Option<usize>| {
            if reasons.iter().all(Option::is_none) {
                return;
            }
            for row in 0..rows {
                let reason = text(row).and_then(|text| *reasons.get(text)?);
                if let Some((_, reason)) = reason.filter(|(what, _)| counts(row, *what)) {
                    note(row, reason);
                }
            }
        };
        for (what, read) in &self.sources {
            let column: Column<'_> = batch.column(*read)?;
            let reasons = column.values().map(|text| self.reason(*what, text)).collect();
            hold(reasons, &|row| column.index(row));
        }
        let names = batch.names()?;
        hold(names.values().map(|name| self.name(name)).collect(), &|row| names.index(row));
        if self.rules.preflights && methods.any(Method::Asks) {
            for row in (0..rows).filter(|row| methods.of(*row) == Method::Asks) {
                if matches!(kinds.get(row), Some(0..=2)) {
                    note(row, Reason::Preflight);
                }
            }
        }
        Ok(found)
    }

    /// Why a text is noise, and what it is: a path may be that of a service.
    fn reason(&self, what: What, text: &str) -> Judgement {
        let reason = match what {
            What::Path => {
                let path = Url::new(text).path;
                return match self.rules.path(path) {
                    Some(reason) => Some((What::Path, reason)),
                    None => Some((What::Service, self.rules.service(path)?)),
                };
            }
            What::Agent => self.rules.agents.find(text),
            What::Service => self.rules.service(text),
            What::Synthetic => (text == "bot").then_some(Reason::Bot),
        };
        Some((what, reason?))
    }

    /// What a span's name says: `GET /healthz`, or `grpc.health.v1.Health/Check`.
    fn name(&self, name: &str) -> Judgement {
        let word = name.rsplit(' ').next().unwrap_or(name);
        self.reason(if word.starts_with('/') { What::Path } else { What::Service }, word)
    }

    /// Of each row, whether it is the highest span of a request in which something failed.
    fn failed(
        &self,
        batch: &Batch<'_>,
        requests: &[Option<Request>],
    ) -> Result<Vec<bool>, PluginError> {
        let statuses = batch.status_codes()?;
        let [new, old] = self.statuses;
        let (new, old) = (batch.column(new)?, batch.column(old)?);
        let is_server_error = |column: &Column<'_>, row: usize| match column.value(row) {
            Value::Int(status) => status >= SERVER_ERROR,
            // Envoy writes them as texts.
            Value::Text(status) => status.parse().is_ok_and(|status: i64| status >= SERVER_ERROR),
            _ => false,
        };
        let mut failed = vec![false; requests.len()];
        for (row, request) in requests.iter().enumerate() {
            let Some(request) = request else { continue };
            let has = statuses.get(row) == Some(&ERROR)
                || is_server_error(&new, row)
                || is_server_error(&old, row);
            if has && let Some(failed) = failed.get_mut(request.top) {
                *failed = true;
            }
        }
        Ok(failed)
    }
}

/// What is noise, and why.
type Judgement = Option<(What, Reason)>;

/// What the texts of a column are, each asked for once, when it is first needed.
struct Judged<'a> {
    column: Column<'a>,
    known: Vec<Option<Judgement>>,
}

impl<'a> Judged<'a> {
    fn new(column: Column<'a>) -> Self {
        Self { column, known: vec![None; column.texts().value_count()] }
    }

    /// What the text of a row is; `None` where it has none.
    fn of(&mut self, row: usize, ask: impl Fn(&'a str) -> Judgement) -> Option<Judgement> {
        let at = self.column.index(row)?;
        let text = || self.column.texts().value(at).and_then(ask);
        Some(*self.known.get_mut(at)?.get_or_insert_with(text))
    }
}

/// The methods of requests, by two keys; each text is looked at once.
struct Methods<'a> {
    columns: [(Column<'a>, Vec<Method>); 2],
}

impl<'a> Methods<'a> {
    fn new(batch: &Batch<'a>, reads: [Read; 2]) -> Result<Self, PluginError> {
        let column = |read: Read| {
            let column = batch.column(read)?;
            let methods = column.values().map(|method| match method {
                "POST" | "PUT" | "PATCH" | "DELETE" => Method::Writes,
                "OPTIONS" => Method::Asks,
                _ => Method::Reads,
            });
            Ok::<_, PluginError>((column, methods.collect()))
        };
        let [new, old] = reads;
        Ok(Self { columns: [column(new)?, column(old)?] })
    }

    fn of(&self, row: usize) -> Method {
        let mut methods = self.columns.iter();
        let method = methods.find_map(|(column, methods)| methods.get(column.index(row)?).copied());
        method.unwrap_or(Method::Reads)
    }

    /// Whether any span has such a one.
    fn any(&self, wanted: Method) -> bool {
        self.columns.iter().any(|(_, methods)| methods.contains(&wanted))
    }
}

export_processor!(Noise);

#[cfg(test)]
mod tests;
