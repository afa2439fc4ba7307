//! `load send`: sends a set to any OTLP server, from memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use gateway::demo::client::{Coding, Protocol, Target};

use crate::engine::{self, Drive, Message, WhenFull};
use crate::make::SetArgs;
use crate::{process, report};

/// How messages are sent.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct DriveArgs {
    /// How spans are sent
    #[arg(long, default_value = "grpc")]
    pub(crate) protocol: Protocol,
    /// How messages are compressed, before the first one is sent
    #[arg(long, default_value = "none")]
    pub(crate) compression: Coding,
    /// Connections (for HTTP/1.1: times the requests at a time on each)
    #[arg(long, default_value_t = 4)]
    pub(crate) connections: usize,
    /// Requests at a time on each connection
    #[arg(long, default_value_t = 4)]
    pub(crate) in_flight: usize,
    /// Spans per second, waits counted from when a message was due; without it as fast as answered
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// The tenant, as X-Scope-OrgID
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// Another header, as `name: value`; may be repeated
    #[arg(long)]
    pub(crate) header: Vec<String>,
    /// Of https: a PEM file with the root of the server's certificate
    #[arg(long)]
    pub(crate) ca_file: Option<PathBuf>,
}

/// Arguments of `load send`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Where the server listens, such as http://127.0.0.1:4317
    #[arg(long)]
    endpoint: String,
    #[command(flatten)]
    drive: DriveArgs,
    #[command(flatten)]
    set: SetArgs,
    /// A file of frames (from `load make`) instead of a set
    #[arg(long)]
    file: Option<PathBuf>,
    /// Writes the truth of what is sent to this file
    #[arg(long)]
    truth: Option<PathBuf>,
    /// Runs on this processor only
    #[arg(long)]
    cpu: Option<usize>,
}

impl DriveArgs {
    /// The endpoint with protocol, compression and headers.
    pub(crate) fn target(&self, endpoint: &str) -> anyhow::Result<Target> {
        let target = Target::parse(endpoint, self.protocol, self.compression)?;
        let mut target = target.with_roots(self.ca_file.as_deref())?;
        for header in &self.header {
            let (name, value) = header.split_once(':').context("write headers as 'name: value'")?;
            target = target.with_header(name.trim(), value.trim())?;
        }
        if let Some(tenant) = &self.tenant {
            target = target.with_header("x-scope-orgid", tenant)?;
        }
        Ok(target)
    }

    pub(crate) fn drive(&self, endpoint: &str, when_full: WhenFull) -> anyhow::Result<Drive> {
        Ok(Drive {
            target: self.target(endpoint)?,
            connections: self.connections,
            in_flight: self.in_flight,
            rate: self.rate,
            when_full,
        })
    }
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    process::pin(args.cpu)?;
    let drive = args.drive.drive(&args.endpoint, WhenFull::Wait)?;
    let messages = match &args.file {
        Some(file) => read(file, &drive.target)?,
        None => {
            let (messages, truth) = make(&args.set, &drive.target)?;
            if let Some(path) = &args.truth {
                std::fs::write(path, serde_json::to_vec_pretty(&truth)?)?;
            }
            messages
        }
    };
    let sent = engine::run(&messages, 0..messages.len(), &drive).await;
    let mut report = report::Report::default();
    report.add("send", report::sent(&sent))?;
    report.table();
    anyhow::ensure!(sent.lost == 0, "{} spans are lost", sent.lost);
    Ok(())
}

/// Makes a set as messages for the target.
pub(crate) fn make(
    set: &SetArgs,
    target: &Target,
) -> anyhow::Result<(Arc<[Message]>, gateway::demo::truth::Truth)> {
    let mut messages = Vec::new();
    let truth = set.generate(|request| {
        messages.push(Message {
            spans: request.spans as u64,
            raw_bytes: request.body.len() as u64,
            tenant: request.tenant.map(Into::into),
            bytes: target.message(request.body)?,
        });
        Ok(())
    })?;
    Ok((messages.into(), truth))
}

/// Reads a file of frames as messages for the target.
fn read(path: &Path, target: &Target) -> anyhow::Result<Arc<[Message]>> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let beside = format!("{}.tenants", path.display());
    let tenants = match std::fs::read_to_string(&beside) {
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => String::new(),
        read => read.context(beside)?,
    };
    let mut tenants = tenants.lines();
    let mut rest = &*bytes;
    let mut messages = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (spans, after) = after.split_first_chunk::<4>().context("the file ends in a head")?;
        let length = usize::try_from(u32::from_le_bytes(*length))?;
        let (body, after) = after.split_at_checked(length).context("the file ends in a frame")?;
        messages.push(Message {
            spans: u64::from(u32::from_le_bytes(*spans)),
            raw_bytes: body.len() as u64,
            tenant: tenants.next().map(Into::into),
            bytes: target.message(body.to_vec())?,
        });
        rest = after;
    }
    Ok(messages.into())
}
