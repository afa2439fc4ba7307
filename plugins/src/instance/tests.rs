//! Guests that misbehave: each is stopped, and it is said how.

use super::*;
use crate::code::Codes;
use crate::engine::Settings;
use crate::guests::{Guest, RESULT_AT, answers};
use crate::host::Surroundings;
use crate::plugin::Plugin;
use crate::stats::Stats;
use crate::tables::Tables;
use std::sync::LazyLock;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    Engine::start(&Settings { instances_max: 100, ..Settings::default() }).unwrap()
});

#[derive(Debug)]
struct Still;

impl model::Clock for Still {
    fn now(&self) -> Nanos {
        Nanos::from_secs(1_700_000_000)
    }
    fn monotonic(&self) -> Nanos {
        Nanos::from_secs(1)
    }
}

const LIMITS: Limits = Limits {
    time: Duration::from_millis(500),
    memory_bytes_max: 4 << 20,
    answer_bytes_max: 64 << 10,
};

fn shared() -> Arc<Shared> {
    let world = Surroundings {
        clock: Arc::new(Still),
        chance: Arc::new(|bytes| bytes.fill(7)),
        tables: Arc::<Tables>::default(),
    };
    Arc::new(Shared::new("guest", world, Arc::<Stats>::default(), 1 << 20))
}

fn load(guest: &Guest) -> Result<(Arc<Plugin>, Arc<Shared>), Error> {
    let shared = shared();
    let plugin =
        Plugin::load(&ENGINE, &Codes::default(), &guest.module(), (Arc::clone(&shared), LIMITS))?;
    Ok((plugin, shared))
}

fn configured(guest: &Guest) -> Result<Instance, Error> {
    let (plugin, shared) = load(guest)?;
    let mut instance = plugin.instance(shared, LIMITS)?;
    instance.configure("{}")?;
    Ok(instance)
}

fn called(guest: &Guest) -> Result<Vec<u8>, (Failure, String)> {
    let mut instance = configured(guest).unwrap();
    let tenant = TenantId::parse("shop").unwrap();
    let told = instance.batch(&tenant, Arc::new(vec![1; 1_000]));
    let told = told.map(|answer| answer.bytes).map_err(|failed| (failed.failure, failed.message));
    let is_trap = matches!(told, Err((failure, _)) if failure != Failure::Reported && failure != Failure::BadOutput);
    assert!(!is_trap || instance.is_spent(), "what trapped is not used again");
    told
}

fn process(process: &str) -> Guest {
    Guest { process: process.to_owned(), ..Guest::default() }
}

fn failure(guest: &Guest) -> Failure {
    called(guest).unwrap_err().0
}

const LOOP: &str = "(loop $for (br $for))";
const RECURSE: &str =
    "(func $down (param i32) (result i32) (i32.add (i32.const 1) (call $down (local.get 0))))";

#[test]
fn a_guest_that_behaves_is_called_again_and_again() {
    let guest = Guest { answer: b"answer".to_vec(), ..Guest::default() };
    let mut instance = configured(&guest).unwrap();
    let tenant = TenantId::parse("shop").unwrap();
    for _ in 0..1_000 {
        let answer = instance.batch(&tenant, Arc::new(vec![1; 10_000])).unwrap();
        assert_eq!(answer.bytes, b"answer");
    }
    assert!(!instance.is_spent());
    assert!(instance.memory_bytes() < 2 << 20, "{}", instance.memory_bytes());
}

#[test]
fn an_endless_loop_ends() {
    assert_eq!(failure(&process(&format!("{LOOP} unreachable"))), Failure::Timeout);
}

#[test]
fn recursion_without_end_is_a_panic() {
    let guest = Guest { extra: RECURSE.to_owned(), ..process("(call $down (i32.const 1))") };
    assert_eq!(failure(&guest), Failure::Panic);
}

#[test]
fn memory_without_end_is_told_as_that() {
    let grow = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
    assert_eq!(failure(&process(grow)), Failure::Memory);
}

#[test]
fn tables_do_not_grow_without_end() {
    let extra = "(table $t 1 funcref)".to_owned();
    let grow = "(loop $more (br_if $more (i32.ne (table.grow $t (ref.null func) (i32.const 5000)) (i32.const -1)))) unreachable";
    assert_eq!(failure(&Guest { extra, ..process(grow) }), Failure::Memory);
}

#[test]
fn a_giant_answer_is_refused() {
    let (failure, message) = called(&process(&answers(0, 100 << 10))).unwrap_err();
    assert_eq!(failure, Failure::BadOutput);
    assert!(message.contains("65536 is the limit"), "{message}");
    // More than its whole memory.
    for len in [2 << 20, 0x7fff_ffff, 0xffff_ffff] {
        assert_eq!(called(&process(&answers(0, len))).unwrap_err().0, Failure::BadOutput, "{len}");
    }
}

#[test]
fn results_that_point_anywhere_are_refused() {
    for at in [0x7fff_ffff_u32, 0xffff_fff0, 17 << 16, 3, RESULT_AT + 1] {
        assert_eq!(called(&process(&answers(at, 70 << 16))).unwrap_err().0, Failure::BadOutput);
        let at = at.cast_signed();
        assert!(called(&process(&format!("(i32.const {at})"))).is_err(), "{at}");
    }
    // A result that is neither of the two.
    let neither =
        format!("(i32.store8 (i32.const {RESULT_AT}) (i32.const 9)) (i32.const {RESULT_AT})");
    assert_eq!(failure(&process(&neither)), Failure::BadOutput);
}

