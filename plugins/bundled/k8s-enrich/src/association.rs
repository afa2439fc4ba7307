//! How the pod of a resource is found: which of its attributes make a key of the table.

use serde::Deserialize;
use traceweir_plugin::{
    Batch, ConfigError, Field, Intrinsic, Owner, PluginError, Projection, Read,
};

/// Where a part of the key comes from.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    ResourceAttribute,
    Connection,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    from: Kind,
    #[serde(default)]
    name: String,
}

/// One way to find a pod.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssociationConfig {
    sources: Vec<Source>,
}

/// What attributes are a key, and how it begins.
const WAYS: &[(&[&str], &str)] = &[
    (&["k8s.pod.uid"], "pod_uid"),
    (&["k8s.pod.ip"], "pod_ip"),
    (&["ip"], "pod_ip"),
    (&["host.ip"], "pod_ip"),
    (&["container.id"], "container_id"),
    (&["k8s.namespace.name", "k8s.pod.name"], "pod_name"),
];

/// The ways that are tried if none is configured; then the address of whoever has sent.
const USUAL: &[usize] = &[0, 1, 4, 5];

/// One way to find a pod.
#[derive(Debug)]
pub(crate) enum Association {
    /// By attributes, whose texts make a key behind its beginning.
    Attributes(&'static str, Vec<Read>),
    /// By the address of whoever has sent.
    Connection,
}

impl AssociationConfig {
    pub(crate) fn association(
        self,
        path: &str,
        projection: &mut Projection,
    ) -> Result<Association, ConfigError> {
        if let [Source { from: Kind::Connection, .. }] = &*self.sources {
            return Ok(Association::connection(projection));
        }
        let mut names: Vec<&str> = self.sources.iter().map(|source| &*source.name).collect();
        names.sort_unstable();
        let is_plain = self.sources.iter().all(|source| source.from == Kind::ResourceAttribute);
        let way = WAYS.iter().position(|(there, _)| is_plain && *there == names);
        let way = way.map(|way| Association::way(way, projection));
        way.ok_or_else(|| {
            let ways: Vec<String> = WAYS.iter().map(|(names, _)| names.join(" with ")).collect();
            ConfigError::new(path, format!("must be connection, {}", ways.join(", ")))
        })
    }
}

impl Association {
    pub(crate) fn usual(projection: &mut Projection) -> Vec<Self> {
        let mut ways: Vec<Self> = USUAL.iter().map(|way| Self::way(*way, projection)).collect();
        ways.push(Self::connection(projection));
        ways
    }

    fn way(way: usize, projection: &mut Projection) -> Self {
        let (names, start) = WAYS.get(way).copied().unwrap_or_default();
        let read = |name: &&str| projection.read(Field::attribute(Owner::Resource, *name));
        Self::Attributes(start, names.iter().map(read).collect())
    }

    fn connection(projection: &mut Projection) -> Self {
        projection.read(Intrinsic::PeerAddress);
        Self::Connection
    }

    /// Adds to the keys that each resource is looked up by.
    pub(crate) fn keys(
        &self,
        batch: &Batch<'_>,
        wanted: &mut [Vec<String>],
    ) -> Result<(), PluginError> {
        match self {
            Self::Connection => {
                let addresses = batch.peer_addresses()?;
                for (resource, keys) in wanted.iter_mut().enumerate() {
                    let address = addresses.get(resource).filter(|address| !address.is_empty());
                    keys.extend(address.map(|address| format!("pod_ip/{address}")));
                }
            }
            Self::Attributes(start, reads) => {
                let columns: Vec<_> =
                    reads.iter().map(|read| batch.column(*read)).collect::<Result<_, _>>()?;
                for (resource, keys) in wanted.iter_mut().enumerate() {
                    let parts: Option<Vec<&str>> = columns
                        .iter()
                        .map(|column| column.text(resource).filter(|text| !text.is_empty()))
                        .collect();
                    keys.extend(parts.map(|parts| format!("{start}/{}", parts.join("/"))));
                }
            }
        }
        Ok(())
    }
}
