//! Requests that came lately, as they are stored: a plugin that is to take over is tried on them, and operators take
//! them away to test plugins with. What a chain has redacted is not in them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use model::{Nanos, TenantId};

/// Requests that are kept, and how large one may be.
const SAMPLES_MAX: usize = 16;
const BODY_BYTES_MAX: usize = 512 << 10;
/// One in so long is taken.
const EVERY: Nanos = Nanos::from_secs(2);

/// A request.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Whose it is.
    pub tenant: TenantId,
    /// OTLP, as protobuf.
    pub body: Bytes,
}

/// The last few.
#[derive(Debug, Default)]
pub struct Samples {
    next: AtomicU64,
    kept: Mutex<VecDeque<Sample>>,
}

impl Samples {
    pub(crate) fn offer(&self, tenant: &TenantId, body: &Bytes, now: Nanos) {
        let next = self.next.load(Ordering::Relaxed);
        if now.0 < next || body.is_empty() || body.len() > BODY_BYTES_MAX {
            return;
        }
        let after = now.plus(EVERY).0;
        if self.next.compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // A copy: the body may be a part of something larger.
        kept.push_back(Sample { tenant: tenant.clone(), body: Bytes::copy_from_slice(body) });
        if kept.len() > SAMPLES_MAX {
            kept.pop_front();
        }
    }

    /// All that are kept, the oldest first.
    #[must_use]
    pub fn latest(&self) -> Vec<Sample> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_two_seconds_is_kept_and_no_more_than_a_few() {
        let (samples, shop) = (Samples::default(), TenantId::parse("shop").unwrap());
        let body = Bytes::from_static(b"body");
        for second in 0..10 {
            samples.offer(&shop, &body, Nanos::from_secs(second));
        }
        assert_eq!(samples.latest().len(), 5);
        for second in 10..100 {
            samples.offer(&shop, &body, Nanos::from_secs(second));
        }
        assert_eq!(samples.latest().len(), SAMPLES_MAX);
        samples.offer(&shop, &Bytes::from(vec![0; BODY_BYTES_MAX + 1]), Nanos::from_secs(200));
        assert!(samples.latest().iter().all(|sample| sample.body == body));
    }
}
