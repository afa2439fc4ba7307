//! `load overload`: sends far more than a server may take, and measures what becomes of those whose
//! spans are taken.
//!
//! Open loops that never come again with what was refused: each request falls due at its time, its wait counts
//! from then, and what cannot even be sent is counted. Two measurements: one tenant at ten times its rate, and
//! fifty tenants of whom one sends a hundred times as much as each of the others.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway::clock::Tasks;
use gateway::demo::client::{Channel, Coding, Protocol, Reply, Target};
use serde_json::{Map, Value, json};
use tokio::task::{JoinSet, LocalSet};

use crate::engine::{Message, as_f64};
use crate::make::SetArgs;
use crate::process::{Launch, Server, pin};
use crate::report::{self, Report};
use crate::{say, send};

/// Arguments of `load overload`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    launch: Launch,
    /// Spans in a second that the tenant may send
    #[arg(long, default_value_t = 20_000)]
    rate: u64,
    /// How many times as much it sends
    #[arg(long, default_value_t = 10)]
    times: u64,
    /// Tenants of the second measurement
    #[arg(long, default_value_t = 50)]
    tenants: usize,
    /// How many times as much one of them sends as each of the others
    #[arg(long, default_value_t = 100)]
    hog: u64,
    /// Spans in a second of each of the others
    #[arg(long, default_value_t = 400)]
    each: u64,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Spans of a request
    #[arg(long, default_value_t = 100)]
    batch: usize,
}

/// What one sender saw.
#[derive(Clone, Debug, Default)]
struct Seen {
    offered: u64,
    accepted: u64,
    refused: u64,
    /// Refused requests that say when to come back.
    hinted: u64,
    requests_refused: u64,
    /// Requests that went wrong in another way.
    failed: u64,
    /// Spans that could not be sent as too many requests were under way.
    unsent: u64,
    waits: Vec<Duration>,
    trouble: Option<String>,
}

impl Seen {
    fn add(&mut self, other: &Self) {
        self.offered += other.offered;
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.hinted += other.hinted;
        self.requests_refused += other.requests_refused;
        self.failed += other.failed;
        self.unsent += other.unsent;
        self.waits.extend(&other.waits);
        self.trouble = self.trouble.take().or_else(|| other.trouble.clone());
    }
}

/// Requests of one sender that are under way.
const UNDER_WAY_MAX: usize = 256;
/// Connections of a sender at a low rate, and of one that sends very much.
const FEW: usize = 1;
const MANY: usize = 8;

/// One that sends at a fixed rate.
struct Sender {
    tenant: Option<Arc<str>>,
    rate: f64,
    channels: Vec<Arc<Channel>>,
}

impl Sender {
    /// Sends for so long.
    async fn run(self, messages: Arc<[Message]>, lasts: Duration) -> Seen {
        let seen = Rc::new(RefCell::new(Seen::default()));
        let mut under_way = JoinSet::new();
        let (began, mut sent) = (Instant::now(), 0_u64);
        for (message, channel) in messages.iter().cycle().zip(self.channels.iter().cycle()) {
            let due = began + Duration::from_secs_f64(as_f64(sent) / self.rate);
            if due.duration_since(began) >= lasts {
                break;
            }
            sent += message.spans;
            seen.borrow_mut().offered += message.spans;
            tokio::time::sleep_until(due.into()).await;
            while under_way.try_join_next().is_some() {}
            if under_way.len() >= UNDER_WAY_MAX {
                seen.borrow_mut().unsent += message.spans;
                continue;
            }
            let (channel, seen) = (Arc::clone(channel), Rc::clone(&seen));
            let (message, tenant) = (message.clone(), self.tenant.clone());
            under_way.spawn_local(async move {
                let reply = channel.send(message.bytes, tenant.as_deref()).await;
                let mut seen = seen.borrow_mut();
                match reply {
                    Ok(Reply::Accepted { rejected, .. }) => {
                        seen.accepted += message.spans - rejected;
                        seen.waits.push(due.elapsed());
                    }
                    Ok(Reply::Retry { after, message: why }) => {
                        seen.refused += message.spans;
                        seen.requests_refused += 1;
                        seen.hinted += u64::from(after.is_some());
                        seen.trouble.get_or_insert(why);
                    }
                    Ok(Reply::Refused { message: why }) => {
                        seen.failed += 1;
                        seen.trouble.get_or_insert(why);
                    }
                    Err(fault) => {
                        seen.failed += 1;
                        seen.trouble.get_or_insert_with(|| fault.to_string());
                    }
                }
            });
        }
        while under_way.join_next().await.is_some() {}
        seen.take()
    }
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    pin(Some(args.launch.own_cpu))?;
    let mut report = Report::default();
    let set = SetArgs { spans: 100_000, batch: args.batch, ..SetArgs::default() };
    let anywhere = Target::parse("http://127.0.0.1:1", Protocol::Grpc, Coding::None)?;
    let (messages, _) = send::make(&set, &anywhere)?;
    LocalSet::new()
        .run_until(async {
            over_its_rate(args, &messages, &mut report).await?;
            one_of_many(args, &messages, &mut report).await
        })
        .await?;
    report.table();
    Ok(())
}

