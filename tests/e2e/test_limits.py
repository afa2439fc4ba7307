"""Limits of tenants, by hand: how refusals are worded over each protocol, and where limits come from while it runs."""

import json
import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from harness.knock import EXPORT
from harness.limits import Overrides, metric, reloads
from harness.tokens import Tokens
from harness.wait import until
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

PROTOBUF, JSON = "application/x-protobuf", "application/json"
WAYS = ("grpc", PROTOBUF, JSON)


def request(spans, attribute=1, attributes=1, trace=None):
    """So many spans, each of a trace of its own if none is given, with attributes of so many bytes."""
    made = ExportTraceServiceRequest()
    scope = made.resource_spans.add().scope_spans.add()
    for _ in range(spans):
        span = scope.spans.add(trace_id=trace or os.urandom(16), span_id=os.urandom(8), name="job",
                               start_time_unix_nano=time.time_ns())
        span.end_time_unix_nano = span.start_time_unix_nano + 1
        for number in range(attributes):
            span.attributes.add(key=f"k{number}").value.string_value = "v" * attribute
    return made


def to_json(made):
    """OTLP/JSON: ids in hex."""
    spans = [{"traceId": span.trace_id.hex(), "spanId": span.span_id.hex(), "name": span.name,
              "startTimeUnixNano": str(span.start_time_unix_nano), "endTimeUnixNano": str(span.end_time_unix_nano),
              "attributes": [{"key": of.key, "value": {"stringValue": of.value.string_value}}
                             for of in span.attributes]}
             for span in made.resource_spans[0].scope_spans[0].spans]
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()


class Told:
    """An answer: its code in terms of HTTP, google.rpc.Status, the hint when to come back, and what came in part."""

    def __init__(self, code, status=None, retry_after=None, partial=None):
        self.code, self.status, self.retry_after, self.partial = code, status, retry_after, partial

    @property
    def message(self):
        return self.status.message

    @property
    def retry(self):
        """Seconds of google.rpc.RetryInfo; None where there is none."""
        info = error_details_pb2.RetryInfo()
        found = [detail.Unpack(info) for detail in self.status.details]
        assert len(found) <= 1 and all(found), self.status
        return info.retry_delay.seconds + info.retry_delay.nanos / 1e9 if found else None


class Sender:
    """Sends by each way, as whom the headers say."""

    def __init__(self, gateway, **headers):
        self.gateway = gateway
        self.headers = {name.replace("_", "-").lower(): value for name, value in headers.items()}

    def send(self, way, made):
        return self._grpc(made) if way == "grpc" else self._http(way, made)

    def _grpc(self, made):
        with grpc.insecure_channel(self.gateway.addresses["otlp_grpc"]) as channel:
            call = channel.unary_unary(EXPORT, ExportTraceServiceRequest.SerializeToString,
                                       ExportTraceServiceResponse.FromString)
            try:
                answer = call(made, timeout=30, metadata=list(self.headers.items()))
                return Told(200, partial=answer.partial_success)
            except grpc.RpcError as error:
                details = dict(error.trailing_metadata()).get("grpc-status-details-bin")
                status = status_pb2.Status(code=error.code().value[0], message=error.details())
                if details is not None:
                    told, status = status, status_pb2.Status.FromString(details)
                    assert (told.code, told.message) == (status.code, status.message)
                code = {8: 429, 14: 503, 3: 413}[status.code]
                return Told(code, status)

    def _http(self, content_type, made):
        body = made.SerializeToString() if content_type == PROTOBUF else to_json(made)
        asked = urllib.request.Request(self.gateway.url("otlp_http", "/v1/traces"), body,
                                       {"Content-Type": content_type, **self.headers})
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                return Told(200, partial=self._partial(content_type, answer.read()))
        except urllib.error.HTTPError as error:
            assert error.headers["Content-Type"] == content_type, "in the type of the request"
            status = status_pb2.Status()
            if content_type == PROTOBUF:
                status.ParseFromString(error.read())
            else:
                told = json.loads(error.read())
                status.code, status.message = told["code"], told["message"]
                for detail in told.get("details", []):
                    info = error_details_pb2.RetryInfo()
                    info.retry_delay.FromJsonString(detail["retryDelay"])
                    status.details.add().Pack(info)
                    assert detail["@type"] == status.details[-1].type_url
            return Told(error.code, status, error.headers["Retry-After"])

    @staticmethod
    def _partial(content_type, body):
        if content_type == PROTOBUF:
            return ExportTraceServiceResponse.FromString(body).partial_success
        told = json.loads(body).get("partialSuccess", {})
        answer = ExportTraceServiceResponse()
        answer.partial_success.rejected_spans = int(told.get("rejectedSpans", 0))
        answer.partial_success.error_message = told.get("errorMessage", "")
        return answer.partial_success


