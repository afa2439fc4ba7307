"""Plugins that say whose spans they are, and who sends them: the examples of the SDK, attached as an operator does it."""

import json
import urllib.request

import pytest
from harness.limits import metric
from harness.plugins import Operator, examples
from harness.tokens import EVERY_SCOPE, Tokens
from harness.wait import until
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult

TAKEN_SECONDS = 60


def router(tenants):
    return {"source": f"file:{examples() / 'by-attribute.wasm'}", "config": {"tenants": tenants}, "on_failure": "reject"}


def keys(of):
    return {"source": f"file:{examples() / 'api-keys.wasm'}", "config": {"keys": of}}


class Sending(SimpleSpanProcessor):
    """Exports at once, and keeps what came of it."""

    def __init__(self, exporter):
        super().__init__(exporter)
        self.exporter, self.results = exporter, []

    def on_end(self, span):
        self.results.append(self.exporter.export([span]))


def send(gateway, headers, **resource):
    """Sends one span; its trace id in hex, and whether it was taken."""
    exporter = OTLPSpanExporter(endpoint=gateway.url("otlp_http", "/v1/traces"), headers=headers, timeout=5)
    provider = TracerProvider(resource=Resource({key.replace("_", "."): value for key, value in resource.items()}))
    sending = Sending(exporter)
    provider.add_span_processor(sending)
    with provider.get_tracer("tests").start_as_current_span("pay") as span:
        trace_id = format(span.get_span_context().trace_id, "032x")
    provider.shutdown()
    return trace_id, sending.results == [SpanExportResult.SUCCESS]


def reads(gateway, trace_id, **headers):
    """The status of asking for a trace."""
    gateway.headers = headers
    return gateway.get(f"/api/v2/traces/{trace_id}")[0]


@pytest.fixture(scope="module")
def hub(new_gateway, tmp_path_factory):
    """What comes for `hub` is told apart by its namespace; whoever sends may write for two tenants, not for a third."""
    directory = tmp_path_factory.mktemp("hub")
    tokens = Tokens(directory)
    may = [of for tenant in ("hub", "shop") for of in ("--tenant", tenant)]
    token = tokens.new("spoke", *may, *EVERY_SCOPE)
    operator = Operator(
        directory, new_gateway, {"by": router({"shop-eu": "shop", "secret": "bank"}),
                                 "mark": {"source": "bundled:resource", "config": {"attributes": [
                                     {"key": "passed", "value": "shop", "action": "upsert"}]}}},
        tenants={"hub": {"ingestion": {"router": "by"}}, "shop": {"ingestion": {"plugins": ["mark"]}}},
        auth__tokens_file=tokens.file)
    operator.headers = {"Authorization": f"Bearer {token}", "X-Scope-OrgID": "hub"}
    return operator


def test_resources_go_to_the_tenant_that_the_router_names_and_pass_its_plugins(hub):
    gateway, token = hub.gateway, hub.headers["Authorization"]
    routed, taken = send(gateway, hub.headers, k8s_namespace_name="shop-eu")
    assert taken
    assert reads(gateway, routed, Authorization=token, **{"X-Scope-OrgID": "shop"}) == 200
    assert reads(gateway, routed, Authorization=token, **{"X-Scope-OrgID": "hub"}) == 404
    gateway.headers = {"Authorization": token, "X-Scope-OrgID": "shop"}
    body = json.loads(gateway.get(f"/api/v2/traces/{routed}")[1])
    [resource] = [of["resource"] for of in body["trace"]["resourceSpans"]]
    assert {"key": "passed", "value": {"stringValue": "shop"}} in resource["attributes"]
    stays, taken = send(gateway, hub.headers, k8s_namespace_name="elsewhere")
    assert taken and reads(gateway, stays, Authorization=token, **{"X-Scope-OrgID": "hub"}) == 200
    # Whom it went to is counted for it, and nobody else.
    assert metric(gateway, "traceweir_tenant_spans_total", tenant="shop") == 1
    assert metric(gateway, "traceweir_tenant_spans_total", tenant="hub") == 1


