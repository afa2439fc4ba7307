"""Blocks in a bucket of S3: what was acknowledged is found there, after a kill, and while the bucket is away."""

import json
import subprocess
import os
import urllib.parse
import urllib.request

import pytest
from harness.buckets import Bucket
from harness.known import SPANS_PER_TRACE, Known
from harness.wait import until

TRACES = 40


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    with Bucket("traces", tmp_path_factory.mktemp("moto")) as bucket:
        yield bucket


def post(gateway, listener, path, body=b""):
    request = urllib.request.Request(f"http://{gateway.addresses[listener]}{path}", body,
                                     {"Content-Type": "application/x-protobuf"}, method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def send(gateway, known):
    post(gateway, "otlp_http", "/v1/traces", known.request(TRACES, "custom.key").SerializeToString())


def search(gateway):
    """How many traces there are, and why some may be missing."""
    query = urllib.parse.urlencode({"q": "{ }", "limit": 5000})
    with urllib.request.urlopen(f"http://{gateway.addresses['http']}/api/search?{query}", timeout=60) as answer:
        return len(json.load(answer)["traces"]), answer.headers.get("x-traceweir-partial")


def whole(gateway, known):
    """All spans of all traces, each by the id of its trace."""
    for trace in sorted({ids[:16] for ids in known.parents})[:5]:
        status, body = gateway.get(f"/api/traces/{trace.hex()}")
        assert status == 200, body
        batches = json.loads(body)["batches"]
        spans = [span for batch in batches for scope in batch["scopeSpans"] for span in scope["spans"]]
        assert len(spans) == SPANS_PER_TRACE


def test_blocks_are_in_the_bucket_and_found_after_a_kill(bucket, new_gateway):
    gateway, known = new_gateway(**bucket.settings("kill")).start(), Known(1)
    for _ in range(3):
        send(gateway, known)
        post(gateway, "admin", "/flush?level=l1")
    send(gateway, known)
    assert search(gateway) == (4 * TRACES, None)
    blocks = [name for name in bucket.names("kill/blocks/") if name.endswith(".parquet")]
    assert len(blocks) == 3 and len(bucket.names("kill/manifest/")) >= 3
    assert not (gateway.directory / "blocks").exists() and not (gateway.directory / "manifest").exists()
    gateway.kill()
    gateway.start()
    assert search(gateway) == (4 * TRACES, None)
    whole(gateway, known)
    gateway.stop()


def test_a_bucket_that_is_away_stops_no_ingest_and_answers_are_partial(bucket, new_gateway):
    gateway, known = new_gateway(**bucket.settings("away")).start(), Known(2)
    send(gateway, known)
    post(gateway, "admin", "/flush?level=l1")
    # Nothing of the block is in memory.
    gateway.kill()
    gateway.start()
    bucket.door.shut()
    try:
        send(gateway, known)
        found, partial = search(gateway)
        assert found == TRACES and "away/blocks" in partial, (found, partial)
        send(gateway, known)
    finally:
        bucket.door.open()
    # It catches up by itself.
    until("a whole answer", 30, lambda: search(gateway) == (3 * TRACES, None))
    post(gateway, "admin", "/flush?level=l1")
    assert search(gateway) == (3 * TRACES, None)
    gateway.stop()


def test_a_directory_goes_with_one_bucket(bucket, new_gateway):
    gateway, known = new_gateway(**bucket.settings("one")).start(), Known(3)
    send(gateway, known)
    gateway.stop()
    for settings, word in [({}, "set bucket.url"), (bucket.settings("other"), "not in")]:
        command = [os.environ["TRACEWEIR_BIN"], "serve", "--data", str(gateway.directory)]
        for key, value in settings.items():
            command += ["--set", f"{key}={value}"]
        refused = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert refused.returncode == 2, refused
        assert word in refused.stdout + refused.stderr
    gateway.start()
    assert search(gateway) == (TRACES, None)
    gateway.stop()


def test_what_is_wrong_with_a_bucket_is_told(bucket, new_gateway, tmp_path):
    settings = {**bucket.settings("x"), "bucket.url": "s3://nobody-has-it/x"}
    command = [os.environ["TRACEWEIR_BIN"], "serve", "--data", str(tmp_path / "data")]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    failed = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert failed.returncode == 1 and "there is no such bucket" in failed.stdout + failed.stderr, failed
