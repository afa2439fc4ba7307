//! How the query API behaves.

use model::{ByteSize, Faults, Nanos, TimeRange, Wait};
use serde::{Deserialize, Serialize};
use store::execute::traceql::Budget;

use super::error::Fault;
use crate::receiver::cors;

/// How the API behaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A path in front of every path of the API, such as `/tempo`, for proxies that do not take it
    /// off. Paths without it go on to be served. Default none.
    pub base_path: String,
    /// How long a query may take, waiting for a thread included; then it answers with what was
    /// found until then, and says so. Default 30s.
    pub query_wait: Wait,
    /// The most bytes of columns that one query looks at, as they are in memory; then it answers
    /// as above. Default 0, which is without end.
    pub query_bytes_max: ByteSize,
    /// The longest range of a search that has one. Default `0s`, which is without end: a search
    /// ends when it has found enough.
    pub search_range_max: Wait,
    /// The longest range of a metrics query, which reads all of it. Default 1day; `0s` is without
    /// end.
    pub metrics_range_max: Wait,
    /// Which web pages may ask. Default none.
    pub cors: cors::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            base_path: String::new(),
            query_wait: Wait::secs(30),
            query_bytes_max: ByteSize(0),
            search_range_max: Wait::secs(0),
            metrics_range_max: Wait::secs(86_400),
            cors: cors::Config::default(),
        }
    }
}

/// The longest range that can be set.
const RANGE_MAX: Wait = Wait::secs(100 * 365 * 86_400);

impl Config {
    /// Notes every value that is not accepted; `key` is the dotted key of this section.
    pub fn check(&self, key: &str, faults: &mut Faults) {
        let path = &self.base_path;
        let odd = |byte: u8| !byte.is_ascii_graphic() || b"?#%".contains(&byte);
        let slashes = !path.starts_with('/') || path.ends_with('/') || path.contains("//");
        if !path.is_empty() && (slashes || path.bytes().any(odd)) {
            let accepted = "a path such as /tempo, without a slash at its end";
            faults.push(&format!("{key}.base_path"), path, accepted);
        }
        self.cors.check(&format!("{key}.cors"), faults);
        let key = |name: &str| format!("{key}.{name}");
        let wait = Wait::millis(1)..=Wait::secs(3_600);
        faults.check_range(&key("query_wait"), self.query_wait, wait);
        let bytes = ByteSize(0)..=ByteSize(1 << 50);
        faults.check_range(&key("query_bytes_max"), self.query_bytes_max, bytes);
        let range = Wait::secs(0)..=RANGE_MAX;
        faults.check_range(&key("search_range_max"), self.search_range_max, range.clone());
        faults.check_range(&key("metrics_range_max"), self.metrics_range_max, range);
    }

    /// What a query may cost that comes in now, by the monotonic clock. A client may want it
    /// sooner.
    pub(super) fn budget(&self, now: Nanos, wanted: Option<Nanos>) -> Budget {
        let longest = self.query_wait.nanos();
        let wait = wanted.map_or(longest, |wait| wait.min(longest));
        Budget {
            deadline: Some(now.plus(wait)),
            bytes_max: (self.query_bytes_max.0 > 0).then_some(self.query_bytes_max.0),
            ..Budget::default()
        }
    }

    /// Refuses a range that is longer than `max`, the value of `key`.
    #[expect(clippy::unused_self, reason = "a method of the settings")]
    pub(super) fn check_range(&self, key: &str, max: Wait, during: TimeRange) -> Result<(), Fault> {
        let long = during.end.minus(during.start);
        // No range at all is not a long one; the last second of a search is in it as a whole.
        if during == TimeRange::ALL || max.0.is_zero() || long <= max.nanos().plus(Nanos::SECOND) {
            return Ok(());
        }
        let secs = long.0 / Nanos::SECOND.0;
        Err(Fault::invalid(format!("the range is {secs}s long, {key} is {max}")))
    }
}
