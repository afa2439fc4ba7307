//! What the example plugins answer, byte by byte: every SDK is held against the same files. `UPDATE_VECTORS=1` writes
//! them.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value as Json, json};
use traceweir_plugin::testing::{Fixture, Layout, Resource, Scope, Span};
use traceweir_plugin::{Batch, ConfigError, HeadSampler, Plugin, PluginError, Processor};

#[path = "../examples/enrich.rs"]
#[expect(unreachable_pub, reason = "a library of its own, elsewhere")]
mod enrich;
#[path = "../examples/keep_interesting.rs"]
#[expect(unreachable_pub, reason = "a library of its own, elsewhere")]
mod keep_interesting;
#[path = "../examples/scrub.rs"]
#[expect(unreachable_pub, reason = "a library of its own, elsewhere")]
mod scrub;
#[path = "../examples/team.rs"]
#[expect(unreachable_pub, reason = "a library of its own, elsewhere")]
mod team;
#[path = "../examples/tenth.rs"]
#[expect(unreachable_pub, reason = "a library of its own, elsewhere")]
mod tenth;

use enrich::Enrich;
use keep_interesting::KeepInteresting;
use scrub::Scrub;
use team::Team;
use tenth::Tenth;

/// What a case gives to a plugin.
enum Given {
    /// A batch of this, in the plugin's projection.
    Spans(Fixture),
    /// A batch of this, then changed.
    Changed(Fixture, fn(&mut Vec<u8>)),
    /// A configuration that is refused.
    Nothing,
}

struct Case {
    name: &'static str,
    about: &'static str,
    config: Json,
    given: Given,
}

fn case(name: &'static str, about: &'static str, config: Json, fixture: Fixture) -> Case {
    Case { name, about, config, given: Given::Spans(fixture) }
}

fn changed(name: &'static str, about: &'static str, change: fn(&mut Vec<u8>)) -> Case {
    let (config, fixture) = match example(name) {
        "enrich" => (by_namespace(), namespaces()),
        "keep-interesting" => (keep(), mixed()),
        "scrub" => (json!({}), urls()),
        "team" => (teams(), namespaces()),
        _ => (tenth(), ids()),
    };
    Case { name, about, config, given: Given::Changed(fixture, change) }
}

fn refused(name: &'static str, about: &'static str, config: Json) -> Case {
    Case { name, about, config, given: Given::Nothing }
}

/// Which plugin a case is of.
fn example(name: &str) -> &'static str {
    let examples = ["enrich", "keep-interesting", "scrub", "team", "tenth"];
    let is_of = |example: &&str| name.split('-').next() == example.split('-').next();
    examples.into_iter().find(is_of).expect("a case is named as its example")
}

fn tenth() -> Json {
    json!({"one_in": 10})
}

fn by_namespace() -> Json {
    json!({"teams": {"shop": "checkout", "pay": "money", "größe": "Übergrößen 🦊", "": "nobody"}})
}

fn keep() -> Json {
    json!({"slow_ms": 500, "ratio": 0.1})
}

fn teams() -> Json {
    json!({"key": "team", "teams": {"shop": "checkout", "pay": "money", "größe": "Übergrößen 🦊", "": "nobody"}})
}

fn spans(spans: impl IntoIterator<Item = Span>) -> Fixture {
    Fixture::new().resource(spans.into_iter().fold(Resource::new(), Resource::span))
}

/// Errors, slow spans and neither, of traces that are mixed among each other.
fn mixed() -> Fixture {
    spans([
        Span::new("a").trace(1).ms(10),
        Span::new("b").trace(2).ms(10),
        Span::new("c").trace(3).ms(499),
        Span::new("d").trace(1).ms(20).error("out of stock"),
        Span::new("e").trace(2).ms(500),
        Span::new("f").trace(1).ms(900),
        Span::new("g").trace(4).ms(501).error("slow, too"),
        Span::new("h").trace(3),
    ])
}

/// Seventy spans of forty traces: bitmaps and paddings have more than one word.
fn many() -> Fixture {
    spans((0..70).map(|i| {
        let span = Span::new("span").trace(i * 7 % 40).ms(i * 11 % 600);
        if i % 17 == 3 { span.error("") } else { span }
    }))
}

/// A span of the trace whose id has these last 56 bits, and all bits before them.
fn span_of(low: u64) -> Span {
    let mut span = Span::new("span");
    span.trace_id = ((!0_u128 << 56) | u128::from(low)).to_be_bytes();
    span
}

