"""A known number of spans in small requests, and the count of what arrived of them."""

import os
import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from .wait import until

SPANS_PER_TRACE = 20


class Load:
    """Remembers every span that it made, by trace."""

    def __init__(self, filler_bytes=0):
        self.made = {}
        self.filler = "x" * filler_bytes

    def request(self, traces=5):
        """One request of whole traces."""
        request = ExportTraceServiceRequest()
        resource_spans = request.resource_spans.add()
        resource_spans.resource.attributes.add(key="service.name").value.string_value = "load"
        spans = resource_spans.scope_spans.add().spans
        for _ in range(traces):
            trace_id = os.urandom(16)
            ids = [os.urandom(8) for _ in range(SPANS_PER_TRACE)]
            for number, span_id in enumerate(ids):
                span = spans.add(trace_id=trace_id, span_id=span_id, name=f"span {number}", kind=1)
                span.start_time_unix_nano = time.time_ns()
                span.end_time_unix_nano = span.start_time_unix_nano + 1_000_000
                span.attributes.add(key="number").value.int_value = number
                if self.filler:
                    # Unlike any other, so that no dictionary makes it small.
                    span.attributes.add(key="filler").value.string_value = span_id.hex() + self.filler
            self.made[trace_id.hex()] = {span_id.hex() for span_id in ids}
        return request

    @property
    def spans(self):
        return sum(len(ids) for ids in self.made.values())

    def adopt(self, data):
        """Spans that somebody else has made."""
        for span in (span for r in data.resource_spans for s in r.scope_spans for span in s.spans):
            self.made.setdefault(span.trace_id.hex(), set()).add(span.span_id.hex())

    def arrive(self, gateway, limit, collector=None):
        """Waits until each span is there exactly once, and nothing else is."""
        missing = dict(self.made)

        def none_missing():
            for trace_id in list(missing):
                if span_ids(gateway, trace_id) != sorted(self.made[trace_id]):
                    return False
                del missing[trace_id]
            return True

        try:
            until("arrival of all spans", limit, none_missing, pause=0.1)
        except AssertionError as error:
            trace_id = next(iter(missing))
            raise AssertionError(
                f"{error}: {len(missing)} of {len(self.made)} traces are not whole; of {trace_id} "
                f"{len(span_ids(gateway, trace_id))} of {len(self.made[trace_id])} spans came\n"
                + (collector.tail() if collector else "")
            ) from None


def span_ids(gateway, trace_id):
    """With repetitions, so that a span that came twice is seen."""
    status, body = gateway.get(f"/api/traces/{trace_id}", accept="application/protobuf")
    if status == 404:
        return []
    assert status == 200, (status, body[:200])
    data = TracesData.FromString(body)
    return sorted(span.span_id.hex() for r in data.resource_spans for s in r.scope_spans for span in s.spans)
