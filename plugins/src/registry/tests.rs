//! Plugins of a network: asked for when it is time, fetched where they have changed, and never worse than before.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::digest::Digest;
use crate::guests::Guest;
use crate::source::Fetched;

#[derive(Debug, Default)]
struct Hand(AtomicU64);

impl Hand {
    fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds * 1_000_000_000, Ordering::Relaxed);
    }
}

impl model::Clock for Hand {
    fn now(&self) -> Nanos {
        self.monotonic()
    }
    fn monotonic(&self) -> Nanos {
        Nanos(self.0.load(Ordering::Relaxed))
    }
}

/// One thing, with its revision; nothing while nobody answers.
#[derive(Debug, Default)]
struct Network {
    there: Mutex<Option<(String, Vec<u8>)>>,
    asked: Mutex<Vec<Option<String>>>,
}

impl Network {
    fn put(&self, revision: &str, bytes: Vec<u8>) {
        *self.there.lock().unwrap() = Some((revision.to_owned(), bytes));
    }

    fn asked(&self) -> Vec<Option<String>> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Fetch for Network {
    fn fetch(&self, _: &Source, known: Option<&str>) -> Result<Option<Fetched>, Refused> {
        self.asked.lock().unwrap().push(known.map(str::to_owned));
        let there = self.there.lock().unwrap().clone();
        let silent = || Error::new(Kind::Unavailable, "nobody answers");
        let (revision, bytes) = there.ok_or_else(silent)?;
        let is_new = known != Some(revision.as_str());
        let revision = Some(revision);
        Ok(is_new.then_some(Fetched { bytes, revision, ..Fetched::default() }))
    }
}

struct World {
    clock: Arc<Hand>,
    network: Arc<Network>,
    registry: Registry,
    definitions: Definitions,
}

impl World {
    fn new(source: &str) -> Self {
        Self::on(source, Shelf::default())
    }

    /// A process that begins with what is on a shelf.
    fn on(source: &str, shelf: Shelf) -> Self {
        let (clock, network) = (Arc::<Hand>::default(), Arc::<Network>::default());
        let surroundings = Surroundings {
            clock: Arc::clone(&clock) as _,
            chance: Arc::new(|bytes| bytes.fill(255)),
            tables: Arc::default(),
        };
        let registry = Registry::new(Parts {
            settings: Settings { instances_max: 20, ..Settings::default() },
            codes: Codes::default(),
            shelf,
            surroundings,
            fetch: Arc::clone(&network) as _,
            trust: Trust { unpinned: true, ..Trust::default() },
            poll: Duration::from_secs(60),
            bundled: &[],
        });
        let definition = Definition { source: source.to_owned(), ..Definition::default() };
        let definitions = Definitions::from([("a".to_owned(), definition)]);
        Self { clock, network, registry, definitions }
    }

    /// As the process does it, every few seconds: what was asked for.
    fn look(&self) -> Vec<Option<String>> {
        if self.registry.is_due(&self.definitions) {
            self.registry.apply(&self.definitions);
        }
        self.network.asked()
    }

    fn name(&self) -> Option<String> {
        let entries = self.registry.entries();
        entries.get("a").map(|entry| entry.configured.plugin().info().name.clone())
    }

    fn fault(&self) -> Option<Kind> {
        self.registry.faults().get("a").map(Error::kind)
    }

    /// Whether it runs as it was kept.
    fn is_kept(&self) -> bool {
        self.registry.entries().get("a").is_some_and(|entry| entry.kept_since.is_some())
    }

