//! Structured logs for an operator to act on.
//!
//! `cli` sets the subscriber up once; components log through `tracing`. What may repeat without
//! end goes through a `limits::Throttle`, so that a fault that hits every request is one line, not
//! a flood. Lines about spans come from `receiver::sample`.

use std::io::IsTerminal;

use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt};

use crate::receiver::LogSpans;

/// What is logged, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// One line of text for people, or one JSON object a line for machines.
    pub format: Format,
    /// The least severe level that is logged.
    pub level: Level,
    /// Which spans are logged, a sample of them.
    pub spans: LogSpans,
}

impl Default for Config {
    fn default() -> Self {
        Self { format: Format::Text, level: Level::Info, spans: LogSpans::Off }
    }
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// How severe a line must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Data was lost, or the process cannot go on.
    Error,
    /// Degraded: somebody should look.
    Warn,
    /// Start, stop, and what changes in between.
    Info,
    /// For finding a fault in traceweir itself.
    Debug,
    /// As `debug`, with the libraries below.
    Trace,
}

/// Sends logs to standard error from now on, panics included.
///
/// # Errors
/// When the process has a subscriber already.
pub fn init(config: &Config) -> Result<(), TryInitError> {
    let (ours, theirs) = match config.level {
        Level::Error => (LevelFilter::ERROR, LevelFilter::ERROR),
        Level::Warn => (LevelFilter::WARN, LevelFilter::WARN),
        Level::Info => (LevelFilter::INFO, LevelFilter::WARN),
        Level::Debug => (LevelFilter::DEBUG, LevelFilter::INFO),
        Level::Trace => (LevelFilter::TRACE, LevelFilter::DEBUG),
    };
    let ours = ["gateway", "plugins", "store", "model", "traceweir"].map(|target| (target, ours));
    // Lines about spans are only written when somebody asked for them, and who was let in and who was not
    // is told, whatever the level.
    let always = ["spans", "audit"].map(|target| (target, LevelFilter::INFO));
    // h2 warns of each connection that it closes: strangers would fill the log. They are counted instead.
    let h2 = if theirs == LevelFilter::WARN { LevelFilter::ERROR } else { theirs };
    let filter = Targets::new().with_default(theirs).with_target("h2", h2);
    let filter = filter.with_targets(ours).with_targets(always);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match config.format {
        Format::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).try_init()?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, message, "panic: a fault of traceweir itself");
    }));
    Ok(())
}
