//! Guests of all kinds at a desk, over one request of six spans.

use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};
use traceweir_plugin::codes::{ANSWER_MAGIC, VERSION, answer, domain, layout, verdict};

use super::*;
use crate::engine::Settings;
use crate::guests::{Guest, RESULT_AT, intrinsic};

static FUELED: LazyLock<Engine> = LazyLock::new(|| {
    let settings = Settings { instances_max: 100, fuel: true, ..Settings::default() };
    Engine::start(&settings).unwrap()
});
static PLAIN: LazyLock<Engine> = LazyLock::new(|| {
    Engine::start(&Settings { instances_max: 100, ..Settings::default() }).unwrap()
});

const LIMITS: Limits =
    Limits { time: Duration::from_secs(1), memory_bytes_max: 8 << 20, answer_bytes_max: 1 << 20 };
const NAME: u32 = 6;

fn span(trace: u8, id: u8, name: &str) -> Value {
    json!({
        "traceId": format!("{trace:02x}").repeat(16), "spanId": format!("{id:02x}").repeat(8),
        "name": name, "startTimeUnixNano": "1000", "endTimeUnixNano": "2000",
    })
}

/// Two resources with four spans and two, of three traces.
fn request() -> Request {
    let scope = |spans: Vec<Value>| json!([{"scope": {"name": "of tests"}, "spans": spans}]);
    let resource = |name: &str, spans: Vec<Value>| {
        let attributes = json!([{"key": "service.name", "value": {"stringValue": name}}]);
        json!({"resource": {"attributes": attributes}, "scopeSpans": scope(spans)})
    };
    let shop = vec![span(1, 1, "one"), span(2, 2, "two"), span(1, 3, "three"), span(3, 4, "four")];
    let stock = vec![span(2, 5, "five"), span(3, 6, "six")];
    let request = json!({"resourceSpans": [resource("shop", shop), resource("stock", stock)]});
    Request::read(request.to_string().as_bytes()).unwrap()
}

fn head(sections: u32, traces: u32) -> Vec<u8> {
    let mut out = ANSWER_MAGIC.to_le_bytes().to_vec();
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    for number in [6, 2, 2, 0, traces, sections] {
        out.extend_from_slice(&u32::to_le_bytes(number));
    }
    out
}

/// An answer with one section about spans, or about traces.
fn says((kind, layout, domain): (u16, u8, u8), bytes: &[u8]) -> Vec<u8> {
    let mut out = head(1, if domain == domain::TRACES { 3 } else { 0 });
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&[layout, domain]);
    for number in [0, 48, u32::try_from(bytes.len()).unwrap()] {
        out.extend_from_slice(&u32::to_le_bytes(number));
    }
    out.extend_from_slice(bytes);
    out
}

fn keeps(bits: u64) -> Vec<u8> {
    says((answer::KEEP, layout::BITMAP, domain::SPANS), &bits.to_le_bytes())
}

/// Sets all spans' names.
fn names(name: &str) -> Vec<u8> {
    let mut out = head(2, 0);
    let texts = 8 + 24 + 8 + name.len();
    for (layout, at, len) in [(layout::U8, 64, 6), (layout::TEXT, 72, texts)] {
        out.extend_from_slice(&answer::SET.to_le_bytes());
        out.extend_from_slice(&[layout, domain::SPANS]);
        for number in [0, at, u32::try_from(len).unwrap()] {
            out.extend_from_slice(&u32::to_le_bytes(number));
        }
    }
    out.extend_from_slice(&[1; 6]);
    out.extend_from_slice(&[0; 2]);
    let end = u32::try_from(name.len()).unwrap();
    for number in [1, 6, 0, 0, 0, 0, 0, 0, 0, end] {
        out.extend_from_slice(&u32::to_le_bytes(number));
    }
    out.extend_from_slice(name.as_bytes());
    out
}

fn guest(answer: Vec<u8>) -> Guest {
    Guest { answer, reads: vec![intrinsic(1), intrinsic(NAME)], ..Guest::default() }
}

fn subject(guest: &Guest) -> Subject {
    Subject::load(&FUELED, &Codes::default(), &guest.module(), LIMITS).unwrap()
}

fn ran(guest: &Guest) -> Ran {
    let subject = subject(guest);
    subject.run(&subject.configured().unwrap(), &request()).unwrap()
}

