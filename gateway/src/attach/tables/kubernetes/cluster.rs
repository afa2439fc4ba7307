//! What is known of a cluster, and the table that it makes: attributes by the uid, the addresses, the name and the
//! containers of each pod.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use model::Nanos;
use plugins::Entries;

use super::Config;
use super::api::Kind;
use super::object::{Container, Object, Owner};
use crate::attach::tables::sink::Fault;

/// Most objects of a kind: clusters are supported up to 150,000 pods.
pub(super) const OBJECTS_MAX: usize = 200_000;
/// Spans of a pod come later than its end.
const GONE_KEPT: Nanos = Nanos::from_secs(120);

type Attributes = BTreeMap<String, String>;

/// What is known.
#[derive(Debug)]
pub(super) struct Cluster {
    labels: Patterns,
    annotations: Patterns,
    namespace_labels: Patterns,
    node_labels: Patterns,
    pods: HashMap<String, Pod>,
    /// The Deployments of ReplicaSets, by the uid of those.
    deployments: HashMap<String, Owner>,
    /// Attributes of namespaces and nodes, by name.
    namespaces: HashMap<String, Attributes>,
    nodes: HashMap<String, Attributes>,
    /// What was not listed yet.
    missing: BTreeSet<&'static str>,
}

/// A pod, as far as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pod {
    attributes: Attributes,
    namespace: String,
    name: String,
    node: String,
    replica_set: String,
    created: String,
    /// That are its own.
    addresses: Vec<String>,
    /// Ids of containers, and what is told of each.
    containers: Vec<(String, Attributes)>,
    /// When it went.
    gone: Option<Nanos>,
}

/// Names, and beginnings of names.
#[derive(Clone, Debug)]
struct Patterns(Vec<String>);

impl Patterns {
    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|of| match of.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => of == name,
        })
    }

    fn of(&self, from: &BTreeMap<String, String>, prefix: &str) -> Attributes {
        let wanted = from.iter().filter(|(name, _)| self.has(name));
        wanted.map(|(name, value)| (format!("{prefix}.{name}"), value.clone())).collect()
    }
}

impl Cluster {
    pub(super) fn new(config: &Config, kinds: &[Kind]) -> Self {
        Self {
            labels: Patterns(config.labels.clone()),
            annotations: Patterns(config.annotations.clone()),
            namespace_labels: Patterns(config.namespace_labels.clone()),
            node_labels: Patterns(config.node_labels.clone()),
            pods: HashMap::new(),
            deployments: HashMap::new(),
            namespaces: HashMap::new(),
            nodes: HashMap::new(),
            missing: kinds.iter().map(|kind| kind.name()).collect(),
        }
    }

    /// All objects of a kind: there are no others. What is not among them any more is gone.
    pub(super) fn all(&mut self, kind: Kind, objects: &[Object], now: Nanos) {
        match kind {
            Kind::Pods => {
                let there: BTreeSet<&str> =
                    objects.iter().map(|of| of.metadata.uid.as_str()).collect();
                for (_, pod) in
                    self.pods.iter_mut().filter(|(uid, _)| !there.contains(uid.as_str()))
                {
                    pod.gone = pod.gone.or(Some(now));
                }
            }
            Kind::ReplicaSets => self.deployments.clear(),
            Kind::Namespaces => self.namespaces.clear(),
            Kind::Nodes => self.nodes.clear(),
        }
        objects.iter().for_each(|object| self.one(kind, object));
        self.missing.remove(kind.name());
    }

    /// A kind cannot be read: what is known otherwise is told without it.
    pub(super) fn without(&mut self, kind: Kind) {
        if kind != Kind::Pods {
            self.missing.remove(kind.name());
        }
    }

