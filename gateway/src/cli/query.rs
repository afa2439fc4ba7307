//! `traceweir query`: asks a running server, and draws what it finds in the terminal.
//!
//! Speaks the same HTTP API as Grafana, so it works against a server elsewhere, too: `server` and
//! `fetch` get the answer; of a trace `read` takes it apart, and `waterfall` makes a tree of it and
//! draws that.

mod fetch;
mod metrics;
mod read;
mod search;
mod server;
mod tags;
mod waterfall;

use std::io::IsTerminal;

use model::TraceId;
use model::json::{self, Flavour};
use model::wire;

use super::{Exit, complain, print};
use crate::clock::SystemClock;
use fetch::{ANSWER_BYTES_MAX, Answer, Form};
use server::Server;
use waterfall::Style;

/// Look at traces of a running server.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Show one trace as a waterfall.
    Trace(TraceArgs),
    /// Find traces.
    Search(search::Args),
    /// List names of attributes, or the values of one.
    Tags(tags::Args),
    /// Compute series over time.
    Metrics(metrics::Args),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  traceweir query trace 4bf92f3577b34da6a3ce929d0e0e4736
  traceweir query trace 4bf92f3577b34da6 --attributes | less -R
  traceweir query trace 4bf92f3577b34da6a3ce929d0e0e4736 --json > trace.json

Exit codes:
  0  the trace is printed
  1  it is not known, or no server answers
  2  wrong usage")]
struct TraceArgs {
    /// The trace id in hex; short, 64-bit, upper-case and dashed ids do, too
    #[arg(value_name = "ID", value_parser = trace_id)]
    id: TraceId,
    #[command(flatten)]
    server: Server,
    /// Print OTLP/JSON
    #[arg(long, conflicts_with = "attributes")]
    json: bool,
    /// Show attributes, events and links
    #[arg(long, short)]
    attributes: bool,
}

fn trace_id(text: &str) -> Result<TraceId, String> {
    TraceId::parse(text).map_err(|fault| fault.to_string())
}

pub(super) fn run(args: &Args) -> Exit {
    let said = match &args.what {
        What::Trace(args) => trace(args),
        What::Search(args) => search::run(args, &SystemClock::new()),
        What::Tags(args) => tags::run(args),
        What::Metrics(args) => metrics::run(args, &SystemClock::new(), columns()),
    };
    match said {
        Ok(text) => print(&text),
        Err(message) => {
            complain(&message);
            Exit::Failed
        }
    }
}

fn trace(args: &TraceArgs) -> Result<String, String> {
    let url = &args.server.url;
    let foreign = |fault: wire::Fault| format!("{url} sent no trace: {fault}");
    let (mut otlp, mut pages, mut parameters) = (Vec::new(), 0, String::new());
    // Messages one behind the other are one message.
    let told = loop {
        let Answer { body, partial, next, .. } = page(args, &parameters)?;
        let envelope = envelope(&body).map_err(foreign)?;
        otlp.extend_from_slice(envelope.otlp);
        pages += 1;
        match next {
            Some(next) if next != parameters && otlp.len() < ANSWER_BYTES_MAX => parameters = next,
            // A page says that it is one; all of them are the trace.
            None if pages > 1 => break partial,
            _ => break envelope.message.map(|text| String::from_utf8_lossy(text).into_owned()),
        }
    };
    if let Some(message) = told {
        complain(&format!("the trace is not whole: {}", read::text(message.as_bytes())));
    }
    if args.json {
        return json::encode(&otlp, Flavour::Otlp).map(|json| json + "\n").map_err(foreign);
    }
    let trace = read::trace(&otlp).map_err(foreign)?;
    let style = Style { columns: columns(), colour: colour(), attributes: args.attributes };
    Ok(waterfall::draw(args.id, &trace, &style))
}

/// Gets a page of a trace, or says why there is none.
fn page(args: &TraceArgs, parameters: &str) -> Result<Answer, String> {
    let path = format!("/api/v2/traces/{}{parameters}", args.id);
    let url = &args.server.url;
    match fetch::get(&args.server, &path, Form::Protobuf)? {
        answer @ Answer { status: 200, .. } => Ok(answer),
        Answer { status: 404, .. } => Err(format!("trace {} is not known to {url}", args.id)),
        Answer { status: 401, body, .. } => Err(args.server.unknown(read::text(&body).trim())),
        Answer { status, body, .. } => {
            let text = read::text(&body);
            Err(format!("{url} answered {status}: {}", text.trim()))
        }
    }
}

/// `tempopb.TraceByIDResponse`.
#[derive(Default)]
struct Envelope<'a> {
    otlp: &'a [u8],
    /// Why the trace is not whole, where it is not.
    message: Option<&'a [u8]>,
}

fn envelope(answer: &[u8]) -> Result<Envelope<'_>, wire::Fault> {
    let mut reader = wire::Reader::new(answer);
    let mut envelope = Envelope::default();
    while let Some(field) = reader.next()? {
        match (field.number, field.value) {
            (1, wire::Value::Bytes(otlp)) => envelope.otlp = otlp,
            (4, wire::Value::Bytes(message)) => envelope.message = Some(message),
            _ => {}
        }
    }
    Ok(envelope)
}

/// How wide the terminal is.
fn columns() -> usize {
    let told = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    let asked = || {
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
        (size.ws_col > 0).then_some(usize::from(size.ws_col))
    };
    told.or_else(asked).unwrap_or(100)
}

/// Colours are for terminals, and not for who asks for none (no-color.org).
fn colour() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !refused
}

#[cfg(test)]
mod tests;