fn again(guest: &Guest, way: Way) -> Held {
    let subject = subject(guest);
    let (configured, request) = (subject.configured().unwrap(), request());
    let first = subject.run(&configured, &request).unwrap();
    subject.again(way, (&configured, &first), &request).unwrap()
}

#[test]
fn what_becomes_of_spans_is_told_as_text() {
    let ran = ran(&guest(keeps(0b11_1101)));
    let two = format!("{}/{}", "02".repeat(16), "02".repeat(8));
    let expected =
        format!("6 spans: 5 kept, 1 dropped, 0 changed\nspan 1 {two} \"two\": dropped\n");
    assert_eq!(ran.to_string(), expected);
    assert!(ran.fuel > 0 && ran.calls == 1, "{ran:?}");
    assert_eq!(Request::of(ran.body).unwrap().spans(), 5);
}

#[test]
fn changes_are_told_field_by_field() {
    let writes = vec![intrinsic(NAME)];
    let ran = ran(&Guest { writes, ..guest(names("same")) });
    assert_eq!(ran.failures, []);
    let text = ran.to_string();
    assert!(text.starts_with("6 spans: 6 kept, 0 dropped, 6 changed\n"), "{text}");
    assert!(text.contains("  ~ name: \"one\" -> \"same\"\n"), "{text}");
}

#[test]
fn a_call_that_fails_leaves_spans_as_they_were() {
    let ran = ran(&Guest { process: "unreachable".to_owned(), ..guest(Vec::new()) });
    let [failed] = &*ran.failures else { panic!("{ran:?}") };
    assert_eq!((failed.failure, failed.spans), ("panic", 6));
    assert!(ran.to_string().contains("failed on 6 spans: panic: "), "{ran}");
    assert_eq!(ran.body, request().body());
}

#[test]
fn verdicts_of_a_sampler_are_told_span_by_span() {
    let verdicts =
        [verdict::KEEP, verdict::DROP, verdict::KEEP, verdict::KEEP, verdict::DROP, verdict::KEEP];
    let answer = says((answer::VERDICT, layout::U8, domain::SPANS), &verdicts);
    let ran = ran(&Guest { role: ("head-sampler", "sample"), ..guest(answer) });
    assert_eq!(ran.failures, []);
    let fates: Vec<_> = ran.spans.iter().map(|fate| (fate.verdict, fate.is_kept)).collect();
    let (keep, drop) = ((Some(Verdict::Keep), true), (Some(Verdict::Drop), false));
    assert_eq!(fates, [keep, drop, keep, keep, drop, keep]);
    assert_eq!(ran.to_string().lines().count(), 7, "{ran}");
}

#[test]
fn traces_are_put_together_for_a_tail_sampler_and_told_one_by_one() {
    let verdicts = [verdict::KEEP, verdict::DROP, verdict::KEEP];
    let answer = says((answer::VERDICT, layout::U8, domain::TRACES), &verdicts);
    let ran = ran(&Guest { role: ("tail-sampler", "decide"), ..guest(answer) });
    let trace = |id: &str, fate: &str| format!("trace {} of 2 spans: {fate}\n", id.repeat(16));
    let traces = [trace("01", "kept"), trace("02", "dropped"), trace("03", "kept")].concat();
    assert_eq!(ran.failures, []);
    assert_eq!(ran.to_string(), format!("6 spans: 4 kept, 2 dropped, 0 changed\n{traces}"));
}

/// A router of two tenants that answers so much for each resource that it is shown; `first` runs before it does.
fn router(first: &str) -> Guest {
    let process = format!(
        "{first} (i32.store (i32.const {}) (i32.const 2048))
         (i32.store (i32.const {}) (i32.shl (i32.load offset=12 (local.get $at)) (i32.const 1)))
         (i32.const {RESULT_AT})",
        RESULT_AT + 4,
        RESULT_AT + 8
    );
    Guest { process, ..crate::guests::router(&["checkout", "pay"], &[]) }
}