/// With a rate for each tenant. A burst of more than a tenth of a second would be goodput that the rate does not
/// say.
fn limited(launch: &Launch, rate: u64) -> Launch {
    let key = "overrides.defaults.ingestion";
    let launch = launch.with(&format!("{key}.rate_spans={rate}"));
    launch.with(&format!("{key}.burst_spans={}", (rate / 10).max(1)))
}

fn channels(server: &Server, count: usize) -> anyhow::Result<Vec<Arc<Channel>>> {
    let target = Target::parse(&format!("http://{}", server.grpc), Protocol::Grpc, Coding::None)?;
    let tasks = Tasks::new();
    Ok((0..count).map(|_| Channel::new(target.clone(), tasks.clone())).collect())
}

/// One tenant at half its rate, then at many times as much.
async fn over_its_rate(
    args: &Args,
    messages: &Arc<[Message]>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let rate = args.rate;
    let server = Server::start(&limited(&args.launch, rate)).await?;
    let lasts = Duration::from_secs(args.seconds);
    for (name, offered) in [("idle", rate / 2), ("overload", rate * args.times)] {
        say(&format!("measuring {name}: {offered} spans/s of {rate}"));
        let (cpu, began) = (server.cpu()?, Instant::now());
        let sender =
            Sender { tenant: None, rate: as_f64(offered), channels: channels(&server, MANY)? };
        let seen = sender.run(Arc::clone(messages), lasts).await;
        let mut row = told(&seen, began.elapsed());
        let busy = (server.cpu()? - cpu).as_secs_f64() / began.elapsed().as_secs_f64();
        row.insert("server_cpu".into(), report::round(busy, 3));
        row.insert("memory_peak_mb".into(), json!(server.memory()?.0 >> 20));
        report.add(name, row)?;
    }
    server.stop().await
}

/// Many tenants that send alike, and one that sends far more.
async fn one_of_many(
    args: &Args,
    messages: &Arc<[Message]>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let header = args.launch.with("tenancy=header");
    for (name, launch, hog) in [
        ("quiet", header.clone(), 1),
        ("limited", limited(&header, args.each * 2), args.hog),
        ("unlimited", header, args.hog),
    ] {
        say(&format!("measuring {name}: {} tenants, one at {hog} times the rate", args.tenants));
        let server = Server::start(&launch).await?;
        let lasts = Duration::from_secs(args.seconds);
        let mut all = JoinSet::new();
        for number in 0..args.tenants {
            let is_hog = number == 0;
            let times = if is_hog { hog } else { 1 };
            let sender = Sender {
                tenant: Some(format!("t{number}").into()),
                rate: as_f64(args.each * times),
                channels: channels(&server, if is_hog { MANY } else { FEW })?,
            };
            let messages = Arc::clone(messages);
            all.spawn_local(async move { (is_hog, sender.run(messages, lasts).await) });
        }
        let began = Instant::now();
        let (mut innocent, mut goods, mut hog) = (Seen::default(), Vec::new(), Seen::default());
        while let Some(done) = all.join_next().await {
            let (is_hog, seen) = done?;
            goods.push(as_f64(seen.accepted));
            if is_hog { hog = seen } else { innocent.add(&seen) }
        }
        let elapsed = began.elapsed();
        let mut row = told(&innocent, elapsed);
        row.insert("jain".into(), report::round(jain(&goods), 4));
        let secs = elapsed.as_secs_f64();
        row.insert("hog_spans_per_s".into(), report::round(as_f64(hog.accepted) / secs, 0));
        row.insert("hog_refused".into(), json!(hog.requests_refused));
        row.insert("hog_unsent".into(), json!(hog.unsent));
        row.insert("hog_hinted".into(), json!(hog.hinted));
        row.insert("memory_peak_mb".into(), json!(server.memory()?.0 >> 20));
        report.add(name, row)?;
        server.stop().await?;
    }
    Ok(())
}

/// Jain's index of fairness: 1 where all get the same, 1/n where one gets everything.
fn jain(goods: &[f64]) -> f64 {
    let sum: f64 = goods.iter().sum();
    let squares: f64 = goods.iter().map(|good| good * good).sum();
    sum * sum / (as_f64(goods.len() as u64) * squares)
}

fn told(seen: &Seen, elapsed: Duration) -> Map<String, Value> {
    let secs = elapsed.as_secs_f64();
    let mut row = Map::new();
    row.insert("offered_per_s".into(), report::round(as_f64(seen.offered) / secs, 0));
    row.insert("accepted_per_s".into(), report::round(as_f64(seen.accepted) / secs, 0));
    row.insert("requests_refused".into(), json!(seen.requests_refused));
    row.insert("hinted".into(), json!(seen.hinted));
    row.insert("unsent".into(), json!(seen.unsent));
    row.insert("failed".into(), json!(seen.failed));
    report::waits(&mut row, "ack_ms", &seen.waits);
    if let Some(trouble) = &seen.trouble {
        row.insert("trouble".into(), json!(trouble));
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jains_index_is_one_where_all_get_the_same() {
        assert!((jain(&[3.0; 50]) - 1.0).abs() < 1e-9);
        let mut all = [0.0; 50];
        all[7] = 5.0;
        assert!((jain(&all) - 0.02).abs() < 1e-9);
    }
}
