//! A plugin over a request: what becomes of each span, and of what they share.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;

use super::Subject;
use super::change::{Change, changes, shown};
use super::request::{Request, Row, rows, text};
use crate::answer::{Edits, Said};
use crate::batch::{Around, Batch, Budgets, Unlimited};
use crate::chain::ROWS_MAX;
use crate::configured::Configured;
use crate::draft::Draft;
use crate::error::{Error, Kind};
use crate::instance::Failed;
use crate::projection::{Owner, Role};
use crate::route::{self, Route, by_resources};
use crate::step;
use crate::worlds::World;

/// What a sampler says of a span or a trace.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It goes.
    Drop,
    /// It stays.
    Keep,
    /// It stays with this probability: the id of the trace decides.
    Probability(f64),
}

/// What has become of a span.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fate {
    /// Its trace, in hexadecimal digits.
    pub trace_id: String,
    /// Its id, in hexadecimal digits.
    pub span_id: String,
    /// Its name, as it was.
    pub name: String,
    /// The number of its resource in the request.
    pub resource: usize,
    /// The number of its scope in the request.
    pub scope: usize,
    /// Whether the plugin was shown it: its resource is one that the plugin asks for.
    pub is_passed: bool,
    /// What a sampler says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Whether it stays.
    pub is_kept: bool,
    /// Why, in the plugin's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is different in it.
    pub changes: Vec<Change>,
}

/// What has become of a resource or a scope of which spans are left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Common {
    /// What it is called: the service of a resource, the name of a scope.
    pub name: String,
    /// The tenant that a router names for a resource; nothing where it stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What is different in it.
    pub changes: Vec<Change>,
}

/// What a plugin decides about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum About {
    /// A span by itself.
    Spans,
    /// A whole trace.
    Traces,
    /// Whose a resource is.
    Resources,
}

impl About {
    const fn of(role: Role) -> Self {
        match role {
            Role::SpanProcessor | Role::HeadSampler => Self::Spans,
            Role::TailSampler(_) => Self::Traces,
            Role::Router => Self::Resources,
        }
    }
}

/// A call that failed: its spans are as they were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Misfortune {
    /// How.
    pub failure: &'static str,
    /// In words.
    pub message: String,
    /// How many spans it was about.
    pub spans: usize,
}

impl Misfortune {
    pub(super) fn of(failed: Failed, spans: usize) -> Self {
        Self { failure: failed.failure.as_str(), message: failed.message, spans }
    }
}

/// A request after a plugin.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ran {
    /// What it decides about.
    pub about: About,
    /// What has become of each span.
    pub spans: Vec<Fate>,
    /// What has become of each resource.
    pub resources: BTreeMap<usize, Common>,
    /// What has become of each scope.
    pub scopes: BTreeMap<usize, Common>,
    /// Counters that were raised in answers, and by how much.
    pub counts: BTreeMap<String, u64>,
    /// Calls that failed.
    pub failures: Vec<Misfortune>,
    /// Calls.
    pub calls: u64,
    /// Instructions of all calls, where the engine counts them.
    pub fuel: u64,
    /// The request as it would be stored.
    #[serde(skip)]
    pub body: bytes::Bytes,
}

impl Subject {
    /// Runs a plugin, as it is configured, over a request. All budgets are unused at first.
    ///
    /// # Errors
    /// [`Kind::NotOurs`] for one that is not called with batches.
    pub fn run(&self, configured: &Configured, request: &Request) -> Result<Ran, Error> {
        takes_batches(configured)?;
        let plan = configured.plan();
        let draft = Draft::of(request.body(), plan.wants());
        let malformed = || Error::new(Kind::Host, "the request cannot be read");
        let mut run = Run::new(self, configured, draft.ok_or_else(malformed)?);
        let mut passed = Vec::new();
        run.draft.select(plan, &mut passed);
        match plan.role {
            Role::Router => {
                by_resources(&run.draft, &passed).iter().for_each(|rows| run.route(rows));
            }
            Role::TailSampler(_) => {
                let calls = run.by_trace(&mut passed);
                calls.into_iter().for_each(|range| run.call(rows_of(&passed, range)));
            }
            Role::SpanProcessor | Role::HeadSampler => {
                let calls = by_rows(passed.len(), plan.rows_max(ROWS_MAX).max(1) as usize);
                calls.into_iter().for_each(|range| run.call(rows_of(&passed, range)));
            }
        }
        run.end(request, &passed)
    }
}

impl Subject {
    /// Calls a plugin with a batch as it is, such as one that was captured when a call failed. Its answer is not looked at.
    ///
    /// # Errors
    /// How the call failed.
    pub fn call(&self, configured: &Configured, batch: Vec<u8>) -> Result<(), Misfortune> {
        let spans = batch.get(8..).and_then(<[u8]>::first_chunk);
        let spans = spans.map_or(0, |spans| u32::from_le_bytes(*spans) as usize);
        let called = configured.call(&self.tenant, std::sync::Arc::new(batch));
        called.map(drop).map_err(|failed| Misfortune::of(failed, spans))
    }
}

