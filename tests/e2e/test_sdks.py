"""What the OpenTelemetry SDKs write comes back whole, before and after restarts."""

import os

import pytest
from harness import sdks
from harness.spans import READERS, assert_same, comparable
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

# (client, protocol, coding, listener). Many SDKs send http/protobuf to the gRPC port: so do some here.
PYTHON = [
    ("python", "grpc", "none", "otlp_grpc"),
    ("python", "grpc", "gzip", "otlp_grpc"),
    ("python", "grpc", "deflate", "otlp_http"),
    ("python", "http", "none", "otlp_http"),
    ("python", "http", "gzip", "otlp_http"),
    ("python", "http", "deflate", "otlp_grpc"),
]
JS = [
    ("js", "grpc", "none", "otlp_grpc"),
    ("js", "grpc", "gzip", "otlp_grpc"),
    ("js", "http-proto", "none", "otlp_grpc"),
    ("js", "http-proto", "gzip", "otlp_http"),
    ("js", "http-json", "none", "otlp_http"),
    ("js", "http-json", "gzip", "otlp_http"),
]
MOMENTS = ["live", "after SIGTERM", "after kill -9"]


@pytest.fixture(scope="module")
def gateway(new_gateway):
    return new_gateway().start()


@pytest.fixture(scope="module")
def sent(gateway, tmp_path_factory):
    """Each client writes once, the first time that it is asked for; later moments read the same."""
    written = {}

    def of(client, protocol, coding, listener):
        key = (client, protocol, coding)
        if key not in written:
            out = tmp_path_factory.mktemp("sent") / "-".join(key)
            sdks.write(*key, gateway.addresses[listener], out)
            written[key] = sdks.read(client, out)
        return written[key]

    return of


@pytest.fixture(scope="module", params=MOMENTS)
def moment(request, gateway, sent):
    """The same reads again after each kind of restart (pytest runs one moment after the other)."""
    if request.param != "live":
        for case in PYTHON + ([] if "E2E_JS_MISSING" in os.environ else JS):
            sent(*case)
        gateway.stop() if request.param == "after SIGTERM" else gateway.kill()
        gateway.start()
    return request.param


def _check(gateway, data):
    expected = comparable(data)
    for trace_id in sorted({key[0] for key in expected}):
        wanted = {key: span for key, span in expected.items() if key[0] == trace_id}
        for name, read in READERS.items():
            found = comparable(read(gateway, trace_id))
            # The stranger's trace id is the same for all clients, so there may be more than ours.
            found = {key: span for key, span in found.items() if key in wanted}
            assert_same(found, wanted, f"{name} of trace {trace_id}")


@pytest.mark.parametrize("case", PYTHON, ids="-".join)
def test_python_sdk(case, gateway, sent, moment):
    data = sent(*case)
    _rich(data, {"string_value", "int_value", "double_value", "bool_value", "array_value", "bytes_value", "kvlist_value"})
    _check(gateway, data)


@pytest.mark.skipif("E2E_JS_MISSING" in os.environ, reason=os.environ.get("E2E_JS_MISSING", ""))
@pytest.mark.parametrize("case", JS, ids="-".join)
def test_js_sdk(case, gateway, sent, moment):
    data = sent(*case)
    _rich(data, {"string_value", "int_value", "double_value", "bool_value", "array_value"})
    _check(gateway, data)


def _rich(data, kinds):
    """The known set is as rich as we think: a client that stopped sending something shows here."""
    spans = [span for r in data.resource_spans for s in r.scope_spans for span in s.spans]
    scopes = [s for r in data.resource_spans for s in r.scope_spans]
    values = [a.value for span in spans for a in span.attributes]
    assert {value.WhichOneof("value") for value in values} >= kinds
    assert len(spans) == 7
    assert {span.kind for span in spans} == set(Span.SpanKind.values()) - {Span.SPAN_KIND_UNSPECIFIED}
    assert {span.status.code for span in spans} == set(Status.StatusCode.values())
    assert any(span.status.message for span in spans)
    assert any(span.trace_state for span in spans)
    assert any(span.parent_span_id for span in spans) and any(not span.parent_span_id for span in spans)
    assert any(len(value.string_value.encode()) == 100_000 for value in values)
    assert any(span.dropped_attributes_count for span in spans)
    assert any(span.dropped_events_count for span in spans)
    assert any(event.attributes for span in spans for event in span.events)
    assert any(event.dropped_attributes_count for span in spans for event in span.events)
    assert any(len(span.links) == 2 for span in spans)
    assert any(link.attributes for span in spans for link in span.links)
    assert {scope.scope.name for scope in scopes} == {"bare", "e2e.scope"}
    assert any(scope.scope.version for scope in scopes) and any(scope.schema_url for scope in scopes)
    assert all(r.schema_url for r in data.resource_spans)
