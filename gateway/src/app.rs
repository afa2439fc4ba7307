//! The running server: components made from their configuration and wired together, in the order
//! that a start needs, and taken down in the order that a stop needs.
//!
//! Start: directory opened (or refused) → ports bound → log replayed on its own thread, while
//! `/live` answers and requests are told to come back → ready. Stop: not ready → ports closed,
//! requests under way finished → log flushed and closed clean. What fails in between decides the
//! exit code through [`Error`].

mod announce;
mod blocks;
mod signals;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use model::{Clock, Nanos};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use store::disk::RealDisk;
use store::{Kind, Store};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tracing::{debug, error, info, warn};

use crate::api::{self, Api, Door, Listener};
use crate::attach::{Looks, Plugins};
use crate::auth::Auth;
use crate::budget::Budget;
use crate::clock::{self, Tasks};
use crate::compute::{Compute, Priority};
use crate::config::{Config, Loaded};
use crate::health::{Health, Phase};
use crate::limits::Accounts;
use crate::overrides::Overrides;
use crate::receiver::{Parts, Port, Receiver};
use crate::server::tls::Tls;
use crate::server::{self, Drain, DrainTrigger, Handler, Server, drain};
use crate::settings::source::Origin;
use crate::telemetry::{self, Sources, status};
use crate::watch::{self, Reload};
use announce::{Announcement, Greeter};
pub(crate) use blocks::{Blocks, LOOK_RETRY_MAX};
use signals::Signals;

/// Jobs that may wait for each compute thread: beyond about a second of work, waiting is worse
/// than being told to come back.
const JOBS_PER_THREAD_MAX: usize = 256;
/// Queries that may wait for each of their threads.
const QUERIES_PER_THREAD_MAX: usize = 64;
/// With a single thread every quick query would wait for the long one before it.
const QUERY_THREADS_MIN: usize = 2;
/// Threads for what blocks outside of the compute pool; nothing on a request's path does.
const BLOCKING_THREADS_MAX: usize = 4;
/// How long the log may take to flush and close, after the ports are closed.
const CLOSE_WAIT: Duration = Duration::from_secs(3);
/// How much longer than its `drain_wait` a port may take.
const PORT_SLACK: Duration = Duration::from_millis(500);
/// How often tenants without attribute keys and services with bad clocks are named.
const NOTED_WAIT: Duration = Duration::from_secs(10);

/// Why the server does not run.
#[derive(Debug)]
pub struct Error {
    refused: bool,
    message: String,
}

impl Error {
    fn failed(message: impl Into<String>) -> Self {
        Self { refused: false, message: message.into() }
    }

    /// Whether it will be the same again until somebody changes something: the directory is
    /// another process's, or a newer version's.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.refused
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self { refused: error.kind() == Kind::Refused, message: error.to_string() }
    }
}

/// The components that live as long as the process.
#[derive(Debug)]
struct App {
    config: Config,
    settings: Arc<api::Settings>,
    budget: Budget,
    tls: Option<Arc<Tls>>,
    auth: Arc<Auth>,
    accounts: Arc<Accounts>,
    plugins: Arc<Plugins>,
    store: Store,
    compute: Compute,
    queries: Compute,
    blocks: Blocks,
    health: Arc<Health>,
    clock: Arc<dyn Clock>,
    started: Nanos,
    tasks: Tasks,
}

/// What answers on the ports.
#[derive(Debug)]
struct Front {
    receiver: Arc<Receiver>,
    listeners: Vec<(&'static str, SocketAddr)>,
    drain: Drain,
    trigger: DrainTrigger,
}

/// As many open files as the system lets this process have: the soft limit is a default of shells
/// (1,024 as a rule), and connections and files share it.
fn raise_file_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(fault) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        debug!(%fault, "the limit of open files stays");
    }
}

