//! Requests that somebody wants to see, to test plugins with: the next few of a tenant, as they were received, masked. One order
//! at a time, for so many requests and so long; what was captured is kept for a while, and goes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use model::metric::Counter;
use model::{Nanos, TenantId};

use crate::mask::masked_request;

/// Most requests of an order, and their bytes in all.
pub const CAPTURES_MAX: usize = 64;
const BYTES_MAX: usize = 16 << 20;
/// Longer requests are not taken.
const BODY_BYTES_MAX: usize = 8 << 20;
/// The longest that an order stands.
pub const ORDER_TIME_MAX: Nanos = Nanos::from_secs(600);
/// What was captured goes so long after the order has ended.
const KEPT_TIME: Nanos = Nanos::from_secs(600);
/// Most keys of which values are kept.
pub const KEEP_MAX: usize = 100;

/// What somebody wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Whose requests; anybody's where it says none.
    pub tenant: Option<TenantId>,
    /// How many.
    pub requests: usize,
    /// Until then, as deadlines have it.
    pub until: Nanos,
    /// Keys of attributes whose values are not masked; `name` are the names of spans, events and scopes.
    pub keep: Vec<String>,
}

/// A request that was captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Whose it is.
    pub tenant: TenantId,
    /// When, since 1970.
    pub at: Nanos,
    /// OTLP, as protobuf, masked.
    pub body: Bytes,
}

/// An order, and what has come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// What was wanted.
    pub order: Order,
    /// Whether more may come.
    pub is_open: bool,
    /// What was captured.
    pub captures: Vec<Capture>,
}

/// The order, if there is one.
#[derive(Debug, Default)]
pub struct Orders {
    is_open: AtomicBool,
    current: Mutex<Option<Ordered>>,
    /// Requests that were captured.
    pub taken: Counter,
}

impl Orders {
    /// Begins an order; what was captured for one before goes.
    pub fn begin(&self, order: Order) {
        let is_open = order.requests > 0;
        let ordered = Ordered { order, is_open, captures: Vec::new() };
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(ordered);
        self.is_open.store(is_open, Ordering::Release);
    }

    /// Ends the order, and throws away what was captured.
    pub fn end(&self) {
        self.is_open.store(false, Ordering::Release);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// How the order stands.
    #[must_use]
    pub fn state(&self, now: Nanos) -> Option<Ordered> {
        self.sweep(now);
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Closes an order whose time is over, and forgets one that ended long ago.
    pub(crate) fn sweep(&self, now: Nanos) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ordered) = &mut *current else { return };
        if now >= ordered.order.until {
            ordered.is_open = false;
            self.is_open.store(false, Ordering::Release);
        }
        if now >= ordered.order.until.plus(KEPT_TIME) {
            *current = None;
        }
    }

    /// Takes a request, if somebody waits for it. `now` is as deadlines have it, `at` since 1970.
    pub fn offer(&self, tenant: &TenantId, body: &Bytes, (now, at): (Nanos, Nanos)) {
        // As a rule nobody does.
        if !self.is_open.load(Ordering::Relaxed) {
            return;
        }
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Ordered { order, is_open, captures }) = &mut *current else { return };
        if !*is_open || now >= order.until || order.tenant.as_ref().is_some_and(|of| of != tenant) {
            return;
        }
        let taken: usize = captures.iter().map(|capture| capture.body.len()).sum();
        let most = BODY_BYTES_MAX.min(BYTES_MAX.saturating_sub(taken));
        if body.is_empty() || body.len() > most {
            return;
        }
        let Some(body) = masked_request(body, &order.keep) else { return };
        captures.push(Capture { tenant: tenant.clone(), at, body: body.into() });
        self.taken.inc();
        if captures.len() >= order.requests.min(CAPTURES_MAX) {
            *is_open = false;
            self.is_open.store(false, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(requests: usize) -> Order {
        let tenant = Some(TenantId::parse("shop").unwrap());
        Order { tenant, requests, until: Nanos(100), keep: Vec::new() }
    }

    fn offer(orders: &Orders, tenant: &str, now: u64) {
        let tenant = TenantId::parse(tenant).unwrap();
        let body = Bytes::from_static(&[0x0a, 0]);
        orders.offer(&tenant, &body, (Nanos(now), Nanos(now)));
    }

    fn count(orders: &Orders, now: u64) -> Option<(bool, usize)> {
        orders.state(Nanos(now)).map(|ordered| (ordered.is_open, ordered.captures.len()))
    }

    #[test]
    fn so_many_requests_of_a_tenant_are_taken() {
        let orders = Orders::default();
        offer(&orders, "shop", 1);
        assert_eq!(count(&orders, 1), None);
        orders.begin(order(2));
        for tenant in ["other", "shop", "other", "shop", "shop"] {
            offer(&orders, tenant, 2);
        }
        assert_eq!(count(&orders, 3), Some((false, 2)));
        assert_eq!(orders.taken.get(), 2);
    }

    #[test]
    fn an_order_ends_with_its_time_and_is_forgotten_later() {
        let orders = Orders::default();
        orders.begin(order(2));
        offer(&orders, "shop", 99);
        offer(&orders, "shop", 100);
        assert_eq!(count(&orders, 99), Some((true, 1)));
        assert_eq!(count(&orders, 100), Some((false, 1)));
        assert_eq!(count(&orders, KEPT_TIME.0 + 100), None);
        orders.begin(order(1));
        orders.end();
        offer(&orders, "shop", 1);
        assert_eq!(count(&orders, 1), None);
    }

    #[test]
    fn what_is_too_long_is_left() {
        let orders = Orders::default();
        orders.begin(order(2));
        let body = Bytes::from(vec![0; BODY_BYTES_MAX + 1]);
        orders.offer(&TenantId::parse("shop").unwrap(), &body, (Nanos(1), Nanos(1)));
        assert_eq!(count(&orders, 1), Some((true, 0)));
    }
}