@pytest.fixture(scope="module")
def overrides(tmp_path_factory):
    tenants = {f"{kind}-{number}": {"ingestion": ingestion} for number in range(len(WAYS)) for kind, ingestion in {
        "spans": {"rate_spans": 10, "burst_spans": 20},
        "bytes": {"rate_bytes": "1KB", "burst_bytes": "2KB"},
        "few": {"request_spans_max": 3},
        "short": {"attribute_bytes_max": "100B"},
        "cut": {"attribute_bytes_max": "100B", "long_attributes": "cut"},
        "plain": {"attributes_max": 2},
        "live": {"live_traces_max": 2},
        "small": {"trace_bytes_max": "1KB"},
    }.items()}
    return Overrides(tmp_path_factory.mktemp("overrides"), tenants=tenants)


@pytest.fixture(scope="module")
def gateway(new_gateway, overrides):
    return new_gateway(tenancy="header", overrides__file=overrides.file).start()


@pytest.fixture(params=range(len(WAYS)), ids=["grpc", "protobuf", "json"])
def way(request):
    """Its number, so that each has tenants of its own."""
    return request.param


def _send(gateway, tenant, way, made):
    return Sender(gateway, X_Scope_OrgID=tenant).send(WAYS[way], made)


def _refused(gateway, tenant, reason):
    return metric(gateway, "traceweir_tenant_refused_total", tenant=tenant, reason=reason)


@pytest.mark.parametrize(("kind", "what", "per_second", "burst"), [("spans", "spans", 10, 20),
                                                                   ("bytes", "bytes", 1_000, 2_000)])
def test_over_a_rate_the_answer_says_whose_it_is_which_and_how_long(kind, what, per_second, burst, way, gateway):
    tenant = f"{kind}-{way}"
    made = request(50) if kind == "spans" else request(20, attribute=200)
    assert _send(gateway, tenant, way, made).code == 200, "whatever its size, it goes through and is paid for later"
    told = _send(gateway, tenant, way, request(1))
    assert told.code == 429 and told.status.code == 8
    for part in (f"tenant {tenant} ", f"ingestion.rate_{kind}", f"{per_second} in a second", f"{burst} at once"):
        assert part in told.message, told.message
    units = {"m": 60, "s": 1, "ms": 0.001}
    parts = re.findall(r"(\d+)(ms|s|m)\b", told.message.rsplit("there is room again in ", 1)[1])
    said = sum(int(number) * units[unit] for number, unit in parts)
    # The wait, rounded up to a millisecond, and spread by up to a half.
    assert said - 0.002 <= told.retry <= 1.5 * said and told.retry >= 1, (said, told.retry)
    if WAYS[way] != "grpc":
        assert 0 <= int(told.retry_after) - told.retry < 1
    assert _refused(gateway, tenant, f"rate_{what}") == 1
    # Nobody else is concerned.
    assert _send(gateway, f"other-{way}", way, request(1)).code == 200


def test_too_many_spans_of_a_request_are_refused_for_good(way, gateway):
    tenant = f"few-{way}"
    told = _send(gateway, tenant, way, request(4))
    assert told.code == 413 and told.status.code == 3
    assert told.retry is None and told.retry_after is None
    assert f"ingestion.request_spans_max of tenant {tenant} allows, which is 3" in told.message
    assert _refused(gateway, tenant, "request_spans") == 1
    assert _send(gateway, tenant, way, request(3)).code == 200


TRACE = bytes(range(16))
IN_PART = {
    "short": (lambda: request(1, attribute=200), "attribute"),
    "plain": (lambda: request(1, attributes=3), "attributes"),
    "live": (lambda: request(1), "live traces"),
    "small": (lambda: request(1, attribute=1_200, trace=TRACE), "trace"),
}