/// Whether it is one that is called with batches of spans.
pub(super) fn takes_batches(configured: &Configured) -> Result<(), Error> {
    let world = configured.plugin().world();
    match world {
        World::SpanProcessor | World::HeadSampler | World::TailSampler | World::Router => Ok(()),
        World::Authenticator | World::TableRefresher => {
            let what = format!("a plugin of the world {} is not run over spans", world.name());
            Err(Error::new(Kind::NotOurs, what))
        }
    }
}

fn rows_of(passed: &[u32], range: Range<usize>) -> &[u32] {
    passed.get(range).unwrap_or_default()
}

pub(super) fn by_rows(rows: usize, rows_max: usize) -> Vec<Range<usize>> {
    (0..rows).step_by(rows_max).map(|from| from..(from + rows_max).min(rows)).collect()
}

/// A run on its way.
struct Run<'a> {
    subject: &'a Subject,
    configured: &'a Configured,
    draft: Draft,
    batch: Batch,
    budgets: Counted<'a>,
    told: BTreeMap<u32, Told>,
    /// The tenants that a router names, by resource.
    tenants: BTreeMap<usize, String>,
    counts: BTreeMap<String, u64>,
    failures: Vec<Misfortune>,
    calls: u64,
    fuel: u64,
}

/// What an answer says of a span.
#[derive(Clone, Debug, Default)]
struct Told {
    verdict: Option<Verdict>,
    reason: Option<String>,
}

/// Budgets that are used by one request.
struct Counted<'a> {
    configured: &'a Configured,
    used: RefCell<BTreeMap<(usize, String), u64>>,
}

impl Budgets for Counted<'_> {
    fn budget(&self, place: usize, key: &str) -> (u64, u64) {
        let limit =
            self.configured.projection().budgets.get(place).map_or(0, |budget| budget.limit);
        let used = self.used.borrow().get(&(place, key.to_owned())).copied();
        (limit, used.unwrap_or_default())
    }
}

impl<'a> Run<'a> {
    fn new(subject: &'a Subject, configured: &'a Configured, draft: Draft) -> Self {
        Self {
            subject,
            configured,
            draft,
            batch: Batch::default(),
            budgets: Counted { configured, used: RefCell::default() },
            told: BTreeMap::new(),
            tenants: BTreeMap::new(),
            counts: BTreeMap::new(),
            failures: Vec::new(),
            calls: 0,
            fuel: 0,
        }
    }

    /// Puts rows together by trace, and says which go into one call: no trace is in two.
    fn by_trace(&self, rows: &mut [u32]) -> Vec<Range<usize>> {
        let mut places = BTreeMap::new();
        for (place, row) in rows.iter().enumerate() {
            places.entry(self.draft.trace_id(*row)).or_insert(place);
        }
        rows.sort_by_key(|row| places.get(&self.draft.trace_id(*row)).copied());
        let rows_max = self.configured.plan().rows_max(ROWS_MAX).max(1) as usize;
        let (mut calls, mut from, mut at) = (Vec::new(), 0, 0);
        let same = |one: &u32, next: &u32| self.draft.trace_id(*one) == self.draft.trace_id(*next);
        for trace in rows.chunk_by(same) {
            if at > from && at + trace.len() - from > rows_max {
                calls.push(from..at);
                from = at;
            }
            at += trace.len();
        }
        calls.extend((at > from).then_some(from..at));
        calls
    }

    /// Lays out the batch of a call.
    fn project(&mut self, rows: &[u32]) {
        let around = Around { peer: None, budgets: &self.budgets, late: &Unlimited };
        self.batch.project(&self.draft, self.configured.plan(), rows, &around);
        self.calls += 1;
    }

    fn route(&mut self, rows: &[u32]) {
        self.project(rows);
        match route::answered(self.configured, &self.subject.tenant, &mut self.batch) {
            Ok(answered) => {
                self.fuel += answered.fuel;
                for (entry, route) in answered.routes.into_iter().enumerate() {
                    let place = self.batch.shape.place(Owner::Resource, entry) as usize;
                    let Route::To(tenant) = route else { continue };
                    let tenant = self.configured.routes().get(usize::from(tenant));
                    self.tenants.extend(tenant.map(|tenant| (place, tenant.to_string())));
                }
            }
            Err(failed) => self.failures.push(Misfortune::of(failed, rows.len())),
        }
    }

