"""Plugins on the path of spans, as an operator attaches them: enriched, redacted and sampled by the bundled ones, swapped
while spans come, and what was redacted is nowhere: not on the disk, not in the log, not in what operators are shown."""

import base64
import contextlib
import json
import threading
import urllib.error
import urllib.request

import pytest
from harness.limits import metric, reloads
from harness.plugins import Operator
from harness.wait import until
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Status, StatusCode

CARD, MAIL = "4111 1111 1111 1111", "jane.roe@shop.example"
# A changed file is seen within 5 s, and compiling takes its time.
TAKEN_SECONDS = 60


def resource(key, value):
    return {"source": "bundled:resource", "config": {"attributes": [{"key": key, "value": value, "action": "upsert"}]}}


def sampler(ratio):
    return {"source": "bundled:probabilistic-sampler", "config": {"ratio": ratio}}


PLUGINS = {
    "redact": {"source": "bundled:redact", "config": {"patterns": ["card", "email"]}, "on_failure": "drop"},
    "team": resource("team", "checkout"),
    # As good as all: on what is kept with certainty nothing is written.
    "most": sampler(0.9999999),
    "none": sampler(0.0),
}


@pytest.fixture(scope="module")
def operator(new_gateway, tmp_path_factory):
    return Operator(tmp_path_factory.mktemp("operator"), new_gateway, PLUGINS, ["redact", "team", "most"])


