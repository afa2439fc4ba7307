//! What whoever shows something may do: texts with places that the claims of a token, or the parts of a
//! certificate's name, fill.

use std::collections::BTreeSet;

use model::{Faults, Nanos, TenantId};
use serde::{Deserialize, Serialize};

use super::principal::{Principal, Proof, Scope, Tenants};
use super::template::Template;

/// Every tenant, where it stands alone in a text of the configuration.
const ANY: &str = "*";

/// What whoever shows something may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grants {
    /// Tenants that may be read and written; `*` is every tenant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tenants: Vec<Template>,
    /// Tenants that may be read, beside those.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<Template>,
    /// Tenants that may be written, beside those.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub write: Vec<Template>,
    /// What may be done: `traces:write`, `traces:read`, `metrics:read`, `admin`. A claim may have several,
    /// with spaces between them; what is none of these is passed over.
    pub scopes: Vec<Template>,
    /// The cluster that it stands for. Where this is set and comes to nothing, nothing may be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Template>,
    /// The class of limits that holds for it (`classes` of the overrides).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<Template>,
}

impl Grants {
    /// Notes what is wrong; `is_place` tells what may stand between braces.
    pub(super) fn check(
        &self,
        key: &str,
        is_place: impl Fn(&str) -> bool,
        places: &str,
        faults: &mut Faults,
    ) {
        let lists = [
            ("tenants", &self.tenants),
            ("read", &self.read),
            ("write", &self.write),
            ("scopes", &self.scopes),
        ];
        let all = lists.iter().flat_map(|(name, list)| list.iter().map(move |one| (*name, one)));
        let single = [("cluster", &self.cluster), ("class", &self.class)];
        let single = single.into_iter().filter_map(|(name, one)| Some((name, one.as_ref()?)));
        for (name, template) in all.chain(single) {
            let key = format!("{key}.{name}");
            if let Some(place) = template.places().find(|place| !is_place(place)) {
                faults.push(&key, format!("{{{place}}}"), places);
            }
            let Some(text) = template.literal() else { continue };
            if name == "scopes" && text.split_whitespace().any(|one| Scope::parse(one).is_none()) {
                let known = Scope::ALL.map(|(_, text)| text).join(", ");
                faults.push(&key, text, known);
            }
            if matches!(name, "tenants" | "read" | "write")
                && text != ANY
                && let Err(fault) = TenantId::parse(text)
            {
                faults.push(&key, text, fault.to_string());
            }
        }
        if self.scopes.is_empty() {
            faults.push(&format!("{key}.scopes"), "nothing", "what it may do");
        }
    }

    /// Who it is, by what fills the places.
    pub(super) fn principal(
        &self,
        (proof, subject): (Proof, String),
        values: &dyn Fn(&str) -> Vec<String>,
        expires_at: Nanos,
    ) -> Principal {
        let tenants = |own: &[Template]| -> Tenants {
            let both = self.tenants.iter().chain(own);
            // A claim that says `*` names a tenant, if anything: only the configuration gives all.
            if both.clone().any(|template| template.literal() == Some(ANY)) {
                return Tenants::Any;
            }
            let named = both.flat_map(|template| template.fill(values));
            Tenants::Only(named.filter_map(|name| TenantId::parse(&name).ok()).collect())
        };
        let scopes = self.scopes.iter().flat_map(|template| template.fill(values));
        let scopes: BTreeSet<Scope> = scopes
            .flat_map(|list| list.split_whitespace().filter_map(Scope::parse).collect::<Vec<_>>())
            .collect();
        let first = |template: &Option<Template>| {
            let told = template.iter().flat_map(|template| template.fill(values));
            told.into_iter().find(|name| !name.is_empty())
        };
        let (cluster, class) = (first(&self.cluster), first(&self.class));
        // Who is to stand for a cluster and does not say which could claim any.
        let write = match self.cluster.is_some() && cluster.is_none() {
            true => Tenants::Only(BTreeSet::new()),
            false => tenants(&self.write),
        };
        Principal {
            subject,
            proof,
            write,
            read: tenants(&self.read),
            scopes,
            cluster: cluster.map(Into::into),
            class: class.map(Into::into),
            expires_at,
        }
    }
}