    fn call(&mut self, rows: &[u32]) {
        self.project(rows);
        let (configured, plan) = (self.configured, self.configured.plan());
        let fail = |failed: Failed| Misfortune::of(failed, rows.len());
        let called = match step::call(configured, &self.subject.tenant, &mut self.batch) {
            Ok(called) => called,
            Err(failed) => return self.failures.push(fail(failed)),
        };
        self.fuel += called.answer.fuel;
        let edits = match step::edits(configured, &called, &self.draft, &self.batch) {
            Ok(edits) => edits,
            Err(failed) => return self.failures.push(fail(failed)),
        };
        tell(&mut self.told, &self.batch, &edits);
        let outcome = self.draft.apply(plan, &self.batch, &edits);
        for kept in outcome.budgets {
            *self.budgets.used.borrow_mut().entry((kept.budget, kept.key)).or_default() +=
                kept.rows;
        }
        let metrics = configured.metrics();
        for (id, delta) in outcome.counts {
            let place = called.metrics.get(id as usize).copied();
            if let Some(metric) = place.and_then(|place| metrics.get(place as usize)) {
                *self.counts.entry(metric.name.clone()).or_default() += delta;
            }
        }
    }

    fn end(self, request: &Request, passed: &[u32]) -> Result<Ran, Error> {
        let passed: std::collections::BTreeSet<u32> = passed.iter().copied().collect();
        let dropped: Vec<bool> =
            (0..).take(request.spans()).map(|span| self.draft.is_dropped(span)).collect();
        let Self { draft, told, tenants, configured, counts, failures, calls, fuel, .. } = self;
        let body = draft.finish(Vec::with_capacity).body.into_bytes();
        let odd = |what: String| Error::new(Kind::Host, format!("the written request: {what}"));
        let after = rows(&body).map_err(odd)?;
        if after.len() != dropped.iter().filter(|dropped| !**dropped).count() {
            return Err(odd(format!("it has {} spans", after.len())));
        }
        let mut after = after.into_iter();
        let (mut resources, mut scopes) = (BTreeMap::new(), BTreeMap::new());
        let mut spans = Vec::with_capacity(request.spans());
        for ((row, is_dropped), number) in request.rows().iter().zip(dropped).zip(0u32..) {
            let left = if is_dropped { None } else { after.next() };
            let told = told.get(&number).cloned().unwrap_or_default();
            let mut fate = fate(row, told, passed.contains(&number));
            if let Some(left) = left {
                fate.is_kept = true;
                fate.changes = changes(&row.span, &left.span);
                let (number, before) = &row.resource;
                resources.entry(*number).or_insert_with(|| Common {
                    name: service(before),
                    tenant: tenants.get(number).cloned(),
                    changes: changes(before, &left.resource.1),
                });
                let (number, before) = &row.scope;
                scopes.entry(*number).or_insert_with(|| Common {
                    name: text(before.get("scope").unwrap_or(&serde_json::Value::Null), "name")
                        .to_owned(),
                    tenant: None,
                    changes: changes(before, &left.scope.1),
                });
            }
            spans.push(fate);
        }
        let about = About::of(configured.plan().role);
        Ok(Ran { about, spans, resources, scopes, counts, failures, calls, fuel, body })
    }
}

fn tell(told: &mut BTreeMap<u32, Told>, batch: &Batch, edits: &Edits<'_>) {
    let mut note = |entry: usize, rows: Range<usize>| {
        let verdict = edits.said(entry).map(|said| match said {
            Said::Drop => Verdict::Drop,
            Said::Keep => Verdict::Keep,
            Said::Probability(of) => Verdict::Probability(of),
        });
        let reason = edits.reason(entry).map(str::to_owned);
        for row in rows {
            let place = batch.shape.place(Owner::Span, row);
            told.insert(place, Told { verdict, reason: reason.clone() });
        }
    };
    match batch.shape.level {
        None => (0..batch.rows()).for_each(|row| note(row, row..row + 1)),
        Some(_) => {
            (0..batch.shape.traces.len()).for_each(|of| note(of, batch.shape.rows_of(of)));
        }
    }
}

fn fate(row: &Row, told: Told, is_passed: bool) -> Fate {
    Fate {
        trace_id: row.trace_id().to_owned(),
        span_id: row.span_id().to_owned(),
        name: row.name().to_owned(),
        resource: row.resource.0,
        scope: row.scope.0,
        is_passed,
        verdict: told.verdict,
        is_kept: false,
        reason: told.reason,
        changes: Vec::new(),
    }
}

/// What a resource is known by.
fn service(resource: &serde_json::Value) -> String {
    let attributes = resource.pointer("/resource/attributes").and_then(|list| list.as_array());
    let mut pairs = attributes.into_iter().flatten();
    let named = pairs.find(|pair| text(pair, "key") == "service.name");
    named.and_then(|pair| pair.get("value")).map(shown).unwrap_or_default()
}
