//! Whether the same comes out another time: of the same instance, of a new one, with the spans in another order, and
//! with the request in two parts. A gateway does all of these as it likes.

use serde::Serialize;

use super::Subject;
use super::request::Request;
use super::run::{Fate, Ran};
use crate::configured::Configured;
use crate::error::Error;
use crate::projection::Role;

/// How a request is run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// By the same instance.
    Twice,
    /// By a new one.
    Fresh,
    /// With its spans in another order; those of a trace stay in theirs where whole traces are decided about.
    Permuted,
    /// In two parts; no trace is in both where traces are decided about, and no resource where it is whose they are.
    Split,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Twice, Self::Fresh, Self::Permuted, Self::Split];

    /// As it is told.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Twice => "twice",
            Self::Fresh => "fresh",
            Self::Permuted => "permuted",
            Self::Split => "split",
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Held {
    /// The same.
    Same,
    /// Something else: the first span of which that is so, and how.
    Differs(String),
    /// It was not tried, as the plugin need not be so.
    Left(&'static str),
}

impl Subject {
    /// Runs a request again, and holds what comes out against what came out of the first run.
    ///
    /// # Errors
    /// As [`Self::configured`] and [`Self::run`].
    pub fn again(
        &self,
        way: Way,
        (configured, first): (&Configured, &Ran),
        request: &Request,
    ) -> Result<Held, Error> {
        if let Some(why) = self.left(way, configured) {
            return Ok(Held::Left(why));
        }
        let role = configured.plan().role;
        let by_trace = matches!(role, Role::HeadSampler | Role::TailSampler(_));
        let orders = match way {
            Way::Twice => {
                let ran = self.run(configured, request)?;
                return Ok(held(first, &ran, &order(request)));
            }
            Way::Fresh => vec![order(request)],
            Way::Permuted => vec![permuted(request, by_trace)],
            Way::Split if role == Role::Router => split(request.resources()),
            Way::Split if by_trace => split(request.traces()),
            Way::Split => split(order(request).into_iter().map(|row| vec![row]).collect()),
        };
        for order in orders {
            let picked = request.picked(&order);
            let picked = picked.map_err(|what| Error::new(crate::Kind::Host, what))?;
            let configured = self.configured()?;
            let ran = self.run(&configured, &picked)?;
            let held = held(first, &ran, &order);
            if held != Held::Same {
                return Ok(held);
            }
        }
        Ok(Held::Same)
    }

    /// Why something else may come out.
    pub(super) fn left(&self, way: Way, configured: &Configured) -> Option<&'static str> {
        let is_free = matches!(way, Way::Fresh);
        if !is_free && !self.plugin.info().stateless {
            return Some("it says that it remembers something from call to call");
        }
        let is_parted = matches!(way, Way::Permuted | Way::Split);
        let has_budgets = !configured.projection().budgets.is_empty();
        (is_parted && has_budgets)
            .then_some("what fits into a budget goes by the order of the spans")
    }
}

fn order(request: &Request) -> Vec<usize> {
    (0..request.spans()).collect()
}

/// Another order of all spans.
fn permuted(request: &Request, by_trace: bool) -> Vec<usize> {
    if by_trace {
        return request.traces().into_iter().rev().flatten().collect();
    }
    request.scopes().rev().flat_map(Iterator::rev).collect()
}

/// Two parts of what is not to be divided; the second is empty, and left out, where there is but one.
fn split(mut units: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    let second = units.split_off(units.len().div_ceil(2));
    let parts = [units, second].map(|units| units.into_iter().flatten().collect::<Vec<_>>());
    // Of what is put together by trace rows are in the order of traces: as they were received again.
    parts.into_iter().filter(|part| !part.is_empty()).collect()
}

/// Holds a run of picked spans against that of all.
fn held(first: &Ran, ran: &Ran, order: &[usize]) -> Held {
    if let (None, Some(failed)) = (first.failures.first(), ran.failures.first()) {
        return Held::Differs(format!("a call failed: {}: {}", failed.failure, failed.message));
    }
    for (fate, number) in ran.spans.iter().zip(order) {
        let Some(before) = first.spans.get(*number) else { continue };
        if let Some(what) = difference((first, before), (ran, fate)) {
            let of = format!("span {number} {}/{}", before.trace_id, before.span_id);
            return Held::Differs(format!("{of} {:?}: {what}", before.name));
        }
    }
    Held::Same
}

fn difference((first, before): (&Ran, &Fate), (ran, fate): (&Ran, &Fate)) -> Option<String> {
    let kept = |fate: &Fate| if fate.is_kept { "kept" } else { "dropped" };
    if before.is_kept != fate.is_kept || before.verdict != fate.verdict {
        let verdict = |fate: &Fate| match fate.verdict {
            None => String::new(),
            Some(verdict) => format!(" ({verdict})"),
        };
        return Some(format!(
            "it was {}{}, and is {}{}",
            kept(before),
            verdict(before),
            kept(fate),
            verdict(fate)
        ));
    }
    let tenant = |ran: &Ran, fate: &Fate| {
        ran.resources.get(&fate.resource).and_then(|resource| resource.tenant.clone())
    };
    if tenant(first, before) != tenant(ran, fate) {
        let told = |tenant: Option<String>| {
            tenant.map_or_else(|| "stayed".to_owned(), |tenant| format!("went to {tenant}"))
        };
        let (before, now) = (told(tenant(first, before)), told(tenant(ran, fate)));
        return Some(format!("its resource {before}, and now {now}"));
    }
    if before.reason != fate.reason {
        let reason = |fate: &Fate| fate.reason.clone().unwrap_or_default();
        return Some(format!("the reason was {:?}, and is {:?}", reason(before), reason(fate)));
    }
    let common = |ran: &Ran, fate: &Fate| {
        let of = |list: &std::collections::BTreeMap<usize, super::run::Common>, number: usize| {
            list.get(&number).map(|common| common.changes.clone()).unwrap_or_default()
        };
        [fate.changes.clone(), of(&ran.resources, fate.resource), of(&ran.scopes, fate.scope)]
    };
    let (one, other) = (common(first, before), common(ran, fate));
    let mut pairs = ["", "resource ", "scope "].into_iter().zip(one.iter().zip(&other));
    pairs.find_map(|(whose, (one, other))| {
        if one == other {
            return None;
        }
        let missing = one.iter().find(|change| !other.contains(change));
        let new = other.iter().find(|change| !one.contains(change));
        let told = |change: Option<&super::Change>| {
            change.map_or_else(|| "nothing".to_owned(), ToString::to_string)
        };
        Some(format!("{whose}it was {}, and is {}", told(missing), told(new)))
    })
}
