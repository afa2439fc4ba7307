"""What was fetched is kept: a gateway starts with its plugins when nobody answers where they come from, and believes what it has
kept no more than what comes."""

import json

import pytest
from harness.certs import Authority
from harness.guests import guest, version
from harness.registry import Files, Registry, digest_of
from harness.signing import Signer
from harness.sources import SEEN_SECONDS, TEAM, Operator
from harness.wait import until

SIGNATURE = "dev.traceweir.signature"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def signer():
    return Signer()


def restart(operator, **settings):
    operator.gateway.stop()
    operator.gateway.settings.update({key.replace("__", "."): value for key, value in settings.items()})
    return operator.start()


def kept(operator):
    """The files of what was kept."""
    return sorted((operator.gateway.directory / "plugins").glob("*.kept"))


def is_team(operator):
    return operator.stored(k8s__namespace__name="web").get("team") == "checkout"


def test_plugins_run_after_a_start_when_nobody_answers(new_gateway, tmp_path, authority, signer):
    team, registry, files = guest("examples/team"), Registry(authority), Files(authority)
    signed = {"annotations": {SIGNATURE: signer.sign(team)}}
    manifest = registry.put("acme/team", "stable", team, **signed)
    files.files.update({"/team.wasm": team, "/team.wasm.sig": signer.sign(team).encode()})
    sources = {"tag": f"oci://{registry.host}/acme/team:stable", "manifest": f"oci://{registry.host}/acme/team@{manifest}",
               "url": f"{files.url}/team.wasm", "pinned": f"{files.url}/team.wasm@{digest_of(team)}"}
    operator = Operator(new_gateway, tmp_path, authority, registry, list(sources),
                        plugins={name: {"source": source, **TEAM} for name, source in sources.items()})
    operator.gateway.settings["plugins.keys"] = json.dumps([signer.public])
    try:
        operator.start()
        assert is_team(operator) and len(kept(operator)) == 4
        assert not any("kept_since" in plugin for plugin in operator.status()["plugins"])
        # While they are down everything runs, and what may have changed says since when it is as it is.
        registry.status = files.status = 503
        restart(operator)
        assert is_team(operator)
        for name in sources:
            told = operator.plugin(name)
            assert told["kept_since"].endswith("Z") and told["digest"] == digest_of(team), told
            assert ("503" in told.get("fault", "")) == (name in ("tag", "url")), told
        assert "it runs as it was kept" in operator.gateway.log.read_text()
        # They come back, and nothing has changed; then something has.
        registry.status = files.status = 200
        until("the end of it", SEEN_SECONDS, lambda: not any(
            key in operator.plugin(name) for name in ("tag", "url") for key in ("kept_since", "fault")))
        following = version(team, "2")
        registry.put("acme/team", "stable", following, annotations={SIGNATURE: signer.sign(following)})
        files.files.update({"/team.wasm": following, "/team.wasm.sig": signer.sign(following).encode()})
        until("the new versions", SEEN_SECONDS, lambda: all(
            operator.plugin(name)["digest"] == digest_of(following) for name in ("tag", "url")))
        # What is pinned and was kept is not asked for; what has a tag does not come again while it is the same.
        asked, blobs = files.count("GET", "/team.wasm.sig"), registry.count("GET", "/blobs/")
        restart(operator)
        assert is_team(operator) and operator.plugin("tag")["digest"] == digest_of(following)
        assert (files.count("GET", "/team.wasm.sig"), registry.count("GET", "/blobs/")) == (asked, blobs)
        # A tag that has moved to something broken keeps nobody from starting.
        registry.put("acme/team", "stable", b"\0asm\x01\0\0\0", annotations={SIGNATURE: signer.sign(b"\0asm\x01\0\0\0")})
        restart(operator)
        assert is_team(operator) and "span-processor" in operator.plugin("tag")["fault"]
    finally:
        registry.close()
        files.close()


def test_what_was_kept_and_is_damaged_or_not_trusted_is_fetched_anew(new_gateway, tmp_path, authority, signer):
    team, files = guest("examples/team"), Files(authority)
    files.files.update({"/team.wasm": team, "/team.wasm.sig": signer.sign(team).encode()})
    source = f"{files.url}/team.wasm@{digest_of(team)}"
    operator = Operator(new_gateway, tmp_path, authority, None, ["team"], plugins={"team": {"source": source, **TEAM}})
    try:
        operator.start()
        [file] = kept(operator)
        whole = file.read_bytes()
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        asked = files.count("GET", "/team.wasm")
        restart(operator)
        assert is_team(operator) and files.count("GET", "/team.wasm") == asked + 1
        assert "damaged" in operator.gateway.log.read_text() and "kept_since" not in operator.plugin("team")
        restart(operator)
        assert "kept_since" in operator.plugin("team"), "it was kept anew"
        # It was fetched when nobody wanted a signature; now somebody does.
        restart(operator, plugins__keys=json.dumps([signer.public]))
        assert is_team(operator) and "kept_since" not in operator.plugin("team")
        assert "it has no signature" in operator.gateway.log.read_text()
        # And then one of somebody else: nothing that is there will do.
        files.status = 503
        restart(operator, plugins__keys=json.dumps([Signer().public]))
        assert "503" in operator.status()["faults"]["team"]
        assert "none of the keys" in operator.gateway.log.read_text()
    finally:
        files.close()
