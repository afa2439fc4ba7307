//! The measuring: each thing once in turn, many times over, and of each the tenth part that was fastest, as what else
//! the machine does only adds.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::otlp::{Open, Rules, check_with, outline_with};
use model::{Clock, Nanos, TenantId};
use plugins::definition::Definitions;
use plugins::registry::{Attachment, Parts, Registry};
use plugins::{
    Around, Batch, Bounds, Chain, Codes, Configured, Draft, Edits, Entries, Nowhere, Plan, Role,
    Scratch, Settings, Shelf, Surroundings, Tables, Trust, Whose, World,
};
use rustix::time::{ClockId, clock_gettime};

use crate::guests::{self, Guest};
use crate::request;

/// The machine's time.
#[derive(Debug)]
struct Machine;

impl Clock for Machine {
    fn now(&self) -> Nanos {
        Nanos::from_secs(1_700_000_000)
    }

    fn monotonic(&self) -> Nanos {
        Nanos(now())
    }
}

fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap()
}

/// How long something takes.
fn timed<T>(what: impl FnOnce() -> T) -> (u64, T) {
    let begun = now();
    let told = what();
    (now() - begun, told)
}

/// Nanoseconds per row.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    outline: f64,
    project: f64,
    call: f64,
    apply: Option<f64>,
    write: Option<f64>,
    all: f64,
    native: Option<f64>,
    twin: Option<f64>,
    batch_bytes: usize,
    answer_bytes: u64,
}

impl Figures {
    pub(crate) const HEAD: &str = "plugin                language  outline  project     call    apply    write      all   native     twin";

    pub(crate) fn row(&self, guest: &Guest) -> String {
        let Self { outline, project, call, apply, write, all, native, twin, .. } = self;
        let maybe = |figure: &Option<f64>| figure.map_or("-".to_owned(), |of| format!("{of:.1}"));
        let (apply, write) = (maybe(apply), maybe(write));
        let (native, twin) = (maybe(native), maybe(twin));
        format!(
            "{:<21} {:<9} {outline:>7.1} {project:>8.1} {call:>8.1} {apply:>8} {write:>8} {all:>8.1} {native:>8} {twin:>8}",
            guest.plugin, guest.language,
        )
    }

    pub(crate) fn json(&self, guest: &Guest, spans: usize) -> String {
        let rounded = |figure: f64| (figure * 10.0).round() / 10.0;
        serde_json::json!({
            "plugin": guest.plugin,
            "language": guest.language,
            "rows": spans,
            "ns_per_row": {
                "outline": rounded(self.outline),
                "project": rounded(self.project),
                "call": rounded(self.call),
                "apply": self.apply.map(rounded),
                "write": self.write.map(rounded),
                "all": rounded(self.all),
                "native": self.native.map(rounded),
                "twin": self.twin.map(rounded),
            },
            "batch_bytes": self.batch_bytes,
            "answer_bytes": self.answer_bytes,
        })
        .to_string()
    }
}

/// Samples of one thing.
#[derive(Default)]
struct Samples(Vec<u64>);

impl Samples {
    fn per_row(mut self, rows: usize) -> f64 {
        self.0.sort_unstable();
        self.0.get(self.0.len() / 10).map_or(0.0, |nanos| *nanos as f64 / rows as f64)
    }
}

/// The plugins, loaded.
pub(crate) struct Rig {
    registry: Registry,
    tenant: TenantId,
}

impl Rig {
    pub(crate) fn new(guests: &[&Guest]) -> Self {
        let tables = Arc::new(Tables::default());
        let mut pods = Entries::default();
        for (key, value) in guests::pods() {
            pods.insert(&key, &Arc::from(value)).expect("a small table");
        }
        tables.replace("k8s", pods).expect("room for one");
        let surroundings =
            Surroundings { clock: Arc::new(Machine), chance: Arc::new(|of| of.fill(7)), tables };
        let registry = Registry::new(Parts {
            settings: Settings { instances_max: 100, parallel: true, ..Settings::default() },
            codes: Codes::default(),
            shelf: Shelf::default(),
            surroundings,
            fetch: Arc::new(Nowhere),
            trust: Trust::default(),
            poll: Duration::from_secs(60),
            bundled: plugins::BUNDLED,
        });
        let definitions: Definitions =
            guests.iter().map(|guest| (guest.title(), guest.definition())).collect();
        let faults = registry.apply(&definitions);
        assert!(faults.is_empty(), "{faults:?}");
        Self { registry, tenant: TenantId::single() }
    }

    fn chain(&self, guest: &Guest) -> (Chain, Arc<Configured>) {
        let title = guest.title();
        let attachment =
            Attachment { plugin: &title, on_failure: None, canary: None, is_shadow: false };
        let chain = self.registry.chain(&[attachment]).unwrap();
        (chain, Arc::clone(&self.registry.entries()[&title].configured))
    }

