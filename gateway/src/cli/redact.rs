//! `traceweir redact`: has a running server hide traces, and tells how far it is with taking them out.

use std::fmt::Write as _;
use std::time::Duration;

use http::Method;
use model::{TenantId, TraceId};
use serde_json::{Value, json};

use super::table::{Table, time};
use super::{Exit, admin, complain, print};

/// How long a server may take to find all that matches, and to hide it.
const ANSWER_WAIT: Duration = Duration::from_secs(120);
/// How often it is asked how far it is.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Hide traces from everybody at once, and take them out of blocks.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Hidden is a trace as a whole, for good: what is in blocks is written anew without it, what comes late is
left out. A query is evaluated once, now. Without --trace and --query it is listed how far redactions are.

Examples:
  traceweir redact --trace 4bf92f3577b34da6a3ce929d0e0e4736 --wait
  traceweir redact --tenant team-a --query '{ span.user.email = \"ada@example.org\" }'
  traceweir redact

Exit codes:
  0  the traces are hidden (with --wait: and nothing that the server has is left of them)
  1  nothing is hidden, or no server answers
  2  wrong usage")]
pub(super) struct Args {
    #[command(flatten)]
    server: admin::Server,
    /// Whose traces they are
    #[arg(long, value_name = "ID", value_parser = tenant)]
    tenant: Option<TenantId>,
    /// A trace, by its id in hex; may be given several times
    #[arg(long, value_name = "ID", value_parser = trace_id, conflicts_with = "query")]
    trace: Vec<TraceId>,
    /// All traces that a TraceQL query finds
    #[arg(long, value_name = "TRACEQL")]
    query: Option<String>,
    /// Of a query: from when, in seconds since 1970
    #[arg(long, value_name = "SECONDS", requires = "query", requires = "end")]
    start: Option<u64>,
    /// Of a query: until when, in seconds since 1970
    #[arg(long, value_name = "SECONDS", requires = "query", requires = "start")]
    end: Option<u64>,
    /// Wait until nothing is left of them in the head, in L0 files and in blocks
    #[arg(long)]
    wait: bool,
}

fn tenant(text: &str) -> Result<TenantId, String> {
    TenantId::parse(text).map_err(|fault| fault.to_string())
}

fn trace_id(text: &str) -> Result<TraceId, String> {
    TraceId::parse(text).map_err(|fault| fault.to_string())
}

pub(super) fn run(args: &Args) -> Exit {
    let done = match args.trace.is_empty() && args.query.is_none() {
        true => list(args),
        false => redact(args),
    };
    match done {
        Ok(text) => print(&text),
        Err(fault) => {
            complain(&fault);
            Exit::Failed
        }
    }
}

/// Asks, and wants 200 with JSON.
fn ask(args: &Args, method: Method, body: &str) -> Result<Value, String> {
    let (code, body) = args.server.ask((method, "/redactions"), body, ANSWER_WAIT)?;
    if code != 200 {
        return Err(format!("the server answered {code}: {}", body.trim()));
    }
    serde_json::from_str(&body).map_err(|_| {
        format!("{} is not the administration port of a traceweir", args.server.address)
    })
}

fn redact(args: &Args) -> Result<String, String> {
    let mut wanted = json!({});
    let mut put = |name: &str, value: Value| {
        if let (Some(object), false) = (wanted.as_object_mut(), value.is_null()) {
            object.insert(name.to_owned(), value);
        }
    };
    put("tenant", json!(args.tenant.as_ref().map(TenantId::as_str)));
    put("query", json!(args.query));
    put("start", json!(args.start));
    put("end", json!(args.end));
    if args.query.is_none() {
        put("traces", args.trace.iter().map(ToString::to_string).collect());
    }
    let hidden = ask(args, Method::POST, &wanted.to_string())?;
    let (id, traces) = (text(&hidden, "id"), number(&hidden, "traces"));
    let mut said = format!("{traces} traces are hidden: redaction {id}\n");
    if args.wait {
        wait(args, &id)?;
        said.push_str("nothing is left of them in this server's files\n");
    }
    Ok(said)
}

/// Waits until a redaction is done, and tells how far it is.
#[expect(clippy::disallowed_methods, reason = "the server tells of no event over HTTP")]
fn wait(args: &Args, id: &str) -> Result<(), String> {
    let mut told = None;
    loop {
        let all = ask(args, Method::GET, "")?;
        let own = all.as_array().and_then(|all| all.iter().find(|of| text(of, "id") == id));
        let Some(own) = own else { return Ok(()) };
        if !own["done_at"].is_null() {
            return Ok(());
        }
        let left = number(own, "blocks_left");
        if told != Some(left) {
            complain(&match left {
                0 => "waiting until what is in the head and in L0 is merged".to_owned(),
                _ => format!("{left} blocks are to be looked at"),
            });
            told = Some(left);
        }
        std::thread::sleep(ASK_EVERY);
    }
}

fn list(args: &Args) -> Result<String, String> {
    let all = ask(args, Method::GET, "")?;
    let rows = all.as_array().map(Vec::as_slice).unwrap_or_default();
    let rows = rows.iter().filter(|row| {
        args.tenant.as_ref().is_none_or(|tenant| text(row, "tenant") == tenant.as_str())
    });
    let mut table = Table::new(&[
        "TENANT",
        "REDACTION",
        "SINCE",
        "TRACES",
        "BLOCKS LEFT",
        "OBJECTS LEFT",
        "DONE",
    ]);
    let mut count = 0;
    for row in rows {
        count += 1;
        table.row(vec![
            text(row, "tenant"),
            text(row, "id"),
            time(number(row, "at")),
            number(row, "traces").to_string(),
            number(row, "blocks_left").to_string(),
            number(row, "objects_left").to_string(),
            row["done_at"].as_u64().map_or_else(|| "-".to_owned(), time),
        ]);
    }
    let mut out = String::new();
    match count {
        0 => writeln!(out, "nothing is redacted").unwrap_or_default(),
        _ => out = table.text(),
    }
    Ok(out)
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or(0)
}