    /// An object as it is now.
    pub(super) fn one(&mut self, kind: Kind, object: &Object) {
        let meta = &object.metadata;
        match kind {
            Kind::Pods => {
                if self.pods.len() < OBJECTS_MAX || self.pods.contains_key(&meta.uid) {
                    let pod = Pod::of(object, &self.labels, &self.annotations);
                    self.pods.insert(meta.uid.clone(), pod);
                }
            }
            Kind::ReplicaSets => {
                let owner = controller(object).filter(|owner| owner.kind == "Deployment");
                if let Some(owner) = owner.filter(|_| self.deployments.len() < OBJECTS_MAX) {
                    self.deployments.insert(meta.uid.clone(), owner.clone());
                }
            }
            Kind::Namespaces => {
                if self.namespaces.len() < OBJECTS_MAX {
                    let labels = self.namespace_labels.of(&meta.labels, "k8s.namespace.labels");
                    self.namespaces.insert(meta.name.clone(), labels);
                }
            }
            Kind::Nodes => {
                if self.nodes.len() < OBJECTS_MAX {
                    let mut labels = self.node_labels.of(&meta.labels, "k8s.node.labels");
                    labels.insert("k8s.node.uid".to_owned(), meta.uid.clone());
                    self.nodes.insert(meta.name.clone(), labels);
                }
            }
        }
    }

    /// An object is gone. Pods stay for a while: their last spans are under way.
    pub(super) fn gone(&mut self, kind: Kind, object: &Object, now: Nanos) {
        let meta = &object.metadata;
        match kind {
            Kind::Pods => {
                if let Some(pod) = self.pods.get_mut(&meta.uid) {
                    pod.gone = Some(now);
                }
            }
            Kind::ReplicaSets => drop(self.deployments.remove(&meta.uid)),
            Kind::Namespaces => drop(self.namespaces.remove(&meta.name)),
            Kind::Nodes => drop(self.nodes.remove(&meta.name)),
        }
    }

    /// Forgets pods that went long ago.
    pub(super) fn sweep(&mut self, now: Nanos) {
        self.pods.retain(|_, pod| pod.gone.is_none_or(|gone| now.minus(gone) < GONE_KEPT));
    }

    /// The table; nothing before all was listed. Addresses are used again: they are of the newest pod that lives.
    pub(super) fn entries(&self) -> Option<Result<Entries, Fault>> {
        if !self.missing.is_empty() {
            return None;
        }
        let mut pods: Vec<(&String, &Pod)> = self.pods.iter().collect();
        pods.sort_by_key(|(uid, pod)| (pod.gone.is_none(), &pod.created, *uid));
        let mut entries = Entries::default();
        let put = pods.into_iter().try_for_each(|(uid, pod)| self.put(uid, pod, &mut entries));
        Some(put.map(|()| entries))
    }

    fn put(&self, uid: &str, pod: &Pod, entries: &mut Entries) -> Result<(), Fault> {
        let mut attributes = pod.attributes.clone();
        if let Some(deployment) = self.deployments.get(&pod.replica_set) {
            attributes.insert("k8s.deployment.name".to_owned(), deployment.name.clone());
            attributes.insert("k8s.deployment.uid".to_owned(), deployment.uid.clone());
        }
        let around =
            self.namespaces.get(&pod.namespace).into_iter().chain(self.nodes.get(&pod.node));
        for (key, value) in around.flatten() {
            attributes.insert(key.clone(), value.clone());
        }
        let value = written(&attributes);
        entries.insert(&format!("pod_uid/{uid}"), &value)?;
        entries.insert(&format!("pod_name/{}/{}", pod.namespace, pod.name), &value)?;
        for address in &pod.addresses {
            entries.insert(&format!("pod_ip/{address}"), &value)?;
        }
        for (id, own) in &pod.containers {
            let mut attributes = attributes.clone();
            attributes.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
            entries.insert(&format!("container_id/{id}"), &written(&attributes))?;
        }
        Ok(())
    }
}

fn written(attributes: &Attributes) -> Arc<str> {
    // A map of texts always can be written.
    Arc::from(serde_json::to_string(attributes).unwrap_or_default())
}

fn controller(object: &Object) -> Option<&Owner> {
    object.metadata.owner_references.iter().find(|owner| owner.controller)
}

