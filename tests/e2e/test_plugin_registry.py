"""Plugins in a registry as others run it, beside a client that others use: what is pushed by one is pulled by the other, and
signatures go with it."""

import json

import pytest
from harness import distribution
from harness.certs import Authority
from harness.distribution import Distribution
from harness.guests import guest, version
from harness.registry import digest_of
from harness.signing import Signer
from harness.sources import SEEN_SECONDS, TEAM, Operator, cli
from harness.wait import until

pytestmark = pytest.mark.skipif(bool(distribution.why_missing()), reason=distribution.why_missing() or "")

CONFIG = "application/vnd.wasm.config.v0+json"
LAYER = "application/wasm"
SIGNATURE = "dev.traceweir.signature"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def signer():
    return Signer()


@pytest.fixture(scope="module")
def registry(authority, tmp_path_factory):
    registry = Distribution(authority, tmp_path_factory.mktemp("registry"))
    yield registry
    registry.close()


@pytest.fixture(scope="module")
def trust(authority, registry):
    return ("--ca-file", authority.file, "--auth-file", registry.auth_file)


def signed(directory, name, data, signer):
    """A plugin's file, and its signature beside it."""
    file = directory / name
    file.write_bytes(data)
    if signer:
        file.with_name(f"{name}.sig").write_text(signer.sign(data) + "\n")
    return file


def push_with_oras(registry, reference, file, signature=None):
    """Pushes an artifact as others make it; its reference with the digest."""
    config = registry.directory / "config.json"
    config.write_text(json.dumps({"created": "2026-01-01T00:00:00Z", "architecture": "wasm", "os": "wasip2",
                                  "layerDigests": [digest_of(file.read_bytes())], "component": {"exports": [], "imports": []}}))
    annotation = ["--annotation", f"{SIGNATURE}={signature}"] if signature else []
    (registry.directory / file.name).write_bytes(file.read_bytes())
    told = registry.oras("push", f"{registry.host}/{reference}", "--config", f"config.json:{CONFIG}", f"{file.name}:{LAYER}",
                         *annotation, "--format", "json")
    return f"oci://{registry.host}/{reference}@{json.loads(told)['digest']}"


def test_what_we_push_is_what_oras_finds(tmp_path, registry, trust, signer):
    team = guest("examples/team")
    file = signed(tmp_path, "team.wasm", team, signer)
    name = f"{registry.host}/acme/team"
    pinned = cli("push", file, f"oci://{name}:1.0", *trust)
    digest = pinned.split("@")[1]
    assert registry.oras("resolve", f"{name}:1.0").strip() == digest
    manifest = json.loads(registry.oras("manifest", "fetch", f"{name}@{digest}"))
    assert manifest["config"]["mediaType"] == CONFIG and manifest["annotations"] == {SIGNATURE: signer.sign(team)}
    [layer] = manifest["layers"]
    assert layer == {"mediaType": LAYER, "digest": digest_of(team), "size": len(team)}
    registry.oras("blob", "fetch", f"{name}@{layer['digest']}", "--output", tmp_path / "theirs.wasm")
    assert (tmp_path / "theirs.wasm").read_bytes() == team
    config = json.loads(registry.oras("manifest", "fetch-config", f"{name}:1.0"))
    assert config["layerDigests"] == [digest_of(team)] and config["architecture"] == "wasm"
    # It is there once, however often it is pushed, and goes elsewhere as a whole.
    assert cli("push", file, f"oci://{name}:1.0", *trust) == pinned
    registry.oras("tag", f"{name}:1.0", "stable")
    registry.oras("copy", f"{name}:stable", f"{name}-copy:1", ends=("from-", "to-"))
    back = tmp_path / "back.wasm"
    assert cli("pull", f"oci://{name}-copy:1", "-o", back, *trust).endswith(digest)
    assert back.read_bytes() == team
    assert (tmp_path / "back.wasm.sig").read_text() == signer.sign(team), "its signature is beside it"


def test_what_oras_pushes_we_pull_and_run(new_gateway, tmp_path, authority, registry, trust, signer):
    team = guest("examples/team")
    file = signed(tmp_path, "team.wasm", team, None)
    pinned = push_with_oras(registry, "theirs/team:1", file, signer.sign(team))
    back = tmp_path / "back.wasm"
    assert cli("pull", f"oci://{registry.host}/theirs/team:1", "-o", back, *trust) == pinned
    assert back.read_bytes() == team and (tmp_path / "back.wasm.sig").read_text() == signer.sign(team)
    # By digest and by tag, and neither without a signature of ours.
    bare = push_with_oras(registry, "theirs/bare:1", file)
    other = push_with_oras(registry, "theirs/other:1", file, Signer().sign(team))
    sources = {"pinned": pinned, "tag": f"oci://{registry.host}/theirs/team:1"}
    operator = Operator(new_gateway, tmp_path, authority, None, list(sources),
                        plugins={name: {"source": source, **TEAM} for name, source in sources.items()})
    operator.gateway.settings.update({"plugins.keys": json.dumps([signer.public]),
                                      "plugins.registry_auth_file": str(registry.auth_file)})
    operator.start()
    assert operator.stored(k8s__namespace__name="web")["team"] == "checkout"
    assert {operator.plugin(name)["revision"] for name in sources} == {pinned.split("@")[1]}
    # A tag that moves to another version that is signed, too; and then to one that is not.
    following = signed(tmp_path, "next.wasm", version(team, "2"), signer)
    cli("push", following, f"oci://{registry.host}/theirs/team:1", *trust)
    until("the new version", SEEN_SECONDS,
          lambda: operator.plugin("tag")["digest"] == digest_of(following.read_bytes()))
    for name, source, told in (("bare", bare, "no signature"), ("other", other, "none of the keys")):
        operator.define(plugins={**{of: {"source": sources[of], **TEAM} for of in sources}, name: {"source": source, **TEAM}})
        until("its fault", SEEN_SECONDS, lambda name=name, told=told: told in operator.status()["faults"].get(name, ""))
    push_with_oras(registry, "theirs/team:1", file)
    until("its fault", SEEN_SECONDS, lambda: "no signature" in operator.plugin("tag").get("fault", ""))
    assert operator.plugin("tag")["digest"] == digest_of(following.read_bytes()), "what was before stays"
    assert operator.stored(k8s__namespace__name="web")["team"] == "checkout"


def test_a_registry_tells_why_it_gives_nothing(tmp_path, authority, registry, trust):
    told = cli("pull", f"oci://{registry.host}/acme/none:1", "-o", tmp_path / "x", *trust, code=1)
    assert "MANIFEST_UNKNOWN" in told or "NAME_UNKNOWN" in told, told
    (tmp_path / "none.json").write_text("{}")
    told = cli("pull", f"oci://{registry.host}/acme/team:1.0", "-o", tmp_path / "x", "--ca-file", authority.file, "--auth-file",
               tmp_path / "none.json", code=1)
    assert "401" in told, told
    assert not (tmp_path / "x").exists()
