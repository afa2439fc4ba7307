"""Several processes on one bucket and prefix, none of which knows of the others, killed again and again.

Each takes spans of its own and merges them; all compact what all have written. What was acknowledged is found
once, the manifest has no gap, and what nobody names is deleted. `TRACEWEIR_PROVE_RIVALS` is the number of kills.
"""

import json
import os
import random
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

import pytest
from harness.known import SPANS_PER_TRACE, Known
from harness.wait import until

KILLS = int(os.environ.get("TRACEWEIR_PROVE_RIVALS", "8"))
POINTS = ["merge.begin", "merge.written", "merge.committed", "merge.shown", "compact.begin", "compact.written"]
POINTS += ["compact.committed", "compact.shown", "seal.written", "seal.shown", "l0.buried"]
POINTS += ["catalog.written", "catalog.committed"]
TRACES = 5


class Rival:
    """A process, and who sends to it."""

    def __init__(self, number, count, bucket, new_gateway):
        settings = {
            **bucket.settings(f"rivals-{count}"),
            "bucket.poll": "1s",
            "bucket.grace": "5s",
            "l0.window": "0s",
            "head.seal.age": "1s",
        }
        self.gateway = new_gateway(**settings)
        self.known = Known(1_000 + number)
        self.random = random.Random(number)
        self.acked = set()

    def run(self, kills):
        """Sends until it was killed so many times, and starts it again each time."""
        for _ in range(kills):
            point = self.random.choice(POINTS)
            times = 1 if point.startswith("compact") else self.random.randint(1, 3)
            self.gateway.environment["TRACEWEIR_CRASH_AT"] = f"{point}:{times}"
            try:
                self.gateway.start()
            except AssertionError:
                # It may die before it is ready.
                if not self.gateway.has_died():
                    raise
                continue
            while not self.gateway.has_died():
                self.send()
        self.gateway.environment.pop("TRACEWEIR_CRASH_AT")
        self.gateway.start()

    def send(self):
        request = self.known.request(TRACES, "custom.key")
        traces = {span.trace_id for of in request.resource_spans for scope in of.scope_spans for span in scope.spans}
        try:
            self.gateway.post("otlp_http", "/v1/traces", request.SerializeToString())
            self.acked |= traces
            # A block of them: many of those are compacted.
            self.gateway.post("admin", "/flush?level=l1")
        except (OSError, HTTPException):
            # Killed meanwhile; what was not acknowledged may be there or not.
            pass


def spans_of(gateway, trace):
    """The ids of a trace's spans, as often as they are there."""
    status, body = gateway.get(f"/api/traces/{trace.hex()}")
    if status == 404:
        return []
    assert status == 200, body
    return [
        span["spanId"]
        for batch in json.loads(body)["batches"]
        for scope in batch["scopeSpans"]
        for span in scope["spans"]
    ]


def missing(gateway, traces):
    """Those that are not whole, or have a span twice."""
    def is_whole(trace):
        spans = spans_of(gateway, trace)
        return len(spans) == len(set(spans)) == SPANS_PER_TRACE

    return [trace.hex() for trace in traces if not is_whole(trace)]


def metric(gateway, name):
    with urllib.request.urlopen(f"http://{gateway.addresses['admin']}/metrics", timeout=10) as answer:
        values = [line.split()[-1] for line in answer.read().decode().splitlines() if line.startswith(name + " ")]
    return float(values[0])


@pytest.mark.parametrize("count", [2, 4] if KILLS > 8 else [2])
def test_rivals_lose_nothing_and_double_nothing(bucket, new_gateway, count):
    rivals = [Rival(number + 10 * count, count, bucket, new_gateway) for number in range(count)]
    with ThreadPoolExecutor(count) as pool:
        for done in [pool.submit(rival.run, KILLS // count) for rival in rivals]:
            done.result()
    # Something that the others find: what they count begins anew with each start.
    for rival in rivals:
        rival.send()
    acked = set().union(*(rival.acked for rival in rivals))
    assert len(acked) > 10 * KILLS, "hardly anything was acknowledged"
    sample = random.Random(1).sample(sorted(acked), min(200, len(acked)))
    for rival in rivals:
        until("what others have acknowledged", 60, lambda: missing(rival.gateway, sample) == [])
        assert metric(rival.gateway, "traceweir_store_duplicate_spans_total") == 0
    assert missing(rivals[0].gateway, sorted(acked)) == []
    compactions = sum(metric(rival.gateway, "traceweir_store_compactions_total") for rival in rivals)
    def followed():
        return sum(metric(rival.gateway, "traceweir_store_followed_total") for rival in rivals)

    until("what others have merged", 60, lambda: followed() > 0)
    names = [name.rsplit("/", 1)[-1] for name in bucket.names(f"rivals-{count}/manifest/")]
    entries = sorted(int(name) for name in names if name.isdigit())
    assert entries == list(range(entries[0], entries[-1] + 1)), "the manifest has a gap"

    # What is in use no more goes, what no entry names as well: orphans of those that were killed, by their next start.
    def none_left():
        named = metric(rivals[0].gateway, "traceweir_store_blocks")
        there = len([name for name in bucket.names(f"rivals-{count}/blocks/") if name.endswith(".parquet")])
        return there == named

    until("blocks that nobody needs to go", 90, none_left)
    print(f"{count} processes, {KILLS} kills, {len(acked)} traces acknowledged, {compactions:.0f} compactions since the last")
    for rival in rivals:
        rival.gateway.stop()
