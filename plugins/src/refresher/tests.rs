//! Refreshers, good and bad ones, before a network that stands in for one.

use std::sync::{LazyLock, Mutex};

use super::*;
use crate::code::Codes;
use crate::configured::Setup;
use crate::engine::{Engine, Settings};
use crate::guests::{Guest, RESULT_AT, answers};
use crate::host::{Shared, Surroundings};
use crate::instance::Limits;
use crate::plugin::Plugin;

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

/// Answers everybody alike, and notes who has asked.
#[derive(Debug)]
struct Says(Result<Response, Silence>, Mutex<Vec<Request>>);

impl Outside for Says {
    fn send(&self, request: Request) -> Result<Response, Silence> {
        self.1.lock().unwrap().push(request);
        self.0.clone()
    }
}

fn says(told: Result<Response, Silence>) -> Arc<Says> {
    Arc::new(Says(told, Mutex::default()))
}

const LIMITS: Limits = Limits {
    time: Duration::from_millis(500),
    memory_bytes_max: 4 << 20,
    answer_bytes_max: 64 << 10,
};

fn configured(guest: &Guest) -> Result<Arc<Configured>, Error> {
    let world = Surroundings {
        clock: Arc::new(Still),
        chance: Arc::new(|bytes| bytes.fill(7)),
        tables: Arc::default(),
    };
    let shared = Arc::new(Shared::new("guest", world.clone(), Arc::default(), 0));
    let plugin = Plugin::load(&ENGINE, &Codes::default(), &guest.module(), (shared, LIMITS))?;
    let config = serde_json::json!({});
    let setup = Setup { name: "guest".to_owned(), config, limits: LIMITS, cache_bytes_max: 0 };
    Configured::new(plugin, setup, world)
}

const SEND: &str = "(import \"traceweir:plugin/fetch@0.1.0\" \"send\" (func $send
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))";
/// GET https://a.example/, for so many milliseconds; what comes back stands at 3072.
const GET: &str = "(call $send (i32.const 2200) (i32.const 3) (i32.const 2208) (i32.const 18) (i32.const 0) (i32.const 0)
    (i32.const 0) (i32.const 0) (i32.const 5000) (i32.const 3072))";
/// A table `t` with one entry, `k`, whose value stands where 2072 says.
const TABLE: &str = r#"(data (i32.const 2048) "\80\08\00\00\01\00\00\00\10\08\00\00\01\00\00\00")
    (data (i32.const 2064) "\81\08\00\00\01\00\00\00\81\08\00\00\01\00\00\00")
    (data (i32.const 2176) "tk")
    (data (i32.const 2200) "GET\00\00\00\00\00https://a.example/")"#;

fn refresher(process: &str) -> Guest {
    Guest {
        role: ("refresher", "refresh"),
        imports: SEND.to_owned(),
        extra: TABLE.to_owned(),
        process: process.to_owned(),
        ..Guest::default()
    }
}

fn allowed(timeout: Wait) -> Allowed {
    Allowed { timeout, ..Allowed::default() }
}

#[test]
fn a_refresher_makes_a_table_of_what_it_has_fetched() {
    // The value is the body that came.
    let take = "(i32.store (i32.const 2072) (i32.load (i32.const 3088)))
        (i32.store (i32.const 2076) (i32.load (i32.const 3092)))";
    let guest = refresher(&format!("{GET} {take} {}", answers(2_048, 1)));
    let configured = configured(&guest).unwrap();
    assert_eq!(configured.interval(), Some(Duration::from_secs(60)));
    let body = b"fresh".to_vec();
    let outside = says(Ok(Response { status: 200, headers: Vec::new(), body }));
    let made = configured.refresh(Arc::clone(&outside) as _, &allowed(Wait::secs(2))).unwrap();
    let [(name, entries)] = <[Made; 1]>::try_from(made).unwrap();
    assert_eq!((name.as_str(), &**entries.unwrap().get("k").unwrap()), ("t", "fresh"));
    let asked = outside.1.lock().unwrap().clone();
    assert_eq!(
        asked,
        [Request {
            method: "GET".to_owned(),
            url: "https://a.example/".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            // Less than it wants: the call has no more.
            wait: Duration::from_secs(2),
        }]
    );
}

#[test]
fn what_fails_is_named_and_the_next_call_is_another_try() {
    let nobody = || says(Err(Silence::NotAllowed)) as Arc<dyn Outside>;
    let fails = |process: &str, timeout| {
        let configured = configured(&refresher(process)).unwrap();
        let first = configured.refresh(nobody(), &allowed(timeout)).unwrap_err();
        let again = configured.refresh(nobody(), &allowed(timeout)).unwrap_err();
        assert_eq!(first.kind(), again.kind());
        let Kind::Failed(failure) = first.kind() else { panic!("{first}") };
        let counted = configured.stats().failures().find(|(of, _)| *of == failure.as_str());
        assert_eq!(counted.unwrap().1, 2);
        (failure, first.to_string())
    };
    let error = format!("(i32.store8 (i32.const {RESULT_AT}) (i32.const 1)) {}", {
        let [at, len] = [RESULT_AT + 4, RESULT_AT + 8];
        format!(
            "(i32.store (i32.const {at}) (i32.const 2176)) (i32.store (i32.const {len}) (i32.const 2)) (i32.const {RESULT_AT})"
        )
    });
    assert_eq!(fails(&error, Wait::secs(1)), (Failure::Reported, "tk".to_owned()));
    assert_eq!(fails("unreachable", Wait::secs(1)).0, Failure::Panic);
    assert_eq!(fails("(loop $l (br $l)) (i32.const 0)", Wait::millis(20)).0, Failure::Timeout);
    assert_eq!(fails(&answers(2_048, u32::MAX), Wait::secs(1)).0, Failure::BadOutput);
    let flood = format!("(loop $l {GET} (br $l)) (i32.const 0)");
    assert_eq!(fails(&flood, Wait::secs(20)).0, Failure::HostCalls);
}

#[test]
fn nothing_is_fetched_but_while_tables_are_made() {
    for early in [
        Guest { configure: GET.to_owned(), ..refresher("unreachable") },
        Guest { describe: GET.to_owned(), ..refresher("unreachable") },
    ] {
        assert_eq!(configured(&early).unwrap_err().kind(), Kind::Failed(Failure::Denied));
    }
    // Nobody else has it at all.
    let processor = Guest { imports: SEND.to_owned(), extra: TABLE.to_owned(), ..Guest::default() };
    let fault = configured(&processor).unwrap_err();
    assert_eq!(fault.kind(), Kind::NotOurs);
    assert!(fault.to_string().contains("fetch"), "{fault}");
    assert_eq!(configured(&Guest::default()).unwrap().interval(), None);
}

#[test]
fn hosts_are_names_and_a_call_ends() {
    let faults = |hosts: &[&str], timeout| {
        let hosts = hosts.iter().map(|&host| host.to_owned()).collect();
        let mut faults = Faults::default();
        Allowed { hosts, timeout }.check("r", &mut faults);
        faults.list().iter().map(|fault| fault.key.clone()).collect::<Vec<_>>()
    };
    assert!(faults(&["cmdb.example", "localhost:8443", "[::1]:1"], Wait::secs(60)).is_empty());
    assert_eq!(faults(&["a", "https://b", ""], Wait::secs(1)), ["r.hosts[1]", "r.hosts[2]"]);
    assert_eq!(faults(&["a"; 101], Wait::secs(3_600)), ["r.timeout", "r.hosts"]);
}
