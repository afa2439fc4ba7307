//! Waterfalls of tidy and of untidy traces, and the way to them over a socket.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::read::Trace;
use super::*;
use crate::cli::reach::{Target, Trust};

const START: u64 = 1_700_000_000_000_000_000;

fn otlp(spans: &str) -> Vec<u8> {
    let json = format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":
        {{"stringValue":"shop"}}}}]}},"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#
    );
    json::decode(json.as_bytes()).unwrap_or_else(|fault| panic!("{fault}"))
}

fn trace_of(spans: &str) -> Trace {
    read::trace(&otlp(spans)).unwrap()
}

/// A span of `length` ms that starts `start` ms into the trace.
fn span(id: &str, parent: &str, name: &str, start: i64, length: i64, more: &str) -> String {
    let start = START.checked_add_signed(start * 1_000_000).unwrap();
    let end = start.checked_add_signed(length * 1_000_000).unwrap();
    format!(
        r#"{{"spanId":"{id:0>16}","parentSpanId":"{parent}","name":"{name}",
        "startTimeUnixNano":{start},"endTimeUnixNano":{end}{more}}}"#
    )
}

fn parent(id: &str) -> String {
    format!("{id:0>16}")
}

fn drawn(spans: &[String]) -> Vec<String> {
    let style = Style { columns: 80, colour: false, attributes: false };
    draw(spans, &style)
}