/// Runs the server until it is told to stop.
///
/// # Errors
/// A refusal when the data directory is taken or too new; a failure when a port cannot be bound,
/// the log cannot be read, the disk failed, or the stop was not a clean one.
pub fn run(loaded: &Loaded, clock: Arc<dyn Clock>) -> Result<(), Error> {
    let (config, budget) = (loaded.config.clone(), loaded.budget());
    // Columns grow into fresh memory all the time, and the kernel clears a huge page whole: 30 % of
    // the server's CPU time was that. Where it cannot be switched off, it only costs.
    if let Err(fault) = rustix::thread::disable_transparent_huge_pages(true) {
        debug!(%fault, "huge pages stay as the system has them");
    }
    raise_file_limit();
    let head = config.head.bytes_max.0 >> 20;
    info!(version = env!("CARGO_PKG_VERSION"), %budget, head_mib = head, "starting");
    let tls = Tls::open(&config.tls).map_err(Error::failed)?;
    let auth = Auth::open(&config.auth, config.tenancy, Arc::clone(&clock));
    let auth = auth.map_err(|fault| Error::failed(format!("auth: {fault}")))?;
    let overrides = Overrides::open(&config.overrides);
    let overrides = overrides.map_err(|fault| Error::failed(format!("overrides: {fault}")))?;
    let accounts = Accounts::new(Arc::clone(&overrides), Arc::clone(&clock));
    let dir = config.store.dir().ok_or_else(|| Error::failed("store.url is no directory"))?;
    let random = || RealDisk.random();
    let blocks = Blocks::open(&config, &dir, &clock)?;
    let shared = blocks.shared(&config);
    let (disk, store) = (Arc::new(RealDisk), config.store());
    let store = Store::open_with(disk, &dir, shared, &store, Arc::clone(&clock), random)?;
    // Not before the directory is ours.
    blocks.ready();
    let plugins = plugins(&config, overrides, &dir, &clock)?;
    auth.attach(&plugins).map_err(Error::failed)?;
    let threads = budget.threads();
    let compute = Compute::start(threads, threads.saturating_mul(JOBS_PER_THREAD_MAX))
        .map_err(|fault| Error::failed(format!("start the compute threads: {fault}")))?;
    let query_threads = threads.max(QUERY_THREADS_MIN);
    let queued = query_threads.saturating_mul(QUERIES_PER_THREAD_MAX);
    let queries = Compute::named("query", Priority::Low, query_threads, queued)
        .map_err(|fault| Error::failed(format!("start the query threads: {fault}")))?;
    let runtime =
        runtime(threads).map_err(|fault| Error::failed(format!("start the runtime: {fault}")))?;
    let settings = Arc::new(settings(loaded).map_err(Error::failed)?);
    let app = App {
        config,
        settings,
        budget,
        tls,
        auth,
        accounts,
        plugins,
        store,
        compute: compute.clone(),
        queries: queries.clone(),
        blocks,
        health: Arc::default(),
        started: clock.now(),
        clock,
        tasks: Tasks::new(),
    };
    let outcome = runtime.block_on(app.live());
    if outcome.is_ok() {
        compute.close();
        queries.close();
    }
    // Nothing is waited for after a failure: what was acknowledged is on the disk.
    runtime.shutdown_background();
    outcome
}

