"""Plugins over time and in numbers: swapped again and again under load, and many tenants with some each.

`TRACEWEIR_PROVE_PLUGINS_SWAPS` is how many swaps there are (`./dev prove plugins` asks for 1,000); figures are printed.
"""

import http.client
import json
import os
import threading

import pytest
from harness.limits import metric
from harness.memory import Watch, resident
from harness.plugins import Operator, examples
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SWAPS = int(os.environ.get("TRACEWEIR_PROVE_PLUGINS_SWAPS", "0"))
# In the short form memory has not found its level yet.
MORE_KIB = (32 if SWAPS else 96) << 10
SENDERS, RESOURCES = 2, 4
TENANTS = 100
MEMORY_KIB = 512 << 10


def mark(key, version):
    return {"source": "bundled:resource", "config": {"attributes": [{"key": key, "value": version, "action": "upsert"}]}}


def a_request(trace_id, resources=RESOURCES, spans=5):
    request = ExportTraceServiceRequest()
    for number in range(resources):
        of = request.resource_spans.add()
        of.resource.attributes.add(key="service.name").value.string_value = f"s{number}"
        of.resource.attributes.add(key="k8s.namespace.name").value.string_value = "shop"
        for span in range(spans):
            one = of.scope_spans.add().spans.add(trace_id=trace_id, name="pay")
            one.span_id = bytes([number + 1, span + 1]) * 4
            one.start_time_unix_nano, one.end_time_unix_nano = 1, 2
            one.attributes.add(key="card").value.string_value = "4111 1111 1111 1111"
    return request.SerializeToString()


class Sender(threading.Thread):
    """Sends and reads back, again and again: each answer is a success, and each trace is of one version of everything."""

    def __init__(self, gateway):
        super().__init__(daemon=True)
        self.gateway, self.stop, self.seen, self.faults, self.sent = gateway, threading.Event(), set(), [], 0

    def run(self):
        post = http.client.HTTPConnection(self.gateway.addresses["otlp_http"], timeout=30)
        get = http.client.HTTPConnection(self.gateway.addresses["http"], timeout=30)
        try:
            while not self.stop.is_set():
                trace_id = os.urandom(16)
                post.request("POST", "/v1/traces", a_request(trace_id), {"content-type": "application/x-protobuf"})
                answer = post.getresponse()
                told = answer.read()
                assert answer.status == 200, (answer.status, told)
                get.request("GET", f"/api/v2/traces/{trace_id.hex()}", headers={"accept": "application/json"})
                found = json.loads(get.getresponse().read())["trace"]["resourceSpans"]
                assert len(found) == RESOURCES
                versions = {self._versions(of["resource"]) for of in found}
                assert len(versions) == 1, versions
                [(first, second)] = versions
                assert first == second, "two plugins of one file, one version"
                self.seen.add(first)
                self.sent += 1
        except Exception as fault:  # whatever it is, the test tells it
            self.faults.append(repr(fault))

    @staticmethod
    def _versions(resource):
        own = {pair["key"]: next(iter(pair["value"].values())) for pair in resource["attributes"]}
        return own["first"], own["second"]


def another(directory, number):
    """The same plugin in another file, which has to be compiled anew: its description says another number."""
    module, said = (examples() / "team.wasm").read_bytes(), b"tells which team a resource belongs to"
    assert module.count(said) == 1
    path = directory / f"team-{number}.wasm"
    # Once: whoever reads it while it is written again finds the half of it.
    if not path.exists():
        path.write_bytes(module.replace(said, f"team, number {number}".encode().ljust(len(said))))
    return {"source": f"file:{path}", "config": {"teams": {"shop": f"v{number}"}}}


def test_swaps_under_load(new_gateway, tmp_path):
    def version(number):
        return {"first": mark("first", f"v{number}"), "second": mark("second", f"v{number}"),
                # One in ten is another module, which has to be compiled.
                "team": another(tmp_path, number - number % 10)}

    operator = Operator(tmp_path, new_gateway, version(0), ["first", "team", "second"])
    gateway, swaps = operator.gateway, SWAPS or 20
    senders = [Sender(gateway) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    warm = None
    for number in range(1, swaps + 1):
        operator.define(version(number))
        status, told = operator.ask("POST", "/plugins/reload")
        assert status == 200, told
        if number == max(swaps // 5, 5):
            warm = resident(gateway)
    for sender in senders:
        sender.stop.set()
        sender.join()
    faults = [fault for sender in senders for fault in sender.faults]
    seen = set().union(*(sender.seen for sender in senders))
    sent, more = sum(sender.sent for sender in senders), resident(gateway) - warm
    print(f"\n{swaps} swaps, {sent} requests, {len(seen)} versions seen; memory {warm >> 10} MiB, {more / 1024:+.1f} MiB at the end")
    assert not faults, faults
    assert metric(gateway, "traceweir_plugin_reload_failed_total") == 0
    assert len(seen) > 2, "several versions were at work"
    assert more < MORE_KIB, f"{more} KiB more than after the first swaps"


@pytest.mark.parametrize("kind", ["shared", "own"])
def test_a_hundred_tenants_with_three_plugins_each(new_gateway, tmp_path, kind):
    def three(number):
        """With a configuration that nobody else has."""
        return {f"redact{number}": {"source": "bundled:redact", "config": {"patterns": ["card"], "blocked_keys": [f"k{number}"]}},
                f"mark{number}": mark("team", f"t{number}"),
                f"most{number}": {"source": "bundled:probabilistic-sampler", "config": {"ratio": 1.0 - number / 1e6}}}

    if kind == "own":
        plugins = {name: of for number in range(TENANTS) for name, of in three(number).items()}
        chain = {number: list(three(number)) for number in range(TENANTS)}
    else:
        plugins = three(0)
        chain = dict.fromkeys(range(TENANTS), list(plugins))
    tenants = {f"t{number}": {"ingestion": {"plugins": chain[number]}} for number in range(TENANTS)}
    operator = Operator(tmp_path, new_gateway, plugins, tenants=tenants, tenancy="header")
    gateway = operator.gateway
    with Watch(gateway) as watch:
        post = http.client.HTTPConnection(gateway.addresses["otlp_http"], timeout=30)
        for _ in range(3):
            for number in range(TENANTS):
                # Such that samplers keep it, whatever their ratio.
                post.request("POST", "/v1/traces", a_request(os.urandom(9) + b"\xff" * 7),
                             {"content-type": "application/x-protobuf", "x-scope-orgid": f"t{number}"})
                answer = post.getresponse()
                told = answer.read()
                assert answer.status == 200, (answer.status, told)
        assert metric(gateway, "traceweir_plugin_failures_total") == 0
        calls = metric(gateway, "traceweir_plugin_calls_total")
    print(f"\n{kind}: {TENANTS} tenants, {len(plugins)} plugins, {calls:.0f} calls, at most {watch.peak >> 10} MiB")
    assert calls >= 3 * 3 * TENANTS
    assert watch.peak < MEMORY_KIB, f"{watch.peak >> 10} MiB"