@pytest.mark.parametrize("kind", IN_PART)
def test_a_span_that_breaks_a_rule_is_refused_and_the_others_are_stored(kind, way, gateway):
    bad, word = IN_PART[kind]
    tenant, mixed = f"{kind}-{way}", request(2)
    wanted = {span.trace_id.hex() for span in mixed.resource_spans[0].scope_spans[0].spans}
    mixed.MergeFrom(bad())
    # All of them in one scope, which is what `to_json` writes.
    mixed.resource_spans[0].MergeFrom(mixed.resource_spans[1])
    del mixed.resource_spans[1:]
    scopes = mixed.resource_spans[0].scope_spans
    scopes[0].MergeFrom(scopes[1])
    del scopes[1:]
    told = _send(gateway, tenant, way, mixed)
    assert told.code == 200 and told.partial.rejected_spans == 1, told.partial
    assert "1 of 3 spans refused: span 2" in told.partial.error_message and word in told.partial.error_message
    assert metric(gateway, "traceweir_tenant_refused_spans_total", tenant=tenant) == 1
    gateway.headers = {"X-Scope-OrgID": tenant}
    for trace in wanted:
        assert gateway.get(f"/api/v2/traces/{trace}")[0] == 200
    found = json.loads(gateway.get("/api/search?q=%7B%20%7D&limit=50")[1])
    assert {of["traceID"].zfill(32) for of in found["traces"]} == wanted


def test_where_a_tenant_wants_it_long_text_is_cut_and_says_so(way, gateway):
    tenant, made = f"cut-{way}", request(1, attribute=1_000)
    told = _send(gateway, tenant, way, made)
    assert told.code == 200 and told.partial.rejected_spans == 0
    gateway.headers = {"X-Scope-OrgID": tenant}
    trace = made.resource_spans[0].scope_spans[0].spans[0].trace_id.hex()
    found = json.loads(gateway.get(f"/api/v2/traces/{trace}")[1])
    (attribute,) = found["trace"]["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"]
    text = attribute["value"]["stringValue"]
    kept = text.rstrip("]").split("[")[0]
    assert set(kept) == {"v"} and text == f"{kept}[{1_000 - len(kept)} bytes cut]" and len(text) <= 100, text


@pytest.fixture(scope="module")
def tight(new_gateway):
    """One that has a place for a single request."""
    return new_gateway(tenancy="header", receiver__limits__requests_max=1, receiver__limits__wait="0s",
                       receiver__body__idle_max="60s").start()


def test_without_a_place_the_answer_is_to_come_back(way, tight):
    host, port = tight.addresses["otlp_http"].rsplit(":", 1)
    with socket.create_connection((host, int(port))) as holder:
        # It has its place while its body is awaited.
        holder.sendall(b"POST /v1/traces HTTP/1.1\r\nhost: x\r\nx-scope-orgid: holder\r\n"
                       b"content-type: application/x-protobuf\r\ncontent-length: 100\r\n\r\n1")
        until("the place to be taken", 20, lambda: metric(tight, "traceweir_receiver_requests_in_flight") == 1)
        told = _send(tight, "other", way, request(1))
        assert told.code == 503 and told.status.code == 14, told.status
        assert told.retry >= 1 and "too many requests in flight, limit 1" in told.message
        if WAYS[way] != "grpc":
            assert 0 <= int(told.retry_after) - told.retry < 1
    assert _refused(tight, "other", "overload") >= 1
    until("the place to be free", 20, lambda: metric(tight, "traceweir_receiver_requests_in_flight") == 0)
    assert _send(tight, "other", way, request(1)).code == 200


def test_the_file_is_read_again_and_a_wrong_one_changes_nothing(new_gateway, tmp_path):
    overrides = Overrides(tmp_path, tenants={"shop": {"ingestion": {"request_spans_max": 5}}})
    gateway = new_gateway(tenancy="header", overrides__file=overrides.file).start()

    def most(tenant="shop"):
        gateway.headers = {"X-Scope-OrgID": tenant}
        return json.loads(gateway.get("/api/overrides")[1])["ingestion"]["request_spans_max"]

    def takes(spans):
        return _send(gateway, "shop", 1, request(spans)).code == 200

    assert most() == 5 and takes(5) and not takes(6)
    seven = {"tenants": {"shop": {"ingestion": {"request_spans_max": 7}}}}
    assert reloads(gateway, lambda: overrides.swap(**seven)), "as Kubernetes does it"
    eight = {"tenants": {"shop": {"ingestion": {"request_spans_max": 8}}}}
    assert reloads(gateway, lambda: overrides.swap(**eight)), "and again"
    assert most() == 8 and takes(8) and not takes(9)
    for wrong, word in ((json.dumps({"tenants": {"shop": {"ingestion": {"request_spans_max": 0}}}}),
                         "tenants.shop.ingestion.request_spans_max"),
                        ("tenants: [", "YAML")):
        assert not reloads(gateway, lambda text=wrong: overrides.text(text))
        told = [line for line in gateway.log.read_text().splitlines() if "overrides are wrong" in line]
        assert told and word in told[-1], told[-1:]
        assert most() == 8 and takes(8) and not takes(9)
    six = {"tenants": {"shop": {"ingestion": {"request_spans_max": 6}}}}
    assert reloads(gateway, lambda: overrides.write(**six)) and most() == 6 and takes(6) and not takes(7)