/// The plugins that the configuration names; what has to be compiled is.
fn plugins(
    config: &Config,
    overrides: Arc<Overrides>,
    dir: &Path,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<Plugins>, Error> {
    let code_dir = match config.plugins.code_dir.as_str() {
        "" => dir.join("plugins"),
        code_dir => PathBuf::from(code_dir),
    };
    let chance: plugins::Chance = Arc::new(|bytes| {
        // The system's generator does not fail once it is seeded.
        aws_lc_rs::rand::fill(bytes).unwrap_or_default();
    });
    let tables = Arc::new(plugins::Tables::new(config.plugins.tables_bytes_max.as_usize()));
    let surroundings = plugins::Surroundings { clock: Arc::clone(clock), chance, tables };
    let parts = (surroundings, Arc::default(), code_dir);
    let opened = Plugins::open(&config.plugins, overrides, parts);
    opened.map_err(|fault| Error::failed(format!("plugins: {fault}")))
}

/// The configuration as operators are shown it.
fn settings(loaded: &Loaded) -> Result<api::Settings, String> {
    let changed = loaded.rows().into_iter().filter(|(.., origin)| *origin != Origin::Default);
    Ok(api::Settings {
        all: loaded.yaml()?,
        defaults: Config::yaml_of_defaults()?,
        changed: changed
            .map(|(key, value, origin)| format!("{key}: {value} ({origin})\n"))
            .collect(),
    })
}

fn runtime(threads: usize) -> std::io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("io")
        .enable_all()
        .build()
}

impl App {
    async fn live(self) -> Result<(), Error> {
        let mut signals = Signals::new()
            .map_err(|fault| Error::failed(format!("listen for signals: {fault}")))?;
        let front = self.open().await?;
        self.announce(&front.listeners);
        let told = tokio::select! {
            biased;
            signal = signals.next() => Ok(signal),
            fault = self.serve(&front) => Err(fault),
        };
        let signal = match told {
            Ok(signal) => signal,
            Err(fault) => {
                self.health.advance(Phase::Failed);
                return Err(fault);
            }
        };
        info!(signal, "stopping");
        tokio::select! {
            outcome = self.stop(front) => outcome,
            signal = signals.next() => Err(Error::failed(format!("stopped at once by a second {signal}"))),
        }
    }

    /// Binds the ports and answers on them: alive, not yet ready.
    async fn open(&self) -> Result<Front, Error> {
        let mut servers = Vec::new();
        for (name, addr) in self.config.listen.addresses() {
            let stats = Arc::<server::Stats>::default();
            let server =
                Server::bind(addr, self.config.server.clone(), Arc::clone(&stats)).await.map_err(
                    |fault| Error::failed(format!("listen.{name}: bind {addr}: {fault}")),
                )?;
            info!(listener = name, addr = %server.addr(), "listening");
            servers.push((name, server, stats));
        }
        let receiver = self.receiver();
        let listeners = servers.iter().map(|(name, server, _)| (*name, server.addr())).collect();
        let stats = servers.iter().map(|(name, _, stats)| (*name, Arc::clone(stats))).collect();
        let api = self.api(&Arc::new(self.sources(&receiver, stats)));
        let (trigger, drain) = drain::channel();
        for (name, server, _) in servers {
            let handler = handler(name, &receiver, &api);
            // Probes have no certificate: what is behind this port asks for a scope.
            let is_strict = name != "admin";
            let tls = self.tls.as_ref().and_then(|tls| tls.acceptor(name, is_strict));
            let drain = drain.clone();
            self.tasks.spawn(name, async move {
                server.serve(handler, tls, drain).await;
            });
        }
        let files = self.tls.iter().map(|tls| Arc::clone(tls) as Arc<dyn Reload>);
        let overrides = Arc::clone(self.accounts.overrides()) as Arc<dyn Reload>;
        let plugins = Arc::new(Looks(Arc::clone(&self.plugins))) as Arc<dyn Reload>;
        let files = files.chain(self.auth.files()).chain([plugins, overrides]).collect();
        self.tasks.spawn("watch files", watch_files(files, drain.clone()));
        for issuer in self.auth.issuers() {
            let (issuer, drain) = (Arc::clone(issuer), drain.clone());
            let keys = async move { issuer.keep_fresh(drain).await };
            self.tasks.spawn("keys of an issuer", keys);
        }
        Ok(Front { receiver, listeners, drain, trigger })
    }

