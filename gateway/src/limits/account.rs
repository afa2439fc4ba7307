//! What is known of a tenant: the limits that hold, what is left of them, and what was used.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use arc_swap::{ArcSwap, Guard};
use model::metric::Counter;
use model::{Clock, Nanos, TenantId, TraceId};

use super::bucket::Bucket;
use super::live::{Live, LiveGate};
use super::refusal::{Exceeded, Reason};
use crate::overrides::values::Rate;
use crate::overrides::{Limits, Overrides, Whose};

/// Tells accounts apart where memory and threads are shared out. 0 is the process itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub u64);

/// Clusters of one tenant that are counted apart; what is more counts as of none.
const CLUSTERS_MAX: usize = 1_000;

/// The limits that hold, with what is left of the rates.
#[derive(Debug)]
pub struct Holding {
    generation: u64,
    /// The limits.
    pub limits: Limits,
    bytes: Option<Arc<Bucket>>,
    spans: Option<Arc<Bucket>>,
}

impl Holding {
    /// These limits. A bucket whose rate is as it was goes on as it is.
    fn new(generation: u64, limits: Limits, was: Option<&Self>, clock: &Arc<dyn Clock>) -> Self {
        let bucket = |rate: Option<Rate>, was: Option<&Arc<Bucket>>| {
            let rate = rate?;
            let same = was.filter(|was| was.rate() == rate).map(Arc::clone);
            Some(same.unwrap_or_else(|| Arc::new(Bucket::new(rate, clock))))
        };
        let bytes = bucket(limits.ingestion.bytes(), was.and_then(|was| was.bytes.as_ref()));
        let spans = bucket(limits.ingestion.spans(), was.and_then(|was| was.spans.as_ref()));
        Self { generation, limits, bytes, spans }
    }

    const fn bucket(&self, unit: Unit) -> Option<&Arc<Bucket>> {
        match unit {
            Unit::Bytes => self.bytes.as_ref(),
            Unit::Spans => self.spans.as_ref(),
        }
    }
}

/// What a rate is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of requests, decompressed.
    Bytes,
    /// Spans.
    Spans,
}

/// Limits that change while they hold.
#[derive(Debug)]
struct Kept(ArcSwap<Holding>);

impl Kept {
    fn new(whose: Whose<'_>, parts: &Parts) -> Self {
        let generation = parts.overrides.generation();
        let holding = Holding::new(generation, of(whose, &parts.overrides), None, &parts.clock);
        Self(ArcSwap::from_pointee(holding))
    }

    /// Takes over what has changed.
    fn renew(&self, whose: Whose<'_>, parts: &Parts) {
        let generation = parts.overrides.generation();
        let was = self.0.load();
        if was.generation == generation {
            return;
        }
        let limits = of(whose, &parts.overrides);
        let next = Holding::new(generation, limits, Some(&was), &parts.clock);
        self.0.store(Arc::new(next));
    }
}

/// Who has no cluster has no rates beside those of the tenant.
fn of(whose: Whose<'_>, overrides: &Overrides) -> Limits {
    match whose.cluster {
        Some("") => overrides.limits(Whose { cluster: None, ..whose }).without_rates(),
        _ => overrides.limits(whose),
    }
}

/// What accounts work with.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) overrides: Arc<Overrides>,
    pub(super) clock: Arc<dyn Clock>,
}

/// What was sent.
#[derive(Debug, Default)]
pub struct Usage {
    /// Requests of which spans were stored.
    pub requests: Counter,
    /// Spans that were stored.
    pub spans: Counter,
    /// Bytes of bodies, decompressed.
    pub bytes: Counter,
}

/// A cluster within a tenant.
#[derive(Debug)]
pub struct Cluster {
    /// Its name; empty for whoever stands for none.
    pub name: Arc<str>,
    kept: Kept,
    /// What was sent from there.
    pub usage: Usage,
}

/// A tenant, as those of one class have it.
#[derive(Debug)]
pub struct Account {
    /// Tells it apart from others.
    pub id: AccountId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The class, where there is one: those of a class have rates of their own.
    pub class: Option<Arc<str>>,
    kept: Kept,
    live: Live,
    clusters: RwLock<HashMap<Arc<str>, Arc<Cluster>>>,
    refused: [Counter; Reason::ALL.len()],
    refused_spans: Mutex<BTreeMap<&'static str, u64>>,
    /// Queries that were evaluated.
    pub queries: Counter,
    /// Bytes of columns that queries looked at.
    pub scanned_bytes: Counter,
    seen_at: AtomicU64,
}

impl Account {
    pub(super) fn new(
        id: AccountId,
        (tenant, class): (TenantId, Option<Arc<str>>),
        parts: &Parts,
    ) -> Self {
        let whose = Whose { tenant: &tenant, class: class.as_deref(), cluster: None };
        Self {
            id,
            kept: Kept::new(whose, parts),
            tenant,
            class,
            live: Live::default(),
            clusters: RwLock::default(),
            refused: Default::default(),
            refused_spans: Mutex::default(),
            queries: Counter::new(),
            scanned_bytes: Counter::new(),
            seen_at: AtomicU64::new(0),
        }
    }

    /// The limits that hold.
    #[must_use]
    pub fn holding(&self) -> Guard<Arc<Holding>> {
        self.kept.0.load()
    }

    /// Counts a request that is refused.
    pub fn refuse(&self, reason: Reason) {
        if let Some(counter) = self.refused.get(reason as usize) {
            counter.inc();
        }
    }

