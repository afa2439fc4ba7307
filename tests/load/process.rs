//! Processes: which processor they run on, what they use, and the server under test.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use gateway::clock::Tasks;
use gateway::demo::client::{Channel, Coding, Protocol, Target};
use rustix::process::{Pid, Signal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The unit of processor times in `/proc`: 1/100 s on every Linux that user space sees.
const TICK: Duration = Duration::from_millis(10);

/// Reads `utime + stime` of a process, ended threads included.
pub(crate) fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(&path).context(path)?;
    // The name of the program stands in parentheses and may hold anything.
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    let ticks = |at| fields.split_whitespace().nth(at).and_then(|n| n.parse::<u32>().ok());
    let (user, system) = (ticks(11).context("utime")?, ticks(12).context("stime")?);
    Ok(TICK * (user + system))
}

/// The processor time of this process; zero where it cannot be read.
pub(crate) fn own_cpu() -> Duration {
    cpu(std::process::id()).unwrap_or_default()
}

/// Lets this thread, and what it starts from now on, run on one processor only.
pub(crate) fn pin(processor: Option<usize>) -> anyhow::Result<()> {
    let Some(processor) = processor else { return Ok(()) };
    let mut set = rustix::thread::CpuSet::new();
    set.set(processor);
    rustix::thread::sched_setaffinity(None, &set).context("sched_setaffinity")
}

/// How the server is started.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Launch {
    /// The `traceweir` binary, built with `--release`
    #[arg(long)]
    pub(crate) binary: PathBuf,
    /// The server's processor
    #[arg(long, default_value_t = 0)]
    pub(crate) server_cpu: usize,
    /// The processor of whoever measures it
    #[arg(long, default_value_t = 1)]
    pub(crate) own_cpu: usize,
    /// Where data directories are made; on the disk that is meant, not in memory
    #[arg(long, default_value = ".")]
    pub(crate) scratch: PathBuf,
    /// Another argument of `serve`; may be repeated
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) serve_arg: Vec<String>,
}

impl Launch {
    /// The same with one more setting.
    pub(crate) fn with(&self, setting: &str) -> Self {
        let mut launch = self.clone();
        launch.serve_arg.extend(["--set".to_owned(), setting.to_owned()]);
        launch
    }
}

/// A running server with a data directory of its own. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    data: Arc<tempfile::TempDir>,
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) api: SocketAddr,
    admin: SocketAddr,
}

/// How many lines of the server's log are reported.
const LAST_WORDS: usize = 12;

/// How long the server may take to be ready, and to end.
const READY_WAIT: Duration = Duration::from_secs(30);
const END_WAIT: Duration = Duration::from_secs(20);

impl Server {
    /// Starts the server on its processor and waits until it is ready.
    pub(crate) async fn start(launch: &Launch) -> anyhow::Result<Self> {
        let data = tempfile::Builder::new().prefix("load-").tempdir_in(&launch.scratch)?;
        Self::start_in(Arc::new(data), launch).await
    }

    /// Ends it, and starts another one on its data.
    pub(crate) async fn start_again(self, launch: &Launch) -> anyhow::Result<Self> {
        let data = Arc::clone(&self.data);
        self.stop().await?;
        Self::start_in(data, launch).await
    }

