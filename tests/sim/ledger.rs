//! A store that runs on a simulated disk, and what its clients know about it over all crashes.
//!
//! Each request has spans of its own (its marks), by which the ledger tells whether the request is
//! there. Copies of earlier spans, equal or changed, may come along: the first one must stay.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use model::{Nanos, TenantId, TimeRange, TraceId};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span, TracesData};
use prost::Message;
use store::log::Driver;
use store::{Accepted, Append, Chore, Config, Error, Kind, Pending, Store, head};
use tests::spans::{Identity, Spans};

use crate::disk::{Rng, SimDisk};
use crate::world::{self, DIR, Ticks};

/// When all requests are received, in nanoseconds since the epoch.
pub(crate) const NOW: u64 = 1_767_225_600_000_000_000;

/// Log segments of 16 KiB and head segments of 16 rows, so that a short script fills many.
pub(crate) fn config() -> Config {
    let seal = head::Seal { rows: 16, ..head::Seal::default() };
    let head = head::Config { seal, ..head::Config::default() };
    Config { head, wal: world::config(), ..Config::default() }
}

/// Opens the store on this disk; its log is still to be replayed.
pub(crate) fn open(disk: &SimDisk) -> Result<Store, Error> {
    open_with(disk, &config())
}

/// The same with other settings.
pub(crate) fn open_with(disk: &SimDisk, config: &Config) -> Result<Store, Error> {
    let (disk, clock) = (Arc::new(disk.clone()), Arc::new(Ticks::default()));
    Store::open(disk, Path::new(DIR), config, clock, || Ok(0xfeed))
}

/// A request before it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) tenant: TenantId,
    /// What goes out.
    pub(crate) body: ExportTraceServiceRequest,
    /// The same without the spans that must be refused.
    pub(crate) good: Vec<ResourceSpans>,
    /// Spans that no other request has.
    pub(crate) marks: Vec<Identity>,
}

/// Where a span is found.
pub(crate) fn identity(span: &Span) -> Identity {
    (span.trace_id.clone(), span.span_id.clone(), span.kind)
}

/// All spans of a message.
pub(crate) fn spans_of(message: &[ResourceSpans]) -> impl Iterator<Item = &Span> {
    message.iter().flat_map(|of| &of.scope_spans).flat_map(|of| &of.spans)
}

impl Draft {
    pub(crate) fn append(&self) -> Append {
        Append {
            tenant: self.tenant.clone(),
            received_at: Nanos(NOW),
            body: self.body.encode_to_vec().into(),
        }
    }

    /// Insists that the answer counts what was stored and what was refused.
    fn check(&self, accepted: &Accepted) {
        let good = spans_of(&self.good).count() as u64;
        let all = spans_of(&self.body.resource_spans).count() as u64;
        assert_eq!((accepted.spans, accepted.refused), (good, all - good));
    }
}

/// What is known about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Nobody was told that it is stored.
    Unknown,
    /// Acknowledged, or found after a restart: it stays.
    Stored,
    /// Refused, or not found after a restart: it never comes.
    Absent,
}

/// In which life of the process the ledger is compared with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// The one that took the requests: only what was acknowledged is visible.
    Live,
    /// Right after the start: the disk decides about what was not acknowledged.
    Restarted,
}

type Answer = Pin<Box<dyn Future<Output = Result<Accepted, Error>>>>;

/// A store whose log is driven by hand.
pub(crate) struct Running {
    pub(crate) store: Store,
    pub(crate) driver: Driver,
    /// Places in the ledger with what is still to be answered; `None` for a repeated request.
    waiting: Vec<(Option<usize>, Answer)>,
}

impl Running {
    /// Opens the store and replays its log.
    pub(crate) fn start(disk: &SimDisk) -> Result<Self, Error> {
        let store = open(disk)?;
        let driver = store.replay_driven()?.expect("the first replay");
        Ok(Self::of(store, driver))
    }

    /// A store that is replayed already.
    pub(crate) fn of(store: Store, driver: Driver) -> Self {
        Self { store, driver, waiting: Vec::new() }
    }

