//! The engine and the client against the real receivers, in front of a sink that counts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway::attach::Plugins;
use gateway::auth::{Auth, Tenancy};
use gateway::clock::{SystemClock, Tasks};
use gateway::compute::Compute;
use gateway::demo::client::{Coding, Protocol};
use gateway::demo::stream::{self, Plan};
use gateway::limits::Accounts;
use gateway::overrides::{Limits, Overrides};
use gateway::receiver::ingest::Ack;
use gateway::receiver::{Config, LogSpans, Parts, Port, Receiver, Sink};
use gateway::server::{self, DrainTrigger, Server, drain};
use model::Clock;
use model::otlp::Checked;
use store::{Accepted, Append, Kind};

use crate::engine::{self, Drive, WhenFull};
use crate::make::SetArgs;
use crate::send::{self, DriveArgs};

/// Counts what comes, and is full after so many requests.
#[derive(Default)]
struct Counting {
    bodies: Mutex<HashMap<Vec<u8>, u64>>,
    room: AtomicU64,
}

impl Sink for Counting {
    fn append(&self, request: Append, _: Checked) -> Result<Ack, store::Error> {
        let room = self.room.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if room.is_err() {
            return Err(store::Error::new(Kind::Unavailable, "head is full"));
        }
        *self.bodies.lock().unwrap().entry(request.body.to_vec()).or_default() += 1;
        Ok(Box::pin(async { Ok(Accepted::default()) }))
    }
}

/// A receiver on a free port, in the test's own runtime.
struct Rig {
    sink: Arc<Counting>,
    endpoint: String,
    tasks: Tasks,
    trigger: DrainTrigger,
}

impl Rig {
    async fn start(room: u64) -> Self {
        let sink = Arc::new(Counting { room: room.into(), ..Counting::default() });
        let tasks = Tasks::new();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let auth = Auth::none(Tenancy::Single, Arc::clone(&clock));
        let parts = Parts {
            accounts: Accounts::new(Overrides::of(Limits::default()), Arc::clone(&clock)),
            plugins: Plugins::none(Arc::clone(&clock)),
            sink: Arc::<Counting>::clone(&sink),
            compute: Compute::start(1, 64).unwrap(),
            clock,
            tasks: tasks.clone(),
        };
        let receiver = Receiver::new(Config::default(), auth, LogSpans::default(), parts);
        let any = "127.0.0.1:0".parse().unwrap();
        let server = Server::bind(any, server::Config::default(), Arc::default()).await.unwrap();
        let endpoint = format!("http://{}", server.addr());
        let (trigger, drain) = drain::channel();
        let port = Arc::new(Port::new(&receiver, "a sink that counts", None));
        tasks.spawn("port", async move {
            server.serve(port, None, drain).await;
        });
        Self { sink, endpoint, tasks, trigger }
    }

    async fn stop(self) -> HashMap<Vec<u8>, u64> {
        self.trigger.raise();
        assert!(self.tasks.join(Duration::from_secs(10)).await.is_empty());
        std::mem::take(&mut self.sink.bodies.lock().unwrap())
    }
}

fn set() -> SetArgs {
    SetArgs { spans: 4_000, batch: 100, start: Some(1_790_000_000), ..SetArgs::default() }
}

fn drive(rig: &Rig, protocol: Protocol, compression: Coding, when_full: WhenFull) -> Drive {
    let args = DriveArgs {
        protocol,
        compression,
        connections: 2,
        in_flight: 3,
        rate: None,
        tenant: None,
        header: Vec::new(),
        ca_file: None,
    };
    args.drive(&rig.endpoint, when_full).unwrap()
}

/// What was made, as the sink should count it.
fn made() -> HashMap<Vec<u8>, u64> {
    let mut made = HashMap::new();
    set()
        .generate(|request| {
            *made.entry(request.body).or_default() += 1;
            Ok(())
        })
        .unwrap();
    made
}

#[tokio::test]
async fn every_message_arrives_once_over_each_protocol_and_coding() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        for coding in [Coding::None, Coding::Gzip, Coding::Zstd] {
            let rig = Rig::start(u64::MAX).await;
            let drive = drive(&rig, protocol, coding, WhenFull::Wait);
            let (messages, truth) = send::make(&set(), &drive.target).unwrap();
            let sent = engine::run(&messages, 0..messages.len(), &drive).await;
            assert_eq!((sent.acked, sent.lost), (truth.spans, 0), "{:?}", sent.trouble);
            assert_eq!(sent.requests, truth.requests);
            assert_eq!(sent.waits.len() as u64, truth.requests);
            assert_eq!(rig.stop().await, made(), "{protocol:?} {coding:?}");
        }
    }
}

#[tokio::test]
async fn a_full_server_stops_the_run_where_it_can_go_on() {
    let rig = Rig::start(7).await;
    let drive = drive(&rig, Protocol::Grpc, Coding::None, WhenFull::Stop);
    let (messages, truth) = send::make(&set(), &drive.target).unwrap();
    let first = engine::run(&messages, 0..messages.len(), &drive).await;
    assert_eq!(first.requests, 7);
    assert!(first.retries > 0 && first.next < messages.len());
    assert!(first.trouble.unwrap().contains("head is full"));

    rig.sink.room.store(u64::MAX, Ordering::SeqCst);
    let rest = engine::run(&messages, first.next..messages.len(), &drive).await;
    let left: u64 = first.left.iter().map(|at| messages[*at].spans).sum();
    assert_eq!(first.acked + rest.acked + left, truth.spans);
    rig.stop().await;
}

#[tokio::test]
async fn an_open_loop_keeps_its_rate() {
    let rig = Rig::start(u64::MAX).await;
    let mut drive = drive(&rig, Protocol::Grpc, Coding::None, WhenFull::Wait);
    drive.rate = Some(20_000.0);
    let (messages, truth) = send::make(&set(), &drive.target).unwrap();
    let sent = engine::run(&messages, 0..messages.len(), &drive).await;
    assert_eq!(sent.acked, truth.spans);
    // 4,000 spans at 20,000 a second: the last request is due after just under 200 ms.
    assert!(sent.elapsed >= Duration::from_millis(190), "{:?}", sent.elapsed);
    rig.stop().await;
}

#[tokio::test]
async fn a_demo_streams_whole_traces_and_obeys_retry_hints() {
    let rig = Rig::start(2).await;
    let target = drive(&rig, Protocol::Grpc, Coding::Gzip, WhenFull::Wait).target;
    let channel = gateway::demo::client::Channel::new(target, Tasks::new());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let length = Some(Duration::from_millis(300));
    let plan = Plan { seed: 1, rate: 2_000, length, tenant: None };
    let mut told = 0;
    let opened = Arc::clone(&rig.sink);
    let progress = stream::run(&channel, &plan, &clock, std::future::pending(), |_| {
        told += 1;
        // Room for the rest, once some of it was refused.
        opened.room.store(u64::MAX, Ordering::SeqCst);
    })
    .await
    .unwrap();
    assert!(told > 0 && progress.sent >= 600);
    assert_eq!((progress.acked, progress.lost), (progress.sent, 0), "{:?}", progress.trouble);
    assert!(!progress.latest.is_empty());
    drop(channel);
    rig.stop().await;
}
