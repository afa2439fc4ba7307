"""Where plugins and their tables come from, as an operator sees it: registries, web servers, a Kubernetes cluster, a plugin that
makes tables. What is good takes over while spans come, what is not leaves everything as it was and is told."""

import json

import pytest
from harness.certs import Authority
from harness.guests import guest, version
from harness.kubernetes import ApiServer, Volume
from harness.limits import metric
from harness.registry import PASSWORD, Files, Registry, digest_of
from harness.sources import SEEN_SECONDS, TEAM, Operator, cli
from harness.wait import until

FAILED = "traceweir_plugin_reload_failed_total"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def registry(authority):
    registry = Registry(authority)
    yield registry
    registry.close()
    assert registry.wrong == [], "what a strict registry does not like"


@pytest.fixture(scope="module")
def files(authority):
    files = Files(authority)
    yield files
    files.close()


# --- registries


@pytest.fixture(scope="module")
def moving(new_gateway, tmp_path_factory, authority, registry):
    registry.put("acme/team", "stable", guest("examples/team"))
    source = {"source": f"oci://{registry.host}/acme/team:stable", **TEAM}
    operator = Operator(new_gateway, tmp_path_factory.mktemp("moving"), authority, registry, ["team"],
                        plugins={"team": source})
    return operator.start()


def test_a_plugin_of_a_registry_runs_and_is_fetched_once(moving, registry):
    assert moving.stored(k8s__namespace__name="web")["team"] == "checkout"
    told = moving.plugin("team")
    assert told["revision"] == registry.tags["acme/team", "stable"]
    assert told["digest"] == digest_of(guest("examples/team"))
    blobs, polls = registry.count("GET", "/blobs/"), metric(moving.gateway, "traceweir_plugin_polls_total")
    until("more polls", SEEN_SECONDS, lambda: metric(moving.gateway, "traceweir_plugin_polls_total") >= polls + 2)
    assert registry.count("GET", "/blobs/") == blobs, "what has not changed does not come again"
    assert any("authorization" in headers for _, _, headers in registry.asked)
    elsewhere = [headers for _, _, headers in registry.elsewhere.asked]
    assert elsewhere and not any("authorization" in headers for headers in elsewhere), "tokens stay with the registry"
    log = moving.gateway.log.read_text()
    assert PASSWORD not in log and not any(token in log for token in registry.tokens)


def test_a_tag_that_moves_swaps_the_plugin(moving, registry):
    following = version(guest("examples/team"), "2")
    registry.put("acme/team", "stable", following)
    until("the new version", SEEN_SECONDS, lambda: moving.plugin("team")["digest"] == digest_of(following))
    assert moving.stored(k8s__namespace__name="web")["team"] == "checkout"


def test_a_tag_that_moves_to_something_broken_does_not(moving, registry):
    gateway = moving.gateway
    good = moving.plugin("team")
    broken = b"\0asm\x01\0\0\0"
    index = "application/vnd.oci.image.index.v1+json"
    lied = version(guest("examples/team"), "lied")
    registry.lies[digest_of(lied)] = version(guest("examples/team"), "lies")
    for wasm, changed, told in ((broken, {}, "span-processor"), (broken, {"layers": []}, "0 layers"),
                                (broken, {"mediaType": index}, index), (lied, {}, digest_of(lied))):
        before = metric(gateway, FAILED)
        registry.put("acme/team", "stable", wasm, **changed)
        until(f"a fault: {told}", SEEN_SECONDS, lambda told=told: told in (moving.plugin("team").get("fault") or ""))
        polls = metric(gateway, "traceweir_plugin_polls_total")
        until("more polls", SEEN_SECONDS,
              lambda polls=polls: metric(gateway, "traceweir_plugin_polls_total") >= polls + 2)
        assert metric(gateway, FAILED) == before + 1, "what is broken is told once"
        assert moving.plugin("team")["digest"] == good["digest"]
        assert moving.stored(k8s__namespace__name="web")["team"] == "checkout"
    # Of a registry that does not answer it is told, and nothing stops.
    registry.tags.pop(("acme/team", "stable"))
    until("the silence", SEEN_SECONDS, lambda: "404" in (moving.plugin("team").get("fault") or ""))
    assert metric(gateway, "traceweir_plugin_poll_failed_total") > 0
    assert moving.stored(k8s__namespace__name="web")["team"] == "checkout"
    registry.put("acme/team", "stable", version(guest("examples/team"), "3"))
    assert moving.reload()[0] == 200, "a reload does not wait for the next poll"
    assert "fault" not in moving.plugin("team")