SHOP = {
    "defaults": {"query": {"wait": "10s"}},
    "classes": {"gold": {"ingestion": {"rate_spans": 1_000, "burst_spans": 2_000}}},
    "tenants": {"shop": {"ingestion": {"rate_spans": 100, "burst_spans": 100}, "clusters": {
        "eu-1": {"ingestion": {"rate_spans": 20, "burst_spans": 20}}, "*": {"ingestion": {"rate_spans": 10}}}},
        "gilt": {}},
}


class Door:
    """A gateway that knows a token for each class and cluster, and what these may send."""

    def __init__(self, new_gateway, directory):
        overrides, tokens = Overrides(directory, **SHOP), Tokens(directory)
        every = ("--scope", "traces:write", "--scope", "traces:read")
        self.tokens = {
            "plain": tokens.new("plain", "--tenant", "gilt", *every),
            "gold": tokens.new("gold", "--tenant", "gilt", *every, "--class", "gold"),
            "eu": tokens.new("eu", "--tenant", "shop", *every, "--cluster", "eu-1"),
            "us": tokens.new("us", "--tenant", "shop", *every, "--cluster", "us-9"),
            "metrics": tokens.new("metrics", "--tenant", "shop", "--scope", "metrics:read"),
            "admin": tokens.new("admin", "--tenant", "*", "--scope", "admin", "--scope", "metrics:read"),
            "own-admin": tokens.new("own-admin", "--tenant", "shop", "--scope", "admin"),
        }
        self.file = overrides.file
        self.gateway = new_gateway(auth__tokens_file=tokens.file, overrides__file=overrides.file).start()

    def send(self, who, spans):
        return Sender(self.gateway, Authorization=f"Bearer {self.tokens[who]}").send(PROTOBUF, request(spans))

    def get(self, who, path, listener="admin"):
        self.gateway.headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who else {}
        status, body = self.gateway.get(path, listener=listener)
        return status, body.decode()


@pytest.fixture(scope="module")
def door(new_gateway, tmp_path_factory):
    return Door(new_gateway, tmp_path_factory.mktemp("door"))


def test_classes_and_clusters_have_rates_of_their_own(door):
    # Of no class and without a rate: never refused. Of the class: after its burst.
    assert [door.send("plain", 5_000).code for _ in range(3)] == [200] * 3
    assert door.send("gold", 20_000).code == 200
    told = door.send("gold", 1)
    assert told.code == 429 and "1000 in a second, 2000 at once" in told.message
    assert door.send("plain", 1).code == 200, "others of the tenant are not of the class"
    # A cluster that floods is refused, the others of the tenant are not.
    assert door.send("eu", 60).code == 200
    told = door.send("eu", 1)
    assert told.code == 429 and "tenant shop, cluster eu-1 " in told.message and "20 in a second" in told.message
    assert door.send("us", 1).code == 200
    # What clusters send counts for the tenant, too.
    assert door.send("us", 400).code == 200
    told = door.send("us", 1)
    assert told.code == 429 and "cluster us-9 " in told.message and "10 in a second, 20 at once" in told.message
    refused = "traceweir_tenant_refused_total"
    door.gateway.headers = {}
    assert metric(door.gateway, refused, tenant="gilt", reason="rate_spans", **{"class": "gold"}) == 1
    assert metric(door.gateway, refused, tenant="shop", reason="cluster_rate_spans") == 2


