"""What queries may cost: ranges, series, time, bytes, how many at once; and answers that nobody reads."""

import concurrent.futures
import json
import socket
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
from harness.knock import Knock
from harness.limits import Overrides, metric
from harness.memory import Watch, resident
from harness.wait import until
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

# Many regular expressions over texts that all differ, and nothing that fits: a second of work or more.
SPANS, LONG = 40_000, 400
SLOW = "{ " + " || ".join(f'span.text =~ ".*[a-f]{{{number % 9 + 1}}}.*z{number}.*"' for number in range(20)) + " }"
MOST, QUEUED = 1, 2
LIMITS = {
    "busy": {"concurrent_max": MOST, "queued_max": QUEUED},
    "short": {"search_range_max": "1h", "metrics_range_max": "2h", "series_max": 3},
    "hasty": {"wait": "1ms"},
    "thrifty": {"bytes_max": "1KB"},
}


def _request(spans, text=1, trace=None, values=5):
    made = ExportTraceServiceRequest()
    resource = made.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "limits"
    scope = resource.scope_spans.add()
    start = time.time_ns() - 10**9
    for number in range(spans):
        span = scope.spans.add(trace_id=trace or number.to_bytes(16, "big"), span_id=(number + 1).to_bytes(8, "big"),
                               name=f"name {number % values}", start_time_unix_nano=start,
                               end_time_unix_nano=start + 1_000)
        span.attributes.add(key="text").value.string_value = f"{number:x}" + "q" * text
    return made


class House:
    """A gateway with a tenant for each limit."""

    def __init__(self, new_gateway, directory):
        overrides = Overrides(directory, tenants={name: {"query": query} for name, query in LIMITS.items()})
        self.gateway = new_gateway(tenancy="header", overrides__file=overrides.file).start()
        self.knock = Knock(self.gateway)
        for tenant in ("busy", "short", "hasty", "thrifty", "other"):
            made = _request(SPANS, LONG) if tenant in ("busy", "hasty") else _request(2_000, 100)
            self.send(tenant, made)

    def send(self, tenant, made):
        spans = made.resource_spans[0].scope_spans[0].spans
        for start in range(0, len(spans), 20_000):
            part = ExportTraceServiceRequest()
            resource = part.resource_spans.add(resource=made.resource_spans[0].resource)
            resource.scope_spans.add(spans=spans[start:start + 20_000])
            headers = [("content-type", b"application/x-protobuf"), ("x-scope-orgid", tenant.encode())]
            status, body = self.knock.http("otlp_http", "POST", "/v1/traces", headers, part.SerializeToString())
            assert status == 200, body

    def get(self, tenant, path, **parameters):
        """Status, headers and body."""
        url = self.gateway.url("http", f"{path}?{urllib.parse.urlencode(parameters)}")
        return _get(url, tenant)


def _get(url, tenant):
    request = urllib.request.Request(url, headers={"X-Scope-OrgID": tenant})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


@pytest.fixture(scope="module")
def house(new_gateway, tmp_path_factory):
    house = House(new_gateway, tmp_path_factory.mktemp("overrides"))
    yield house
    house.knock.close()


def test_a_range_that_is_too_long_is_refused_with_the_limit(house):
    now = int(time.time())
    for path, hours, key, query in (("/api/search", 1, "query.search_range_max of the tenant is 1h", "{ }"),
                                    ("/api/metrics/query_range", 2, "query.metrics_range_max of the tenant is 2h",
                                     "{ } | rate()")):
        long = {"q": query, "start": now - hours * 3600 - 60, "end": now}
        status, _, body = house.get("short", path, **long)
        assert status == 400 and key in body and f"{hours * 3600 + 60}s long" in body, body
        assert house.get("short", path, **{**long, "start": now - hours * 3600 + 60})[0] == 200
        assert house.get("other", path, **long)[0] == 200, "others have limits of their own"


def test_series_time_and_bytes_end_a_query_which_says_so(house):
    now = int(time.time())
    during = {"start": now - 600, "end": now + 60}
    query = {"q": "{ } | count_over_time() by (name)", "step": "60s", **during}
    status, headers, body = house.get("short", "/api/metrics/query_range", **query)
    assert status == 200 and len(json.loads(body)["series"]) == 3, body
    assert headers["X-Traceweir-Partial"], headers.items()
    status, headers, body = house.get("other", "/api/metrics/query_range", **query)
    assert len(json.loads(body)["series"]) == 5 and headers["X-Traceweir-Partial"] is None
    for tenant in ("hasty", "thrifty"):
        # What is in it is a matter of luck; that it is not all is said.
        status, headers, body = house.get(tenant, "/api/search", q=SLOW, **during)
        assert status == 200 and headers["X-Traceweir-Partial"], (tenant, headers.items(), body)
    assert house.get("other", "/api/search", q=SLOW, **during)[1]["X-Traceweir-Partial"] is None


