//! What a plugin has done to a request, as text that stays the same as long as the plugin does the same: what a test
//! is held to, and what people read.

use std::fmt;

use super::run::{About, Common, Fate, Misfortune, Ran, Verdict};

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drop => f.write_str("drop"),
            Self::Keep => f.write_str("keep"),
            Self::Probability(of) => write!(f, "probability {of}"),
        }
    }
}

/// One line for all, then what has changed: resources and scopes, then spans; what stays as it was is not told, and
/// of samplers each span is, of routers each resource.
impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.about == About::Resources {
            return put_routed(f, self);
        }
        let kept = self.spans.iter().filter(|fate| fate.is_kept).count();
        let changed = self.spans.iter().filter(|fate| !fate.changes.is_empty()).count();
        let (spans, dropped) = (self.spans.len(), self.spans.len() - kept);
        writeln!(f, "{spans} spans: {kept} kept, {dropped} dropped, {changed} changed")?;
        put_failures(f, &self.failures)?;
        for (what, list) in [("resource", &self.resources), ("scope", &self.scopes)] {
            for (number, common) in list.iter().filter(|(_, common)| !common.changes.is_empty()) {
                put(f, what, *number, common)?;
            }
        }
        let by_trace = self.about == About::Traces;
        if by_trace {
            put_traces(f, &self.spans)?;
        }
        for (number, fate) in self.spans.iter().enumerate() {
            put_span(f, number, fate, by_trace)?;
        }
        self.counts.iter().try_for_each(|(name, by)| writeln!(f, "counter {name} + {by}"))
    }
}

fn put_failures(f: &mut fmt::Formatter<'_>, failures: &[Misfortune]) -> fmt::Result {
    failures.iter().try_for_each(|Misfortune { failure, message, spans }| {
        writeln!(f, "failed on {spans} spans: {failure}: {message}")
    })
}

/// A line for each resource: whose it is.
fn put_routed(f: &mut fmt::Formatter<'_>, ran: &Ran) -> fmt::Result {
    let (resources, spans) = (ran.resources.len(), ran.spans.len());
    let moved = ran.resources.values().filter(|resource| resource.tenant.is_some()).count();
    writeln!(f, "{resources} resources of {spans} spans: {moved} go to a tenant")?;
    put_failures(f, &ran.failures)?;
    for (number, Common { name, tenant, .. }) in &ran.resources {
        let of = ran.spans.iter().filter(|fate| fate.resource == *number);
        let (count, passed) = of.fold((0, 0), |(count, passed), fate| {
            (count + 1, passed + usize::from(fate.is_passed))
        });
        write!(f, "resource {number}{}{name} of {count} spans: ", space(name))?;
        match tenant {
            Some(tenant) => writeln!(f, "to {tenant}")?,
            None if passed == 0 => writeln!(f, "stays, and is not passed")?,
            None => writeln!(f, "stays")?,
        }
    }
    Ok(())
}

/// In front of a name, where there is one.
const fn space(name: &str) -> &'static str {
    if name.is_empty() { "" } else { " " }
}

fn put(f: &mut fmt::Formatter<'_>, what: &str, number: usize, common: &Common) -> fmt::Result {
    writeln!(f, "{what} {number}{}{}", space(&common.name), common.name)?;
    common.changes.iter().try_for_each(|change| writeln!(f, "  {change}"))
}

/// A line for each trace: its spans share their fate.
fn put_traces(f: &mut fmt::Formatter<'_>, spans: &[Fate]) -> fmt::Result {
    let mut traces: Vec<(&Fate, usize)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for fate in spans {
        let place = *places.entry(&fate.trace_id).or_insert(traces.len());
        match traces.get_mut(place) {
            Some((_, count)) => *count += 1,
            None => traces.push((fate, 1)),
        }
    }
    traces.into_iter().try_for_each(|(fate, count)| {
        write!(f, "trace {} of {count} spans: ", fate.trace_id)?;
        put_fate(f, fate)
    })
}

fn put_span(f: &mut fmt::Formatter<'_>, number: usize, fate: &Fate, by_trace: bool) -> fmt::Result {
    let is_told = !by_trace && (!fate.is_kept || fate.verdict.is_some() || fate.reason.is_some());
    if !is_told && fate.changes.is_empty() {
        return Ok(());
    }
    write!(f, "span {number} {}/{} {:?}: ", fate.trace_id, fate.span_id, fate.name)?;
    put_fate(f, fate)?;
    fate.changes.iter().try_for_each(|change| writeln!(f, "  {change}"))
}

fn put_fate(f: &mut fmt::Formatter<'_>, fate: &Fate) -> fmt::Result {
    f.write_str(if fate.is_kept { "kept" } else { "dropped" })?;
    if let Some(verdict @ Verdict::Probability(_)) = fate.verdict {
        write!(f, ", {verdict}")?;
    }
    if let Some(reason) = &fate.reason {
        write!(f, ", {reason:?}")?;
    }
    writeln!(f)
}