/// A hundred spans of fifty traces, whose ids are spread evenly over all that there are.
fn ids() -> Fixture {
    spans((0..100).map(|i| span_of((i * 37 % 50) * ((1 << 56) / 50) + i % 2)))
}

/// Around the least of the last 56 bits that one trace in ten has, which is 0xe6_6666_6666_6667.
fn boundary() -> Fixture {
    let least = 0xe6_6666_6666_6667;
    spans([least - 1, least, least + 1, 0xe5 << 48, 0xe6 << 48, 0xe7 << 48].map(span_of))
}

fn request(url: &str) -> Span {
    Span::new("GET /").with("http.request.method", "GET").with("url.full", url)
}

/// Tokens at all places, and none.
fn urls() -> Fixture {
    spans(
        [
            "https://shop.example/?token=abc&page=2",
            "https://shop.example/?page=2",
            "https://shop.example/?page=2&token=0123456789abcdef",
            "https://shop.example/?token=abc&page=2",
            "token=a token=b#token=c&token=",
            "tototoken=größe&tokentoken==&token",
            "größe/🦊?token=🦊🦊&größe",
        ]
        .map(request),
    )
}

/// So many that they stand each by itself, in batch and answer: some without a token, one without a URL.
fn many_urls() -> Fixture {
    spans((0..150).map(|i| match i {
        7 => Span::new("none"),
        _ if i % 11 == 3 => request(&format!("/orders/{i}")),
        _ => request(&format!("/orders/{i}?token={}&größe={i}", i * 37)),
    }))
    .layout(Layout::Each)
}

/// What is not to be masked, and texts as they may come from anywhere.
fn strange_urls() -> Fixture {
    spans([
        Span::new("none"),
        Span::new("int").with("url.full", 7_i64),
        Span::new("bool").with("url.full", true),
        request(""),
        request("token"),
        request("?tok=a&Token=b"),
        request("?token=*** is there already"),
        request("?token=***"),
        request("a\0b"),
        request("?token=a\0b&c\0"),
        request("?token=\n\"$&\\1 \u{fffd}"),
    ])
}

fn namespace(name: &str) -> Resource {
    Resource::new().with("k8s.namespace.name", name).span(Span::new("GET /"))
}

fn namespaces() -> Fixture {
    ["shop", "pay", "shop", "elsewhere", "pay"]
        .into_iter()
        .map(namespace)
        .fold(Fixture::new(), Fixture::resource)
}

/// All that a namespace can be instead of a text that has a team.
fn strange() -> Fixture {
    Fixture::new()
        .resource(Resource::new().span(Span::new("none")))
        .resource(Resource::new().with("k8s.namespace.name", 7_i64).span(Span::new("int")))
        .resource(Resource::new().with("k8s.namespace.name", true).span(Span::new("bool")))
        .resource(Resource::new().with("k8s.namespace.name", 0.5).span(Span::new("double")))
        .resource(namespace("größe"))
        .resource(namespace(""))
        .resource(namespace("SHOP"))
        .resource(Resource::new().with("namespace", "shop").scope(Scope::new("another key")))
}

fn cases() -> Vec<Case> {
    let mut cases = of_decisions_and_teams();
    cases.extend(of_rows());
    cases
}

