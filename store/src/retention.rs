//! How long blocks are kept: the `retention` keys.

use model::{Faults, Nanos, Wait};
use serde::{Deserialize, Serialize};

/// When blocks go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A block goes when its newest span and its upload are both older; `0s` keeps for ever.
    pub age: Wait,
}

impl Default for Config {
    fn default() -> Self {
        Self { age: Wait::secs(14 * 86_400) }
    }
}

impl Config {
    /// Notes every value that is out of its range.
    pub fn check(&self, faults: &mut Faults) {
        faults.check_range(
            "retention.age",
            self.age,
            Wait::secs(0)..=Wait::secs(100 * 365 * 86_400),
        );
    }

    /// The age, where there is one.
    #[must_use]
    pub fn age(&self) -> Option<Nanos> {
        (self.age.nanos() > Nanos(0)).then(|| self.age.nanos())
    }
}
