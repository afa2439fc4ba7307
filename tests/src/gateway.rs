//! The real binary as a process: start, watch, end, restart on the same directory.
//!
//! [`Options`] start a [`Gateway`]; ending it, in one way or another, leaves a [`Stopped`], which
//! still has the data directory and starts again.

mod binary;

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::http::Request;
use crate::wait::{Stopwatch, until};

/// Start-up, on a machine that is busy with other tests.
pub const START_LIMIT: Duration = Duration::from_secs(60);
/// SIGTERM drains within this time.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// How to start a gateway.
#[derive(Clone, Debug, Default)]
pub struct Options {
    settings: Vec<(String, String)>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    addresses: Vec<(String, String)>,
    unready: bool,
}

/// Where a gateway listens.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// `--otlp-grpc`
    pub otlp_grpc: SocketAddr,
    /// `--otlp-http`
    pub otlp_http: SocketAddr,
    /// `--http`
    pub http: SocketAddr,
    /// `--admin`
    pub admin: SocketAddr,
}

impl Addresses {
    /// All four with the name that their log line has.
    #[must_use]
    pub fn all(&self) -> [(&'static str, SocketAddr); 4] {
        [
            ("otlp_grpc", self.otlp_grpc),
            ("otlp_http", self.otlp_http),
            ("http", self.http),
            ("admin", self.admin),
        ]
    }
}

/// What a run that ended by itself left behind.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// A running gateway. Dropped, it is killed; its log is printed where a test is failing.
#[derive(Debug)]
pub struct Gateway {
    /// Where it listens.
    pub at: Addresses,
    /// From the start of the process until `/ready`.
    pub started_in: Duration,
    process: Process,
    home: Arc<Home>,
    options: Options,
}

/// A data directory with nobody in it.
#[derive(Debug)]
pub struct Stopped {
    home: Arc<Home>,
    options: Options,
}

/// The directory that holds data and log.
#[derive(Debug)]
struct Home {
    root: TempDir,
    data: PathBuf,
}

#[derive(Debug)]
struct Process {
    child: Child,
    log: PathBuf,
}

impl Options {
    /// The defaults, with every port picked by the system.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `--set key=value`
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<String>) -> Self {
        self.settings.push((key.to_owned(), value.into()));
        self
    }

    /// One more argument of `serve`.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// An environment variable.
    #[must_use]
    pub fn environment(mut self, key: &str, value: impl Into<String>) -> Self {
        self.environment.push((key.to_owned(), value.into()));
        self
    }

    /// Another address than a free port of loopback, for a flag such as `--http`.
    #[must_use]
    pub fn listen(mut self, flag: &str, address: impl Into<String>) -> Self {
        self.addresses.push((flag.to_owned(), address.into()));
        self
    }

    /// Does not wait for `/ready`.
    #[must_use]
    pub fn unready(mut self) -> Self {
        self.unready = true;
        self
    }

    /// Starts a gateway on a fresh directory.
    ///
    /// # Panics
    /// When it does not get ready.
    #[must_use]
    pub fn start(self) -> Gateway {
        self.start_in(Arc::new(Home::new()))
    }

    /// Starts a gateway on a directory that stays when the gateway goes.
    ///
    /// # Panics
    /// When it does not get ready.
    #[must_use]
    pub fn start_on(self, data: &Path) -> Gateway {
        self.start_in(Arc::new(Home { data: data.to_owned(), ..Home::new() }))
    }

    /// Runs `serve` on the directory until it ends by itself.
    ///
    /// # Panics
    /// When it does not end.
    #[must_use]
    pub fn run_on(self, data: &Path) -> Ended {
        let home = Home { data: data.to_owned(), ..Home::new() };
        run(&mut self.command(&home))
    }

    /// Runs `serve` on a fresh directory until it ends by itself.
    ///
    /// # Panics
    /// When it does not end.
    #[must_use]
    pub fn run(self) -> Ended {
        run(&mut self.command(&Home::new()))
    }

    fn command(&self, home: &Home) -> Command {
        let mut command = binary();
        command.arg("serve").arg("--data").arg(&home.data);
        for flag in ["--otlp-grpc", "--otlp-http", "--http", "--admin"] {
            let given = self.addresses.iter().find(|(known, _)| known == flag);
            command.args([flag, given.map_or("127.0.0.1:0", |(_, address)| address.as_str())]);
        }
        command.args(["--set", "log.format=json"]);
        for (key, value) in &self.settings {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        command.args(&self.arguments).envs(self.environment.iter().cloned());
        command
    }

    fn start_in(self, home: Arc<Home>) -> Gateway {
        let log = home.new_log();
        let file = File::create_new(&log).expect("a new log file");
        let out = file.try_clone().expect("a second handle");
        let watch = Stopwatch::start();
        let child = self.command(&home).stdout(out).stderr(file).spawn().expect("the binary runs");
        let mut process = Process { child, log };
        let at = until("start-up log with all addresses", START_LIMIT, || process.addresses());
        if !self.unready {
            until("readiness", START_LIMIT, || {
                process.assert_running();
                let reply = Request::get("/ready").try_send(at.http).ok()?;
                (reply.status == 200).then_some(())
            });
        }
        Gateway { at, started_in: watch.elapsed(), process, home, options: self }
    }
}

impl Gateway {
    /// Starts one with the defaults.
    ///
    /// # Panics
    /// When it does not get ready.
    #[must_use]
    pub fn start() -> Self {
        Options::new().start()
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.home.data
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// What it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.text()
    }