    /// Measures a plugin over a request; the request as it leaves it, which is what its own code leaves natively.
    pub(crate) fn measure(
        &self,
        guest: &Guest,
        body: &Bytes,
        spans: usize,
        times: usize,
    ) -> (Figures, Vec<u8>) {
        let (chain, configured) = self.chain(guest);
        let whose = Whose { tenant: &self.tenant, peer: None };
        let (mut scratch, mut buffer) = (Scratch::default(), Vec::new());
        let stats = configured.stats();
        let mut parts = Parted::new(guest, &configured, body, spans);
        let [mut check, mut outline, mut call, mut all] =
            std::array::from_fn(|_| Samples::default());
        for _ in 0..times {
            check.0.push(timed(|| check_with(body, &Rules::NONE, &mut Open)).0);
            let outlined = || outline_with(body, &Rules::NONE, &mut Open, chain.wants());
            outline.0.push(timed(|| drop(outlined())).0);
            let before = stats.guest_nanos.get();
            let (nanos, body) = timed(|| {
                let (checked, outline) = outlined().unwrap();
                let mut draft = Draft::new(body.clone(), checked, outline);
                chain.run(&mut draft, whose, &mut scratch).unwrap();
                draft.finish(|_| std::mem::take(&mut buffer)).body
            });
            all.0.push(nanos);
            call.0.push(stats.guest_nanos.get() - before);
            if let plugins::Written::New(body) = body {
                buffer = body;
            }
            parts.sample();
        }
        let (check, outline) = (check.per_row(spans), outline.per_row(spans));
        let failed: Vec<_> = stats.failures().filter(|(_, times)| *times > 0).collect();
        assert!(failed.is_empty(), "{failed:?}");
        let mut figures = Figures {
            outline: outline - check,
            call: call.per_row(spans),
            all: all.per_row(spans) - check,
            answer_bytes: stats.bytes_out.get() / stats.calls.get(),
            ..Figures::default()
        };
        if parts.native.is_some() {
            assert!(
                parts.buffer == buffer,
                "{} leaves another request than natively",
                guest.title()
            );
        }
        parts.tell(&mut figures);
        // Empty where nothing has changed.
        (figures, buffer)
    }
}

/// The parts of what a chain does, one by one.
struct Parted<'a> {
    body: &'a Bytes,
    plan: Plan,
    draft: Draft,
    rows: Vec<u32>,
    batch: Batch,
    native: Option<guests::Native>,
    answer: Option<Vec<u8>>,
    twin: Option<crate::twins::Twin>,
    spans: usize,
    buffer: Vec<u8>,
    project: Samples,
    apply: Samples,
    write: Samples,
    natively: Samples,
    twinned: Samples,
}

const BOUNDS: Bounds = Bounds { answer_bytes_max: 64 << 20, written_bytes_max: 256 << 20 };

impl<'a> Parted<'a> {
    fn new(guest: &Guest, configured: &Configured, body: &'a Bytes, spans: usize) -> Self {
        let role = match configured.plugin().world() {
            World::HeadSampler => Role::HeadSampler,
            World::SpanProcessor => Role::SpanProcessor,
            other => panic!("{other:?} is not on the way of spans"),
        };
        let plan = Plan::compile(configured.projection(), role).unwrap();
        let draft = Draft::of(body, plan.wants()).unwrap();
        let (mut rows, mut batch) = (Vec::new(), Batch::new(1));
        draft.select(&plan, &mut rows);
        batch.project(&draft, &plan, &rows, &Around::NOTHING);
        let mut native = guest.native();
        let answer = native.as_mut().map(|native| native(batch.bytes()));
        let samples = || Samples::default();
        Self {
            body,
            plan,
            draft,
            rows,
            batch,
            native,
            answer,
            twin: guest.twin(),
            spans,
            buffer: Vec::new(),
            project: samples(),
            apply: samples(),
            write: samples(),
            natively: samples(),
            twinned: samples(),
        }
    }

    fn sample(&mut self) {
        let Self { plan, draft, rows, batch, .. } = self;
        let projected = timed(|| {
            draft.select(plan, rows);
            batch.project(draft, plan, rows, &Around::NOTHING);
        });
        self.project.0.push(projected.0);
        if let Some(native) = &mut self.native {
            self.natively.0.push(timed(|| native(batch.bytes())).0);
        }
        if let Some(answer) = &self.answer {
            // As it comes from the look at the request: no memory of its own yet.
            let mut draft = Draft::of(self.body, plan.wants()).unwrap();
            let applied = timed(|| {
                let edits = Edits::decode(answer, &draft, plan, batch, &BOUNDS).unwrap();
                draft.apply(plan, batch, &edits)
            });
            self.apply.0.push(applied.0);
            let (nanos, body) = timed(|| draft.finish(|_| std::mem::take(&mut self.buffer)).body);
            self.write.0.push(nanos);
            if let plugins::Written::New(body) = body {
                self.buffer = body;
            }
        }
        if let Some(twin) = &self.twin {
            let mut request = request::request(self.spans);
            self.twinned.0.push(timed(|| twin(&mut request)).0);
        }
    }

    fn tell(self, figures: &mut Figures) {
        let spans = self.spans;
        let of = |samples: Samples| (!samples.0.is_empty()).then(|| samples.per_row(spans));
        figures.batch_bytes = self.batch.bytes().len();
        figures.project = self.project.per_row(spans);
        figures.apply = of(self.apply);
        figures.write = of(self.write);
        figures.native = of(self.natively);
        figures.twin = of(self.twinned);
    }
}
