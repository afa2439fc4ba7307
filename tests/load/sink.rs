//! `load sink`: the real receivers in front of nothing. What the sender reaches against it is the
//! most that it can measure, and what the sink uses is what receiving alone costs, a look at each span included.

use std::net::SocketAddr;
use std::sync::Arc;

use gateway::attach::Plugins;
use gateway::auth::{Auth, Tenancy};
use gateway::clock::{SystemClock, Tasks};
use gateway::compute::Compute;
use gateway::limits::Accounts;
use gateway::overrides::{Limits, Overrides};
use gateway::receiver::ingest::Ack;
use gateway::receiver::{Config, LogSpans, Parts, Port, Receiver, Sink};
use gateway::server::{self, Server, drain};
use model::Clock;
use model::otlp::Checked;
use store::{Accepted, Append};

use crate::{process, say};

/// Arguments of `load sink`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:4317")]
    listen: SocketAddr,
    /// Runs on this processor only
    #[arg(long)]
    cpu: Option<usize>,
}

/// Acknowledges everything and keeps nothing.
struct Nothing;

impl Sink for Nothing {
    fn append(&self, _: Append, _: Checked) -> Result<Ack, store::Error> {
        Ok(Box::pin(async { Ok(Accepted::default()) }))
    }
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    process::pin(args.cpu)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let auth = Auth::none(Tenancy::Single, Arc::clone(&clock));
    let parts = Parts {
        accounts: Accounts::new(Overrides::of(Limits::default()), Arc::clone(&clock)),
        plugins: Plugins::none(Arc::clone(&clock)),
        sink: Arc::new(Nothing),
        compute: Compute::start(1, 64)?,
        clock,
        tasks: Tasks::new(),
    };
    let receiver = Receiver::new(Config::default(), auth, LogSpans::default(), parts);
    let server = Server::bind(args.listen, server::Config::default(), Arc::default()).await?;
    say(&format!("listening on {}; Ctrl-C ends it", server.addr()));
    let (trigger, drain) = drain::channel();
    let port = Arc::new(Port::new(&receiver, "a sink that keeps nothing", None));
    let serving = server.serve(port, None, drain);
    tokio::pin!(serving);
    tokio::select! {
        _ = &mut serving => {}
        stopped = tokio::signal::ctrl_c() => {
            stopped?;
            trigger.raise();
            serving.await;
        }
    }
    let cpu = process::own_cpu();
    let bytes = receiver.stats().body_bytes.get();
    say(&format!("{bytes} bytes, {:.2} s of a processor", cpu.as_secs_f64()));
    Ok(())
}
