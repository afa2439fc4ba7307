"""Reads of several tenants together: one trace whose spans two tenants sent, in memory, sealed and in blocks."""

import base64
import json
import os
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import grpc
import pytest

TRACE = "fe" * 16
BOTH = "shop|ops"
# What a client says of itself, under the name that results carry.
CLAIM = "nobody"


class Hub:
    """A gateway with a token for whoever writes each tenant, and two that read."""

    def __init__(self, new_gateway, directory):
        self.tokens = directory / "tokens.yaml"
        self.writers = {name: self.token(name, "--write", name, "--scope", "traces:write")
                        for name in ("shop", "ops", "else")}
        self.reader = self.token("reader", "--read", "shop", "--read", "ops", "--scope", "traces:read")
        self.root = self.token("root", "--tenant", "*", "--scope", "admin", "--scope", "traces:read")
        self.gateway = new_gateway(auth__tokens_file=self.tokens).start()

    def token(self, name, *grants):
        command = [os.environ["TRACEWEIR_BIN"], "token", "new", "--id", name, *grants, "--file", self.tokens]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def ask(self, path, tenants=BOTH, token=None, body=None, listener="http", **headers):
        """Status, body."""
        headers = {"Authorization": f"Bearer {token or self.reader}", **headers}
        if tenants:
            headers["X-Scope-OrgID"] = tenants
        request = urllib.request.Request(self.gateway.url(listener, path), body, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def json(self, path, tenants=BOTH, **how):
        status, body = self.ask(path, tenants, **how)
        assert status == 200, (path, status, body)
        return json.loads(body)

    def search(self, query, tenants=BOTH):
        return self.json(f"/api/search?q={urllib.parse.quote(query)}", tenants)["traces"]

    def send(self, whose, span, parent, name, **resource):
        now = time.time_ns()
        pairs = [{"key": key.replace("_", "."), "value": {"stringValue": value}} for key, value in resource.items()]
        span = {"traceId": TRACE, "spanId": span * 16, "parentSpanId": parent * 16, "name": name, "kind": 2,
                "startTimeUnixNano": str(now - 1_000_000), "endTimeUnixNano": str(now)}
        body = {"resourceSpans": [{"resource": {"attributes": pairs}, "scopeSpans": [{"spans": [span]}]}]}
        status, answer = self.ask("/v1/traces", None, self.writers[whose], json.dumps(body).encode(), "otlp_http",
                                  **{"Content-Type": "application/json"})
        assert status == 200, answer

    def call(self, method, message, tenants, token=None):
        """The messages of a stream, or the code that it ends with."""
        with grpc.insecure_channel(self.gateway.addresses["http"]) as channel:
            stream = channel.unary_stream(f"/tempopb.StreamingQuerier/{method}", lambda of: of, lambda of: of)
            metadata = [("x-scope-orgid", tenants), ("authorization", f"Bearer {token or self.reader}")]
            try:
                return b"".join(stream(message, timeout=20, metadata=metadata))
            except grpc.RpcError as error:
                return error.code()


@pytest.fixture(scope="module")
def hub(new_gateway, tmp_path_factory):
    hub = Hub(new_gateway, tmp_path_factory.mktemp("hub"))
    hub.send("shop", "1", "", "page", service_name="front", tenant=CLAIM)
    hub.send("ops", "2", "1", "query", service_name="db")
    hub.send("shop", "3", "2", "row", service_name="front")
    hub.send("else", "4", "1", "other", service_name="secret")
    return hub


@pytest.fixture(scope="module", params=["head", "l0", "l1"])
def world(hub, request):
    """The same spans, further on each time."""
    if request.param != "head":
        assert hub.ask(f"/flush?level={request.param}", None, hub.root, b"", "admin")[0] == 200
    return hub


def attributes(of):
    return {pair["key"]: pair["value"]["stringValue"] for pair in of.get("attributes", [])}


def test_a_trace_by_its_id_is_whole_and_tells_whose_its_spans_are(world):
    found = world.json(f"/api/v2/traces/{TRACE}")["trace"]["resourceSpans"]
    spans = {span["name"]: attributes(of["resource"]) for of in found for scope in of["scopeSpans"]
             for span in scope["spans"]}
    assert spans == {
        "page": {"service.name": "front", "tenant": "shop", "tenant.reported": CLAIM},
        "query": {"service.name": "db", "tenant": "ops"},
        "row": {"service.name": "front", "tenant": "shop"},
    }
    # In the path, and as the user of Basic.
    path = f"/api/traces/v1/ops%7Cshop/tempo/api/v2/traces/{TRACE}"
    assert world.json(path, None)["trace"]["resourceSpans"] == found
    basic = "Basic " + base64.b64encode(f"{BOTH}:{world.reader}".encode()).decode()
    assert world.json(f"/api/v2/traces/{TRACE}", None, Authorization=basic)["trace"]["resourceSpans"] == found
    # One alone is as it was sent.
    alone = world.json(f"/api/v2/traces/{TRACE}", "shop")["trace"]["resourceSpans"]
    assert {attributes(of["resource"]).get("tenant") for of in alone} == {CLAIM, None}


def test_structure_goes_over_tenants(world):
    for query, spans in [
        ("{ name = `page` } > { name = `query` }", {"ops"}),
        ("{ name = `page` } >> { name = `row` }", {"shop"}),
        ("{ resource.tenant = `shop` } && { resource.tenant = `ops` }", {"shop", "ops"}),
        ("{ resource.service.name = `db` && rootName = `page` }", {"ops"}),
        ("{ } | count() = 3", {"shop", "ops"}),
    ]:
        [found] = world.search(query)
        assert found["traceID"] == TRACE and found["rootTraceName"] == "page", query
        assert {attributes(span)["tenant"] for span in found["spanSet"]["spans"]} == spans, query
        assert world.search(query, "shop|shop") == [], query
    assert world.search("{ name = `other` }") == []
    [alone] = world.search("{ name = `page` }", "shop")
    assert "tenant" not in attributes(alone["spanSet"]["spans"][0])


def test_names_values_and_series(world):
    tags = world.json("/api/v2/search/tags?scope=resource")["scopes"][0]["tags"]
    assert tags == ["service.name", "tenant", "tenant.reported"]
    values = world.json("/api/v2/search/tag/resource.tenant/values")["tagValues"]
    assert [of["value"] for of in values] == ["ops", "shop"]
    services = world.json("/api/v2/search/tag/resource.service.name/values")["tagValues"]
    assert [of["value"] for of in services] == ["db", "front"]
    now = int(time.time())
    query = urllib.parse.quote("{ } | count_over_time() by(resource.tenant)")
    for path in (f"query_range?q={query}&start={now - 600}&end={now + 60}&step=60s",
                 f"query?q={query}&start={now - 600}&end={now + 60}"):
        series = world.json(f"/api/metrics/{path}")["series"]
        counts = {of["labels"][0]["value"]["stringValue"]:
                  sum(float(sample.get("value", 0)) for sample in of.get("samples", [])) + float(of.get("value", 0))
                  for of in series}
        assert counts == {"shop": 2, "ops": 1}, series


def test_streams_of_grpc(world):
    query = b"{ name = `page` } > { name = `query` }"
    message = bytes([8 << 3 | 2, len(query)]) + query
    found = world.call("Search", message, BOTH)
    assert TRACE.encode() in found and b"tenant" in found and b"ops" in found
    assert TRACE.encode() not in world.call("Search", message, "shop")
    assert b"tenant" in world.call("SearchTags", b"", BOTH)
    assert world.call("Search", message, "shop|else") == grpc.StatusCode.PERMISSION_DENIED


def test_each_tenant_has_to_be_read_and_there_are_not_too_many(hub):
    many = "|".join(f"t{number}" for number in range(33))
    for path in (f"/api/traces/{TRACE}", "/api/search", "/api/v2/search/tags", "/api/v2/search/tag/name/values",
                 "/api/metrics/query_range?q=%7B%7D%7Crate()"):
        status, body = hub.ask(path, "shop|else|ops")
        assert (status, b"tenant else" in body) == (403, True), (path, body)
        status, body = hub.ask(path, many, hub.root)
        assert (status, b"at most 32" in body) == (400, True), (path, body)
        assert hub.ask(path, many.removesuffix("|t32"), hub.root)[0] in (200, 404), path
        assert hub.ask(path, "shop|", hub.root)[0] == 400, path
    path = f"/api/traces/v1/shop%7Celse/tempo/api/traces/{TRACE}"
    assert hub.ask(path, None)[0] == 403
    # Nobody sends for two.
    headers = {"Content-Type": "application/json"}
    for token in (hub.writers["shop"], hub.root):
        status, _ = hub.ask("/v1/traces", BOTH, token, b'{"resourceSpans":[]}', "otlp_http", **headers)
        assert status in (400, 403)
    assert hub.ask("/v1/traces", BOTH, hub.writers["shop"], b'{"resourceSpans":[]}', "otlp_http", **headers)[0] == 400
