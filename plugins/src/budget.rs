//! How much of a sampler's budgets is used: rows that were kept in the last stretch of time, by tenant, budget and
//! key. The plugin is shown it, so it needs neither a clock nor a memory.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use model::{Nanos, TenantId};

/// Keys that are counted apart, of one plugin; what is more counts for one that they share.
const KEYS_MAX: usize = 10_000;

/// Two windows side by side: the part of the one before that still counts is taken to be evenly spread.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    number: u64,
    rows: u64,
    rows_before: u64,
}

impl Window {
    fn advance(&mut self, number: u64) {
        match number.saturating_sub(self.number) {
            0 => return,
            1 => self.rows_before = self.rows,
            _ => self.rows_before = 0,
        }
        self.rows = 0;
        self.number = number;
    }

    fn used(&mut self, now: Nanos, window: Nanos) -> u64 {
        self.advance(now.0 / window.0.max(1));
        let left = window.0 - now.0 % window.0.max(1);
        let before = u128::from(self.rows_before) * u128::from(left) / u128::from(window.0.max(1));
        self.rows.saturating_add(u64::try_from(before).unwrap_or(u64::MAX))
    }
}

type Key = (TenantId, u32, String);

/// What is used of the budgets of one configured plugin.
#[derive(Debug, Default)]
pub(crate) struct Budgets {
    windows: Mutex<HashMap<Key, Window>>,
}

impl Budgets {
    /// Rows that were kept in the window that ends now.
    pub(crate) fn used(
        &self,
        (tenant, budget, key): (&TenantId, u32, &str),
        window: Nanos,
        now: Nanos,
    ) -> u64 {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let of = (tenant.clone(), budget, key.to_owned());
        let shared = (tenant.clone(), budget, String::new());
        let known = windows.get_mut(&of).map(|known| known.used(now, window));
        let is_full = windows.len() >= KEYS_MAX;
        known.unwrap_or_else(|| match windows.get_mut(&shared) {
            Some(known) if is_full => known.used(now, window),
            _ => 0,
        })
    }

    /// Rows were kept.
    pub(crate) fn keep(
        &self,
        (tenant, budget, key): (&TenantId, u32, &str),
        window: Nanos,
        (now, rows): (Nanos, u64),
    ) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let number = now.0 / window.0.max(1);
        if windows.len() >= KEYS_MAX {
            // Those of which nothing counts any more.
            windows.retain(|_, known| number.saturating_sub(known.number) < 2);
        }
        let mut of = (tenant.clone(), budget, key.to_owned());
        if windows.len() >= KEYS_MAX && !windows.contains_key(&of) {
            of.2.clear();
        }
        let known = windows.entry(of).or_default();
        known.advance(number);
        known.rows = known.rows.saturating_add(rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = Nanos::from_secs(1);

    #[test]
    fn what_was_kept_counts_less_and_less() {
        let (budgets, shop) = (Budgets::default(), TenantId::parse("shop").unwrap());
        let of = (&shop, 0, "cart");
        let at = |millis: u64| Nanos(1_000_000_000_000 + millis * 1_000_000);
        assert_eq!(budgets.used(of, SECOND, at(0)), 0);
        budgets.keep(of, SECOND, (at(0), 100));
        assert_eq!(budgets.used(of, SECOND, at(999)), 100);
        assert_eq!(budgets.used(of, SECOND, at(1_250)), 75);
        budgets.keep(of, SECOND, (at(1_500), 10));
        assert_eq!(budgets.used(of, SECOND, at(1_500)), 60);
        assert_eq!(budgets.used(of, SECOND, at(2_500)), 5);
        assert_eq!(budgets.used(of, SECOND, at(9_000)), 0);
        assert_eq!(budgets.used((&shop, 1, "cart"), SECOND, at(0)), 0);
    }

    #[test]
    fn more_keys_than_are_counted_share_one() {
        let (budgets, shop) = (Budgets::default(), TenantId::parse("shop").unwrap());
        let now = Nanos::from_secs(1_000);
        for key in 0..2 * KEYS_MAX {
            budgets.keep((&shop, 0, &key.to_string()), SECOND, (now, 1));
        }
        assert!(budgets.windows.lock().unwrap().len() <= KEYS_MAX + 1);
        assert!(budgets.used((&shop, 0, "new"), SECOND, now) > 1_000);
    }
}