def test_routes_tell_what_holds_and_what_was_used(door):
    own = json.loads(door.get("gold", "/api/overrides", "http")[1])
    assert own["ingestion"]["rate_spans"] == 1_000 and own["query"]["wait"] == "10s"
    assert json.loads(door.get("plain", "/api/overrides", "http")[1])["ingestion"]["rate_spans"] == 0
    status, file = door.get("admin", "/status/overrides")
    assert status == 200 and str(door.file) in file and "eu-1" in file and "rate_spans: 1000" in file
    rows = door.get("admin", "/status/overrides/gilt?class=gold")[1]
    assert "ingestion.rate_spans: 1000  # overrides: class gold" in rows, rows
    assert "query.wait: 10s  # overrides: defaults of the overrides" in rows
    rows = door.get("admin", "/status/overrides/shop?cluster=eu-1")[1]
    assert "ingestion.rate_spans: 20  # overrides: cluster eu-1 of tenant shop" in rows, rows
    rows = door.get("admin", "/status/overrides/shop?cluster=us-9")[1]
    assert "ingestion.rate_spans: 10  # overrides: every cluster of tenant shop" in rows, rows
    before = _used(door, "gilt", "")
    assert door.send("plain", 7).code == 200
    assert _used(door, "gilt", "") == (before[0] + 1, before[1] + 7, None), "no rate, so nothing is left of it"
    # The class has what is its own: debt, once it has sent twice its burst.
    door.send("gold", 20_000)
    assert _used(door, "gilt", "gold")[2] < -10_000
    assert _used(door, "gilt", "") == (before[0] + 1, before[1] + 7, None)


def _used(door, tenant, of_class):
    """Requests and spans, and what is left of the rate of spans."""
    told = json.loads(door.get("admin", "/status/usage")[1])["tenants"]
    (row,) = [of for of in told if (of["tenant"], of["class"]) == (tenant, of_class)] or [{"clusters": []}]
    sums = [sum(of[what] for of in row["clusters"]) for what in ("requests", "spans")]
    return (*sums, row.get("spans_left"))


@pytest.mark.parametrize(("path", "listener", "may"), [
    ("/api/overrides", "http", {"eu": 200, "us": 200, "metrics": 403}),
    ("/status/overrides", "admin", {"eu": 403, "metrics": 403, "admin": 200, "own-admin": 403}),
    ("/status/overrides/shop", "admin", {"eu": 403, "admin": 200, "own-admin": 200}),
    ("/status/overrides/gilt", "admin", {"eu": 403, "admin": 200, "own-admin": 403}),
    ("/status/usage", "admin", {"eu": 403, "metrics": 200, "admin": 200}),
])
def test_who_may_ask_for_limits(path, listener, may, door):
    assert door.get(None, path, listener)[0] == 401
    assert {who: door.get(who, path, listener)[0] for who in may} == may


def _config(*arguments):
    run = subprocess.run([os.environ["TRACEWEIR_BIN"], "config", *arguments], capture_output=True, text=True,
                         timeout=60, check=False)
    return run.returncode, run.stdout + run.stderr


def test_the_command_line_tells_what_holds_and_every_fault(door, tmp_path):
    file = ("--set", f"overrides.file={door.file}", "--set", "overrides.defaults.query.series_max=77")
    code, rows = _config("print", *file, "--tenant", "shop", "--cluster", "eu-1")
    assert code == 0, rows
    found = {line.split()[0]: line for line in rows.splitlines()}
    assert "20" in found["ingestion.rate_spans"] and "cluster eu-1 of tenant shop" in found["ingestion.rate_spans"]
    assert "10s" in found["query.wait"] and "defaults of the overrides" in found["query.wait"]
    assert "77" in found["query.series_max"] and "--set" in found["query.series_max"]
    code, rows = _config("print", *file, "--tenant", "gilt", "--class", "gold")
    assert code == 0 and "class gold" in rows
    wrong = Overrides(tmp_path, defaults={"query": {"series_max": 0}}, classes={"gold": {"ingestion": {"rate": 1}}},
                      tenants={"a/b": {}, "shop": {"query": {"wait": "soon"}, "clusters": {
                          "eu-1": {"ingestion": {"attribute_bytes_max": "1B"}}}}})
    code, said = _config("check", "--set", f"overrides.file={wrong.file}")
    assert code == 2, said
    for key in ("defaults.query.series_max", "classes.gold.ingestion.rate", "tenants.a/b", "tenants.shop.query.wait",
                "tenants.shop.clusters.eu-1.ingestion.attribute_bytes_max"):
        assert key in said, (key, said)
    assert "an unknown key (from overrides: classes.gold)" in said, said
    assert _config("check", "--set", f"overrides.file={door.file}")[0] == 0