def send(gateway, names, **attributes):
    """Sends a span by each name with the SDK; their trace ids, in hex."""
    exporter = OTLPSpanExporter(endpoint=gateway.url("otlp_grpc"), insecure=True)
    provider = TracerProvider(resource=Resource.create({"service.name": "till"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    ids = []
    for name in names:
        with provider.get_tracer("tests").start_as_current_span(name, attributes=attributes) as span:
            span.add_event("asked", {"who": MAIL})
            span.set_status(Status(StatusCode.ERROR, f"declined: {CARD}"))
            ids.append(format(span.get_span_context().trace_id, "032x"))
    provider.shutdown()
    return ids


def trace(gateway, trace_id):
    status, body = gateway.get(f"/api/v2/traces/{trace_id}")
    return json.loads(body)["trace"]["resourceSpans"][0] if status == 200 else None


def attributes(of):
    return {pair["key"]: next(iter(pair["value"].values())) for pair in of.get("attributes", [])}


def everything(gateway):
    """Each byte that the gateway has written; what goes while it is read is gone."""
    found = []
    for path in [*gateway.directory.rglob("*"), gateway.log]:
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            found.append(path.read_bytes())
    return b"".join(found)


def test_a_trace_is_enriched_redacted_and_sampled_and_so_it_stays(operator):
    gateway = operator.gateway
    [trace_id] = send(gateway, [f"pay with {CARD}"], **{"customer.mail": MAIL, "note": "call back", "amount": 7})

    def is_as_it_should_be():
        found = trace(gateway, trace_id)
        assert attributes(found["resource"])["team"] == "checkout"
        [span] = found["scopeSpans"][0]["spans"]
        assert CARD not in json.dumps(span) and MAIL not in json.dumps(span)
        own = attributes(span)
        assert own["note"] == "call back" and own["amount"] == "7" and own["customer.mail"] != MAIL
        assert span["name"].startswith("pay with ") and span["status"]["message"].startswith("declined: ")
        assert "ot=th:000001ad7f29a8" in span["traceState"], "kept with a probability, as the threshold says"
        return found

    before = is_as_it_should_be()
    assert operator.plugin("most")["dropped"] == {}, "a reason for which nothing was dropped is none"
    # What is found by it is what the plugin made of it.
    status, body = gateway.get("/api/search?q=" + urllib.request.quote('{ resource.team = "checkout" }'))
    assert status == 200 and any(of["traceID"].lstrip("0") == trace_id.lstrip("0") for of in json.loads(body)["traces"])
    gateway.kill()
    gateway.start()
    assert is_as_it_should_be() == before, "replay runs no plugin, and gives the same"
    gateway.post("admin", "/flush?level=l1")
    assert is_as_it_should_be() == before


def test_what_is_redacted_is_nowhere(operator):
    gateway = operator.gateway
    marks = [f"canary-{number}@hidden.example" for number in range(20)]
    for mark in marks:
        send(gateway, ["charge"], **{"mail": mark, "card": CARD})
    in_the_log = everything(gateway)
    gateway.post("admin", "/flush?level=l0")
    status, page = operator.ask("GET", "/status/plugins/captures")
    assert status == 200
    shown = b"".join(base64.b64decode(of["request"]) for of in json.loads(page))
    pages = "".join(operator.ask("GET", path)[1] for path in ("/status/plugins", "/status/plugins/redact/failures", "/metrics"))
    for where in (in_the_log, everything(gateway), shown, pages.encode()):
        for mark in [*marks, CARD, MAIL]:
            assert mark.encode() not in where, mark


def test_what_a_sampler_drops_is_acknowledged_and_not_stored(operator):
    gateway = operator.gateway
    operator.attach(["none"])
    try:
        ids = send(gateway, ["gone"] * 3)
        assert all(trace(gateway, trace_id) is None for trace_id in ids)
        assert operator.plugin("none")["rows_in"] >= 3
        assert operator.plugin("none")["rows_out"] == 0
        assert metric(gateway, "traceweir_plugin_dropped_spans_total", plugin="none") >= 3
    finally:
        operator.attach(["redact", "team", "most"])
    [trace_id] = send(gateway, ["here"])
    assert trace(gateway, trace_id)


def test_a_changed_plugin_takes_over_and_a_wrong_one_does_not(operator):
    gateway = operator.gateway
    seen, stop, faults = set(), threading.Event(), []

    def keep_sending():
        while not stop.is_set():
            try:
                [trace_id] = send(gateway, ["work"])
                seen.add(attributes(trace(gateway, trace_id)["resource"])["team"])
            except Exception as fault:  # whatever it is, it is told below
                faults.append(fault)

    sender = threading.Thread(target=keep_sending)
    sender.start()
    try:
        operator.define({**PLUGINS, "team": resource("team", "payments")})
        until("the new version", TAKEN_SECONDS, lambda: "payments" in seen)
        wrong = {**resource("team", "lost"), "config": {"attributes": [{"key": "team", "act": "upsert"}]}}
        operator.define({**PLUGINS, "team": wrong})
        fault = until("the fault", TAKEN_SECONDS, lambda: (operator.plugin("team") or {}).get("fault"))
        assert "$.attributes[0]" in fault, fault
        status, page = operator.ask("POST", "/plugins/reload")
        assert status == 400 and "team" in page and "what was before stays" in page
    finally:
        stop.set()
        sender.join()
    assert not faults, faults
    assert seen == {"checkout", "payments"}
    operator.define(PLUGINS)
    assert operator.ask("POST", "/plugins/reload")[0] == 200
    assert operator.plugin("team")["calls"] == 0, "what it was tried on is not counted"


def test_a_plugin_that_chains_name_stays_defined(operator):
    gateway = operator.gateway
    failed = "traceweir_plugin_file_reload_failed_total"
    before = metric(gateway, failed)
    operator.define({name: of for name, of in PLUGINS.items() if name != "redact"})
    until("the refusal", TAKEN_SECONDS, lambda: metric(gateway, failed) > before)
    [trace_id] = send(gateway, [f"pay with {CARD}"])
    assert CARD not in json.dumps(trace(gateway, trace_id))
    operator.define(PLUGINS)
    assert operator.ask("POST", "/plugins/reload")[0] == 200


def test_overrides_that_name_a_plugin_that_there_is_none_of_wait_for_it(operator):
    gateway = operator.gateway

    def attach(chain):
        return reloads(gateway, lambda: operator.overrides.write(defaults={"ingestion": {"plugins": chain}}))

    assert not attach(["redact", "later"]), "what was before stays"
    [trace_id] = send(gateway, [f"pay with {CARD}"])
    assert CARD not in json.dumps(trace(gateway, trace_id))
    operator.define({**PLUGINS, "later": resource("later", "yes")})

    def marked():
        [trace_id] = send(gateway, ["work"])
        return attributes(trace(gateway, trace_id)["resource"]).get("later") == "yes"

    until("the plugin that was waited for", TAKEN_SECONDS, marked)
    # Both go: whichever is seen first, in the end neither is there.
    operator.define(PLUGINS)
    operator.overrides.write(defaults={"ingestion": {"plugins": ["redact", "team", "most"]}})
    until("the end of it", TAKEN_SECONDS, lambda: operator.plugin("later") is None)
    assert operator.ask("POST", "/plugins/reload")[0] == 200


def test_a_start_with_a_wrong_plugin_says_what_is_wrong(new_gateway, tmp_path):
    file = tmp_path / "plugins.yaml"
    for said, told in (
        ({"a": {"source": "bundled:nothing-like-it"}}, "bundled are"),
        ({"a": {"source": "file:" + str(tmp_path / "a.wasm")}}, "span-processor"),
        ({"a": {"source": "https://plugins.example/a.wasm"}}, "digest"),
        ({"a": {"source": "bundled:redact", "timeout": "1h"}}, "plugins.a.timeout"),
        ({"a": {"source": "bundled:probabilistic-sampler", "config": {"ratio": 2}}}, "$.ratio"),
    ):
        (tmp_path / "a.wasm").write_bytes(b"\0asm\x01\0\0\0")
        file.write_text(json.dumps({"plugins": said}))
        gateway = new_gateway(plugins__file=file)
        with pytest.raises(AssertionError):
            gateway.start()
        gateway.process.wait(10)
        gateway.process = None
        assert told in gateway.log.read_text(), (said, gateway.log.read_text())
