//! What stands in `deploy/`: it can be read, and says what the program says.

use std::path::Path;

use serde_json::Value;

/// The files of a kind below `deploy/`, with their names.
fn files(kind: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let mut dirs = vec![root];
    let mut files = Vec::new();
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).expect("a directory of deploy/") {
            let path = entry.expect("an entry of deploy/").path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.to_string_lossy().ends_with(kind) {
                let text = std::fs::read_to_string(&path).expect("text");
                files.push((path.display().to_string(), text));
            }
        }
    }
    files.sort();
    files
}

/// Every YAML document below `deploy/`.
fn documents() -> Vec<(String, Value)> {
    let mut documents = Vec::new();
    for (name, text) in files(".yaml") {
        let found: Vec<Value> = serde_saphyr::from_multiple(&text).expect(&name);
        assert!(!found.is_empty(), "{name} is empty");
        documents.extend(found.into_iter().map(|value| (name.clone(), value)));
    }
    documents
}

fn kind(kind: &str) -> Value {
    let found = documents().into_iter().find(|(_, document)| document["kind"] == kind);
    found.unwrap_or_else(|| panic!("no {kind} in deploy/")).1
}

#[test]
fn every_yaml_can_be_read() {
    let names: Vec<String> = documents().into_iter().map(|(name, _)| name).collect();
    for part in ["docker/compose.yaml", "k8s/traceweir.yaml", "k8s/servicemonitor.yaml"] {
        assert!(names.iter().any(|name| name.ends_with(part)), "{part} not in {names:?}");
    }
}

