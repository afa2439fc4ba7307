"""A span is found by search within 0.1 s of its ack (median), at an idle gateway."""

import json
import os
import statistics
import time
import urllib.parse
import urllib.request

import pytest
from harness.wait import until
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

ROUNDS = 60
MEDIAN_SECONDS_MAX = 0.1
# No single span may be lost to search for longer than this.
WORST_SECONDS_MAX = 2.0


@pytest.fixture(scope="module")
def gateway(new_gateway):
    return new_gateway().start()


def _send(gateway, marker):
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.add(key="service.name").value.string_value = "lag"
    span = resource_spans.scope_spans.add().spans.add(trace_id=os.urandom(16), span_id=os.urandom(8), name="lag")
    span.start_time_unix_nano = time.time_ns()
    span.end_time_unix_nano = span.start_time_unix_nano + 1000
    span.attributes.add(key="marker").value.string_value = marker
    post = urllib.request.Request(f"http://{gateway.addresses['otlp_http']}/v1/traces", request.SerializeToString(),
                                  {"Content-Type": "application/x-protobuf"})
    with urllib.request.urlopen(post, timeout=10) as answer:
        assert answer.status == 200
    return span.trace_id.hex()


def test_ack_to_search(gateway):
    lags = []
    for number in range(ROUNDS):
        marker = f"m-{number}-{os.urandom(4).hex()}"
        trace_id = _send(gateway, marker)
        acked = time.monotonic()

        def found():
            status, body = gateway.get("/api/search?tags=" + urllib.parse.quote(f"marker={marker}"))
            assert status == 200, body
            return [t["traceID"] for t in json.loads(body).get("traces", [])] == [trace_id.lstrip("0")]

        until("the span in search", WORST_SECONDS_MAX, found, pause=0.001)
        lags.append(time.monotonic() - acked)
    print(f"ack to search: median {statistics.median(lags) * 1000:.1f} ms, worst {max(lags) * 1000:.1f} ms")
    assert statistics.median(lags) <= MEDIAN_SECONDS_MAX
