//! Probes of a running server: how soon a span is found after its ack, and how fast traces come by
//! their id.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use gateway::clock::Tasks;
use gateway::demo::client::{Channel, Coding, Protocol, Reply, Target};
use gateway::demo::truth::Sample;
use model::Nanos;
use model::wire::{put_bytes, put_fixed64, put_message, put_u64};
use serde_json::Value;

use crate::make::now;
use crate::process::Server;

/// The fewest probes that a measurement takes.
const PROBES_MIN: u64 = 20;

/// How often each sample is fetched.
const ROUNDS: usize = 3;

/// How long a probe may stay unfound.
const FOUND_WAIT: Duration = Duration::from_secs(20);
/// Between two questions for the same probe.
const ASK_EVERY: Duration = Duration::from_millis(2);
/// Between two probes.
const PROBE_EVERY: Duration = Duration::from_millis(25);

/// Asks one server.
pub(crate) struct Prober {
    ingest: Arc<Channel>,
    api: Arc<Channel>,
    seed: u64,
}

/// Waits from the ack of a probe to where it was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) search: Vec<Duration>,
    pub(crate) by_id: Vec<Duration>,
}

/// Waits for traces by id.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    pub(crate) found: u64,
    pub(crate) missing: u64,
    pub(crate) protobuf: Vec<Duration>,
    pub(crate) json: Vec<Duration>,
}

impl Prober {
    pub(crate) fn new(server: &Server, seed: u64) -> anyhow::Result<Self> {
        let tasks = Tasks::new();
        let channel = |address, protocol| -> anyhow::Result<_> {
            let target = Target::parse(&format!("http://{address}"), protocol, Coding::None)?;
            Ok(Channel::new(target, tasks.clone()))
        };
        Ok(Self {
            ingest: channel(server.grpc, Protocol::Grpc)?,
            api: channel(server.api, Protocol::Http)?,
            seed,
        })
    }

    /// Sends probes one after the other and waits for each to be found, while the load goes on.
    pub(crate) async fn run(&self, loading: &Cell<bool>) -> anyhow::Result<Found> {
        let mut found = Found::default();
        let mut number = 0;
        while loading.get() || number < PROBES_MIN {
            number += 1;
            let name = format!("probe-{}-{number}", self.seed);
            let mut id = [0xab; 16];
            for (to, from) in id.iter_mut().zip(number.to_be_bytes()) {
                *to ^= from;
            }
            let message = self.ingest.target().message(span(id, &name, now()?))?;
            match self.ingest.send(message, None).await? {
                Reply::Accepted { rejected: 0, .. } => {}
                other => anyhow::bail!("a probe was not accepted: {other:?}"),
            }
            let acked = Instant::now();
            let id = model::TraceId::from_array(id);
            let search = format!("/api/search?tags=probe.name%3D{name}&limit=5");
            self.until(&search, acked, |body| {
                let answer: Value = serde_json::from_slice(body).unwrap_or_default();
                answer["traces"].as_array().is_some_and(|traces| !traces.is_empty())
            })
            .await?;
            found.search.push(acked.elapsed());
            // The search came first: the fetch can only look better than it is by what that took.
            self.until(&format!("/api/traces/{id}"), acked, |body| !body.is_empty()).await?;
            found.by_id.push(acked.elapsed());
            tokio::time::sleep(PROBE_EVERY).await;
        }
        Ok(found)
    }

    /// Asks until the answer is good.
    async fn until(
        &self,
        path: &str,
        acked: Instant,
        good: impl Fn(&[u8]) -> bool,
    ) -> anyhow::Result<()> {
        loop {
            let (status, body) = self.api.get(path, &[]).await?;
            if status == 200 && good(&body) {
                return Ok(());
            }
            anyhow::ensure!(
                acked.elapsed() < FOUND_WAIT,
                "{path}: not found {FOUND_WAIT:?} after the ack, status {status}"
            );
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Fetches each sample by id, as protobuf and as JSON.
    pub(crate) async fn fetch(&self, samples: &[Sample]) -> anyhow::Result<Fetched> {
        let mut fetched = Fetched::default();
        for sample in samples.iter().cycle().take(samples.len() * ROUNDS) {
            let path = format!("/api/traces/{}", sample.id);
            for accept in ["application/protobuf", "application/json"] {
                let asked = Instant::now();
                let (status, _) = self.api.get(&path, &[("accept", accept)]).await?;
                let took = asked.elapsed();
                match (status, accept) {
                    (200, "application/json") => fetched.json.push(took),
                    (200, _) => fetched.protobuf.push(took),
                    _ => fetched.missing += 1,
                }
            }
            fetched.found += 1;
        }
        let all = fetched.protobuf.len() + fetched.json.len();
        fetched.found = u64::try_from(all).context("count")?;
        Ok(fetched)
    }
}

/// A request with one span that is named by one attribute.
fn span(trace: [u8; 16], name: &str, at: Nanos) -> Vec<u8> {
    fn text(out: &mut Vec<u8>, field: u32, key: &str, value: &str) {
        put_message(out, field, |pair| {
            put_bytes(pair, 1, key.as_bytes());
            put_message(pair, 2, |any| put_bytes(any, 1, value.as_bytes()));
        });
    }
    let mut request = Vec::new();
    put_message(&mut request, 1, |resource_spans| {
        put_message(resource_spans, 1, |resource| text(resource, 1, "service.name", "probe"));
        put_message(resource_spans, 2, |scope_spans| {
            put_message(scope_spans, 2, |span| {
                put_bytes(span, 1, &trace);
                put_bytes(span, 2, &[0xcd; 8]);
                put_bytes(span, 5, b"probe");
                put_u64(span, 6, 1);
                put_fixed64(span, 7, at.0);
                put_fixed64(span, 8, at.plus(Nanos::MILLISECOND).0);
                text(span, 9, "probe.name", name);
            });
        });
    });
    request
}
