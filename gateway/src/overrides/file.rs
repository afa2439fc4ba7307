//! The file of overrides: layers of limits, merged field by field.

use std::collections::BTreeMap;

use model::{Faults, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::attached::Attached;
use super::{Limits, Row, Whose};
use crate::settings::source::{Entry, Origin, Sources};
use crate::settings::tree::Tree;

/// Every cluster of which nothing else is said, where it stands for one.
const ANY: &str = "*";

/// Fields of which a cluster has its own or none: a bucket of the cluster is beside that of its tenant.
const OWN: [&str; 4] = ["rate_bytes", "burst_bytes", "rate_spans", "burst_spans"];

/// Some limits, as they are written.
type Layer = Map<String, Value>;

/// What a file of overrides says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    #[serde(skip_serializing_if = "Map::is_empty")]
    defaults: Layer,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    classes: BTreeMap<String, Layer>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tenants: BTreeMap<String, Tenant>,
}

/// What it says of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Tenant {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    clusters: BTreeMap<String, Layer>,
    #[serde(flatten)]
    own: Layer,
}

fn tree_of(limits: &Limits) -> Tree {
    // A plain struct of text and numbers, which always can be written.
    Tree::new(serde_json::to_value(limits).unwrap_or_default(), &[])
}

fn read(tree: &Value) -> Result<Limits, String> {
    Limits::deserialize(tree).map_err(|fault| fault.to_string())
}

/// Puts a layer over a tree. What is wrong is told under `key`.
fn put(tree: &mut Tree, layer: &Layer, origin: &str, key: &str, faults: &mut Faults) {
    let entry = Entry {
        key: String::new(),
        readings: vec![Value::Object(layer.clone())],
        secret: false,
        origin: Origin::Overrides(origin.to_owned()),
    };
    let mut found = Faults::default();
    let fits = |tree: &Value| read(tree).map(drop);
    tree.apply(vec![entry], &Sources::default(), &fits, &mut found);
    for fault in found.list() {
        faults.push(&format!("{key}.{}", fault.key), &fault.found, fault.accepted.clone());
    }
}

impl File {
    /// Reads a file and holds each of its layers against what may be.
    ///
    /// # Errors
    /// Everything that is wrong, each with its key in the file.
    pub fn parse(bytes: &[u8], path: &str, defaults: &Limits) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let text = std::str::from_utf8(bytes).map_err(|fault| fault.to_string());
        let blank = |text: &str| {
            text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
        };
        let file = text.and_then(|text| match blank(text) {
            true => Ok(Self::default()),
            false => serde_saphyr::from_str::<Self>(text).map_err(|fault| fault.to_string()),
        });
        match file {
            Ok(file) => {
                file.check(defaults, &mut faults);
                if faults.is_empty() { Ok(file) } else { Err(faults) }
            }
            Err(fault) => {
                let fault = fault.lines().next().unwrap_or_default();
                faults.push(path, fault, "YAML with defaults, classes and tenants");
                Err(faults)
            }
        }
    }

    /// How many tenants it names.
    #[must_use]
    pub fn tenants(&self) -> usize {
        self.tenants.len()
    }

    /// Every plugin that some chain names.
    pub(super) fn attached(&self) -> Vec<String> {
        let tenants = self.tenants.values();
        let tenants = tenants.flat_map(|tenant| tenant.clusters.values().chain([&tenant.own]));
        let layers = self.classes.values().chain([&self.defaults]).chain(tenants);
        let layers = layers.filter_map(|layer| layer.get("ingestion"));
        // All of it was tried when it was read.
        let chain = |layer: &Value| {
            let chain = serde_json::from_value::<Vec<Attached>>(layer.get("plugins")?.clone());
            chain.ok()
        };
        let names = |layer: &Value| {
            let router =
                layer.get("router").and_then(Value::as_str).filter(|name| !name.is_empty());
            let chain = chain(layer).unwrap_or_default().into_iter().map(|of| of.plugin);
            chain.chain(router.map(str::to_owned)).collect::<Vec<_>>()
        };
        layers.flat_map(names).collect()
    }

    fn check(&self, defaults: &Limits, faults: &mut Faults) {
        let mut base = tree_of(defaults);
        let mut try_on = |tree: &mut Tree, layer: &Layer, key: &str| {
            put(tree, layer, key, key, faults);
            if let Ok(limits) = read(&tree.value) {
                limits.check(key, faults);
            }
        };
        try_on(&mut base, &self.defaults, "defaults");
        for (name, layer) in &self.classes {
            try_on(&mut base.clone(), layer, &format!("classes.{name}"));
        }
        for (name, tenant) in &self.tenants {
            let mut tree = base.clone();
            try_on(&mut tree, &tenant.own, &format!("tenants.{name}"));
            for (cluster, layer) in &tenant.clusters {
                try_on(&mut tree.clone(), layer, &format!("tenants.{name}.clusters.{cluster}"));
            }
        }
        for name in self.tenants.keys() {
            if let Err(fault) = TenantId::parse(name) {
                faults.push(&format!("tenants.{name}"), fault, "a tenant id");
            }
        }
    }

    fn tree(&self, defaults: &Limits, whose: Whose<'_>) -> Tree {
        // All of it was tried when it was read.
        let mut faults = Faults::default();
        let mut tree = tree_of(defaults);
        let mut over = |tree: &mut Tree, layer: Option<&Layer>, origin: String| {
            if let Some(layer) = layer {
                put(tree, layer, &origin, "", &mut faults);
            }
        };
        over(&mut tree, Some(&self.defaults), "defaults of the overrides".to_owned());
        if let Some(class) = whose.class {
            over(&mut tree, self.classes.get(class), format!("class {class}"));
        }
        let tenant = self.tenants.get(whose.tenant.as_str());
        let name = whose.tenant;
        over(&mut tree, tenant.map(|tenant| &tenant.own), format!("tenant {name}"));
        let Some(cluster) = whose.cluster else { return tree };
        let limits = read(&tree.value).unwrap_or_else(|_| defaults.clone());
        tree.value = tree_of(&limits.without_rates()).value;
        tree.origins.retain(|key, _| {
            !key.strip_prefix("ingestion.").is_some_and(|field| OWN.contains(&field))
        });
        let clusters = tenant.map(|tenant| &tenant.clusters);
        let layer = |name| clusters.and_then(|clusters| clusters.get(name));
        over(&mut tree, layer(ANY), format!("every cluster of tenant {name}"));
        over(&mut tree, layer(cluster), format!("cluster {cluster} of tenant {name}"));
        tree
    }

    /// The limits that hold.
    #[must_use]
    pub fn limits(&self, defaults: &Limits, whose: Whose<'_>) -> Limits {
        read(&self.tree(defaults, whose).value).unwrap_or_else(|_| defaults.clone())
    }

    /// The limits that hold, each with where it comes from.
    #[must_use]
    pub fn rows(&self, defaults: &Limits, whose: Whose<'_>) -> Vec<Row> {
        self.tree(defaults, whose).rows()
    }

    /// The file without what is not said.
    ///
    /// # Errors
    /// When it cannot be written, which says why.
    pub fn yaml(&self) -> Result<String, String> {
        serde_saphyr::to_string(self).map_err(|fault| fault.to_string())
    }
}
