//! What the example plugins answer, byte by byte: every SDK is held against the same files. `UPDATE_VECTORS=1` writes
//! them.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value as Json, json};
use traceweir_plugin::testing::{Fixture, Layout, Resource, Scope, Span};
use traceweir_plugin::{Batch, ConfigError, HeadSampler, Plugin, PluginError, Processor};

#[path = "../examples/keep_interesting.rs"]
#[expect(unreachable_pub, reason = "a library of its own, elsewhere")]
mod keep_interesting;
#[path = "../examples/team.rs"]
#[expect(unreachable_pub, reason = "a library of its own, elsewhere")]
mod team;

use keep_interesting::KeepInteresting;
use team::Team;

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
    let fixture = if name.starts_with("team") { namespaces() } else { mixed() };
    let config = if name.starts_with("team") { teams() } else { keep() };
    Case { name, about, config, given: Given::Changed(fixture, change) }
}

fn refused(name: &'static str, about: &'static str, config: Json) -> Case {
    Case { name, about, config, given: Given::Nothing }
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

fn file(case: &Case) -> Json {
    let keep = case.name.starts_with("keep");
    let result = if keep {
        run::<KeepInteresting>(&case.config, &case.given, |plugin, batch| {
            plugin.sample(batch).map(|answer| answer.encode())
        })
    } else {
        run::<Team>(&case.config, &case.given, |plugin, batch| {
            plugin.process(batch).map(|answer| answer.encode())
        })
    };
    let mut file = json!({
        "example": if keep { "keep-interesting" } else { "team" },
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