class Hung:
    """Queries whose answers are read later, or never: each has a connection of its own."""

    def __init__(self, house, tenant, query, count):
        host, port = house.gateway.addresses["http"].rsplit(":", 1)
        path = "/api/search?" + urllib.parse.urlencode({"q": query, "limit": 20})
        self.streams = []
        for _ in range(count):
            stream = socket.create_connection((host, int(port)), timeout=90)
            stream.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\nx-scope-orgid: {tenant}\r\n\r\n".encode())
            self.streams.append(stream)

    def close(self):
        for stream in self.streams:
            stream.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def test_queries_of_one_tenant_wait_for_each_other_and_too_many_come_back(house):
    """One is evaluated, two wait, and the others are told; another tenant is answered meanwhile."""
    searches = "/api/search"
    refused = lambda: metric(house.gateway, "traceweir_tenant_refused_total", tenant="busy", reason="queries")
    before, count = refused(), 12
    parameters = {"q": SLOW, "limit": 20}
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        answers = [pool.submit(house.get, "busy", searches, **parameters) for _ in range(count)]
        until("refusals", 30, lambda: refused() - before >= count - MOST - QUEUED)
        # Some of its own still wait; gRPC is told in its own words.
        assert not all(answer.done() for answer in answers), "the queries are too quick for this test"
        # tempopb.SearchRequest: field 8 is the query, and its length takes two bytes.
        message = bytes([0x42, len(SLOW) & 0x7F | 0x80, len(SLOW) >> 7]) + SLOW.encode()
        code, _, told = house.knock.stream("http", "/tempopb.StreamingQuerier/Search", message,
                                           [("x-scope-orgid", b"busy")])
        assert code == 8, told
        assert house.get("other", searches, q='{ name = "name 1" }', limit=5)[0] == 200
        assert not all(answer.done() for answer in answers), "it waited for those of another tenant"
        answers = [answer.result() for answer in answers]
    counts = [status for status, _, _ in answers]
    assert counts.count(200) == MOST + QUEUED and counts.count(429) == count - MOST - QUEUED, counts
    for status, headers, body in answers:
        if status == 429:
            assert int(headers["Retry-After"]) >= 1, body


def test_a_client_that_goes_away_frees_its_place(house):
    name = "traceweir_tenant_refused_total"
    refused = lambda: metric(house.gateway, name, tenant="busy", reason="queries")
    before = refused()
    with Hung(house, "busy", SLOW, MOST + QUEUED + 1) as hung:
        until("a full queue", 30, lambda: refused() > before)
        hung.close()
    # Places are free long before these would have been answered: they are taken by nobody else.
    evaluated = metric(house.gateway, "traceweir_tenant_queries_total", tenant="busy")
    quick = lambda: house.get("busy", "/api/search", q='{ name = "name 1" }', limit=1)[0] == 200
    until("a place", 30, quick)
    now = metric(house.gateway, "traceweir_tenant_queries_total", tenant="busy")
    assert now == evaluated + 1, "those that nobody waits for were evaluated"


READERS, ANSWERS_MIB, TRACE_MIB = 60, 16, 8
# Answers that are sent, as much again that waits, and what each thread takes to put one together.
MOST_MIB = 2 * ANSWERS_MIB + 12 * TRACE_MIB


def test_answers_that_nobody_reads_are_bounded(new_gateway, tmp_path):
    """Sixty clients ask for a trace of eight MiB and read nothing of it; others are answered."""
    gateway = new_gateway(tenancy="header", api__answers_bytes_max=f"{ANSWERS_MIB}MiB", server__stall_max="1s").start()
    house = House.__new__(House)
    house.gateway, house.knock = gateway, Knock(gateway)
    large, small = b"\x77" * 16, b"\x78" * 16
    house.send("greedy", _request(TRACE_MIB * 1024, 1_024, trace=large))
    house.send("other", _request(3, trace=small))
    path = f"/api/v2/traces/{large.hex()}"
    status, _, body = house.get("greedy", path)
    assert status == 200 and len(body) > TRACE_MIB << 20
    before = resident(gateway)
    host, port = gateway.addresses["http"].rsplit(":", 1)
    streams = []
    with Watch(gateway) as watch:
        for _ in range(READERS):
            stream = socket.socket()
            # A small window, so that an answer is not taken by the kernel.
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stream.connect((host, int(port)))
            stream.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\nx-scope-orgid: greedy\r\n\r\n".encode())
            streams.append(stream)
        busy = lambda: metric(gateway, "traceweir_tenant_refused_total", tenant="greedy", reason="overload") > 0
        until("a refusal for want of memory", 90, busy)
        status, _, body = house.get("other", f"/api/v2/traces/{small.hex()}")
        assert status == 200, body
    print(f"{READERS} x {TRACE_MIB} MiB not read: {(watch.peak - before) / 1024:.1f} MiB more")
    # Who reads nothing is given up, and holds its memory no longer.
    until("its memory", 60, lambda: house.get("greedy", path)[0] == 200)
    assert metric(gateway, "traceweir_connections_total", listener="http", end="failed") >= 1
    for stream in streams:
        stream.close()
    assert watch.peak - before < MOST_MIB * 1024, (before, watch.peak)
    house.knock.close()
