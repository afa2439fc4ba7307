//! Bytes that are said to be a plugin, all the way: a component or a core module, compiled, linked, and asked what it is.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use model::{Clock, Nanos};
use plugins::definition::Definition;
use plugins::guests::Guest;
use plugins::registry::{Parts, Registry};
use plugins::{
    Codes, Fetch, Fetched, Kind, Refused, Settings, Shelf, Source, Surroundings, Trust,
    component_of,
};

/// Larger ones take their time to compile, and are no other code.
const BYTES_MAX: usize = 32 << 10;

/// Gives whatever was put there.
#[derive(Default)]
struct Given(Mutex<Vec<u8>>);

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Given")
    }
}

impl Fetch for Given {
    fn fetch(&self, _: &Source, _: Option<&str>) -> Result<Option<Fetched>, Refused> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Some(Fetched { bytes, ..Fetched::default() }))
    }
}

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Nanos {
        Nanos(1)
    }
    fn monotonic(&self) -> Nanos {
        Nanos(1)
    }
}

static GIVEN: LazyLock<Arc<Given>> = LazyLock::new(Arc::default);
/// One at a time: it is one that is given.
static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(|| {
    let surroundings = Surroundings {
        clock: Arc::new(Still),
        chance: Arc::new(|bytes| bytes.fill(7)),
        tables: Arc::default(),
    };
    Mutex::new(Registry::new(Parts {
        settings: Settings { instances_max: 64, memory_bytes_max: 16 << 20, ..Settings::default() },
        codes: Codes::default(),
        shelf: Shelf::default(),
        surroundings,
        fetch: Arc::<Given>::clone(&GIVEN),
        trust: Trust { unpinned: true, ..Trust::default() },
        poll: Duration::from_secs(60),
        bundled: &[],
    }))
});

/// Modules, and the components that are made of them.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let sampler = Guest { role: ("head-sampler", "sample"), ..Guest::default() };
    let modules = [Guest::default().module(), sampler.module()];
    let component = |module: &Vec<u8>| component_of(module).expect("a guest of ours").into_owned();
    let components = modules.each_ref().map(component);
    modules.into_iter().chain(components).collect()
}

/// It is loaded, or refused with a reason; the process lives.
pub(crate) fn plugin_load(bytes: &[u8]) {
    let wrapped = component_of(bytes);
    if bytes.len() > BYTES_MAX || wrapped.is_ok_and(|wrapped| wrapped.len() > 2 * BYTES_MAX) {
        return;
    }
    let registry = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    *GIVEN.0.lock().unwrap_or_else(PoisonError::into_inner) = bytes.to_vec();
    let source = "https://example.com/plugin.wasm".to_owned();
    let definition = Definition { source, ..Definition::default() };
    registry.poll_now();
    let faults = registry.apply(&BTreeMap::from([("given".to_owned(), definition)]));
    for error in faults.values() {
        assert!(!error.to_string().is_empty());
        assert!(error.kind() != Kind::Host, "{error}");
    }
    // What runs would stay, and the next one be as good as this.
    registry.apply(&BTreeMap::new());
}
