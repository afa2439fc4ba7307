"""Blocks in a bucket: what was acknowledged is found there, after a kill, and while the bucket is away."""

import json
import os
import shutil
import subprocess

from harness.known import SPANS_PER_TRACE, Known
from harness.proxy import Proxy
from harness.talk import TRACES, search, send
from harness.wait import until


def whole(gateway, known):
    """Some traces by their ids, each with all of its spans."""
    for trace in sorted({ids[:16] for ids in known.parents})[:5]:
        status, body = gateway.get(f"/api/traces/{trace.hex()}")
        assert status == 200, body
        batches = json.loads(body)["batches"]
        spans = [span for batch in batches for scope in batch["scopeSpans"] for span in scope["spans"]]
        assert len(spans) == SPANS_PER_TRACE


def run(directory, settings, *command):
    """Runs a command of the program: its exit code, and what it says."""
    command = [os.environ["TRACEWEIR_BIN"], *command, "--data", str(directory)]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return ended.returncode, ended.stdout + ended.stderr


def refused(directory, settings):
    """The exit code and what is said where the gateway does not start."""
    return run(directory, settings, "serve")


def test_blocks_are_in_the_bucket_and_found_after_a_kill(bucket, new_gateway):
    gateway, known = new_gateway(**bucket.settings("kill")).start(), Known(1)
    for _ in range(3):
        send(gateway, known)
        gateway.post("admin", "/flush?level=l1")
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
    # After a kill nothing of the block is in memory but its index, which a start reads ahead, and nothing is kept
    # on the disk. It is so large that its rows do not come with that.
    before = 30 * TRACES
    settings = {**bucket.settings("away"), "cache.disk_bytes_max": "0B"}
    gateway, known = new_gateway(**settings).start(), Known(2)
    send(gateway, known, before)
    gateway.post("admin", "/flush?level=l1")
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
    until("a whole answer", 30, lambda: search(gateway) == (before + 2 * TRACES, None))
    gateway.post("admin", "/flush?level=l1")
    assert search(gateway) == (before + 2 * TRACES, None)
    gateway.stop()


def test_a_directory_goes_with_one_bucket(bucket, new_gateway):
    gateway, known = new_gateway(**bucket.settings("one")).start(), Known(3)
    send(gateway, known)
    gateway.stop()
    for settings, word in [({}, "set bucket.url"), (bucket.settings("other"), "not in")]:
        code, said = refused(gateway.directory, settings)
        assert code == 2 and word in said, said
    gateway.start()
    assert search(gateway) == (TRACES, None)
    gateway.stop()


def test_blocks_of_a_bucket_can_be_looked_at(bucket, new_gateway, tmp_path):
    settings = bucket.settings("looked")
    gateway, known = new_gateway(**settings).start(), Known(5)
    for _ in range(2):
        send(gateway, known)
        gateway.post("admin", "/flush?level=l1")
    send(gateway, known)
    gateway.post("admin", "/flush?level=l0")

    def listed(directory):
        code, said = run(directory, settings, "block", "ls", "--json")
        assert code == 0, said
        return [json.loads(line) for line in said.splitlines()]

    # Of the server's directory, while it runs; and from another machine, which has no L0.
    files, far = listed(gateway.directory), listed(tmp_path / "none")
    assert [file["header"]["level"] for file in files] == ["l0", "l1", "l1"] and far == files[1:]
    assert all(file["standing"] == "live" and file["fault"] is None for file in files), files
    code, said = run(tmp_path / "none", settings, "block", "verify")
    assert code == 0 and said.count(": ok") == 2, said
    code, said = run(tmp_path / "none", settings, "block", "cat", far[0]["id"], "--limit", "7")
    assert code == 0 and len([json.loads(line) for line in said.splitlines()]) == 7, said
    code, said = run(gateway.directory, {}, "block", "ls")
    assert code == 2 and f"bucket.url={settings['bucket.url']}" in said, said
    wrong = {**settings, "bucket.url": f"{bucket.scheme}://nobody-has-it/x"}
    code, said = run(tmp_path / "none", wrong, "block", "ls")
    assert code == 1 and "there is no such bucket" in said, said
    gateway.stop()


def test_what_is_wrong_with_a_bucket_is_told(bucket, new_gateway, tmp_path):
    settings = {**bucket.settings("x"), "bucket.url": f"{bucket.scheme}://nobody-has-it/x"}
    code, said = refused(tmp_path / "data", settings)
    assert code == 1 and "there is no such bucket" in said, said


def test_a_write_whose_answer_is_lost_loses_nothing(bucket, new_gateway):
    """The client tries again, and finds the name taken: by itself."""
    lost = set()

    def loses(request, forward):
        answer = forward()
        if request.condition and request.path not in lost:
            lost.add(request.path)
            return None
        return answer

    known = Known(4)
    with Proxy(bucket.port, loses) as proxy:
        gateway = new_gateway(**bucket.settings("lost", proxy.port)).start()
        for times in range(1, 4):
            send(gateway, known)
            gateway.post("admin", "/flush?level=l1")
            assert search(gateway) == (times * TRACES, None)
        gateway.kill()
        gateway.start()
        assert search(gateway) == (3 * TRACES, None)
        whole(gateway, known)
        gateway.stop()
    assert len([path for path in lost if "/manifest/" in path]) == 3, lost


def metric(gateway, name, **labels):
    """The sum of the samples of a metric that have these labels."""
    status, page = gateway.get("/metrics", listener="admin")
    assert status == 200
    has = [f'{key}="{value}"' for key, value in labels.items()]
    lines = [line for line in page.decode().splitlines() if line.startswith(name) and all(part in line for part in has)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def test_what_was_read_of_a_bucket_is_kept_over_a_kill(bucket, new_gateway):
    # Of its own: what other tests leave of the disk would change it, and one of another size begins anew.
    settings = {**bucket.settings("kept"), "cache.disk_bytes_max": "1GiB"}
    gateway, known = new_gateway(**settings).start(), Known(4)
    for _ in range(3):
        send(gateway, known)
        gateway.post("admin", "/flush?level=l1")
    # The indexes were kept as the blocks were written; traces take their pages.
    whole(gateway, known)
    assert metric(gateway, "traceweir_cache_misses_total", content="directory") == 0
    asked = metric(gateway, "traceweir_bucket_gets_total")
    whole(gateway, known)
    assert metric(gateway, "traceweir_bucket_gets_total") == asked
    for what in ["dropped", "overflow"]:
        assert metric(gateway, f"traceweir_cache_{what}_total") == 0
    # What is written to the disk of the cache is written behind what needs it.
    until("the cache to be written", 30, lambda: metric(gateway, "traceweir_cache_queued_bytes") == 0)
    gateway.kill()
    gateway.start()
    asked = metric(gateway, "traceweir_bucket_gets_total")
    whole(gateway, known)
    warm = metric(gateway, "traceweir_bucket_gets_total")
    assert warm == asked
    assert metric(gateway, "traceweir_cache_disk_hits_total") > 0
    assert metric(gateway, "traceweir_cache_lost_total") == 0
    gateway.kill()
    # Without what is on the disk, everything is asked of the bucket: by the start, which reads ahead, or by whoever
    # is faster.
    shutil.rmtree(gateway.directory / "cache")
    gateway.start()
    whole(gateway, known)
    assert metric(gateway, "traceweir_bucket_gets_total") > warm
    gateway.stop()
