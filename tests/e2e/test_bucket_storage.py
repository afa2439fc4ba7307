"""What docs/guide/storage.md promises of a bucket: long outages, restore from a copy, readers of the objects."""

import json
import os
import pathlib
import subprocess
import sys
import urllib.error

import pyarrow.dataset
import pyarrow.fs
import pytest
from harness.known import Known
from harness.talk import TRACES, search, send
from harness.wait import until


def test_an_outage_past_the_budget_pushes_back_and_all_catches_up(bucket, new_gateway):
    settings = {
        **bucket.settings("outage"),
        "l0.bytes_max": "1MiB",
        "l0.window": "0s",
        "head.bytes_max": "8MiB",
        "head.seal.rows": "1000",
        "wal.segment_bytes": "256KiB",
        "wal.bytes_max": "2MiB",
    }
    gateway, known = new_gateway(**settings).start(), Known(11)
    send(gateway, known)
    gateway.post("admin", "/flush?level=l1")
    bucket.door.shut()
    acked, pushed_back = TRACES, None
    try:
        while pushed_back is None and acked < 4_000:
            try:
                send(gateway, known)
                acked += TRACES
            except urllib.error.HTTPError as error:
                pushed_back = error
        assert acked > 5 * TRACES, "ingest goes on while there is room"
        assert pushed_back is not None, "the budget has an end"
        assert pushed_back.code == 503 and int(pushed_back.headers["Retry-After"]) >= 1, pushed_back.headers
        # It lasts, and what was acknowledged is still found: all but what is in the bucket.
        found, partial = search(gateway)
        assert found >= acked - TRACES and (partial is None or "outage/blocks" in partial), (found, acked, partial)
    finally:
        bucket.door.open()

    def taken():
        try:
            send(gateway, known)
            return True
        except urllib.error.HTTPError:
            return False

    until("requests to be taken again", 60, taken)
    until("a whole answer", 30, lambda: search(gateway) == (acked + TRACES, None))
    gateway.kill()
    gateway.start()
    assert search(gateway) == (acked + TRACES, None)
    gateway.stop()


def test_a_copy_of_the_objects_is_a_backup(s3, new_gateway):
    gateway, known = new_gateway(**s3.settings("original")).start(), Known(12)
    for _ in range(3):
        send(gateway, known)
        gateway.post("admin", "/flush?level=l1")
    # Blocks, the manifest, and what became a block meanwhile.
    s3.copy("original/blocks/", "copy/blocks/")
    send(gateway, known)
    gateway.post("admin", "/flush?level=l1")
    s3.copy("original/manifest/", "copy/manifest/")
    s3.copy("original/blocks/", "copy/blocks/")
    gateway.stop()
    restored = new_gateway(**s3.settings("copy")).start()
    assert search(restored) == (4 * TRACES, None)
    # It is one to go on with.
    send(restored, known)
    restored.post("admin", "/flush?level=l1")
    assert search(restored) == (5 * TRACES, None)
    restored.stop()


def two_blocks(bucket, new_gateway, prefix):
    """What a gateway that is stopped left below a prefix."""
    gateway, known = new_gateway(**bucket.settings(prefix)).start(), Known(13)
    for _ in range(2):
        send(gateway, known)
        gateway.post("admin", "/flush?level=l1")
    gateway.stop()
    return known


def test_others_read_the_objects_where_they_are(s3, new_gateway):
    known = two_blocks(s3, new_gateway, "open")
    files = pyarrow.fs.S3FileSystem(
        access_key=s3.key["access_key_id"],
        secret_key=s3.key["secret_access_key"],
        region="us-east-1",
        endpoint_override=f"127.0.0.1:{s3.door.port}",
        scheme="http",
    )
    blocks = pyarrow.dataset.dataset(f"{s3.name}/open/blocks/default", filesystem=files, format="parquet")
    assert blocks.count_rows() == known.truth["spans"]
    errors = blocks.count_rows(filter=pyarrow.dataset.field("status_code") == 2)
    assert errors == known.truth["errors"]


@pytest.mark.skipif("E2E_DUCKDB_MISSING" in os.environ, reason=os.environ.get("E2E_DUCKDB_MISSING", ""))
def test_duckdb_reads_a_bucket_as_the_guide_says(s3, new_gateway):
    known = two_blocks(s3, new_gateway, "sql")
    script = pathlib.Path(__file__).parent / "clients" / "duckdb_bucket.py"
    access = [f"127.0.0.1:{s3.door.port}", s3.key["access_key_id"], s3.key["secret_access_key"]]
    blocks = f"s3://{s3.name}/sql/blocks/default/*.parquet"
    ended = subprocess.run(
        [sys.executable, script, *access, blocks],
        env={**os.environ, "PYTHONPATH": os.environ["E2E_DUCKDB"]},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    services = [json.loads(line) for line in ended.stdout.splitlines()]
    assert sum(spans for _, spans, _ in services) == known.truth["spans"]
    assert sum(errors for _, _, errors in services) == known.truth["errors"]
    assert len(services) > 1