#[test]
fn whose_resources_are_is_told_one_by_one_and_is_the_same_always() {
    let answer = crate::guests::router(&["checkout", "pay"], &[1, u16::MAX]);
    let told = ran(&answer);
    let lines =
        ["resource 0 \"shop\" of 4 spans: to pay", "resource 1 \"stock\" of 2 spans: stays"];
    let expected = format!("2 resources of 6 spans: 1 go to a tenant\n{}\n", lines.join("\n"));
    assert_eq!((told.to_string(), told.failures.as_slice()), (expected, &[][..]));
    assert!(told.fuel > 0 && told.body == request().body(), "{told:?}");
    for way in Way::ALL {
        assert_eq!(again(&router(""), way), Held::Same, "{way:?}");
    }
    // In another order the first is the other one.
    let Held::Differs(what) = again(&answer, Way::Permuted) else { panic!("it is the same") };
    assert!(what.contains("its resource stayed, and now went to pay"), "{what}");
    let counts =
        "(i32.store8 (i32.const 2048) (global.get $calls)) (global.set $calls (i32.const 1))";
    let extra = "(global $calls (mut i32) (i32.const 0))".to_owned();
    let Held::Differs(what) = again(&Guest { extra, ..router(counts) }, Way::Twice) else {
        panic!("it is the same")
    };
    assert!(what.contains("went to checkout, and now went to pay"), "{what}");
    let failed = ran(&Guest { process: "unreachable".to_owned(), ..router("") });
    assert!(failed.to_string().contains("failed on 6 spans: panic: "), "{failed}");
}

#[test]
fn a_router_costs_what_it_takes_to_read_project_and_call() {
    let subject = Subject::load(&PLAIN, &Codes::default(), &router("").module(), LIMITS).unwrap();
    let ticks = AtomicU64::new(0);
    let cpu = || Nanos(ticks.fetch_add(6, Ordering::Relaxed));
    let cost = subject.cost(&subject.configured().unwrap(), (&request(), 5), &cpu).unwrap();
    assert_eq!(cost.steps.map(|(_, of)| of), [1.0, 1.0, 1.0, 0.0, 0.0], "{cost:?}");
    assert!(cost.bytes_in > 0.0 && cost.bytes_out > 0.0, "{cost:?}");
}

#[test]
fn who_somebody_is_is_told_request_by_request() {
    let subject = subject(&crate::guests::authenticator());
    let configured = subject.configured().unwrap();
    let asks = ["good", "denied", "trap"].map(|key| {
        serde_json::from_value::<Ask>(
            json!({"path": format!("/{key}"), "headers": {"x-api-key": key}}),
        )
        .unwrap()
    });
    let asked = subject.ask(&configured, &asks[..2]).unwrap();
    let expected = "request 0 POST /good: known for 60s, tenants shop, may admin\n\
                    request 1 POST /denied: denied for 10s, 403: \"away\"\n";
    assert_eq!(asked.to_string(), expected);
    for way in Way::ALL {
        let again = subject.ask_again(way, (&configured, &asked), &asks[..2]).unwrap();
        assert_eq!(again, Held::Same, "{way:?}");
    }
    let all = subject.ask(&configured, &asks).unwrap();
    assert!(all.to_string().contains("POST /trap: a call failed: bad_output: tenants[0]"), "{all}");
    let others = [Ask::default(), asks[1].clone()];
    let Held::Differs(what) =
        subject.ask_again(Way::Fresh, (&configured, &asked), &others).unwrap()
    else {
        panic!("it is the same")
    };
    assert!(what.starts_with("request 0 POST /v1/traces: it was known for 60s"), "{what}");
    assert!(subject.run(&configured, &request()).is_err(), "it takes no spans");
    assert!(subject.refresh(&configured, &[]).is_err(), "it makes no tables");
}

#[test]
fn tables_are_made_of_what_is_given_for_a_network() {
    let subject = subject(&Guest { role: ("refresher", "refresh"), ..Guest::default() });
    let configured = subject.configured().unwrap();
    let made = subject.refresh(&configured, &[]).unwrap();
    assert_eq!(made.to_string(), "0 tables, every 60s\n");
    let again = |way| subject.refresh_again(way, (&configured, &made), &[]).unwrap();
    assert_eq!([again(Way::Twice), again(Way::Fresh)], [Held::Same, Held::Same]);
    assert!(matches!(again(Way::Split), Held::Left(_)));
    let other = Refreshed { every_seconds: 5, ..made.clone() };
    let held = subject.refresh_again(Way::Twice, (&configured, &other), &[]).unwrap();
    let what = "it was 0 tables, every 5s, and is 0 tables, every 60s".to_owned();
    assert_eq!(held, Held::Differs(what));
    let traps = Guest {
        role: ("refresher", "refresh"),
        process: "unreachable".to_owned(),
        ..Guest::default()
    };
    let subject = self::subject(&traps);
    let made = subject.refresh(&subject.configured().unwrap(), &[]).unwrap();
    assert!(made.to_string().contains("failed: "), "{made}");
}

