//! A table of the pods of a cluster, as `k8s-enrich` looks them up: every object is listed once, and watched from then on
//! (the "efficient detection of changes" of the Kubernetes API concepts), as the service account of our pod or as a
//! configuration says.
//!
//! | file | what |
//! |---|---|
//! | `api` | requests to the API server: who we are, lists, watches |
//! | `object` | what is read of objects |
//! | `follow` | one kind of objects: list, watch, begin again |
//! | `cluster` | what is known of a cluster, and the table that it makes |

mod api;
mod cluster;
mod follow;
mod object;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::Faults;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use self::api::{Api, Kind};
use self::cluster::Cluster;
use super::sink::{Fault, Sink};
use crate::clock;
use crate::web::{self, Courier, Running};

/// What came is made a table of at most so often: a rollout changes hundreds of pods.
const GATHER_WAIT: Duration = Duration::from_millis(500);
/// How often pods that are gone are looked through.
const SWEEP_WAIT: Duration = Duration::from_secs(30);
/// Most labels, annotations and their patterns of one kind.
const PATTERNS_MAX: usize = 100;

/// Which cluster, and what is told of its pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Pods of this namespace alone. Empty: of all.
    pub namespace: String,
    /// Pods of this node alone. Empty: of all.
    pub node: String,
    /// The variable of the environment that has the name of the node.
    pub node_from_env_var: String,
    /// Labels of pods that become `k8s.pod.labels.NAME`; a `*` at the end is all that begin so. Default none.
    pub labels: Vec<String>,
    /// Annotations of pods that become `k8s.pod.annotations.NAME`. Default none.
    pub annotations: Vec<String>,
    /// Labels of namespaces that become `k8s.namespace.labels.NAME`. Default none, and namespaces are not read.
    pub namespace_labels: Vec<String>,
    /// Labels of nodes that become `k8s.node.labels.NAME`, with `k8s.node.uid`. Default none, and nodes are not read.
    pub node_labels: Vec<String>,
    /// Whether ReplicaSets are read, which have the uid of the Deployment that a pod is of. Its name is known without.
    pub replicasets: bool,
    /// The API server. Empty: that of the cluster that we run in.
    pub url: String,
    /// A PEM file with the root of its certificate. Empty: `ca.crt` of our service account.
    pub ca_file: String,
    /// A file with the token to show. Empty: `token` of our service account.
    pub token_file: String,
}

impl Config {
    pub(super) fn check(&self, key: &str, faults: &mut Faults) {
        let of = |name: &str| format!("{key}.{name}");
        if !self.url.is_empty()
            && let Err(fault) = web::url(&self.url)
        {
            faults.push(&of("url"), self.url.as_str(), fault);
        }
        for (name, text) in [("namespace", &self.namespace), ("node", &self.node)] {
            if !text.chars().all(|of| of.is_ascii_alphanumeric() || "-.".contains(of)) {
                faults.push(&of(name), text.as_str(), "a name as Kubernetes has them");
            }
        }
        let patterns = [
            ("labels", &self.labels),
            ("annotations", &self.annotations),
            ("namespace_labels", &self.namespace_labels),
            ("node_labels", &self.node_labels),
        ];
        for (name, list) in patterns {
            if list.len() > PATTERNS_MAX {
                faults.push(
                    &of(name),
                    format!("{} names", list.len()),
                    format!("{PATTERNS_MAX} at most"),
                );
            }
        }
    }

    /// What has to be read.
    fn kinds(&self) -> Vec<Kind> {
        let wanted = [
            (true, Kind::Pods),
            (self.replicasets, Kind::ReplicaSets),
            (!self.namespace_labels.is_empty(), Kind::Namespaces),
            (!self.node_labels.is_empty(), Kind::Nodes),
        ];
        wanted.into_iter().filter(|(is_wanted, _)| *is_wanted).map(|(_, kind)| kind).collect()
    }

    fn node(&self) -> Result<String, String> {
        if self.node_from_env_var.is_empty() {
            return Ok(self.node.clone());
        }
        let name = &self.node_from_env_var;
        let node = std::env::var(name).ok().filter(|node| !node.is_empty());
        node.ok_or_else(|| format!("node_from_env_var: {name} is not set"))
    }
}

/// What is known, and whether it has changed.
#[derive(Debug)]
struct Shared {
    cluster: Mutex<Cluster>,
    has_changed: Notify,
    /// Kinds that cannot be read now.
    failing: Mutex<Vec<Kind>>,
    sink: Sink,
}

impl Shared {
    /// Something has come.
    fn change(&self, with: impl FnOnce(&mut Cluster)) {
        with(&mut self.cluster.lock().unwrap_or_else(PoisonError::into_inner));
        self.has_changed.notify_one();
    }

    fn failed(&self, kind: Kind, fault: &Fault) {
        self.sink.failed(fault);
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        if !failing.contains(&kind) {
            failing.push(kind);
        }
        drop(failing);
        self.change(|cluster| cluster.without(kind));
    }

    /// A kind is as the server has it.
    fn answered(&self, kind: Kind) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.retain(|of| *of != kind);
        if failing.is_empty() {
            self.sink.same();
        }
    }
}

/// Keeps up with a cluster, until what is returned is dropped.
pub(super) fn start(config: &Config, courier: &Courier, sink: Sink) -> Result<Running, String> {
    let api = Arc::new(Api::new(config, config.node()?)?);
    let kinds = config.kinds();
    let cluster = Mutex::new(Cluster::new(config, &kinds));
    let (has_changed, failing) = (Notify::new(), Mutex::default());
    let shared = Arc::new(Shared { cluster, has_changed, failing, sink });
    let follow = move |kind: Kind, is_wanted: bool, shared: Arc<Shared>| {
        let api = Arc::clone(&api);
        async move {
            if is_wanted {
                follow::follow(&api, kind, &shared).await;
            }
        }
    };
    let all = async move {
        let follow = |kind: Kind| follow(kind, kinds.contains(&kind), Arc::clone(&shared));
        tokio::join!(
            follow(Kind::Pods),
            follow(Kind::ReplicaSets),
            follow(Kind::Namespaces),
            follow(Kind::Nodes),
            publish(&shared),
        );
    };
    courier.spawn("table of a cluster", all).map_err(|fault| fault.to_string())
}

/// Makes a table of what is known whenever that has changed, once all that is wanted was listed.
async fn publish(shared: &Shared) {
    loop {
        tokio::select! {
            () = shared.has_changed.notified() => clock::sleep(GATHER_WAIT).await,
            () = clock::sleep(SWEEP_WAIT) => {}
        }
        let entries = {
            let mut cluster = shared.cluster.lock().unwrap_or_else(PoisonError::into_inner);
            cluster.sweep(shared.sink.now());
            cluster.entries()
        };
        // Read by the one thread of the courier, which has nothing else to do that could not wait for some milliseconds.
        if let Some(entries) = entries {
            shared.sink.put_part(entries);
        }
    }
}
