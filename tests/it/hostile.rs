//! Queries that nobody should ask are answered: with a result, or with what is wrong about them. The
//! server neither falls over nor grows, and goes on to answer what is reasonable.
//!
//! 150 of them in every run; `./dev prove hostile` asks 1,000.

use std::time::Duration;

use tests::gateway::{Gateway, Options};
use tests::h2;
use tests::hostile::{Hostile, Hostiles};
use tests::http::Request;
use tests::otlp;
use tests::random::{Arbitrary, Rng, seed};
use tests::tempo::{MetricsRequest, SearchRequest};
use tests::wait::{Stopwatch, now_nanos};

const SECOND: u64 = 1_000_000_000;
/// What fits into the URI of a request.
const URI_BYTES_MAX: usize = 60_000;
/// Of the whole process.
const MEMORY_BYTES_MAX: u64 = 512 << 20;

fn count() -> usize {
    let given = std::env::var("TRACEWEIR_PROVE_HOSTILE").ok();
    given.map_or(150, |text| text.parse().expect("TRACEWEIR_PROVE_HOSTILE is a number"))
}

/// A gateway with spans of all sorts: half of them in blocks, the others in memory.
fn filled(requests: usize) -> Gateway {
    let memory = format!("{}MiB", MEMORY_BYTES_MAX >> 20);
    let options =
        Options::new().set("memory.bytes_max", memory).set("overrides.defaults.query.wait", "2s");
    let gateway = options.start();
    let mut rng = Rng::new(3);
    let mut arbitrary = Arbitrary::new(Rng::new(4), 50);
    for part in 0..2 {
        for number in 0..requests {
            let mut trace = otlp::trace(&mut rng, 40);
            for at in 0..trace.len() {
                // Half of the traces are deep, each span below the one before it.
                let above = at.checked_sub(1).filter(|_| number % 2 == 0);
                if let Some(above) = above.and_then(|at| trace.get(at)) {
                    let above = above.span_id.clone();
                    trace[at].parent_span_id = above;
                }
                let text = ["0", "x", "1.5", "", "error"][at % 5];
                trace[at].attributes.push(otlp::text("t", text));
                trace[at].attributes.push(otlp::text("long", &"xy".repeat(at * 10)));
            }
            gateway.export(&otlp::request("hostile", trace));
            // What it refuses of these is not the matter here.
            let request = prost::Message::encode_to_vec(&arbitrary.request());
            assert!(Request::otlp(request).send(gateway.at.otlp_http).status < 500);
        }
        if part == 0 {
            gateway.flush("l1");
        }
    }
    gateway
}

/// Whether there was a result, or the query was refused; or what is wrong with the answer.
fn ask(gateway: &Gateway, question: &Hostile) -> Result<bool, String> {
    let uri = question.uri();
    if uri.len() < URI_BYTES_MAX {
        let reply = Request::get(uri).try_send(gateway.at.http);
        return match reply {
            Ok(reply) if reply.status == 200 => Ok(true),
            Ok(reply) if (400..500).contains(&reply.status) => Ok(false),
            Ok(reply) => Err(format!("{} {:.300}", reply.status, reply.text())),
            Err(fault) => Err(fault.to_string()),
        };
    }
    let query = question.query.clone();
    let end = now_nanos();
    let (method, message) = if question.is_metrics() {
        let start = end - 600 * SECOND;
        let request = MetricsRequest { query, start, end, step: SECOND, exemplars: 100 };
        ("MetricsQueryRange", prost::Message::encode_to_vec(&request))
    } else {
        let request = SearchRequest { query, limit: 10_000, ..SearchRequest::default() };
        ("Search", prost::Message::encode_to_vec(&request))
    };
    let path = format!("/tempopb.StreamingQuerier/{method}");
    let framed = h2::frame(tests::coding::Coding::None, &message);
    let answer = h2::Connection::open(gateway.at.http)
        .and_then(|mut connection| connection.call(&path, &[], framed));
    match answer {
        // OK, or INVALID_ARGUMENT.
        Ok(answer) if [0, 3].contains(&answer.code) => Ok(answer.code == 0),
        Ok(answer) => Err(format!("gRPC {} {:.300}", answer.code, answer.message)),
        Err(fault) => Err(fault.to_string()),
    }
}

/// The most memory that the process had, in bytes.
fn peak(gateway: &Gateway) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[test]
fn hostile_queries_are_answered_and_leave_no_mark() {
    let (count, seed) = (count(), std::env::var("TRACEWEIR_SEED").map_or(1, |_| seed()));
    let gateway = filled(if count > 150 { 400 } else { 20 });
    let before = peak(&gateway);
    let mut known = before;
    let mut slowest = (Duration::ZERO, String::new());
    let mut largest = (0, String::new());
    let (mut results, mut faults) = (0, Vec::new());
    for question in Hostiles::new(seed, now_nanos() / SECOND).take(count) {
        let watch = Stopwatch::start();
        let told = || format!("{} {:.600} {}", question.path, question.query, question.parameters);
        match ask(&gateway, &question) {
            Ok(is_result) => results += usize::from(is_result),
            Err(fault) => faults.push(format!("{fault}: {}", told())),
        }
        let grown = peak(&gateway).saturating_sub(known);
        known += grown;
        if grown > largest.0 {
            largest = (grown, told());
        }
        if watch.elapsed() > slowest.0 {
            slowest = (watch.elapsed(), told());
        }
    }
    #[expect(clippy::print_stderr, reason = "figures for people, shown with --nocapture")]
    {
        eprintln!(
            "{count} queries, seed {seed}, {results} with a result: peak memory {} MB ({} MB before them)\n\
             most memory, {} MB: {}\nslowest, {:?}: {}",
            known / 1_000_000,
            before / 1_000_000,
            largest.0 / 1_000_000,
            largest.1,
            slowest.0,
            slowest.1,
        );
    }
    assert!(faults.is_empty(), "seed {seed}, {} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(results > count / 4, "seed {seed}: {results} results, the others are refused at once");
    assert!(!gateway.log().contains("panicked"), "seed {seed}: a panic in the log");
    assert!(known < MEMORY_BYTES_MAX, "seed {seed}: {known} bytes: {}", largest.1);
    // And it still knows what it knew.
    assert_eq!(gateway.find("{ resource.service.name = \"hostile\" }", 10, 3).len(), 10);
}
