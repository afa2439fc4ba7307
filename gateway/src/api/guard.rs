//! What a query may cost: the limits of the tenants whose traces it reads, the strictest of each.

use std::sync::Arc;

use bytes::Bytes;
use model::{Nanos, TimeRange, Wait};
use store::execute::traceql::{Budget, Inspected};

use super::error::Fault;
use crate::compute::Lane;
use crate::limits::{Account, Held, Reason};
use crate::overrides::values::Query;

/// What one query may cost.
#[derive(Clone, Debug, Default)]
pub(super) struct Guard {
    accounts: Vec<Arc<Account>>,
    limits: Query,
    budget: Budget,
}

impl Guard {
    /// For traces of these tenants, from now on by the monotonic clock. A client may want its answer sooner.
    pub(super) fn of(accounts: Vec<Arc<Account>>, now: Nanos, wanted: Option<Nanos>) -> Self {
        let limits = accounts.iter().map(|account| account.holding().limits.query);
        let limits = limits.reduce(strictest).unwrap_or_default();
        let budget = limits.budget(now, wanted);
        Self { accounts, limits, budget }
    }

    /// Of nobody, with these limits.
    #[cfg(test)]
    pub(super) fn limited(limits: Query) -> Self {
        Self { limits, ..Self::default() }
    }

    /// The limits.
    pub(super) const fn limits(&self) -> &Query {
        &self.limits
    }

    /// What it may cost in time and bytes.
    pub(super) const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Where it waits for its turn.
    pub(super) fn lane(&self) -> Lane {
        let Some(account) = self.accounts.first() else { return Lane::HOUSE };
        let most = |number: u32| match number {
            0 => usize::MAX,
            number => number as usize,
        };
        Lane {
            account: account.id,
            running_max: most(self.limits.concurrent_max),
            queued_max: most(self.limits.queued_max),
        }
    }

    /// Counts what a query has looked at.
    pub(super) fn looked_at(&self, inspected: Inspected) {
        for account in &self.accounts {
            account.scanned_bytes.add(inspected.bytes);
        }
    }

    /// Counts a query, by how it ended.
    pub(super) fn count(&self, refused: Option<Reason>) {
        for account in &self.accounts {
            match refused {
                None => account.queries.inc(),
                Some(reason) => account.refuse(reason),
            }
        }
    }
}

/// The least of each; 0 is without end.
fn strictest(one: Query, other: Query) -> Query {
    fn least<T: Ord + Default>(one: T, other: T) -> T {
        let none = T::default();
        if one == none || (other != none && other < one) { other } else { one }
    }
    Query {
        wait: one.wait.min(other.wait),
        bytes_max: least(one.bytes_max, other.bytes_max),
        search_range_max: least(one.search_range_max, other.search_range_max),
        metrics_range_max: least(one.metrics_range_max, other.metrics_range_max),
        series_max: one.series_max.min(other.series_max),
        concurrent_max: least(one.concurrent_max, other.concurrent_max),
        queued_max: one.queued_max.min(other.queued_max),
    }
}

/// Refuses a range that is longer than `max`, the limit of this name.
pub(super) fn check_range(name: &str, max: Wait, during: TimeRange) -> Result<(), Fault> {
    let long = during.end.minus(during.start);
    // No range at all is not a long one; the last second of a search is in it as a whole.
    if during == TimeRange::ALL || max.0.is_zero() || long <= max.nanos().plus(Nanos::SECOND) {
        return Ok(());
    }
    let secs = long.0 / Nanos::SECOND.0;
    Err(Fault::invalid(format!("the range is {secs}s long, {name} of the tenant is {max}")))
}

/// Bytes of an answer that hold memory until the last of them are sent.
#[derive(Debug)]
struct Paid {
    bytes: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Paid {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The answer, which has what it holds with it until it is sent.
pub(super) fn paid(bytes: Bytes, held: Held) -> Bytes {
    if bytes.is_empty() { bytes } else { Bytes::from_owner(Paid { bytes, _held: held }) }
}

#[cfg(test)]
mod tests {
    use model::ByteSize;

    use super::*;

    #[test]
    fn of_several_tenants_the_strictest_limit_holds() {
        let one = Query {
            wait: Wait::secs(5),
            bytes_max: ByteSize(0),
            concurrent_max: 3,
            ..Query::default()
        };
        let other =
            Query { bytes_max: ByteSize(7), series_max: 10, concurrent_max: 0, ..Query::default() };
        let both = Query {
            wait: Wait::secs(5),
            bytes_max: ByteSize(7),
            series_max: 10,
            concurrent_max: 3,
            ..Query::default()
        };
        assert_eq!(strictest(one, other), both);
        assert_eq!(strictest(other, one), both);
    }
}