    /// Does all that the log has to do.
    pub(crate) fn settle(&mut self) {
        while self.driver.commit() || self.driver.prepare() {}
    }

    /// Does some of what the store's threads do: closes, seals, merges, tidies.
    pub(crate) fn keep(&mut self, rng: &mut Rng) -> Result<(), Error> {
        const CHORES: [Chore; 7] = [
            Chore::Close,
            Chore::Seal,
            Chore::Seal,
            Chore::Merge,
            Chore::Compact,
            Chore::Tidy,
            Chore::Expire,
        ];
        for _ in 0..1 + rng.below(4) {
            self.settle();
            let chore = CHORES[usize::try_from(rng.below(CHORES.len() as u64)).unwrap()];
            self.store.step(chore)?;
        }
        Ok(())
    }

    /// Appends; where no segment is ready it has one made first.
    pub(crate) fn append(&mut self, draft: &Draft) -> Result<Pending, Error> {
        let mut taken = self.store.append(draft.append());
        for _ in 0..2 {
            if taken.as_ref().is_err_and(|error| error.kind() == Kind::Unavailable) {
                self.settle();
                taken = self.store.append(draft.append());
            }
        }
        taken
    }

    /// Ends in order.
    pub(crate) fn close(&mut self) -> Result<(), Error> {
        let closed = self.store.close();
        self.driver.finish();
        closed.and_then(|()| self.store.close())
    }
}

/// What the clients know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    sent: Vec<(Draft, Fate)>,
    traces: BTreeSet<(TenantId, Vec<u8>)>,
}

impl Ledger {
    /// Sends a request; the answer is taken by [`Self::hear`].
    pub(crate) fn send(&mut self, running: &mut Running, draft: Draft) {
        self.note_traces(&draft);
        let taken = running.append(&draft);
        match taken {
            Ok(pending) => {
                running.waiting.push((Some(self.sent.len()), Box::pin(pending.durable())));
                self.sent.push((draft, Fate::Unknown));
            }
            Err(error) => {
                assert!(matches!(error.kind(), Kind::Unavailable | Kind::Fatal), "{error}");
                self.sent.push((draft, Fate::Absent));
            }
        }
    }

    /// Notes a request that was acknowledged elsewhere.
    pub(crate) fn note_stored(&mut self, draft: Draft, accepted: &Accepted) {
        draft.check(accepted);
        self.note_traces(&draft);
        self.sent.push((draft, Fate::Stored));
    }

    /// Notes a request whose end was not heard of.
    pub(crate) fn note_unknown(&mut self, draft: Draft) {
        self.note_traces(&draft);
        self.sent.push((draft, Fate::Unknown));
    }

    /// Sends some again, as clients do: what was lost is another request now, what is there stays
    /// what it is.
    pub(crate) fn retry(&mut self, running: &mut Running, mut wanted: impl FnMut() -> bool) {
        let (mut lost, mut there) = (Vec::new(), Vec::new());
        self.sent.retain(|(draft, fate)| {
            let again = wanted();
            match fate {
                Fate::Absent if again => lost.push(draft.clone()),
                Fate::Stored if again => there.push(draft.clone()),
                _ => {}
            }
            !again || *fate != Fate::Absent
        });
        for draft in there {
            if let Ok(pending) = running.append(&draft) {
                running.waiting.push((None, Box::pin(pending.durable())));
            }
        }
        for draft in lost {
            self.send(running, draft);
        }
    }

    fn note_traces(&mut self, draft: &Draft) {
        for span in spans_of(&draft.body.resource_spans) {
            if TraceId::from_wire(&span.trace_id).is_some() {
                self.traces.insert((draft.tenant.clone(), span.trace_id.clone()));
            }
        }
    }

    /// Takes the answers that are there; tells how many of them are failures.
    pub(crate) fn hear(&mut self, running: &mut Running) -> usize {
        let mut context = Context::from_waker(Waker::noop());
        let mut failed = 0;
        running.waiting.retain_mut(|(place, answer)| {
            let Poll::Ready(outcome) = answer.as_mut().poll(&mut context) else { return true };
            failed += usize::from(outcome.is_err());
            let sent = place.and_then(|place| self.sent.get_mut(place));
            if let (Some((draft, fate)), Ok(accepted)) = (sent, outcome) {
                draft.check(&accepted);
                *fate = Fate::Stored;
            }
            false
        });
        failed
    }

