"""Writes the known set of spans with the OpenTelemetry Python SDK.

usage: python_sdk.py grpc|http none|gzip|deflate URL OUT

OUT gets what the SDK exported, as a serialized TracesData, for the test to compare with.
"""

import logging
import sys

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

NAME = "naïve – 測試 🧵"

ATTRIBUTES = {
    "string": "value",
    "empty": "",
    "unicode": NAME,
    "control": 'line\nquote" back\\slash \u0001',
    "long": "é" * 50_000,
    "int": 42,
    "int.negative": -1,
    "int.max": 2**63 - 1,
    "int.min": -(2**63),
    "double": 3.141592653589793,
    "double.tiny": 5e-324,
    "double.infinite": float("inf"),
    "double.nan": float("nan"),
    "double.whole": 2.0,
    "bool.true": True,
    "bool.false": False,
    "strings": ["a", "", NAME],
    "ints": [1, -2, 2**53 + 1],
    "doubles": [0.5, -0.0],
    "bools": [True, False],
    "array.empty": [],
    "bytes": bytes(range(256)),
    "map": {"inner": 1, "deeper": {"list": ["x", 2, 3.5, True, b"\x00\xff"]}, "text": "y"},
    "mixed": ["one", 2, {"three": 3}],
}


def exporter(protocol, coding, endpoint):
    if protocol == "grpc":
        import grpc
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        compression = {"none": grpc.Compression.NoCompression, "gzip": grpc.Compression.Gzip,
                       "deflate": grpc.Compression.Deflate}[coding]
        insecure = endpoint.startswith("http://")
        return OTLPSpanExporter(endpoint=endpoint, insecure=insecure, compression=compression)
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    compression = {"none": Compression.NoCompression, "gzip": Compression.Gzip,
                   "deflate": Compression.Deflate}[coding]
    return OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", compression=compression)


def remote_context():
    state = TraceState([("vendor", "t61rcWkgMzE"), ("other", "00f067aa0ba902b7")])
    context = SpanContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, True,
                          TraceFlags(TraceFlags.SAMPLED), state)
    return trace.set_span_in_context(trace.NonRecordingSpan(context))


def write(provider):
    plain = provider.get_tracer("bare")
    tracer = provider.get_tracer("e2e.scope", "1.2.3", schema_url="https://example.test/scope/1",
                                 attributes={"scope.attribute": "yes", "scope.number": 7})
    with tracer.start_as_current_span("root", kind=SpanKind.SERVER, attributes=ATTRIBUTES) as root:
        root.add_event("first", {"event.string": "e", "event.ints": [1, 2]}, timestamp=1_700_000_000_000_000_001)
        root.add_event(NAME, {"event.map": {"a": b"\x01"}})
        root.add_event("bare event")
        with tracer.start_as_current_span("client", kind=SpanKind.CLIENT,
                                          links=[Link(root.get_span_context(), {"link.kind": "child", "n": 1}),
                                                 Link(SpanContext(1 << 100, 1 << 50, True))]) as client:
            client.set_status(Status(StatusCode.ERROR, f"failed: {NAME}"))
            try:
                raise ValueError("boom")
            except ValueError as error:
                client.record_exception(error)
        with plain.start_as_current_span("internal") as internal:
            internal.set_status(Status(StatusCode.OK))
            for number in range(40):
                internal.set_attribute(f"many.{number}", number)
            for number in range(20):
                internal.add_event(f"event {number}", {f"of.{i}": i for i in range(6)})
        plain.start_span("producer", kind=SpanKind.PRODUCER).end()
        plain.start_span("consumer", kind=SpanKind.CONSUMER, start_time=1).end(2)
    with tracer.start_as_current_span("child of a stranger", context=remote_context()):
        pass
    with tracer.start_as_current_span(""):
        pass


def main():
    # The set goes over the limits on purpose; the SDK has a line for each time.
    logging.getLogger("opentelemetry.attributes").setLevel(logging.ERROR)
    protocol, coding, endpoint, out = sys.argv[1:]
    resource = Resource(
        {"service.name": f"python-{protocol}-{coding}", "resource.map": {"region": "北", "zones": ["a", "b"]},
         "resource.bytes": b"\x00\x01", "resource.double": 0.1}, schema_url="https://example.test/resource/1")
    limits = SpanLimits(max_span_attributes=32, max_events=16, max_event_attributes=4, max_links=8)
    provider = TracerProvider(resource=resource, span_limits=limits)
    kept = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    provider.add_span_processor(BatchSpanProcessor(exporter(protocol, coding, endpoint)))
    write(provider)
    assert provider.force_flush(20_000), "the exporter did not finish"
    provider.shutdown()
    with open(out, "wb") as file:
        file.write(encode_spans(kept.get_finished_spans()).SerializeToString())


main()