#[test]
fn the_pod_meets_the_restricted_standard() {
    let set = kind("StatefulSet");
    let pod = &set["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["securityContext"]["capabilities"]["drop"][0], "ALL");
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/ready");
    assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/live");
    assert!(pod["terminationGracePeriodSeconds"].as_u64() > Some(10), "shorter than the drain");
}

#[test]
fn labels_and_ports_of_the_manifests_fit_together() {
    let set = kind("StatefulSet");
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    assert_eq!(&set["spec"]["selector"]["matchLabels"], labels);
    let ports = set["spec"]["template"]["spec"]["containers"][0]["ports"].as_array();
    let ports: Vec<&Value> = ports.expect("ports").iter().map(|port| &port["name"]).collect();
    for (name, document) in documents().into_iter().filter(|(_, doc)| doc["kind"] == "Service") {
        assert_eq!(&document["spec"]["selector"], labels, "{name}");
        for port in document["spec"]["ports"].as_array().expect("ports") {
            assert!(ports.contains(&&port["targetPort"]), "{name}: {port}");
        }
    }
    assert_eq!(&kind("NetworkPolicy")["spec"]["podSelector"]["matchLabels"], labels);
    let monitor = kind("ServiceMonitor");
    assert_eq!(&monitor["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(monitor["spec"]["endpoints"][0]["path"], "/metrics");
}

/// Grafana's data sources, in all variants: each has what its clients need, and no secret of its own.
#[test]
fn grafanas_data_sources_link_traces_with_logs_and_metrics() {
    let all: Vec<(String, Value)> =
        documents().into_iter().filter(|(name, _)| name.contains("deploy/grafana/")).collect();
    assert_eq!(all.len(), 3);
    for (name, document) in &all {
        let source = &document["datasources"][0];
        assert_eq!(
            (&source["type"], &source["access"]),
            (&"tempo".into(), &"proxy".into()),
            "{name}"
        );
        let url = source["url"].as_str().expect("a url");
        let data = &source["jsonData"];
        for link in ["tracesToLogsV2", "tracesToMetrics", "serviceMap"] {
            assert!(data[link]["datasourceUid"].is_string(), "{name}: {link}");
        }
        assert_eq!(data["nodeGraph"]["enabled"], true, "{name}");
        assert_eq!(data["streamingEnabled"]["search"], true, "{name}");
        let secrets = source["secureJsonData"].as_object().cloned().unwrap_or_default();
        for (key, value) in secrets {
            assert!(value.as_str().is_some_and(|text| text.contains('$')), "{name}: {key}");
        }
        // Streaming is encrypted with Basic auth only.
        assert_eq!(url.starts_with("https:"), source["basicAuth"] == true, "{name}");
    }
    let header = |name: &str| {
        let (_, document) = all.iter().find(|(path, _)| path.ends_with(name)).expect(name);
        document["datasources"][0]["jsonData"]["httpHeaderName1"].clone()
    };
    assert_eq!(header("traceweir-jwt.yaml"), "Authorization");
    assert_eq!(header("traceweir-basic.yaml"), "X-Scope-OrgID");
}

/// Both recipes start the server with arguments that it takes, and refuse to listen on all
/// addresses without saying so.
#[test]
fn the_recipes_start_the_server_with_arguments_that_it_takes() {
    let set = kind("StatefulSet");
    let args = set["spec"]["template"]["spec"]["containers"][0]["args"].as_array();
    let pod: Vec<String> =
        args.expect("args").iter().filter_map(|arg| Some(arg.as_str()?.to_owned())).collect();
    let dockerfile = files("Dockerfile").remove(0).1;
    let (_, command) = dockerfile.rsplit_once("\nCMD ").expect("a CMD");
    let image: Vec<String> =
        serde_json::from_str(&command.replace("\\\n", " ")).expect("CMD is JSON");
    for arguments in [pod, image] {
        assert_eq!(arguments[0], "serve");
        assert!(arguments.iter().any(|arg| arg == "--insecure-listen"), "{arguments:?}");
        // `config check` takes the same flags and starts nothing.
        let checked = check(&arguments[1..]);
        assert_eq!(checked.code, Some(0), "{arguments:?}: {}", checked.err);
        let without = arguments[1..].iter().filter(|arg| *arg != "--insecure-listen");
        let refused = check(&without.cloned().collect::<Vec<_>>());
        assert_eq!(refused.code, Some(2), "{arguments:?}: {}", refused.err);
    }
}

/// The `ConfigMap`'s file is a configuration.
#[test]
fn the_config_map_holds() {
    let config = kind("ConfigMap");
    let text = config["data"]["traceweir.yaml"].as_str().expect("a file");
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("traceweir.yaml");
    std::fs::write(&path, text).expect("a file");
    let checked = check(&["--config".to_owned(), path.display().to_string()]);
    assert_eq!(checked.code, Some(0), "{}", checked.err);
}

/// `traceweir config check`, without files that only the pod has.
fn check(arguments: &[String]) -> tests::gateway::Ended {
    let ours = arguments.iter().filter(|arg| !arg.starts_with("--config=/etc/"));
    tests::gateway::run(tests::gateway::binary().args(["config", "check"]).args(ours))
}

#[test]
fn alerts_ask_for_metrics_that_there_are() {
    let metrics = include_str!("../../docs/reference/metrics.md");
    let rules = documents().into_iter().find(|(name, _)| name.ends_with("prometheus/alerts.yaml"));
    let (_, rules) = rules.expect("deploy/prometheus/alerts.yaml");
    let rules = rules["groups"][0]["rules"].as_array().expect("rules");
    assert!(rules.len() >= 8, "{}", rules.len());
    for rule in rules {
        let expression = rule["expr"].as_str().expect("an expression");
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let names = expression.split(|c| !is_name(c)).filter(|n| n.starts_with("traceweir_"));
        let names: Vec<&str> = names.collect();
        assert!(!names.is_empty(), "{expression}");
        for name in names {
            assert!(metrics.contains(&format!("| `{name}` |")), "{name} in {expression}");
        }
        for text in ["summary", "description"] {
            assert!(rule["annotations"][text].is_string(), "{rule}");
        }
    }
}