#[test]
fn one_that_answers_by_places_is_found_in_another_order() {
    // The second row goes, whichever it is.
    let by_place = guest(keeps(0b11_1101));
    assert_eq!(again(&by_place, Way::Twice), Held::Same);
    assert_eq!(again(&by_place, Way::Fresh), Held::Same);
    let Held::Differs(what) = again(&by_place, Way::Permuted) else { panic!("it is the same") };
    assert!(
        what.contains("was dropped, and is kept") || what.contains("was kept, and is dropped"),
        "{what}"
    );
    // An answer to six rows is none to three.
    let Held::Differs(what) = again(&by_place, Way::Split) else { panic!("it is the same") };
    assert!(what.contains("bad_output"), "{what}");
}

#[test]
fn one_that_does_nothing_does_the_same_always() {
    // Nothing is answered but the head, which repeats the numbers of the batch.
    let copies = format!(
        "(memory.copy (i32.const 2048) (local.get $at) (i32.const 32))
         (i32.store (i32.const 2048) (i32.const {ANSWER_MAGIC}))
         (i32.store (i32.const 2076) (i32.const 0)) {}",
        crate::guests::answers(2048, 32)
    );
    let same = Guest { process: copies, ..guest(Vec::new()) };
    for way in Way::ALL {
        assert_eq!(again(&same, way), Held::Same, "{way:?}");
    }
}

#[test]
fn one_that_counts_its_calls_is_found_when_it_is_called_twice() {
    let (all, few) = (keeps(0b11_1111), keeps(0b11_1110));
    let flips = Guest {
        extra: "(global $calls (mut i32) (i32.const 0))".to_owned(),
        process: format!(
            "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
             (if (i32.gt_u (global.get $calls) (i32.const 1)) (then
               (i32.store8 (i32.add (i32.load (i32.const {})) (i32.const 48)) (i32.const {})))) (i32.const {RESULT_AT})",
            RESULT_AT + 4,
            few[48]
        ),
        ..guest(all)
    };
    let Held::Differs(what) = again(&flips, Way::Twice) else { panic!("it is the same") };
    assert!(what.starts_with("span 0 ") && what.contains("it was kept, and is dropped"), "{what}");
    assert_eq!(again(&flips, Way::Fresh), Held::Same);
}

#[test]
fn fuel_is_the_same_each_time() {
    let of = || ran(&guest(keeps(7))).fuel;
    assert_eq!(of(), of());
}

#[test]
fn costs_are_told_step_by_step() {
    let module = guest(keeps(0b11_1101)).module();
    let subject = Subject::load(&PLAIN, &Codes::default(), &module, LIMITS).unwrap();
    let configured = subject.configured().unwrap();
    let ticks = AtomicU64::new(0);
    // Each look at the clock takes six nanoseconds: each step takes one for each of six spans.
    let cpu = || Nanos(ticks.fetch_add(6, Ordering::Relaxed));
    let cost = subject.cost(&configured, (&request(), 5), &cpu).unwrap();
    assert_eq!(cost.steps.map(|(_, of)| of), [1.0; 5], "{cost:?}");
    assert_eq!((cost.in_all, cost.without, cost.adds, cost.rounds), (5.0, 1.0, 4.0, 5));
    assert!(cost.bytes_in > 0.0 && cost.bytes_out > 0.0 && cost.memory_bytes > 0, "{cost:?}");
    let failing = Guest { process: "unreachable".to_owned(), ..guest(Vec::new()) };
    let subject = Subject::load(&PLAIN, &Codes::default(), &failing.module(), LIMITS).unwrap();
    let error = subject.cost(&subject.configured().unwrap(), (&request(), 5), &cpu).unwrap_err();
    assert!(error.to_string().starts_with("a call failed: "), "{error}");
}

#[test]
fn what_was_recorded_is_held_against_what_comes_out() {
    let (request, before) = (request(), ran(&guest(keeps(0b11_1101))));
    assert_eq!(apart(&request, &before.body, &before).unwrap(), []);
    let now = ran(&Guest { writes: vec![intrinsic(NAME)], ..guest(names("same")) });
    let apart_now = apart(&request, &before.body, &now).unwrap();
    assert_eq!(apart_now.len(), 6);
    assert_eq!(apart_now[1].is_kept, (false, true));
    assert!(apart_now[0].to_string().contains("~ name: \"one\" -> \"same\""), "{}", apart_now[0]);
    let other = json!({"resourceSpans": [{"scopeSpans": [{"spans": [span(9, 9, "other")]}]}]});
    let other = Request::read(other.to_string().as_bytes()).unwrap();
    assert!(apart(&request, other.body(), &before).is_err());
}