    /// `POST /flush?level=LEVEL` on the admin port.
    ///
    /// # Panics
    /// When that fails.
    pub fn flush(&self, level: &str) {
        let reply = Request::new("POST", format!("/flush?level={level}")).send(self.at.admin);
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    /// kill -9.
    #[must_use]
    pub fn kill(mut self) -> Stopped {
        self.process.kill();
        self.stopped()
    }

    /// SIGTERM, without waiting.
    pub fn terminate(&self) {
        let pid = self.process.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIGTERM was not sent");
    }

    /// SIGTERM, and a clean end in time.
    ///
    /// # Panics
    /// When it does not end with code 0 within [`DRAIN_LIMIT`].
    #[must_use]
    pub fn stop(mut self) -> Stopped {
        self.terminate();
        let code = self.wait_end(DRAIN_LIMIT + Duration::from_secs(2));
        assert_eq!(code, Some(0), "exit code after SIGTERM");
        self.stopped()
    }

    /// Waits for its end, and returns the exit code.
    ///
    /// # Panics
    /// When it still runs after `limit`.
    pub fn wait_end(&mut self, limit: Duration) -> Option<i32> {
        let child = &mut self.process.child;
        until("end of the gateway", limit, || child.try_wait().expect("a child of ours")).code()
    }

    /// Kills it and starts it again on its directory.
    #[must_use]
    pub fn kill_and_restart(self) -> Self {
        self.kill().start()
    }

    /// Stops it and starts it again on its directory.
    #[must_use]
    pub fn stop_and_restart(self) -> Self {
        self.stop().start()
    }

    fn stopped(&self) -> Stopped {
        Stopped { home: Arc::clone(&self.home), options: self.options.clone() }
    }
}

impl Stopped {
    /// The data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.home.data
    }

    /// An environment variable, in place of one of that name.
    #[must_use]
    pub fn environment(mut self, key: &str, value: impl Into<String>) -> Self {
        self.options.environment.retain(|(other, _)| other != key);
        self.options.environment.push((key.to_owned(), value.into()));
        self
    }

    /// Another value for a setting from now on.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<String>) -> Self {
        self.options.settings.retain(|(known, _)| known != key);
        self.options = self.options.set(key, value);
        self
    }

    /// Starts a gateway again.
    ///
    /// # Panics
    /// When it does not get ready.
    #[must_use]
    pub fn start(self) -> Gateway {
        self.options.start_in(self.home)
    }

    /// Starts a gateway again, without waiting for `/ready` this once.
    ///
    /// # Panics
    /// When it does not listen.
    #[must_use]
    pub fn start_unready(self) -> Gateway {
        let mut gateway = self.options.clone().unready().start_in(self.home);
        gateway.options = self.options;
        gateway
    }

    /// Runs `serve` until it ends by itself.
    ///
    /// # Panics
    /// When it does not end.
    #[must_use]
    pub fn run(&self) -> Ended {
        run(&mut self.options.command(&self.home))
    }
}

impl Home {
    fn new() -> Self {
        let root = tempfile::Builder::new().prefix("traceweir-").tempdir();
        let root = root.expect("a temporary directory");
        let data = root.path().join("data");
        Self { root, data }
    }

    /// A file for each start.
    fn new_log(&self) -> PathBuf {
        let free = |number: &u32| !self.log(*number).try_exists().unwrap_or(true);
        self.log((1..10_000).find(free).expect("a test starts fewer gateways"))
    }

    fn log(&self, number: u32) -> PathBuf {
        self.root.path().join(format!("gateway.{number}.log"))
    }
}

impl Process {
    fn kill(&mut self) {
        // An error says that it is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    fn text(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn assert_running(&mut self) {
        let end = self.child.try_wait().expect("a child of ours");
        assert!(end.is_none(), "the gateway ended at start-up, {end:?}:\n{}", self.text());
    }

    /// Reads the line that each listener logs; `None` until all are there.
    fn addresses(&mut self) -> Option<Addresses> {
        self.assert_running();
        let text = self.text();
        let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let listening: Vec<Value> = events
            .filter(|event| event.get("message").is_some_and(|message| message == "listening"))
            .collect();
        let of = |name: &str| {
            let event = listening.iter().find(|event| event["listener"] == name)?;
            event["addr"].as_str()?.parse().ok()
        };
        Some(Addresses {
            otlp_grpc: of("otlp_grpc")?,
            otlp_http: of("otlp_http")?,
            http: of("http")?,
            admin: of("admin")?,
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let text = self.text();
            let lines: Vec<&str> = text.lines().collect();
            let tail = lines.get(lines.len().saturating_sub(80)..).unwrap_or_default().join("\n");
            #[expect(clippy::print_stderr, reason = "a failing test shows what the gateway said")]
            {
                eprintln!("--- the gateway's log\n{tail}\n---");
            }
        }
    }
}

/// The command line of the binary, without the environment of whoever runs the tests.
#[must_use]
pub fn binary() -> Command {
    let mut command = Command::new(binary::path());
    let ours = std::env::vars_os().map(|(key, _)| key);
    for key in ours.filter(|key| key.to_string_lossy().starts_with("TRACEWEIR_")) {
        command.env_remove(key);
    }
    command.stdin(Stdio::null());
    command
}

/// Runs a command until it ends by itself.
///
/// # Panics
/// When it does not end.
#[must_use]
pub fn run(command: &mut Command) -> Ended {
    let home = Home::new();
    let file = |name: &str| File::create_new(home.root.path().join(name)).expect("a new file");
    let child = command.stdout(file("out")).stderr(file("err")).spawn().expect("the binary runs");
    let mut process = Process { child, log: home.root.path().join("err") };
    let end = until("end of the command", START_LIMIT, || {
        process.child.try_wait().expect("a child of ours")
    });
    let text = |name: &str| {
        let bytes = std::fs::read(home.root.path().join(name)).expect("just written");
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Ended { code: end.code(), out: text("out"), err: text("err") }
}
