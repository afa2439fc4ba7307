"""Sends many spans at once with the OpenTelemetry Python SDK, in batches as its processor makes them.

usage: python_burst.py grpc|http SPANS URL OUT

OUT gets what was exported, as a serialized TracesData. The last line says how many spans the exporter gave up on.
"""

import os
import sys

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

SPANS_PER_TRACE = 16


class Watched(SpanExporter):
    """Counts what the exporter gave up on: the processor only logs it."""

    def __init__(self, inner):
        self.inner, self.lost = inner, 0

    def export(self, spans):
        result = self.inner.export(spans)
        self.lost += 0 if result is SpanExportResult.SUCCESS else len(spans)
        return result

    def shutdown(self):
        self.inner.shutdown()


def exporter(protocol, endpoint):
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter(endpoint=endpoint, insecure=endpoint.startswith("http://"))
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")


def main():
    protocol, spans, endpoint, out = sys.argv[1:]
    provider = TracerProvider(resource=Resource({"service.name": f"burst-python-{protocol}"}))
    kept, watched = InMemorySpanExporter(), Watched(exporter(protocol, endpoint))
    provider.add_span_processor(SimpleSpanProcessor(kept))
    provider.add_span_processor(BatchSpanProcessor(watched, max_queue_size=int(spans) * 2))
    tracer = provider.get_tracer("burst")
    for _ in range(int(spans) // SPANS_PER_TRACE):
        with tracer.start_as_current_span("root"):
            for number in range(SPANS_PER_TRACE - 1):
                tracer.start_span(f"child {number}").end()
    provider.force_flush(60_000)
    provider.shutdown()
    with open(out, "wb") as file:
        file.write(encode_spans(kept.get_finished_spans()).SerializeToString())
    print(f"lost {watched.lost}")
    # Threads of exporters that still wait are none of ours.
    sys.stdout.flush()
    os._exit(0)


main()
