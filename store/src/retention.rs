//! How long blocks are kept: the `retention` keys.

use std::collections::BTreeMap;

use model::{Faults, Nanos, TenantId, Wait};
use serde::{Deserialize, Serialize};

/// When blocks go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A block goes when its newest span and its upload are both older; `0s` keeps for ever.
    pub age: Wait,
    /// The same for some tenants, by name.
    pub tenants: BTreeMap<String, Wait>,
}

impl Default for Config {
    fn default() -> Self {
        Self { age: Wait::secs(14 * 86_400), tenants: BTreeMap::new() }
    }
}

impl Config {
    /// Notes every value that is out of its range.
    pub fn check(&self, faults: &mut Faults) {
        let range = || Wait::secs(0)..=Wait::secs(100 * 365 * 86_400);
        faults.check_range("retention.age", self.age, range());
        for (tenant, age) in &self.tenants {
            if let Err(fault) = TenantId::parse(tenant) {
                faults.push("retention.tenants", tenant, fault.to_string());
            }
            faults.check_range("retention.tenants", *age, range());
        }
    }

    /// How long a tenant's blocks are kept; for ever where there is no age.
    #[must_use]
    pub fn age_of(&self, tenant: &TenantId) -> Option<Nanos> {
        let age = self.tenants.get(tenant.as_str()).unwrap_or(&self.age).nanos();
        (age > Nanos(0)).then_some(age)
    }
}