fn draw(spans: &[String], style: &Style) -> Vec<String> {
    let id = TraceId::parse("463ac35c9f6413ad").unwrap();
    let text = waterfall::draw(id, &trace_of(&spans.join(",")), style);
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_tidy_trace_is_a_tree_with_bars() {
    let lines = drawn(&[
        span("3", &parent("1"), "query", 50, 50, r#","kind":3"#),
        span("1", "", "GET /", 0, 100, r#","kind":2"#),
        span("2", &parent("1"), "render", 0, 25, r#","status":{"code":2,"message":"oh no"}"#),
        span("4", &parent("3"), "wait", 75, 1, ""),
    ]);
    let bar = |from: usize, cells: usize| format!("{}{}", " ".repeat(from), "█".repeat(cells));
    assert_eq!(
        lines,
        [
            "trace 0000000000000000463ac35c9f6413ad, 4 spans, 1 service, 1 error, 100ms, \
             2023-11-14T22:13:20.000Z"
                .to_owned(),
            String::new(),
            format!("{:<40} {:>9} {}", "shop  GET / (server)", "100ms", bar(0, 22)),
            format!("{:<40} {:>9} {:<22} ERROR oh no", "├─ shop  render", "25.0ms", bar(0, 5)),
            format!("{:<40} {:>9} {}", "└─ shop  query (client)", "50.0ms", bar(11, 11)),
            format!("{:<40} {:>9} {}", "   └─ shop  wait", "1.00ms", bar(16, 1)),
        ]
    );
}

#[test]
fn orphans_circles_and_twins_are_drawn_once() {
    let lines = drawn(&[
        span("1", "", "root", 0, 10, ""),
        span("2", &parent("99"), "orphan", 1, 1, ""),
        span("3", &parent("4"), "round", 2, 1, ""),
        span("4", &parent("3"), "and round", 3, 1, ""),
        span("5", &parent("5"), "own parent", 4, 1, ""),
        span("6", &parent("1"), "call", 5, 2, r#","kind":3"#),
        span("6", &parent("1"), "serve", 5, 1, r#","kind":2"#),
        span("7", &parent("6"), "inner", 5, 1, ""),
    ]);
    let names: Vec<&str> =
        lines.iter().skip(2).map(|line| line.split("  ").next().unwrap()).collect();
    assert_eq!(lines.len(), 10, "{lines:#?}");
    assert!(lines[0].contains(", 1 without their parent"), "{}", lines[0]);
    let line = |name: &str| lines.iter().find(|line| line.contains(name)).unwrap();
    assert!(line("orphan").contains("(parent 0000000000000099 is missing)"));
    assert!(line("serve").starts_with("   └─ shop"), "{names:?}");
    assert!(line("inner").starts_with("      └─ shop"), "{names:?}");
    assert_eq!(line("and round").chars().next(), Some('└'));
}

#[test]
fn clocks_that_are_off_do_not_squeeze_the_rest() {
    let hour = 3_600_000;
    let lines = drawn(&[
        span("1", "", "root", 0, 100, ""),
        span("2", &parent("1"), "early", -10, 50, ""),
        span("3", &parent("1"), "ancient", -400_000 * hour, 50, ""),
        span("4", &parent("1"), "backwards", 50, -20, ""),
        span("5", &parent("1"), "late", 90, 20, ""),
    ]);
    let line = |name: &str| lines.iter().find(|line| line.contains(name)).unwrap();
    assert!(lines[0].contains(", 120ms, "), "{}", lines[0]);
    assert!(line("early").ends_with("(starts 10.0ms before its parent)"));
    assert!(line("ancient").ends_with("(its clock is off by more than a day)"));
    assert!(!line("ancient").contains('█') && line("late").contains('█'));
    assert!(line("backwards").ends_with("(ends before it starts)"));
}

#[test]
fn attributes_events_and_links_are_shown_on_demand() {
    let more = r#","attributes":[
        {"key":"a","value":{"stringValue":"x\u001b[2Jy\u202e"}},
        {"key":"stack","value":{"stringValue":"one\n\ttwo"}},
        {"key":"list","value":{"arrayValue":{"values":[{"intValue":"-1"},{"doubleValue":0.5}]}}},
        {"key":"map","value":{"kvlistValue":{"values":[{"key":"k","value":{"boolValue":true}}]}}},
        {"key":"raw","value":{"bytesValue":"AAE="}}],
        "events":[{"timeUnixNano":"1700000000005000000","name":"boom",
        "attributes":[{"key":"why","value":{"stringValue":"z"}}]}],
        "links":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}]"#;
    let style = Style { columns: 80, colour: false, attributes: true };
    let lines = draw(&[span("1", "", "root", 0, 10, more)], &style);
    assert_eq!(
        lines[3..].iter().map(|line| line.trim_start()).collect::<Vec<_>>(),
        [
            "span id 0000000000000001",
            "resource",
            "service.name = shop",
            r"a = x\u{1b}[2Jy\u{202e}",
            "stack = one",
            "two",
            "list = [-1, 0.5]",
            "map = {k: true}",
            "raw = AAE=",
            "+5.00ms boom",
            "why = z",
            "link to trace 5b8efff798038103d269b633813fc60c span eee19b7ec3c1b174",
        ]
    );
}

#[test]
fn any_width_holds_and_colours_add_nothing_but_colours() {
    let spans = [
        span("1", "", &"long name ".repeat(40), 0, 100, r#","status":{"code":2}"#),
        span("2", &parent("1"), "naïve 日本", 10, 20, ""),
    ];
    for columns in [0, 1, 40, 79, 200, 100_000] {
        let plain = draw(&spans, &Style { columns, colour: false, attributes: true });
        let painted = draw(&spans, &Style { columns, colour: true, attributes: true });
        let mut stripped = painted.join("\n");
        while let Some((before, after)) = stripped.split_once("\x1b[") {
            stripped = format!("{before}{}", after.split_once('m').unwrap().1);
        }
        assert_eq!(stripped, plain.join("\n"), "{columns}");
    }
}

#[test]
fn a_deep_trace_needs_no_deep_stack() {
    let spans: Vec<String> = (1..=5_000)
        .map(|at| span(&format!("{at:x}"), &format!("{:016x}", at - 1), "s", at, 1, ""))
        .collect();
    let lines = drawn(&spans);
    assert_eq!(lines.len(), 5_002);
    assert!(lines.iter().all(|line| line.chars().count() < 130));
}

/// A server that gives one answer; the request comes back.
fn answering(answer: Vec<u8>) -> (Target, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("http://{}/base", listener.local_addr().unwrap()).parse().unwrap();
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
            request.push(byte[0]);
        }
        stream.write_all(&answer).unwrap();
        String::from_utf8(request).unwrap()
    });
    (target, served)
}

fn args(url: Target, json: bool) -> TraceArgs {
    TraceArgs {
        id: TraceId::parse("5b8efff798038103d269b633813fc60c").unwrap(),
        server: Server {
            url,
            tenant: Some(model::Federation::parse("team-a").unwrap()),
            trust: Trust { token: Some("secret".parse().unwrap()), ca_file: None },
        },
        json,
        attributes: false,
    }
}

fn http(status: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[test]
fn a_trace_is_fetched_and_printed_as_json() {
    let mut body = Vec::new();
    wire::put_bytes(&mut body, 1, &otlp(&span("1", "", "root", 0, 1, "")));
    wire::put_bytes(&mut body, 2, &[]);
    let (target, served) = answering(http("200 OK", &body));
    let text = trace(&args(target, true)).unwrap();
    assert!(
        text.starts_with("{\"resourceSpans\":[")
            && text.contains("\"spanId\":\"0000000000000001\"")
    );
    let request = served.join().unwrap().to_lowercase();
    assert!(
        request.starts_with("get /base/api/v2/traces/5b8efff798038103d269b633813fc60c http/1.1")
    );
    assert!(request.contains("x-scope-orgid: team-a\r\n"), "{request}");
    assert!(request.contains("authorization: bearer secret\r\n"), "{request}");
    assert!(request.contains("accept: application/protobuf\r\n"), "{request}");
}

#[test]
fn what_goes_wrong_is_said() {
    for (answer, words) in [
        (http("404 Not Found", b""), "is not known to http://127.0.0.1:"),
        (http("401 Unauthorized", b"it has expired"), "does not let this token in: it has expired"),
        (http("503 Service Unavailable", b"replaying\n"), "answered 503: replaying"),
        (http("200 OK", b"<html>"), "sent no trace: malformed protobuf"),
        (b"SSH-2.0-OpenSSH\r\n".to_vec(), "no server answers at"),
    ] {
        let (target, served) = answering(answer);
        let fault = trace(&args(target, false)).unwrap_err();
        assert!(fault.contains(words), "{fault}");
        served.join().unwrap();
    }
    let gone = "http://127.0.0.1:1".parse().unwrap();
    assert!(trace(&args(gone, false)).unwrap_err().contains("no server answers at"));
}
