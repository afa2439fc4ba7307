//! `load check`: asks a server with Tempo's API whether it has what the truth says.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use gateway::clock::Tasks;
use gateway::demo::client::{Channel, Coding, Protocol, Target};
use gateway::demo::truth::{Query, Sample, Truth};
use model::TraceId;
use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message as _;
use serde_json::Value;

use crate::say;

/// Arguments of `load check`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Where the query API listens, such as http://127.0.0.1:3200
    #[arg(long)]
    endpoint: String,
    /// The truth, as `load make` and `load send` write it
    #[arg(long)]
    truth: PathBuf,
    /// The tenant, as X-Scope-OrgID
    #[arg(long)]
    tenant: Option<String>,
    /// Asks the queries in TraceQL too
    #[arg(long)]
    traceql: bool,
}

/// The most traces that a search may be asked for.
const LIMIT_MAX: u64 = 10_000;

/// Asks one server.
struct Asker<'a> {
    channel: Arc<Channel>,
    tenant: Option<&'a str>,
    wrong: u64,
    right: u64,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    let truth = std::fs::read(&args.truth).with_context(|| args.truth.display().to_string())?;
    let truth: Truth = serde_json::from_slice(&truth)?;
    let target = Target::parse(&args.endpoint, Protocol::Http, Coding::None)?;
    let mut asker = Asker {
        channel: Channel::new(target, Tasks::new()),
        tenant: args.tenant.as_deref(),
        wrong: 0,
        right: 0,
    };
    for sample in &truth.samples {
        asker.by_id(sample).await?;
    }
    for query in &truth.queries {
        if let Some(tags) = &query.tags {
            asker.search(query, tags).await?;
        }
        if args.traceql {
            asker.search(query, &format!("q={}", percent(&query.traceql))).await?;
        }
    }
    let Asker { wrong, right, .. } = asker;
    say(&format!("{right} answers are right, {wrong} are wrong"));
    anyhow::ensure!(wrong == 0, "{wrong} answers are wrong");
    Ok(())
}

impl Asker<'_> {
    async fn ask(&self, path: &str, tenant: Option<&str>) -> anyhow::Result<(u16, bytes::Bytes)> {
        let mut headers = vec![("accept", "application/protobuf, application/json;q=0.5")];
        headers.extend(tenant.or(self.tenant).map(|tenant| ("x-scope-orgid", tenant)));
        Ok(self.channel.get(path, &headers).await?)
    }

    fn note(&mut self, what: &str, fault: Option<String>) {
        match fault {
            None => self.right += 1,
            Some(fault) => {
                self.wrong += 1;
                say(&format!("{what}: {fault}"));
            }
        }
    }

    /// Fetches a sample as protobuf; it must have all its spans, and each once.
    async fn by_id(&mut self, sample: &Sample) -> anyhow::Result<()> {
        let path = format!("/api/traces/{}", sample.id);
        let (status, body) = self.ask(&path, sample.tenant.as_deref()).await?;
        let fault = match status {
            200 => compare(sample, &TracesData::decode(body)?),
            _ => Some(format!("status {status}")),
        };
        self.note(&format!("trace {}", sample.id), fault);
        Ok(())
    }

    /// Searches; the number of traces must be right, and the traces where they are listed.
    async fn search(&mut self, query: &Query, parameters: &str) -> anyhow::Result<()> {
        let path = format!("/api/search?{parameters}&limit={LIMIT_MAX}");
        let (status, body) = self.ask(&path, None).await?;
        let what = format!("{} ({parameters})", query.name);
        if status != 200 {
            self.note(&what, Some(format!("status {status}: {}", String::from_utf8_lossy(&body))));
            return Ok(());
        }
        let answer: Value = serde_json::from_slice(&body)?;
        let found: BTreeSet<TraceId> = answer["traces"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|trace| TraceId::parse(trace["traceID"].as_str()?).ok())
            .collect();
        let expected = query.traces.min(LIMIT_MAX);
        let mut fault = (found.len() as u64 != expected)
            .then(|| format!("found {} traces, not {expected}", found.len()));
        for id in &query.ids {
            if !TraceId::parse(id).is_ok_and(|id| found.contains(&id)) {
                fault.get_or_insert_with(|| format!("did not find {id}"));
            }
        }
        self.note(&what, fault);
        Ok(())
    }
}

/// What is wrong with a trace, if anything is.
fn compare(sample: &Sample, trace: &TracesData) -> Option<String> {
    let scopes = trace.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    let spans: Vec<_> = scopes.flat_map(|scope| &scope.spans).collect();
    if spans.len() as u64 != sample.spans {
        return Some(format!("{} spans, not {}", spans.len(), sample.spans));
    }
    let mut ids: Vec<String> = spans.iter().map(|span| hex(&span.span_id)).collect();
    ids.sort_unstable();
    if !sample.span_ids.is_empty() && ids != sample.span_ids {
        return Some("other spans than were sent".into());
    }
    None
}

/// Bytes as hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Text as part of a query string.
pub(crate) fn percent(text: &str) -> String {
    let keep = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes()
        .map(|byte| if keep(&byte) { char::from(byte).into() } else { format!("%{byte:02X}") })
        .collect()
}