def test_what_is_pushed_is_pulled_and_runs_by_its_digest(new_gateway, tmp_path, authority, registry):
    trust = ("--ca-file", authority.file, "--auth-file", registry.auth_file(tmp_path))
    file = tmp_path / "team.wasm"
    file.write_bytes(guest("examples/team"))
    tag = f"oci://{registry.host}/acme/pushed/team:1.0"
    pinned = cli("push", file, tag, *trust)
    assert pinned.startswith(tag + "@sha256:")
    assert cli("push", file, tag, *trust) == pinned, "the same file is the same artifact"
    back = tmp_path / "back.wasm"
    assert cli("pull", tag, "-o", back, *trust) == pinned
    assert cli("pull", pinned, "-o", back, *trust) == pinned
    assert back.read_bytes() == file.read_bytes()
    # As others read it.
    manifest = json.loads(registry.manifests["acme/pushed/team", pinned.split("@")[1]])
    config = json.loads(registry.blobs["acme/pushed/team", manifest["config"]["digest"]])
    assert config["layerDigests"] == [digest_of(file.read_bytes())] and config["architecture"] == "wasm"
    operator = Operator(new_gateway, tmp_path, authority, registry, ["team"], plugins={"team": {"source": pinned, **TEAM}})
    operator.gateway.settings["plugins.unpinned"] = "false"
    operator.start()
    assert operator.stored(k8s__namespace__name="web")["team"] == "checkout"


def test_what_cannot_be_pushed_or_pulled_is_told(tmp_path, authority, registry):
    auth = registry.auth_file(tmp_path)
    trust = ("--ca-file", authority.file, "--auth-file", auth)
    file, host = tmp_path / "a.wasm", registry.host
    file.write_bytes(b"\0asm\x01\0\0\0")
    assert "span-processor" in cli("push", file, f"oci://{host}/acme/a:1", *trust, code=1)
    assert "no such file" in cli("push", tmp_path / "b.wasm", f"oci://{host}/acme/a:1", *trust, code=1)
    assert "MANIFEST_UNKNOWN" in cli("pull", f"oci://{host}/acme/none:1", "-o", tmp_path / "x", *trust, code=1)
    told = cli("pull", f"oci://{host}/acme/none:1", "-o", tmp_path / "x", "--auth-file", auth, code=1)
    assert "certificate" in told.lower(), told
    (tmp_path / "none.json").write_text("{}")
    told = cli("pull", f"oci://{host}/acme/team:stable", "-o", tmp_path / "x", "--ca-file", authority.file, "--auth-file",
               tmp_path / "none.json", code=1)
    assert "401" in told and "who is that?" in told
    assert not (tmp_path / "x").exists()
    assert cli("pull", "https://a.example/b", code=2)


def test_a_registry_of_this_machine_may_speak_in_the_clear(tmp_path):
    registry = Registry()
    try:
        file = tmp_path / "team.wasm"
        file.write_bytes(guest("examples/team"))
        trust = ("--auth-file", registry.auth_file(tmp_path))
        pinned = cli("push", file, f"oci://{registry.host}/team:1", *trust)
        assert cli("pull", pinned, "-o", tmp_path / "back.wasm", *trust) == pinned
        assert registry.wrong == []
    finally:
        registry.close()


# --- web servers


