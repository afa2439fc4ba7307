//! What a table says of pods.

use serde_json::{Value, json};

use super::*;

fn config() -> Config {
    Config { labels: vec!["app.kubernetes.io/*".to_owned()], ..Config::default() }
}

fn object(json: Value) -> Object {
    serde_json::from_value(json).unwrap()
}

fn pod(name: &str, change: impl FnOnce(&mut Value)) -> Object {
    let mut pod = json!({
        "metadata": {
            "name": name, "namespace": "web", "uid": format!("uid-{name}"),
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"app.kubernetes.io/name": "shop", "pod-template-hash": "7d4b9", "other": "x"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "shop-7d4b9", "uid": "rs-1", "controller": true}],
        },
        "spec": {"nodeName": "n1", "containers": [{"name": "main", "image": "registry.example:5000/a/shop:1.2@sha256:00"}]},
        "status": {
            "phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
            "startTime": "2026-01-01T00:00:01Z",
            "containerStatuses": [{"name": "main", "containerID": "containerd://c1"}],
        },
    });
    change(&mut pod);
    object(pod)
}

fn found(cluster: &Cluster, key: &str) -> Option<Value> {
    let entries = cluster.entries().unwrap().unwrap();
    entries.get(key).map(|value| serde_json::from_str(value).unwrap())
}

fn listed(pods: &[Object]) -> Cluster {
    let mut cluster = Cluster::new(&config(), &[Kind::Pods]);
    assert!(cluster.entries().is_none(), "nothing was listed yet");
    cluster.all(Kind::Pods, pods, Nanos(0));
    cluster
}

#[test]
fn a_pod_is_told_by_all_its_keys() {
    let cluster = listed(&[pod("shop-1", |_| {})]);
    let told = found(&cluster, "pod_uid/uid-shop-1").unwrap();
    assert_eq!(
        told,
        json!({
            "k8s.pod.name": "shop-1", "k8s.pod.uid": "uid-shop-1", "k8s.namespace.name": "web",
            "k8s.node.name": "n1", "k8s.pod.ip": "10.0.0.1", "k8s.pod.hostname": "shop-1",
            "k8s.pod.start_time": "2026-01-01T00:00:01Z",
            "k8s.replicaset.name": "shop-7d4b9", "k8s.replicaset.uid": "rs-1", "k8s.deployment.name": "shop",
            "k8s.container.name": "main", "container.image.name": "registry.example:5000/a/shop",
            "container.image.tag": "1.2", "k8s.pod.labels.app.kubernetes.io/name": "shop",
        })
    );
    for key in ["pod_ip/10.0.0.1", "pod_ip/fd00::1", "pod_name/web/shop-1"] {
        assert_eq!(found(&cluster, key).as_ref(), Some(&told), "{key}");
    }
    assert_eq!(found(&cluster, "container_id/c1").unwrap()["container.id"], "c1");
}

#[test]
fn addresses_that_are_not_its_own_find_no_pod() {
    let cluster = listed(&[
        pod("on-the-host", |pod| pod["spec"]["hostNetwork"] = true.into()),
        pod("ended", |pod| {
            pod["status"]["phase"] = "Succeeded".into();
            pod["status"]["podIP"] = "10.0.0.2".into();
        }),
    ]);
    assert_eq!(found(&cluster, "pod_ip/10.0.0.1"), None);
    assert_eq!(found(&cluster, "pod_ip/10.0.0.2"), None);
    assert!(found(&cluster, "pod_name/web/ended").is_some());
}