    /// Requests that were refused, by why.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.refused.iter().map(Counter::get);
        Reason::ALL.into_iter().map(Reason::as_str).zip(counts)
    }

    /// Counts spans that are refused one by one, by the labels of their reasons.
    pub fn refuse_spans(&self, reasons: &[(&'static str, u64)]) {
        if reasons.is_empty() {
            return;
        }
        let mut refused = self.refused_spans.lock().unwrap_or_else(PoisonError::into_inner);
        for (reason, count) in reasons {
            *refused.entry(reason).or_default() += count;
        }
    }

    /// Spans that were refused one by one, by why.
    #[must_use]
    pub fn refused_spans(&self) -> BTreeMap<&'static str, u64> {
        self.refused_spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The clusters that have sent something, by name.
    #[must_use]
    pub fn clusters(&self) -> Vec<Arc<Cluster>> {
        let clusters = self.clusters.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = clusters.values().map(Arc::clone).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// How many live traces are counted.
    #[must_use]
    pub fn live_traces(&self, now: Nanos) -> u64 {
        self.live.len(now)
    }

    /// What is left of a rate, where there is one.
    #[must_use]
    pub fn balance(&self, unit: Unit) -> Option<i64> {
        self.holding().bucket(unit).map(|bucket| bucket.balance())
    }

    /// For how long nobody has asked for it.
    pub(super) fn idle(&self, now: Nanos) -> Nanos {
        now.minus(Nanos(self.seen_at.load(Ordering::Relaxed)))
    }

    fn whose<'a>(&'a self, cluster: Option<&'a str>) -> Whose<'a> {
        Whose { tenant: &self.tenant, class: self.class.as_deref(), cluster }
    }

    /// Somebody asks for it: takes over changed limits.
    pub(super) fn renew(&self, parts: &Parts) {
        self.seen_at.store(parts.clock.monotonic().0, Ordering::Relaxed);
        self.kept.renew(self.whose(None), parts);
    }

    /// A cluster of it, with the limits that hold.
    pub(super) fn cluster(&self, name: &Arc<str>, parts: &Parts) -> Arc<Cluster> {
        let known = {
            let clusters = self.clusters.read().unwrap_or_else(PoisonError::into_inner);
            clusters.get(name).map(Arc::clone)
        };
        if let Some(known) = known {
            known.kept.renew(self.whose(Some(&known.name)), parts);
            return known;
        }
        let mut clusters = self.clusters.write().unwrap_or_else(PoisonError::into_inner);
        let name = if clusters.len() < CLUSTERS_MAX { Arc::clone(name) } else { "".into() };
        let made = clusters.entry(Arc::clone(&name)).or_insert_with(|| {
            let kept = Kept::new(self.whose(Some(&name)), parts);
            Arc::new(Cluster { name, kept, usage: Usage::default() })
        });
        Arc::clone(made)
    }
}

/// Where a request comes from, as limits see it: a tenant, and a cluster of it.
#[derive(Clone, Debug)]
pub struct Source {
    /// The tenant.
    pub account: Arc<Account>,
    /// The cluster.
    pub cluster: Arc<Cluster>,
}

impl Source {
    /// The limits of what is in a request.
    #[must_use]
    pub fn holding(&self) -> Guard<Arc<Holding>> {
        self.cluster.kept.0.load()
    }

    /// Lets so many units through, also more than are left.
    ///
    /// # Errors
    /// Which rate is used up; nothing is taken then.
    pub fn admit(&self, unit: Unit, units: u64) -> Result<(), Exceeded> {
        let (cluster, account) = (self.holding(), self.account.holding());
        let own = cluster.bucket(unit);
        if let Some(bucket) = own
            && let Err(wait) = bucket.admit(units)
        {
            return Err(self.exceeded(unit, Some(Arc::clone(&self.cluster.name)), (bucket, wait)));
        }
        if let Some(bucket) = account.bucket(unit)
            && let Err(wait) = bucket.admit(units)
        {
            if let Some(own) = own {
                own.refund(units);
            }
            return Err(self.exceeded(unit, None, (bucket, wait)));
        }
        Ok(())
    }

    /// Takes more units of a request that was let through.
    pub fn charge(&self, unit: Unit, units: u64) {
        self.each(unit, |bucket| bucket.charge(units));
    }

    /// Gives back what was taken for a request that came to nothing.
    pub fn refund(&self, unit: Unit, units: u64) {
        self.each(unit, |bucket| bucket.refund(units));
    }

    /// Has a say in the spans of one request. Other requests of the tenant wait meanwhile, if traces are
    /// limited.
    #[must_use]
    pub fn gate(&self, now: Nanos) -> LiveGate<'_> {
        self.account.live.gate(self.account.holding().limits.ingestion.live(), now)
    }

    /// Takes back what the gate has counted for a request that came to nothing.
    pub fn undo(&self, taken: &[(TraceId, u64)]) {
        self.account.live.undo(taken);
    }

    fn each(&self, unit: Unit, change: impl Fn(&Bucket)) {
        for holding in [self.holding(), self.account.holding()] {
            if let Some(bucket) = holding.bucket(unit) {
                change(bucket);
            }
        }
    }

    #[cold]
    fn exceeded(
        &self,
        unit: Unit,
        cluster: Option<Arc<str>>,
        (bucket, wait): (&Bucket, std::time::Duration),
    ) -> Exceeded {
        let reason = match (unit, cluster.is_some()) {
            (Unit::Bytes, false) => Reason::Bytes,
            (Unit::Bytes, true) => Reason::ClusterBytes,
            (Unit::Spans, false) => Reason::Spans,
            (Unit::Spans, true) => Reason::ClusterSpans,
        };
        let tenant = self.account.tenant.clone();
        Exceeded { reason, tenant, cluster, rate: bucket.rate(), wait }
    }
}