    fn counts(&self) -> [u64; 4] {
        let Changes { taken, failed, polls, poll_failed, .. } = self.registry.changes();
        [taken, failed, polls, poll_failed].map(Counter::get)
    }
}

fn plugin(name: &'static str) -> Vec<u8> {
    Guest { name, ..Guest::default() }.module()
}

fn of(revision: &str) -> Option<String> {
    Some(revision.to_owned())
}

#[test]
fn a_tag_is_asked_for_now_and_then_and_only_what_is_new_is_taken() {
    let world = World::new("oci://registry.example/a:1");
    world.network.put("r1", plugin("one"));
    assert_eq!(world.look(), [None]);
    assert_eq!(world.name().as_deref(), Some("one"));
    assert_eq!(world.look(), []);
    world.clock.pass(65);
    assert_eq!(world.look(), [], "a tenth later than a minute");
    world.clock.pass(2);
    assert_eq!(world.look(), [of("r1")]);
    world.network.put("r2", plugin("two"));
    world.clock.pass(67);
    assert_eq!(world.look(), [of("r1")]);
    assert_eq!(world.name().as_deref(), Some("two"));
    // Another manifest of the same plugin swaps nothing, and is known from then on.
    world.network.put("r3", plugin("two"));
    world.registry.poll_now();
    assert_eq!(world.look(), [of("r2")]);
    world.registry.poll_now();
    assert_eq!(world.look(), [of("r3")]);
    assert_eq!(world.counts(), [2, 0, 5, 0]);
}

#[test]
fn what_is_broken_is_fetched_once_and_told_until_it_is_another_one() {
    let world = World::new("oci://registry.example/a:1");
    world.network.put("r1", plugin("one"));
    world.look();
    world.network.put("r2", b"broken".to_vec());
    world.registry.poll_now();
    assert_eq!(world.look(), [of("r1")]);
    assert_eq!((world.name().as_deref(), world.fault()), (Some("one"), Some(Kind::NotOurs)));
    for _ in 0..3 {
        world.clock.pass(67);
        assert_eq!(world.look(), [of("r2")], "it is known by its revision");
    }
    assert_eq!(world.fault(), Some(Kind::NotOurs));
    assert_eq!(world.counts(), [1, 1, 5, 0]);
    // Back to what runs: nothing to swap, and nothing to tell.
    world.network.put("r1", plugin("one"));
    world.clock.pass(67);
    world.look();
    assert_eq!((world.name().as_deref(), world.fault()), (Some("one"), None));
}

#[test]
fn who_does_not_answer_is_asked_again_soon_then_seldom() {
    let world = World::new("oci://registry.example/a:1");
    assert_eq!(world.look().len(), 1);
    assert_eq!((world.name(), world.fault()), (None, Some(Kind::Unavailable)));
    assert_eq!(world.look(), []);
    world.clock.pass(6);
    assert_eq!(world.look().len(), 1);
    world.clock.pass(6);
    assert_eq!(world.look(), []);
    world.network.put("r1", plugin("one"));
    world.clock.pass(6);
    world.look();
    assert_eq!((world.name().as_deref(), world.fault()), (Some("one"), None));
    // It runs on while nobody answers, which is no fault of its own.
    let failed = world.counts()[1];
    *world.network.there.lock().unwrap() = None;
    world.clock.pass(67);
    assert_eq!(world.look().len(), 1);
    assert_eq!((world.name().as_deref(), world.fault()), (Some("one"), Some(Kind::Unavailable)));
    assert_eq!(world.counts()[1], failed);
    world.network.put("r1", plugin("one"));
    world.clock.pass(6);
    assert_eq!(world.look(), [of("r1")]);
    assert_eq!(world.fault(), None);
}

#[test]
fn what_is_pinned_is_asked_for_until_it_is_there() {
    let bytes = plugin("one");
    let world = World::new(&format!("https://a.example/a@{}", Digest::of(&bytes)));
    world.network.put("r0", plugin("other"));
    assert_eq!(world.look(), [None]);
    assert_eq!(world.fault(), Some(Kind::NotOurs));
    assert_eq!(world.look(), []);
    world.clock.pass(67);
    assert_eq!(world.look(), [of("r0")]);
    assert_eq!(world.counts()[1], 1, "it is the same, and told once");
    world.network.put("r1", bytes);
    world.clock.pass(67);
    world.look();
    assert_eq!((world.name().as_deref(), world.fault()), (Some("one"), None));
    world.clock.pass(1_000_000);
    assert_eq!(world.look(), [], "it cannot change any more");
}

#[test]
fn only_what_takes_batches_is_in_a_chain() {
    let world = World::new("oci://registry.example/a:1");
    let refresher = Guest { role: ("refresher", "refresh"), ..Guest::default() };
    world.network.put("r1", refresher.module());
    // It is not tried with requests that came lately: it takes none.
    let tenant = TenantId::parse("shop").unwrap();
    world.registry.sample(&tenant, &Bytes::from_static(b""), Nanos::from_secs(1));
    world.look();
    assert_eq!(world.fault(), None);
    let attachment = Attachment { plugin: "a", on_failure: None, canary: None, is_shadow: false };
    let fault = world.registry.chain(&[attachment]).unwrap_err();
    assert!(fault.to_string().contains("it is of the interface refresher"), "{fault}");
}

#[test]
fn a_generation_is_what_runs_from_one_change_to_the_next() {
    let world = World::new("oci://registry.example/a:1");
    let generation = || world.registry.generation();
    assert_eq!(generation(), 0);
    let next = |revision: &str, bytes: Vec<u8>| {
        world.network.put(revision, bytes);
        world.clock.pass(120);
        world.look();
        world.registry.generation()
    };
    let named = |name| Guest { name, ..Guest::default() }.module();
    assert_eq!(next("r1", named("one")), 1);
    assert_eq!(next("r1", named("one")), 1, "it is the same");
    assert_eq!(next("r2", named("two")), 2);
    assert_eq!(next("r3", b"no module".to_vec()), 2, "what cannot take over changes nothing");
    world.registry.apply(&Definitions::new());
    assert_eq!(generation(), 3, "nothing is something else, too");
}

const TAG: &str = "https://plugins.example/a.wasm";

/// A shelf on which a plugin of this source lies, as a process has left it.
fn filled(dir: &tempfile::TempDir, source: &str, revision: &str, bytes: Vec<u8>) -> Shelf {
    let shelf = || Shelf::in_dir(dir.path().join("plugins"));
    let world = World::on(source, shelf());
    world.network.put(revision, bytes);
    world.look();
    assert_eq!((world.fault(), world.is_kept()), (None, false));
    shelf()
}

#[test]
fn what_was_kept_runs_while_nobody_answers_and_until_somebody_does() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::on(TAG, filled(&dir, TAG, "r1", plugin("one")));
    assert_eq!(world.look(), [of("r1")]);
    assert_eq!((world.name().as_deref(), world.is_kept()), (Some("one"), true));
    assert_eq!(world.fault(), Some(Kind::Unavailable));
    let Changes { kept, failed, .. } = world.registry.changes();
    assert_eq!((kept.get(), failed.get()), (1, 0), "there may be nothing new");
    // What is there is what was kept,
    world.network.put("r1", plugin("one"));
    world.clock.pass(6);
    assert_eq!(world.look(), [of("r1")]);
    assert_eq!((world.is_kept(), world.fault()), (false, None));
    // and then it is not.
    world.network.put("r2", plugin("two"));
    world.clock.pass(67);
    world.look();
    assert_eq!(world.name().as_deref(), Some("two"));
    let world = World::on(TAG, Shelf::in_dir(dir.path().join("plugins")));
    assert_eq!(world.look(), [of("r2")]);
    assert_eq!((world.name().as_deref(), world.is_kept()), (Some("two"), true));
}