#[test]
fn panics_in_every_export_are_found() {
    assert_eq!(failure(&process("unreachable")), Failure::Panic);
    let trap = || "unreachable".to_owned();
    let guest = Guest { describe: trap(), ..Guest::default() };
    assert_eq!(load(&guest).unwrap_err().kind(), Kind::Failed(Failure::Panic));
    let guest = Guest { configure: trap(), ..Guest::default() };
    assert_eq!(configured(&guest).map(drop).unwrap_err().kind(), Kind::Failed(Failure::Panic));
    let guest =
        Guest { extra: "(func $go unreachable) (start $go)".to_owned(), ..Guest::default() };
    assert_eq!(load(&guest).unwrap_err().kind(), Kind::Failed(Failure::Panic));
}

#[test]
fn a_slow_configure_ends() {
    let guest = Guest { configure: LOOP.to_owned(), ..Guest::default() };
    let fault = configured(&guest).map(drop).unwrap_err();
    assert_eq!(fault.kind(), Kind::Failed(Failure::Timeout), "{fault}");
}

#[test]
fn a_refused_configuration_names_its_path() {
    let guest = Guest { refuses: true, ..Guest::default() };
    let fault = configured(&guest).map(drop).unwrap_err();
    assert_eq!(
        (fault.kind(), fault.to_string()),
        (Kind::Config, "$.wrong: it is wrong".to_owned())
    );
}

fn logs(times: u32) -> Guest {
    let imports =
        r#"(import "traceweir:plugin/log@0.1.0" "write" (func $log (param i32 i32 i32)))"#;
    let body = format!(
        "(local $i i32) (loop $more (call $log (i32.const 1) (i32.const 8192) (i32.const 5))
         (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {times}))))
         (i32.const {RESULT_AT})"
    );
    Guest { imports: imports.to_owned(), ..process(&body) }
}

#[test]
fn a_flood_of_its_log_is_cut_off() {
    let (plugin, shared) = load(&logs(5_000)).unwrap();
    let mut instance = plugin.instance(Arc::clone(&shared), LIMITS).unwrap();
    instance.configure("{}").unwrap();
    instance.batch(&TenantId::parse("shop").unwrap(), Arc::new(Vec::new())).unwrap();
    assert_eq!(shared.stats.lines_dropped.get(), 4_900);
}

#[test]
fn a_flood_of_host_calls_is_a_failure() {
    assert_eq!(failure(&logs(20_000)), Failure::HostCalls);
}

#[test]
fn metrics_are_registered_while_it_is_configured_and_not_before_or_after() {
    let imports = r#"(import "traceweir:plugin/metrics@0.1.0" "counter"
        (func $counter (param i32 i32 i32 i32) (result i32)))"#;
    let register =
        "(drop (call $counter (i32.const 8192) (i32.const 5) (i32.const 8192) (i32.const 5)))";
    let of = |describe: &str, configure: &str, process: &str| Guest {
        imports: imports.to_owned(),
        describe: describe.to_owned(),
        configure: configure.to_owned(),
        process: format!("{process} (i32.const {RESULT_AT})"),
        ..Guest::default()
    };
    assert_eq!(called(&of("", register, "")), Ok(Vec::new()));
    assert_eq!(failure(&of("", "", register)), Failure::Denied);
    assert_eq!(load(&of(register, "", "")).unwrap_err().kind(), Kind::Failed(Failure::Denied));
}

#[test]
fn a_sampler_has_no_clock() {
    let guest = Guest {
        role: ("head-sampler", "sample"),
        imports:
            r#"(import "traceweir:plugin/clock@0.1.0" "now-unix-nano" (func $now (result i64)))"#
                .to_owned(),
        ..Guest::default()
    };
    let fault = load(&guest).unwrap_err();
    assert_eq!(fault.kind(), Kind::NotOurs);
    assert!(fault.to_string().contains("clock"), "{fault}");
    assert!(load(&Guest { role: guest.role, ..Guest::default() }).is_ok());
    assert!(load(&Guest { imports: guest.imports, ..Guest::default() }).is_ok());
}

#[test]
fn what_is_no_plugin_is_told_from_one() {
    let load = |bytes: &[u8]| {
        Plugin::load(&ENGINE, &Codes::default(), bytes, (shared(), LIMITS)).unwrap_err()
    };
    for bytes in
        [&b""[..], b"not wasm", b"\0asm\x01\0\0\0", b"\0asm\x0d\0\x01\0", b"\0asm\x0d\0\x01\0junk"]
    {
        let fault = load(bytes);
        assert_eq!(fault.kind(), Kind::NotOurs, "{fault}");
    }
    let other = Guest::default().wat().replace("@0.1.0", "@9.1.0");
    let fault = load(&wat::parse_str(other).unwrap());
    assert!(fault.to_string().contains("9.1.0") && fault.to_string().contains("0.1.0"), "{fault}");
    let unknown =
        Guest { imports: r#"(import "env" "system" (func))"#.to_owned(), ..Guest::default() };
    let fault = load(&unknown.module());
    assert!(fault.to_string().contains("env"), "{fault}");
}