#[test]
fn an_address_is_of_the_newest_pod_that_lives() {
    let newer =
        |pod: &mut Value| pod["metadata"]["creationTimestamp"] = "2026-01-02T00:00:00Z".into();
    let mut cluster = listed(&[pod("new", newer), pod("old", |_| {})]);
    let name =
        |cluster: &Cluster| found(cluster, "pod_ip/10.0.0.1").unwrap()["k8s.pod.name"].clone();
    assert_eq!(name(&cluster), "new");
    cluster.gone(Kind::Pods, &pod("new", newer), Nanos::from_secs(10));
    assert_eq!(name(&cluster), "old");
    assert!(found(&cluster, "pod_uid/uid-new").is_some(), "its last spans are under way");
    cluster.sweep(Nanos::from_secs(129));
    assert!(found(&cluster, "pod_uid/uid-new").is_some());
    cluster.sweep(Nanos::from_secs(131));
    assert_eq!(found(&cluster, "pod_uid/uid-new"), None);
    // A list that lacks it says that it is gone, too.
    cluster.all(Kind::Pods, &[], Nanos::from_secs(200));
    cluster.sweep(Nanos::from_secs(400));
    assert_eq!(found(&cluster, "pod_uid/uid-old"), None);
}

#[test]
fn what_controls_a_pod_is_told_up_to_the_top() {
    let by = |kind: &str, name: &str| {
        let owner = json!([{"kind": kind, "name": name, "uid": "u", "controller": true}]);
        let cluster = listed(&[pod("p", |pod| pod["metadata"]["ownerReferences"] = owner)]);
        found(&cluster, "pod_uid/uid-p").unwrap()
    };
    assert_eq!(by("StatefulSet", "db")["k8s.statefulset.name"], "db");
    assert_eq!(by("DaemonSet", "agent")["k8s.daemonset.uid"], "u");
    let job = by("Job", "report-29012345");
    assert_eq!(
        (&job["k8s.job.name"], &job["k8s.cronjob.name"]),
        (&json!("report-29012345"), &json!("report"))
    );
    assert_eq!(by("Job", "migrate-2")["k8s.cronjob.name"], Value::Null);
    assert_eq!(
        by("ReplicaSet", "alone-x1")["k8s.deployment.name"],
        Value::Null,
        "the hash is another"
    );
    assert_eq!(by("Node", "n1")["k8s.node.name"], "n1");
}

#[test]
fn replica_sets_namespaces_and_nodes_add_what_they_know() {
    let config = Config {
        namespace_labels: vec!["team".to_owned()],
        node_labels: vec!["topology.kubernetes.io/zone".to_owned()],
        replicasets: true,
        ..Config::default()
    };
    let mut cluster = Cluster::new(&config, &config.kinds());
    cluster.all(Kind::Pods, &[pod("p", |_| {})], Nanos(0));
    let deployment =
        json!([{"kind": "Deployment", "name": "shop", "uid": "d-1", "controller": true}]);
    let set = object(json!({"metadata": {"uid": "rs-1", "ownerReferences": deployment}}));
    cluster.all(Kind::ReplicaSets, &[set], Nanos(0));
    let namespace =
        object(json!({"metadata": {"name": "web", "labels": {"team": "checkout", "x": "y"}}}));
    cluster.all(Kind::Namespaces, &[namespace], Nanos(0));
    assert!(cluster.entries().is_none(), "nodes were not listed");
    cluster.without(Kind::Nodes);
    assert_eq!(found(&cluster, "pod_uid/uid-p").unwrap()["k8s.node.uid"], Value::Null);
    let node = object(
        json!({"metadata": {"name": "n1", "uid": "n-1", "labels": {"topology.kubernetes.io/zone": "z"}}}),
    );
    cluster.all(Kind::Nodes, std::slice::from_ref(&node), Nanos(0));
    let told = found(&cluster, "pod_uid/uid-p").unwrap();
    assert_eq!(told["k8s.deployment.uid"], "d-1");
    assert_eq!(told["k8s.namespace.labels.team"], "checkout");
    assert_eq!(told["k8s.namespace.labels.x"], Value::Null);
    assert_eq!(told["k8s.node.uid"], "n-1");
    assert_eq!(told["k8s.node.labels.topology.kubernetes.io/zone"], "z");
    cluster.gone(Kind::Nodes, &node, Nanos(0));
    assert_eq!(found(&cluster, "pod_uid/uid-p").unwrap()["k8s.node.uid"], Value::Null);
}