/// Of the plugins that the bench of rows measures.
fn of_rows() -> Vec<Case> {
    let one = |n: u32| json!({ "one_in": n });
    vec![
        case("tenth-spread", "one trace in ten", tenth(), ids()),
        case("tenth-third", "one trace in three", one(3), ids()),
        case("tenth-boundary", "ids that are least, and next to it", tenth(), boundary()),
        case("tenth-all", "nothing is dropped: no section at all", one(1), ids()),
        case("tenth-hardly", "all is dropped but the last ids", one(u32::MAX), boundary()),
        case("tenth-nothing", "no rows", tenth(), Fixture::new()),
        changed("tenth-bad-entries", "one id less than there are rows", |batch| {
            let row = row(batch, 1);
            batch[row + 12..row + 16].copy_from_slice(&(99_u32 * 16).to_le_bytes());
        }),
        refused("tenth-config-missing", "no number", json!({})),
        refused("tenth-config-none", "one in none", json!({"one_in": 0})),
        refused("tenth-config-more", "more than 32 bits", json!({"one_in": 4_294_967_296_u64})),
        refused("tenth-config-type", "a text for a number", json!({"one_in": "ten"})),
        refused("tenth-config-unknown", "a key that there is not", json!({"one_in": 1, "of": 2})),
        case("enrich-dictionary", "each namespace stands once", by_namespace(), namespaces()),
        case(
            "enrich-each",
            "each resource has a text of its own",
            by_namespace(),
            namespaces().layout(Layout::Each),
        ),
        case("enrich-strange", "absent, of another type, empty", by_namespace(), strange()),
        case("enrich-nobody", "no team: no section at all", json!({"teams": {}}), namespaces()),
        refused("enrich-config-missing", "no teams", json!({})),
        refused("enrich-config-team", "a team that is no text", json!({"teams": {"shop": 1}})),
        refused(
            "enrich-config-unknown",
            "a key that there is not",
            json!({"teams": {}, "key": "team"}),
        ),
        case("scrub-dictionary", "each URL stands once", json!({}), urls()),
        case(
            "scrub-each",
            "each span has a URL of its own",
            json!({}),
            urls().layout(Layout::Each),
        ),
        case("scrub-many", "URLs that are nearly all different", json!({}), many_urls()),
        case("scrub-strange", "absent, of another type, strange", json!({}), strange_urls()),
        case(
            "scrub-strange-each",
            "the same, each with a text of its own",
            json!({}),
            strange_urls().layout(Layout::Each),
        ),
        case("scrub-nothing", "no URLs: nothing is set", json!({}), mixed()),
        changed("scrub-bad-index", "an index that leads nowhere", |batch| {
            let text = texts(batch);
            batch[text + 8..text + 12].copy_from_slice(&7_u32.to_le_bytes());
        }),
        refused("scrub-config-unknown", "a key that there is not", json!({"name": "token"})),
    ]
}