    fn receiver(&self) -> Arc<Receiver> {
        let Config { receiver, log, .. } = &self.config;
        let parts = Parts {
            accounts: Arc::clone(&self.accounts),
            plugins: Arc::clone(&self.plugins),
            sink: Arc::new(self.store.clone()),
            compute: self.compute.clone(),
            clock: Arc::clone(&self.clock),
            tasks: self.tasks.clone(),
        };
        Receiver::new(receiver.clone(), Arc::clone(&self.auth), log.spans, parts)
    }

    fn sources(
        &self,
        receiver: &Receiver,
        servers: Vec<(&'static str, Arc<server::Stats>)>,
    ) -> Sources {
        Sources {
            started: self.started,
            clock: Arc::clone(&self.clock),
            budget: self.budget,
            health: Arc::clone(&self.health),
            servers,
            auth: Arc::clone(&self.auth),
            accounts: Arc::clone(&self.accounts),
            plugins: Arc::clone(&self.plugins),
            tls: self.tls.as_ref().map(|tls| Arc::clone(tls.stats())).unwrap_or_default(),
            receiver: Arc::clone(receiver.stats()),
            admission: Arc::clone(receiver.admission_stats()),
            compute: Arc::clone(self.compute.stats()),
            api: OnceLock::new(),
            store: self.store.clone(),
            bucket: self.blocks.bucket_stats(),
            cache: self.blocks.cache(),
        }
    }

    /// The query API, and the pages about ourselves that it serves.
    fn api(&self, sources: &Arc<Sources>) -> Arc<Api> {
        let [health, metrics, status, usage] = std::array::from_fn(|_| Arc::clone(sources));
        let parts = api::Parts {
            traces: Arc::new(self.store.clone()),
            auth: Arc::clone(&self.auth),
            accounts: Arc::clone(&self.accounts),
            plugins: Arc::clone(&self.plugins),
            compute: self.compute.clone(),
            queries: self.queries.clone(),
            clock: Arc::clone(&self.clock),
            health: Arc::new(move || health.health()),
            metrics: Arc::new(move |accept| telemetry::page(&metrics, accept)),
            status: Arc::new(move || {
                // Plain structs of text and numbers, which always can be written.
                serde_json::to_value(status::Status::now(&status)).unwrap_or_default()
            }),
            usage: Arc::new(move || {
                // The same.
                serde_json::to_value(telemetry::usage::Usage::now(&usage)).unwrap_or_default()
            }),
            settings: Arc::clone(&self.settings),
        };
        let api = Api::new(self.config.api.clone(), parts);
        sources.api.get_or_init(|| Arc::downgrade(&api));
        api
    }

    fn announce(&self, listeners: &[(&'static str, SocketAddr)]) {
        let is_local = self.config.listen.is_local();
        match (self.auth.is_on(), is_local) {
            (false, true) => info!("no authentication: listening on loopback only"),
            (false, false) => {
                warn!("no authentication, and listening on other addresses than loopback");
            }
            (true, _) => info!("requests have to show who they are of"),
        }
        let listen = &self.config.listen;
        let is_clear = |name: &str| !self.config.tls.covers(name);
        let bare = listen
            .addresses()
            .into_iter()
            .find(|(name, addr)| self.auth.is_on() && !addr.ip().is_loopback() && is_clear(name));
        if let Some((listener, _)) = bare {
            warn!(listener, "tokens travel in the clear, unless something before this speaks TLS");
        }
        Announcement { listeners, data: &self.config.store.url }.print_on_a_terminal();
    }

    /// Replays the log, gets ready, and goes on until something fails, which it returns.
    async fn serve(&self, front: &Front) -> Error {
        let begun = self.clock.monotonic();
        if let Err(fault) = self.replay().await {
            error!(error = %fault, "the log cannot be replayed");
            return fault;
        }
        let (sender, failed) = oneshot::channel();
        self.store.on_failed(move |fault| drop(sender.send(fault.to_string())));
        self.health.advance(Phase::Ready);
        front.receiver.set_ready(true).await;
        let replay = self.store.status().replay;
        let millis = self.clock.monotonic().minus(begun).as_millis();
        info!(millis, bytes = replay.bytes_total, records = replay.records, "ready");
        if replay.corrupt > 0 {
            let (stretches, files) = (replay.corrupt, replay.quarantined);
            error!(stretches, files, "parts of the log were damaged and are set aside");
        }
        let (store, drain) = (self.store.clone(), front.drain.clone());
        self.tasks.spawn("name offenders", name_offenders(store, drain));
        let fault = failed.await.unwrap_or_else(|_| "the log has ended".to_owned());
        error!(error = fault, "the disk failed: nothing is acknowledged any more");
        Error::failed(fault)
    }

    /// Replays on a thread of its own: it computes for seconds where the log is long.
    async fn replay(&self) -> Result<(), Error> {
        let store = self.store.clone();
        let replayed = on_thread("replay", move || store.replay())?;
        match replayed.await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err(Error::failed("the replay of the log ended unexpectedly")),
        }
    }

    /// Not ready, ports closed, requests finished, log flushed.
    async fn stop(&self, front: Front) -> Result<(), Error> {
        let was_replaying = self.health.phase() == Phase::Replaying;
        self.health.advance(Phase::Draining);
        front.receiver.set_ready(false).await;
        front.trigger.raise();
        let left = self.tasks.join(self.config.server.drain_wait.0 + PORT_SLACK).await;
        if !left.is_empty() {
            warn!(tasks = ?left, "did not finish in time");
        }
        if was_replaying {
            info!("stopped during the replay: the log stays as it was");
            return Ok(());
        }
        let store = self.store.clone();
        let closed = on_thread("close", move || store.close())?;
        match clock::timeout(CLOSE_WAIT, closed).await {
            Some(Ok(outcome)) => outcome?,
            Some(Err(_)) => return Err(Error::failed("closing the log ended unexpectedly")),
            None => return Err(Error::failed("the log was not flushed in time")),
        }
        info!("stopped");
        Ok(())
    }
}

/// What a port does: OTLP everywhere but on the admin port, the query API on its own.
fn handler(name: &str, receiver: &Arc<Receiver>, api: &Arc<Api>) -> Arc<dyn Handler> {
    let door = |listener| Arc::new(Door::new(api, listener));
    let about = announce::about(name);
    match name {
        "admin" => Arc::new(Greeter { about, rest: door(Listener::Admin) }),
        "http" => Arc::new(Port::new(receiver, about, Some(door(Listener::Query)))),
        _ => Arc::new(Port::new(receiver, about, None)),
    }
}

/// Runs what blocks on a thread of its own.
fn on_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<oneshot::Receiver<T>, Error> {
    let (sender, result) = oneshot::channel();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || drop(sender.send(work())))
        .map_err(|fault| Error::failed(format!("start the thread {name}: {fault}")))?;
    Ok(result)
}

/// Looks at files that may change.
async fn watch_files(files: Vec<Arc<dyn Reload>>, mut drain: Drain) {
    if files.is_empty() {
        return;
    }
    loop {
        tokio::select! {
            () = drain.wait() => return,
            () = clock::sleep(watch::LOOK) => {}
        }
        let files = files.clone();
        // A disk, or a network, may take its time.
        let read = move || files.iter().for_each(|of| of.reload());
        drop(tokio::task::spawn_blocking(read).await);
    }
}

/// Names tenants whose spans have more attribute keys than get columns of their own.
async fn name_offenders(store: Store, mut drain: Drain) {
    loop {
        tokio::select! {
            () = drain.wait() => return,
            () = clock::sleep(NOTED_WAIT) => {}
        }
        let noted = store.take_noted();
        for tenant in noted.over_keys {
            warn!(%tenant, "has more attribute keys than head.keys_max; the rest is slower to search");
        }
        for (tenant, service) in noted.skewed {
            warn!(%tenant, service, "sends times that are far from its spans' arrival; they are sorted by that");
        }
    }
}