    /// The requests that are stored for sure, in their order.
    pub(crate) fn stored(&self) -> Vec<&Draft> {
        let stored = self.sent.iter().filter(|(_, fate)| *fate == Fate::Stored);
        stored.map(|(draft, _)| draft).collect()
    }

    /// Compares all that the store finds with what must be there.
    pub(crate) fn check(&mut self, store: &Store, when: When) {
        let (found, partial) = self.find(store);
        assert_eq!(partial, None, "an answer that misses something");
        self.compare(&found, when);
    }

    /// As [`Self::check`], unless the power goes off meanwhile: nothing can be said then.
    pub(crate) fn check_while_on(&mut self, store: &Store, when: When, disk: &SimDisk) {
        let (found, partial) = self.find(store);
        if !disk.crashed() {
            assert_eq!(partial, None, "an answer that misses something");
            self.compare(&found, when);
        }
    }

    fn compare(&mut self, found: &BTreeMap<TenantId, Spans>, when: When) {
        let nothing = Spans::new();
        for (number, (draft, fate)) in self.sent.iter_mut().enumerate() {
            let of = found.get(&draft.tenant).unwrap_or(&nothing);
            let there = draft.marks.iter().filter(|mark| of.get(mark).is_some()).count();
            let whole = there == draft.marks.len();
            assert!(there == 0 || whole, "request {number} is torn: {there} of its spans");
            match (*fate, when) {
                (Fate::Stored, _) => assert!(whole, "request {number} is acknowledged and lost"),
                (Fate::Unknown, When::Restarted) if whole => *fate = Fate::Stored,
                (Fate::Unknown, When::Restarted) => *fate = Fate::Absent,
                (Fate::Unknown | Fate::Absent, _) => {
                    assert_eq!(there, 0, "request {number} is {fate:?} and visible ({when:?})");
                }
            }
        }
        let expected = self.expected();
        for tenant in self.traces.iter().map(|(tenant, _)| tenant) {
            let of = |spans: &BTreeMap<TenantId, Spans>| spans.get(tenant).cloned();
            let (found, expected) = (of(found), of(&expected));
            let what = format!("{when:?}, tenant {}", tenant.as_str());
            found.unwrap_or_default().assert_same(&expected.unwrap_or_default(), &what);
        }
    }

    /// Every span of every trace that was ever sent, as the store has them, and why some of them
    /// may be missing.
    fn find(&self, store: &Store) -> (BTreeMap<TenantId, Spans>, Option<String>) {
        let (mut found, mut partial) = (BTreeMap::<_, Spans>::new(), None);
        for (tenant, id) in &self.traces {
            let id = TraceId::from_wire(id).expect("valid ids are noted");
            let Some(trace) = store.trace(&tenant.into(), id, TimeRange::ALL).unwrap() else {
                continue;
            };
            let message = TracesData::decode(trace.otlp.as_slice()).unwrap().resource_spans;
            assert_eq!((trace.spans, trace.left_out), (spans_of(&message).count() as u64, 0));
            found.entry(tenant.clone()).or_default().add(&message);
            partial = partial.or(trace.partial);
        }
        (found, partial)
    }

    /// What must be found: of spans with one identity the first.
    fn expected(&self) -> BTreeMap<TenantId, Spans> {
        let mut seen = BTreeSet::new();
        let mut expected = BTreeMap::<_, Spans>::new();
        for (draft, _) in self.sent.iter().filter(|(_, fate)| *fate == Fate::Stored) {
            let mut good = draft.good.clone();
            for scope_spans in good.iter_mut().flat_map(|of| &mut of.scope_spans) {
                let mut is_new = |span: &Span| seen.insert((draft.tenant.clone(), identity(span)));
                scope_spans.spans.retain(|span| is_new(span));
            }
            expected.entry(draft.tenant.clone()).or_default().add(&good);
        }
        expected
    }
}
