//! Who may send and ask how much: one account for each tenant, and what all share.
//!
//! [`crate::overrides`] tells the limits; here requests are held against them, in this order: the rate of bytes
//! before a body is read, a place and memory for it ([`admission`]), bytes again as they are decompressed, the
//! spans of the request and what is in them, the rate of spans, live traces and their bytes. Receivers and
//! the query API are the callers; the answers come from `receiver::reply` and `api::error`.
//!
//! | file | what |
//! |---|---|
//! | `account` | what is known of a tenant: its limits, buckets, use |
//! | `accounts` | all of them, bounded |
//! | `admission` | memory and places, fair among accounts |
//! | `bucket` | a rate and a burst |
//! | `live` | live traces and how large they are |
//! | `refusal` | what there is too much of, and for how long |
//! | `throttle` | what anybody can cause is logged so often |

pub mod account;
pub mod accounts;
pub mod admission;
pub mod bucket;
pub mod live;
pub mod refusal;
mod throttle;

pub use account::{Account, AccountId, Source};
pub use accounts::Accounts;
pub use admission::{Admission, Config, Full, Held, Stats};
pub use refusal::{Exceeded, Reason};
pub use throttle::Throttle;

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use model::{Clock, Nanos};

    use super::*;
    use crate::overrides::{Limits, Overrides};

    /// A clock that is moved by hand.
    #[derive(Debug, Default)]
    pub(crate) struct Hand(AtomicU64);

    impl Hand {
        pub(crate) fn pass(&self, time: Nanos) {
            self.0.fetch_add(time.0, Ordering::SeqCst);
        }
    }

    impl Clock for Hand {
        fn now(&self) -> Nanos {
            Nanos::from_secs(1_800_000_000).plus(self.monotonic())
        }
        fn monotonic(&self) -> Nanos {
            Nanos(self.0.load(Ordering::SeqCst))
        }
    }

    /// Accounts with the usual limits.
    pub(crate) fn accounts(clock: Arc<dyn Clock>) -> Arc<Accounts> {
        Accounts::new(Overrides::of(Limits::default()), clock)
    }
}