def test_whoever_sends_cannot_write_for_others_by_way_of_a_router(hub):
    gateway = hub.gateway
    body = json.dumps({"resourceSpans": [
        {"resource": {"attributes": [{"key": "k8s.namespace.name", "value": {"stringValue": namespace}}]},
         "scopeSpans": [{"spans": [{"traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "pay",
                                    "startTimeUnixNano": "1", "endTimeUnixNano": "2"}]}]}
        for number, namespace in enumerate(("secret", "shop-eu", "none"), 1)]}).encode()
    request = urllib.request.Request(gateway.url("otlp_http", "/v1/traces"), body,
                                     {"Content-Type": "application/json", **hub.headers})
    with urllib.request.urlopen(request, timeout=30) as answer:
        told = json.loads(answer.read())["partialSuccess"]
    assert int(told["rejectedSpans"]) == 1
    assert "bank" in told["errorMessage"] and "may not write" in told["errorMessage"]


def test_a_router_that_is_gone_stops_nothing_that_it_should_not(hub):
    gateway = hub.gateway
    hub.define({"mark": {"source": "bundled:resource", "config": {"attributes": [
        {"key": "passed", "value": "shop", "action": "upsert"}]}}})
    until("the file is refused", TAKEN_SECONDS,
          lambda: metric(gateway, "traceweir_plugin_file_reload_failed_total") >= 1)
    assert send(gateway, hub.headers, k8s_namespace_name="shop-eu")[1], "what was before stays"


@pytest.fixture(scope="module")
def door(new_gateway, tmp_path_factory):
    rule = {"plugin": "keys", "headers": ["x-api-key"]}
    plugins = {"keys": keys({"one": {"tenants": ["shop"], "reads": True}, "two": {"tenants": ["bank"]}})}
    return Operator(tmp_path_factory.mktemp("door"), new_gateway, plugins, auth__plugins=json.dumps([rule]))


def test_who_has_a_key_is_let_in_as_whom_it_stands_for(door):
    gateway = door.gateway
    trace_id, taken = send(gateway, {"x-api-key": "one"})
    assert taken
    assert reads(gateway, trace_id, **{"X-Api-Key": "one"}) == 200
    assert reads(gateway, trace_id, **{"X-Api-Key": "two"}) == 403, "it may send, and not read"
    assert reads(gateway, trace_id, **{"X-Api-Key": "one", "X-Scope-OrgID": "bank"}) == 403
    assert send(gateway, {"x-api-key": "two"})[1]


def test_who_has_none_is_not(door):
    gateway = door.gateway
    assert reads(gateway, "1" * 32, **{"X-Api-Key": "three"}) == 401
    assert reads(gateway, "1" * 32) == 401
    assert not send(gateway, {"x-api-key": "three"})[1]


def test_it_is_asked_once_for_a_credential(door):
    gateway = door.gateway
    send(gateway, {"x-api-key": "one"})
    asked = metric(gateway, "traceweir_auth_plugins_asked_total")
    for _ in range(20):
        assert send(gateway, {"x-api-key": "one"})[1]
    assert metric(gateway, "traceweir_auth_plugins_asked_total") == asked
    assert metric(gateway, "traceweir_auth_plugins_remembered_total") >= 20


def test_a_key_that_is_taken_out_is_refused_at_once(door):
    gateway = door.gateway
    assert send(gateway, {"x-api-key": "two"})[1]
    door.define({"keys": keys({"one": {"tenants": ["shop"], "reads": True}})})
    until("the key is refused", TAKEN_SECONDS, lambda: reads(gateway, "1" * 32, **{"X-Api-Key": "two"}) == 401)
    assert send(gateway, {"x-api-key": "one"})[1]


def test_a_wrong_plugin_keeps_the_gateway_from_starting(new_gateway, tmp_path_factory):
    rule = {"plugin": "keys", "headers": ["x-api-key"]}
    plugins = {"keys": {"source": "bundled:redact", "config": {}}}
    with pytest.raises(AssertionError, match="auth.plugins: plugin keys is attached as authenticator"):
        Operator(tmp_path_factory.mktemp("wrong"), new_gateway, plugins, auth__plugins=json.dumps([rule]))