def test_a_plugin_at_a_url_is_swapped_by_its_tag_and_pinned_by_its_digest(new_gateway, tmp_path, authority, files):
    team = guest("examples/team")
    files.files["/team.wasm"] = team
    files.files["/moved.wasm"] = f"->{files.url}/team.wasm".encode()
    clear = Files()
    clear.files["/team.wasm"] = team
    files.files["/clear.wasm"] = f"->{clear.url}/team.wasm".encode()
    digest = "@" + digest_of(team)
    operator = Operator(new_gateway, tmp_path, authority, None, ["free", "pinned"], plugins={
        "free": {"source": f"{files.url}/moved.wasm", **TEAM}, "pinned": {"source": f"{files.url}/team.wasm{digest}", **TEAM},
        "clear": {"source": f"{files.url}/clear.wasm{digest}", **TEAM},
        "nobody": {"source": f"https://localhost:1/team.wasm{digest}", **TEAM},
    }).start()
    try:
        assert operator.stored(k8s__namespace__name="web")["team"] == "checkout"
        faults = operator.status()["faults"]
        assert "https to http" in faults["clear"] and clear.asked == [], faults
        assert "localhost:1" in faults["nobody"]
        before = files.count("GET", "/team.wasm")
        until("more polls", SEEN_SECONDS, lambda: files.count("GET", "/team.wasm") >= before + 2)
        asked = [headers.get("if-none-match") for _, path, headers in files.asked if path == "/team.wasm"]
        assert asked[-1], "it is asked whether it has changed"
        following = version(team, "2")
        files.files["/team.wasm"] = following
        until("the new version", SEEN_SECONDS, lambda: operator.plugin("free")["digest"] == digest_of(following))
        assert operator.plugin("pinned")["digest"] == digest_of(team), "what is pinned stays"
        assert operator.stored(k8s__namespace__name="web")["team"] == "checkout"
    finally:
        clear.close()


# --- Kubernetes