/// Of the two plugins that there have been from the beginning.
fn of_decisions_and_teams() -> Vec<Case> {
    let one = || spans([Span::new("GET /").trace(1).ms(3)]);
    let errors = || keep();
    vec![
        case("keep-one-row", "one row, neither error nor slow", keep(), one()),
        case("keep-defaults", "the configuration has defaults", json!({}), mixed()),
        case(
            "keep-mixed",
            "an error wins over slow, whatever the order of rows",
            errors(),
            mixed(),
        ),
        case("keep-many", "seventy rows of forty traces", keep(), many()),
        case(
            "keep-all-slow",
            "no verdict is a probability",
            json!({"slow_ms": 0, "ratio": 0.5}),
            many(),
        ),
        case(
            "keep-ratio-0",
            "a probability of 0 is no drop",
            json!({"slow_ms": 1000, "ratio": 0}),
            one(),
        ),
        case(
            "keep-ratio-1",
            "a probability of 1 is no keep",
            json!({"slow_ms": 1000, "ratio": 1}),
            one(),
        ),
        case(
            "keep-slowest",
            "the highest limit of slow",
            json!({"slow_ms": 4_294_967_295_u32, "ratio": 0.1}),
            mixed(),
        ),
        case("team-one-row", "one resource", teams(), Fixture::new().resource(namespace("shop"))),
        case("team-dictionary", "each namespace stands once", teams(), namespaces()),
        case(
            "team-each",
            "each resource has a text of its own",
            teams(),
            namespaces().layout(Layout::Each),
        ),
        case("team-strange", "absent, of another type, empty, unicode", teams(), strange()),
        case(
            "team-strange-each",
            "the same, each with a text of its own",
            teams(),
            strange().layout(Layout::Each),
        ),
        case(
            "team-nobody",
            "no resource has a team: no section at all",
            json!({"teams": {}}),
            namespaces(),
        ),
        case(
            "team-absent",
            "no resource has a namespace: the column has tags only",
            teams(),
            one(),
        ),
        case("team-defaults", "the configuration has defaults", json!({}), namespaces()),
        changed(
            "keep-unknown-sections",
            "sections that nobody knows, one of them out of the buffer",
            |batch| {
                *batch = with_unknown_sections(batch);
            },
        ),
        changed(
            "team-unknown-sections",
            "sections that nobody knows, one of them out of the buffer",
            |batch| {
                *batch = with_unknown_sections(batch);
            },
        ),
        changed("keep-bad-empty", "no bytes", Vec::clear),
        changed("keep-bad-magic", "an answer where a batch should be", |batch| batch[2] = b'A'),
        changed("keep-bad-version", "version 2", |batch| batch[4] = 2),
        changed("keep-bad-header", "shorter than a header", |batch| batch.truncate(31)),
        changed("keep-bad-table", "a table that reaches out of the buffer", |batch| {
            batch[28..32].copy_from_slice(&0xffff_ffff_u32.to_le_bytes());
        }),
        changed("keep-bad-cut", "the last section reaches out of the buffer", |batch| {
            batch.truncate(batch.len() - 1);
        }),
        changed("keep-bad-offset", "offset and length add up to more than 32 bits", |batch| {
            let row = row(batch, 9);
            batch[row + 8..row + 16].copy_from_slice(&[0xff; 8]);
        }),
        changed("keep-bad-type", "durations that are f64", |batch| {
            let row = row(batch, 9);
            batch[row + 2] = 4;
        }),
        changed("keep-bad-entries", "one duration less than there are rows", |batch| {
            let row = row(batch, 9);
            batch[row + 12] -= 8;
        }),
        changed("keep-bad-missing", "no statuses, which it reads", |batch| {
            let row = row(batch, 10);
            batch[row..row + 2].copy_from_slice(&60_000_u16.to_le_bytes());
        }),
        changed("team-bad-index", "an index that leads nowhere", |batch| {
            let text = texts(batch);
            batch[text + 8..text + 12].copy_from_slice(&7_u32.to_le_bytes());
        }),
        changed("team-bad-values", "more values than the section has bytes", |batch| {
            let text = texts(batch);
            batch[text..text + 4].copy_from_slice(&0xffff_ffff_u32.to_le_bytes());
        }),
        changed("team-bad-ends", "a text that ends before it begins", |batch| {
            let ends = texts(batch) + 8 + 5 * 4;
            batch[ends + 4..ends + 8].copy_from_slice(&8_u32.to_le_bytes());
        }),
        changed("team-bad-utf8", "a text that is not UTF-8", |batch| {
            let heap = texts(batch) + 8 + 5 * 4 + 4 * 4;
            batch[heap] = 0xff;
        }),
        changed("team-bad-tags", "a column without tags", |batch| {
            let row = row(batch, 32);
            batch[row..row + 2].copy_from_slice(&60_000_u16.to_le_bytes());
        }),
        changed("team-bad-domain", "a column of resources with the domain spans", |batch| {
            for at in [row(batch, 32), row(batch, 32) + 16] {
                batch[at + 3] = 1;
            }
        }),
        changed("team-bad-domains", "a column whose texts have another domain", |batch| {
            let row = row(batch, 32) + 16;
            batch[row + 3] = 1;
        }),
        refused("keep-config-type", "a list", json!([])),
        refused("keep-config-unknown", "a key that there is not", json!({"ratio": 0.5, "foo": 1})),
        refused("keep-config-slow", "a text for a number", json!({"slow_ms": "fast"})),
        refused("keep-config-slow-negative", "less than none", json!({"slow_ms": -1})),
        refused("keep-config-ratio", "more than all", json!({"ratio": 1.5})),
        refused("team-config-key", "no key", json!({"key": ""})),
        refused("team-config-key-type", "a number for a text", json!({"key": 1})),
        refused("team-config-teams", "a list of teams", json!({"teams": ["shop"]})),
        refused("team-config-team", "a team that is no text", json!({"teams": {"shop": 1}})),
        refused("team-config-unknown", "a key that there is not", json!({"team": {}})),
    ]
}

/// Where the row of the first section of this kind stands.
fn row(batch: &[u8], kind: u16) -> usize {
    let rows = (32..).step_by(16);
    let mut rows = rows.take_while(|at| batch.get(*at..*at + 16).is_some());
    rows.find(|at| batch[*at..*at + 2] == kind.to_le_bytes()).expect("the section is there")
}

/// Where the texts of the only column begin.
fn texts(batch: &[u8]) -> usize {
    let row = row(batch, 32) + 16;
    assert_eq!(batch[row + 2], 6, "texts follow the tags");
    usize::try_from(u32::from_le_bytes(batch[row + 8..row + 12].try_into().unwrap())).unwrap()
}