#[test]
fn what_was_kept_and_has_not_changed_does_not_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::on(TAG, filled(&dir, TAG, "r1", plugin("one")));
    world.network.put("r1", plugin("one"));
    assert_eq!(world.look(), [of("r1")]);
    assert_eq!((world.name().as_deref(), world.is_kept()), (Some("one"), false));
    assert_eq!(world.fault(), None);
}

#[test]
fn what_was_kept_runs_where_what_is_there_is_broken() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::on(TAG, filled(&dir, TAG, "r1", plugin("one")));
    world.network.put("r2", b"broken".to_vec());
    world.look();
    assert_eq!((world.name().as_deref(), world.fault()), (Some("one"), Some(Kind::NotOurs)));
    assert!(world.is_kept());
    world.clock.pass(67);
    assert_eq!(world.look(), [of("r2")], "it is fetched once");
    assert_eq!((world.counts()[1], world.fault()), (1, Some(Kind::NotOurs)));
    // What was broken is not what is kept.
    let world = World::on(TAG, Shelf::in_dir(dir.path().join("plugins")));
    world.look();
    assert_eq!(world.name().as_deref(), Some("one"));
}

#[test]
fn what_is_pinned_and_was_kept_is_not_asked_for() {
    let (dir, bytes) = (tempfile::tempdir().unwrap(), plugin("one"));
    let source = format!("{TAG}@{}", Digest::of(&bytes));
    let world = World::on(&source, filled(&dir, &source, "r1", bytes));
    assert_eq!(world.look(), []);
    assert_eq!((world.name().as_deref(), world.fault()), (Some("one"), None));
    assert!(world.is_kept());
    world.registry.poll_now();
    assert_eq!(world.look(), []);
    // Of another digest nothing was kept.
    let mut world = World::on(&source, Shelf::in_dir(dir.path().join("plugins")));
    let other = Digest::of(b"other");
    world.definitions.get_mut("a").unwrap().source = format!("{TAG}@{other}");
    assert_eq!(world.look(), [None]);
}

#[test]
fn what_was_kept_is_believed_no_more_than_what_comes() {
    let (dir, bytes) = (tempfile::tempdir().unwrap(), plugin("one"));
    let shelf = || Shelf::in_dir(dir.path().join("plugins"));
    filled(&dir, TAG, "r1", bytes);
    let file = std::fs::read_dir(dir.path().join("plugins")).unwrap().next().unwrap();
    let file = file.unwrap().path();
    let whole = std::fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    std::fs::write(&file, damaged).unwrap();
    let world = World::on(TAG, shelf());
    assert_eq!(world.look(), [None], "it is fetched anew");
    assert_eq!((world.name(), world.fault()), (None, Some(Kind::Unavailable)));
    world.network.put("r1", plugin("one"));
    world.clock.pass(6);
    world.look();
    assert_eq!(std::fs::read(&file).unwrap().last(), whole.last());
    // Whoever wants signatures, or digests, wants them of what was kept.
    for trust in [
        Trust { keys: vec![vec![7; 32]], unpinned: true },
        Trust { keys: Vec::new(), unpinned: false },
    ] {
        let mut world = World::on(TAG, shelf());
        world.registry.parts.trust = trust;
        world.look();
        assert_eq!((world.name(), world.is_kept()), (None, false));
    }
}

#[test]
fn another_configuration_needs_no_network() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::on(TAG, Shelf::in_dir(dir.path().join("plugins")));
    world.network.put("r1", plugin("one"));
    world.look();
    *world.network.there.lock().unwrap() = None;
    world.definitions.get_mut("a").unwrap().timeout = model::Wait::millis(70);
    world.clock.pass(67);
    assert_eq!(world.look(), [of("r1")]);
    assert_eq!((world.name().as_deref(), world.is_kept()), (Some("one"), true));
    let entries = world.registry.entries();
    assert_eq!(entries["a"].definition.timeout, model::Wait::millis(70));
}