impl Pod {
    fn of(object: &Object, labels: &Patterns, annotations: &Patterns) -> Self {
        let Object { metadata, spec, status } = object;
        let mut attributes = labels.of(&metadata.labels, "k8s.pod.labels");
        attributes.extend(annotations.of(&metadata.annotations, "k8s.pod.annotations"));
        let mut put = |key: &str, value: &str| {
            if !value.is_empty() {
                attributes.insert(key.to_owned(), value.to_owned());
            }
        };
        put("k8s.pod.name", &metadata.name);
        put("k8s.pod.uid", &metadata.uid);
        put("k8s.namespace.name", &metadata.namespace);
        put("k8s.node.name", &spec.node_name);
        put("k8s.pod.ip", &status.pod_ip);
        put("k8s.pod.start_time", &status.start_time);
        let hostname = if spec.hostname.is_empty() { &metadata.name } else { &spec.hostname };
        put("k8s.pod.hostname", hostname);
        let owner = controller(object);
        if let Some(owner) = owner {
            owned(owner, metadata.labels.get("pod-template-hash"), &mut put);
        }
        if let [container] = spec.containers.as_slice() {
            image(container, &mut put);
        }
        let replica_set = owner.filter(|owner| owner.kind == "ReplicaSet");
        Self {
            containers: containers(object),
            addresses: addresses(object),
            namespace: metadata.namespace.clone(),
            name: metadata.name.clone(),
            node: spec.node_name.clone(),
            replica_set: replica_set.map(|owner| owner.uid.clone()).unwrap_or_default(),
            created: metadata.creation_timestamp.clone(),
            gone: None,
            attributes,
        }
    }
}

/// What controls a pod, and what controls that as far as names tell it.
fn owned(owner: &Owner, hash: Option<&String>, put: &mut impl FnMut(&str, &str)) {
    let kind = match owner.kind.as_str() {
        "ReplicaSet" => "replicaset",
        "StatefulSet" => "statefulset",
        "DaemonSet" => "daemonset",
        "Job" => "job",
        _ => return,
    };
    put(&format!("k8s.{kind}.name"), &owner.name);
    put(&format!("k8s.{kind}.uid"), &owner.uid);
    let (name, end) = owner.name.rsplit_once('-').unwrap_or_default();
    match kind {
        // Deployments name their ReplicaSets so, and put the same hash on each pod.
        "replicaset" if hash.is_some_and(|hash| hash == end) => put("k8s.deployment.name", name),
        // CronJobs name their Jobs by the minute.
        "job" if end.len() >= 8 && end.bytes().all(|of| of.is_ascii_digit()) => {
            put("k8s.cronjob.name", name);
        }
        _ => {}
    }
}

fn image(container: &Container, put: &mut impl FnMut(&str, &str)) {
    put("k8s.container.name", &container.name);
    let image = container.image.split('@').next().unwrap_or_default();
    // A colon before a slash is a port.
    let (name, tag) = match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, ""),
    };
    put("container.image.name", name);
    put("container.image.tag", tag);
}

/// Addresses that are the pod's alone: not those of its node, and none when it has ended.
fn addresses(object: &Object) -> Vec<String> {
    let Object { spec, status, .. } = object;
    if spec.host_network || matches!(status.phase.as_str(), "Succeeded" | "Failed") {
        return Vec::new();
    }
    let all = status.pod_ips.iter().map(|of| &of.ip).chain([&status.pod_ip]);
    let all: BTreeSet<&String> = all.filter(|ip| !ip.is_empty()).collect();
    all.into_iter().cloned().collect()
}

fn containers(object: &Object) -> Vec<(String, Attributes)> {
    let Object { spec, status, .. } = object;
    let all = status.container_statuses.iter().chain(&status.init_container_statuses);
    let all = all.chain(&status.ephemeral_container_statuses);
    let of = |status: &super::object::ContainerStatus| {
        // `containerd://ID`, as spans have it without the runtime.
        let (_, id) = status.container_id.split_once("://")?;
        let mut attributes = Attributes::new();
        attributes.insert("k8s.container.name".to_owned(), status.name.clone());
        if let Some(container) = spec.containers.iter().find(|of| of.name == status.name) {
            image(container, &mut |key, value: &str| {
                if !value.is_empty() {
                    attributes.insert(key.to_owned(), value.to_owned());
                }
            });
        }
        attributes.insert("container.id".to_owned(), id.to_owned());
        Some((id.to_owned(), attributes))
    };
    all.filter_map(of).collect()
}

#[cfg(test)]
mod tests;