/// The same batch with a section before, between and behind its own: each of a kind, type and domain that there is
/// not, the last one reaching out of the buffer.
fn with_unknown_sections(batch: &[u8]) -> Vec<u8> {
    const SHIFT: u32 = 3 * 16;
    let sections = batch[28] as usize;
    let (head, rest) = batch.split_at(32);
    let (table, body) = rest.split_at(sections * 16);
    let unknown = |kind: u16, offset: u32, length: u32| {
        let mut row = kind.to_le_bytes().to_vec();
        row.extend([77, 99]);
        row.extend([5_u32, offset, length].iter().flat_map(|word| word.to_le_bytes()));
        row
    };
    let mut rows: Vec<Vec<u8>> = table.chunks(16).map(<[u8]>::to_vec).collect();
    for row in &mut rows {
        let offset = u32::from_le_bytes(row[8..12].try_into().unwrap()) + SHIFT;
        row[8..12].copy_from_slice(&offset.to_le_bytes());
    }
    rows.insert(0, unknown(60_000, 32, 8));
    rows.insert(2, unknown(9_999, 33, 3));
    rows.push(unknown(65_535, 0xffff_fff0, 0xffff_ffff));
    let mut buffer = head.to_vec();
    buffer[28] += 3;
    buffer.extend(rows.concat());
    buffer.extend(body);
    buffer
}

/// A batch, and what becomes of it.
type Called = (Vec<u8>, Result<Vec<u8>, PluginError>);

fn run<P: Plugin>(
    config: &Json,
    given: &Given,
    call: impl Fn(&mut P, &Batch<'_>) -> Result<Vec<u8>, PluginError>,
) -> Result<Called, ConfigError> {
    let (mut plugin, projection) = P::configure(&config.to_string())?;
    let batch = match given {
        Given::Spans(fixture) => fixture.batch(&projection),
        Given::Changed(fixture, change) => {
            let mut batch = fixture.batch(&projection);
            change(&mut batch);
            batch
        }
        Given::Nothing => panic!("{config} is accepted"),
    };
    let answer = Batch::parse(&batch).and_then(|batch| call(&mut plugin, &batch));
    Ok((batch, answer))
}

fn process<P: Processor>(case: &Case) -> Result<Called, ConfigError> {
    run::<P>(&case.config, &case.given, |plugin, batch| {
        plugin.process(batch).map(|answer| answer.encode())
    })
}

fn file(case: &Case) -> Json {
    let example = example(case.name);
    let result = match example {
        "enrich" => process::<Enrich>(case),
        "keep-interesting" => run::<KeepInteresting>(&case.config, &case.given, |plugin, batch| {
            plugin.sample(batch).map(|answer| answer.encode())
        }),
        "scrub" => process::<Scrub>(case),
        "team" => process::<Team>(case),
        _ => process::<Tenth>(case),
    };
    let mut file = json!({
        "example": example,
        "about": case.about,
        "config": case.config,
    });
    match result {
        Err(error) => file["config_error"] = json!({"path": error.path}),
        Ok((batch, answer)) => {
            file["batch"] = BASE64.encode(batch).into();
            match answer {
                Ok(answer) => file["answer"] = BASE64.encode(answer).into(),
                Err(PluginError::BadInput(_)) => file["bad_batch"] = true.into(),
                Err(other) => panic!("{}: {other}", case.name),
            }
        }
    }
    file
}

#[test]
fn the_examples_answer_as_the_vectors_say() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors");
    let update = std::env::var_os("UPDATE_VECTORS").is_some();
    let mut names = Vec::new();
    for case in cases() {
        let name = format!("{}.json", case.name.replacen("keep-", "keep-interesting-", 1));
        let text = format!("{:#}\n", file(&case));
        if update {
            std::fs::write(dir.join(&name), &text).unwrap();
        }
        let there = std::fs::read_to_string(dir.join(&name)).unwrap_or_default();
        assert!(there == text, "{name} is to be\n{text}");
        assert_eq!(case.name.contains("-bad-"), text.contains("bad_batch"), "{name}");
        assert_eq!(case.name.contains("-config-"), text.contains("config_error"), "{name}");
        names.push(name);
    }
    for entry in std::fs::read_dir(&dir).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "README.md" || names.contains(&name), "{name} is of no case");
    }
}

#[test]
fn what_the_plugins_say_of_themselves_is_json() {
    for schema in [KeepInteresting::describe().config_schema, Team::describe().config_schema] {
        let _: Json = serde_json::from_str(&schema).unwrap();
    }
}
