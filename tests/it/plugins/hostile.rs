//! Guests that do what no guest should.

use plugins::guests::{Guest, RESULT_AT, answers, intrinsic};

const LOOP: &str = "(loop $for (br $for)) unreachable";
const DEEP: &str =
    "(func $down (param i32) (result i32) (i32.add (i32.const 1) (call $down (local.get 0))))";
const GROW: &str =
    "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
const TABLE: &str = "(loop $more (br_if $more (i32.ne \
    (table.grow $t (ref.null func) (i32.const 5000)) (i32.const -1)))) unreachable";
const LOG: &str =
    r#"(import "traceweir:plugin/log@0.1.0" "write" (func $log (param i32 i32 i32)))"#;
const SHOUT: &str =
    "(loop $more (call $log (i32.const 1) (i32.const 8192) (i32.const 5)) (br $more)) unreachable";

/// Names, guests, and how they fail.
pub(super) fn hostile() -> Vec<(&'static str, Guest, &'static str)> {
    let of = |process: &str| Guest {
        process: process.to_owned(),
        reads: vec![intrinsic(1), intrinsic(6)],
        ..Guest::default()
    };
    let answer = |bytes: &[u8]| Guest { answer: bytes.to_vec(), ..of(&Guest::default().process) };
    // Ten sections are told, and none is there.
    let lying = [&b"TWA1\x01\0\0\0"[..], &[9; 24]].concat();
    vec![
        ("loops", of(LOOP), "timeout"),
        ("recurses", Guest { extra: DEEP.to_owned(), ..of("(call $down (i32.const 1))") }, "panic"),
        ("grows", of(GROW), "memory"),
        ("tables", Guest { extra: "(table $t 1 funcref)".to_owned(), ..of(TABLE) }, "memory"),
        ("giant", of(&answers(0, 0x7fff_0000)), "bad_output"),
        ("anywhere", of("(i32.const 2147483632)"), "bad_output"),
        ("nothing", answer(b""), "bad_output"),
        ("lies", answer(&lying), "bad_output"),
        ("panics", of("unreachable"), "panic"),
        ("shouts", Guest { imports: LOG.to_owned(), ..of(SHOUT) }, "host_calls"),
        (
            "neither",
            of(&format!(
                "(i32.store8 (i32.const {RESULT_AT}) (i32.const 9)) (i32.const {RESULT_AT})"
            )),
            "bad_output",
        ),
    ]
}