    async fn start_in(data: Arc<tempfile::TempDir>, launch: &Launch) -> anyhow::Result<Self> {
        let [grpc, http, api, admin] = free_ports()?;
        let log = File::create(data.path().join("server.log"))?;
        let mut command = Command::new(&launch.binary);
        command.arg("serve").arg("--data").arg(data.path().join("data"));
        for (flag, address) in
            [("--otlp-grpc", grpc), ("--otlp-http", http), ("--http", api), ("--admin", admin)]
        {
            command.arg(flag).arg(address.to_string());
        }
        command.args(&launch.serve_arg).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        // A child runs where its parent ran when it was started.
        pin(Some(launch.server_cpu))?;
        let child = command.spawn().with_context(|| launch.binary.display().to_string());
        pin(Some(launch.own_cpu))?;
        let mut server = Self { child: child?, data, grpc, http, api, admin };
        server.ready().await?;
        Ok(server)
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let target = Target::parse(&format!("http://{}", self.api), Protocol::Http, Coding::None)?;
        let channel = Channel::new(target, Tasks::new());
        let began = Instant::now();
        loop {
            if let Ok((200, _)) = channel.get("/ready", &[]).await {
                return Ok(());
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || began.elapsed() > READY_WAIT {
                bail!("the server is not ready: {}", self.last_words());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// How the server is and the end of its log, for a report of what went wrong.
    pub(crate) fn last_words(&mut self) -> String {
        let state = match self.child.try_wait() {
            Ok(Some(status)) => status.to_string(),
            _ => "still running".to_owned(),
        };
        let log = std::fs::read_to_string(self.data.path().join("server.log")).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(LAST_WORDS).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        format!("the server ({state}) said: {}", last.join(" | "))
    }

    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        cpu(self.child.id())
    }

    /// The processor time of the threads that it has, to the nanosecond: for what is too short for
    /// ticks. Threads that end in between are not counted.
    pub(crate) fn busy(&self) -> anyhow::Result<Duration> {
        let mut nanos = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread may have ended since the directory was read.
            let Ok(stat) = std::fs::read_to_string(task?.path().join("schedstat")) else {
                continue;
            };
            nanos +=
                stat.split(' ').next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// Memory in bytes: the most that it was, and what it is.
    pub(crate) fn memory(&self) -> anyhow::Result<(u64, u64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
        };
        let (peak, now) = field("VmHWM:").zip(field("VmRSS:")).context("no memory in status")?;
        Ok((peak << 10, now << 10))
    }

    /// A metric without labels; nothing where the server has none of this name.
    pub(crate) async fn metric(&self, name: &str) -> anyhow::Result<Option<f64>> {
        let target =
            Target::parse(&format!("http://{}", self.admin), Protocol::Http, Coding::None)?;
        let (_, text) = Channel::new(target, Tasks::new()).get("/metrics", &[]).await?;
        let text = String::from_utf8(text.to_vec())?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.and_then(|value| value.trim().parse().ok()))
    }

    /// What the data directory takes on disk, in bytes.
    pub(crate) fn disk(&self) -> anyhow::Result<u64> {
        blocks(self.data.path().join("data").as_path())
    }

    /// What blocks take on disk, in bytes of their files.
    pub(crate) fn block_bytes(&self) -> anyhow::Result<u64> {
        let blocks = self.data.path().join("data").join("blocks");
        if blocks.try_exists()? { lengths(&blocks) } else { Ok(0) }
    }

    /// How many blocks there are.
    pub(crate) fn block_files(&self) -> anyhow::Result<usize> {
        let blocks = self.data.path().join("data").join("blocks");
        if blocks.try_exists()? { files(&blocks) } else { Ok(0) }
    }

    /// Has the server write what it has in memory (`l0`), and merge it into blocks (`l1`).
    pub(crate) async fn flush(&self, level: &str) -> anyhow::Result<()> {
        let mut stream = tokio::net::TcpStream::connect(self.admin).await?;
        let request = format!(
            "POST /flush?level={level} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            self.admin
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::ensure!(answer.starts_with("HTTP/1.1 200"), "flush: {answer}");
        Ok(())
    }

    /// Asks the server to end, and waits for it.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("pid")?;
        rustix::process::kill_process(pid, Signal::TERM).context("SIGTERM")?;
        let began = Instant::now();
        while self.child.try_wait()?.is_none() {
            if began.elapsed() > END_WAIT {
                bail!("the server did not end within {END_WAIT:?} of SIGTERM");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, or nothing can be done about it here.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Ports that were free a moment ago.
fn free_ports<const N: usize>() -> anyhow::Result<[SocketAddr; N]> {
    let mut listeners = Vec::new();
    for _ in 0..N {
        listeners.push(TcpListener::bind("127.0.0.1:0")?);
    }
    let addresses: Result<Vec<_>, _> = listeners.iter().map(TcpListener::local_addr).collect();
    addresses?.try_into().ok().context("ports")
}

/// The lengths of all files below a directory.
fn lengths(path: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        bytes += if meta.is_dir() { lengths(&entry.path())? } else { meta.len() };
    }
    Ok(bytes)
}

fn files(path: &Path) -> anyhow::Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        let is_block = path.extension().is_some_and(|extension| extension == "parquet");
        count += if path.is_dir() { files(&path)? } else { usize::from(is_block) };
    }
    Ok(count)
}

fn blocks(path: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(path).with_context(|| path.display().to_string())? {
        let entry = entry?;
        let meta = entry.metadata()?;
        bytes += if meta.is_dir() { blocks(&entry.path())? } else { meta.blocks() * 512 };
    }
    Ok(bytes)
}