class Cluster:
    """A gateway in a pod of a cluster, and the other pods."""

    def __init__(self, new_gateway, directory):
        (directory / "ca").mkdir()
        self.authority = Authority(directory / "ca", "cluster")
        self.api = ApiServer(self.authority)
        self.account = Volume(directory / "serviceaccount", token="first\n", ca_crt=self.authority.file.read_bytes())
        self.api.taken = {"first"}
        self.put("u-1", "shop-7d4b9-x", "10.1.0.1")
        self.put("u-2", "pay-0", "10.1.0.2")
        self.put("u-3", "cart-0", "10.1.0.3")
        self.api.objects.put("nodes", "n-1", metadata={"name": "node-1", "labels": {"zone": "a"}})
        self.api.objects.put("replicasets", "rs-1", metadata={
            "name": "shop-7d4b9", "ownerReferences": [{"kind": "Deployment", "name": "shop", "uid": "d-1", "controller": True}]})
        kubernetes = {"labels": ["app"], "node_labels": ["zone"], "replicasets": True,
                      "ca_file": str(self.account.path("ca.crt")), "token_file": str(self.account.path("token"))}
        self.operator = Operator(new_gateway, directory, self.authority, None, ["k8s"],
                                 plugins={"k8s": {"source": "bundled:k8s-enrich"}}, tables={"k8s": {"kubernetes": kubernetes}})
        port = self.api.url.rsplit(":", 1)[1]
        self.operator.gateway.environment = {"KUBERNETES_SERVICE_HOST": "localhost", "KUBERNETES_SERVICE_PORT": port}
        self.operator.start()

    def put(self, uid, name, ip, **labels):
        owner = {"kind": "ReplicaSet", "name": "shop-7d4b9", "uid": "rs-1", "controller": True}
        self.api.objects.put("pods", uid, metadata={
            "name": name, "namespace": "web", "creationTimestamp": "2026-01-01T00:00:00Z", "ownerReferences": [owner],
            "labels": {"pod-template-hash": "7d4b9", **labels}}, spec={"nodeName": "node-1", "containers": [
                {"name": "main", "image": "registry.example/shop:1.2"}]},
            status={"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]})

    def told(self, **resource):
        return self.operator.stored(**resource)


@pytest.fixture(scope="module")
def cluster(new_gateway, tmp_path_factory):
    cluster = Cluster(new_gateway, tmp_path_factory.mktemp("cluster"))
    until("the table", SEEN_SECONDS, lambda: cluster.operator.table("k8s")["entries"] >= 9)
    yield cluster
    cluster.api.close()


def test_what_kubernetes_knows_of_a_pod_is_on_its_spans(cluster):
    told = cluster.told(k8s__pod__uid="u-1")
    for key, value in {"k8s.pod.name": "shop-7d4b9-x", "k8s.namespace.name": "web", "k8s.node.name": "node-1",
                       "k8s.deployment.name": "shop", "k8s.deployment.uid": "d-1", "k8s.node.labels.zone": "a",
                       "container.image.name": "registry.example/shop", "k8s.pod.ip": "10.1.0.1"}.items():
        assert told[key] == value, (key, told)
    assert cluster.told(k8s__pod__ip="10.1.0.2")["k8s.pod.name"] == "pay-0"
    assert cluster.told(k8s__pod__name="cart-0", k8s__namespace__name="web")["k8s.pod.uid"] == "u-3"
    assert "k8s.pod.name" not in cluster.told(k8s__pod__ip="10.9.9.9")
    assert all(token == "first" for _, token in cluster.api.asked), "we are who we are"
    assert metric(cluster.operator.gateway, "traceweir_plugin_table_entries", table="k8s") >= 9
    assert metric(cluster.operator.gateway, "traceweir_plugin_table_bytes", table="k8s") > 0


def test_a_pod_that_changes_is_seen(cluster):
    cluster.put("u-1", "shop-7d4b9-x", "10.1.0.1", app="shop")
    until("the label", SEEN_SECONDS, lambda: cluster.told(k8s__pod__uid="u-1").get("k8s.pod.labels.app") == "shop")
    # An address that is used again is the new pod's.
    cluster.api.objects.remove("pods", "u-2")
    cluster.put("u-4", "new-0", "10.1.0.2")
    until("the new pod", SEEN_SECONDS, lambda: cluster.told(k8s__pod__ip="10.1.0.2")["k8s.pod.name"] == "new-0")
    assert cluster.told(k8s__pod__uid="u-2")["k8s.pod.name"] == "pay-0", "its last spans may be under way"
    assert cluster.api.objects.lists.count("pods") == 2, "one list of two pages, and then watches"


def test_a_version_that_is_forgotten_is_listed_anew(cluster):
    lists = cluster.api.objects.lists.count("pods")
    with cluster.api.objects.changed:
        cluster.api.objects.forget()
        cluster.put("u-5", "late-0", "10.1.0.5")
        cluster.api.objects.oldest = cluster.api.objects.version
        cluster.api.objects.events = []
    until("the pod", SEEN_SECONDS, lambda: cluster.told(k8s__pod__uid="u-5").get("k8s.pod.name") == "late-0")
    assert cluster.api.objects.lists.count("pods") > lists


def test_a_token_that_is_swapped_is_shown(cluster):
    cluster.account.swap(token="second\n")
    cluster.api.taken = {"second"}
    with cluster.api.objects.changed:
        cluster.api.objects.epoch += 1
        cluster.api.objects.changed.notify_all()
    cluster.put("u-6", "later-0", "10.1.0.6")
    until("the pod", SEEN_SECONDS, lambda: cluster.told(k8s__pod__uid="u-6").get("k8s.pod.name") == "later-0")


def test_what_may_not_be_read_is_told_and_the_table_stays(cluster):
    entries = cluster.operator.table("k8s")["entries"]
    cluster.api.forbidden = {"pods"}
    cluster.api.objects.forget()
    fault = until("the fault", SEEN_SECONDS, lambda: cluster.operator.table("k8s").get("fault"))
    assert "pods is forbidden" in fault and "403" in fault, fault
    told = cluster.operator.table("k8s")
    assert told["entries"] == entries and told["failures"]["unavailable"] >= 1
    assert cluster.told(k8s__pod__uid="u-1")["k8s.pod.name"] == "shop-7d4b9-x"
    assert metric(cluster.operator.gateway, "traceweir_plugin_table_refresh_failed_total", table="k8s") >= 1
    cluster.api.forbidden = set()
    until("the end of it", SEEN_SECONDS, lambda: "fault" not in cluster.operator.table("k8s"))


# --- tables of files, URLs, and of a plugin


def enrich(table):
    return {"source": "bundled:k8s-enrich", "config": {"table": table, "pod_association": [
        {"sources": [{"from": "resource_attribute", "name": "k8s.pod.uid"}]}]}}


def test_tables_come_from_files_urls_and_plugins(new_gateway, tmp_path, authority, files):
    module = tmp_path / "rows.wasm"
    module.write_bytes(guest("examples/rows"))
    csv = tmp_path / "tiers.csv"
    csv.write_text("key,tier,zone\npod_uid/u-1,gold,a\n")
    files.files["/costs.json"] = json.dumps({"pod_uid/u-1": {"cost.center": "7"}}).encode()
    files.files["/rows"] = json.dumps([{"uid": "u-1", "owner": "team-a"}]).encode()
    rows = {"source": f"file:{module}", "refresher": {"hosts": [files.host], "timeout": "20s"}, "config": {
        "url": f"{files.url}/rows", "table": "owners", "key": "uid", "prefix": "pod_uid/", "interval_seconds": 5}}
    strange = {**rows, "refresher": {"hosts": ["cmdb.example"]}, "config": {**rows["config"], "table": "stolen"}}
    operator = Operator(
        new_gateway, tmp_path, authority, None, ["tiers", "costs", "owners"],
        plugins={"tiers": enrich("tiers"), "costs": enrich("costs"), "owners": enrich("owners"), "rows": rows, "strange": strange},
        tables={"tiers": {"file": str(csv)}, "costs": {"url": f"{files.url}/costs.json", "refresh": "1s"},
                "owners": {"plugin": "rows"}, "stolen": {"plugin": "strange"}}).start()
    until("all tables", SEEN_SECONDS, lambda: all(operator.table(of)["entries"] == 1 for of in ("tiers", "costs", "owners")))
    told = operator.stored(k8s__pod__uid="u-1")
    assert (told["tier"], told["zone"], told["cost.center"], told["owner"]) == ("gold", "a", "7", "team-a")
    assert operator.plugin("rows")["world"] == "table-refresher-plugin"
    fault = until("the fault", SEEN_SECONDS, lambda: operator.table("stolen").get("fault"))
    assert "NotAllowed" in fault and operator.table("stolen")["failures"]["plugin"] >= 1
    # Each source changes,
    csv.write_text("key,tier,zone\npod_uid/u-1,silver,a\n")
    files.files["/costs.json"] = json.dumps({"pod_uid/u-1": {"cost.center": "8"}}).encode()
    files.files["/rows"] = json.dumps([{"uid": "u-1", "owner": "team-b"}]).encode()

    def is_seen():
        told = operator.stored(k8s__pod__uid="u-1")
        return (told["tier"], told["cost.center"], told["owner"]) == ("silver", "8", "team-b")

    until("the changes", SEEN_SECONDS, is_seen)
    # and each fails, which changes nothing.
    csv.write_text("key,tier\npod_uid/u-1\n")
    files.files["/costs.json"] = b"[]"
    files.files["/rows"] = b"{"
    for table, kind in (("tiers", "malformed"), ("costs", "malformed"), ("owners", "plugin")):
        told = until(f"the fault of {table}", SEEN_SECONDS,
                     lambda table=table: (of := operator.table(table)).get("fault") and of)
        assert told["failures"][kind] >= 1 and told["entries"] == 1, told
    assert is_seen()


def test_more_than_all_tables_may_have_is_refused(new_gateway, tmp_path, authority):
    file = tmp_path / "large.json"
    file.write_text(json.dumps({str(number): "x" * 1000 for number in range(2000)}))
    operator = Operator(new_gateway, tmp_path, authority, tables={"large": {"file": str(file)}})
    operator.gateway.settings["plugins.tables_bytes_max"] = "1MiB"
    operator.start()
    told = operator.table("large")
    assert told["entries"] == 0 and "1048576 bytes" in told["fault"] and told["failures"] == {"too_large": 1}