#[test]
fn a_batch_is_called_with_as_it_is() {
    let subject = subject(&guest(keeps(7)));
    let configured = subject.configured().unwrap();
    assert_eq!(subject.call(&configured, vec![0; 64]), Ok(()));
    let failing = Guest { process: "unreachable".to_owned(), ..guest(Vec::new()) };
    let failing = self::subject(&failing);
    let failed = failing.call(&failing.configured().unwrap(), vec![1; 64]).unwrap_err();
    assert_eq!((failed.failure, failed.spans), ("panic", 0x0101_0101));
}

#[test]
fn findings_tell_what_keeps_a_gateway_from_running_it() {
    let faults = |bytes: &[u8], config: Option<&Value>| {
        let found = findings((&PLAIN, &Codes::default()), bytes, config, LIMITS);
        let faults = found.iter().filter(|finding| finding.weight == Weight::Fault);
        faults.map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(faults(&guest(Vec::new()).module(), None), [""; 0]);
    let told = faults(b"MZ", None);
    assert!(told[0].contains("neither a WebAssembly component nor a core module"), "{told:?}");
    let told = faults(b"\0asm\x01\0\0\0", None);
    assert!(told[0].contains("not a plugin: exports nothing"), "{told:?}");
    let import = r#"(import "traceweir:plugin/fetch@0.1.0" "send" (func (param i32 i32)))"#;
    let told = faults(&Guest { imports: import.to_owned(), ..guest(Vec::new()) }.module(), None);
    assert!(told[0].contains("send"), "{told:?}");
    let told = faults(&Guest { schema: "{".to_owned(), ..guest(Vec::new()) }.module(), None);
    assert!(told[0].starts_with("FAULT  config-schema: "), "{told:?}");
    let told =
        faults(&Guest { describe: "unreachable".to_owned(), ..guest(Vec::new()) }.module(), None);
    assert!(told[0].starts_with("FAULT  load: describe: "), "{told:?}");
    let refuses = Guest { refuses: true, ..guest(Vec::new()) }.module();
    assert_eq!(faults(&refuses, None), [""; 0], "it may want a configuration");
    assert_eq!(faults(&refuses, Some(&json!({}))), ["FAULT  configure: $.wrong: it is wrong"]);
    let schema = r#"{"type": "object", "properties": {"ratio": {"type": "number"}}}"#;
    let wants = Guest { schema: schema.to_owned(), ..guest(Vec::new()) }.module();
    let told = faults(&wants, Some(&json!({"ratio": "1"})));
    assert!(told[0].starts_with("FAULT  config: $.ratio: "), "{told:?}");
}

#[test]
fn a_request_is_read_as_json_and_as_protobuf_and_what_is_wrong_is_named() {
    let request = request();
    assert_eq!(Request::read(request.body()).unwrap().spans(), 6);
    assert!(Request::read(b"{\"resourceSpans\": 7}").unwrap_err().contains("resourceSpans"));
    assert!(Request::read(&[0x0a, 9]).unwrap_err().contains("malformed"));
    let mut bad = span(1, 1, "bad");
    bad["spanId"] = json!("00");
    let bad = json!({"resourceSpans": [{"scopeSpans": [{"spans": [bad]}]}]});
    let told = Request::read(bad.to_string().as_bytes()).unwrap_err();
    assert!(told.contains("span 0 would be refused: span id"), "{told}");
}

#[test]
fn picked_spans_are_those_that_were_picked() {
    let request = request();
    let picked = request.picked(&[5, 0, 2, 4]).unwrap();
    let names: Vec<&str> = picked.rows().iter().map(request::Row::name).collect();
    assert_eq!(names, ["six", "one", "three", "five"]);
    let service = |row: &request::Row| row.resource.1.to_string();
    assert!(
        service(&picked.rows()[0]).contains("stock") && service(&picked.rows()[1]).contains("shop")
    );
    let all = request.picked(&[0, 1, 2, 3, 4, 5]).unwrap();
    assert_eq!(all.body(), request.body());
}
