"""Spans by a seed, and beside them what is true of them, counted while they are made."""

import collections
import random
import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SERVICES = ["checkout", "payment", "frontend", "käse-service", ""]
METHODS = ["GET", "POST", "PUT"]
ERRORS = ["TimeoutError", "java.lang.NullPointerException", "ошибка"]
SPANS_PER_TRACE = 25
# Over which time traces start.
WINDOW_NANOS = 600 * 10**9


class Known:
    """Makes requests; `truth` is the answer to each question of the readers, about all of them."""

    def __init__(self, seed):
        self._random = random.Random(seed)
        now = time.time_ns()
        self._start = now - WINDOW_NANOS
        self.middle = now - WINDOW_NANOS // 2
        self.truth = {
            "spans": 0,
            "errors": 0,
            "services": collections.Counter(),
            "failed by service": collections.Counter(),
            "nanos by service": collections.Counter(),
            "before the middle": 0,
            "first and last start": (1 << 63, 0),
            "ids": [],
            "events": collections.Counter(),
            "event times": 0,
            "links": collections.Counter(),
            "methods": collections.Counter(),
            "sum of status codes": 0,
            "sum of ratios": 0.0,
            "keys": collections.Counter(),
        }
        # (trace, span) -> parent, of those that have one.
        self.parents = {}

    def request(self, traces, extra_key):
        """Traces of 25 spans, each over several services. `extra_key` is an attribute of every span and event."""
        request = ExportTraceServiceRequest()
        scopes = {}
        for service in SERVICES:
            resource_spans = request.resource_spans.add()
            if service:
                resource_spans.resource.attributes.add(key="service.name").value.string_value = service
            resource_spans.resource.attributes.add(key="host.name").value.string_value = f"host of {service}"
            scopes[service] = resource_spans.scope_spans.add()
        for _ in range(traces):
            self._trace(scopes, extra_key, self._start + self._random.randrange(WINDOW_NANOS))
        return request

    def old_request(self):
        """One trace that says that it is of 1970."""
        request = ExportTraceServiceRequest()
        scope = request.resource_spans.add().scope_spans.add()
        self._trace(dict.fromkeys(SERVICES, scope), "custom.old", 1, service="")
        return request

    def _trace(self, scopes, extra_key, start, service=None):
        draw = self._random
        trace_id, ids = draw.randbytes(16), []
        for number in range(SPANS_PER_TRACE):
            of = draw.choice(SERVICES) if service is None else service
            self._span(scopes[of].spans.add(), of, extra_key, trace_id, ids, start + number * 1000)

    def _span(self, span, service, extra_key, trace_id, ids, start):
        draw, truth = self._random, self.truth
        span_id, duration = draw.randbytes(8), int(draw.lognormvariate(14, 2))
        span.trace_id, span.span_id = trace_id, span_id
        if ids:
            span.parent_span_id = draw.choice(ids)
            self.parents[trace_id + span_id] = span.parent_span_id
        ids.append(span_id)
        method = draw.choice(METHODS)
        span.name = f"{method} /{draw.randrange(30)}"
        span.kind = draw.randrange(1, 6)
        span.start_time_unix_nano, span.end_time_unix_nano = start, start + duration
        self._attributes(span, extra_key, method)
        is_error = draw.random() < 0.05
        if is_error:
            span.status.code, span.status.message = 2, "failed"
        for _ in range(draw.choice([0, 0, 0, 1, 3])):
            self._event(span.events.add(), extra_key, start, draw.choice(ERRORS) if is_error else None)
        if draw.random() < 0.02:
            linked = bytes([draw.randrange(1, 5)]) * 16
            span.links.add(trace_id=linked, span_id=draw.randbytes(8))
            truth["links"][linked] += 1
        truth["spans"] += 1
        truth["errors"] += is_error
        truth["services"][service] += 1
        truth["failed by service"][service] += is_error
        truth["nanos by service"][service] += duration
        truth["before the middle"] += start < self.middle
        first, last = truth["first and last start"]
        truth["first and last start"] = (min(first, start), max(last, start))
        truth["ids"].append(trace_id + span_id)

    def _attributes(self, span, extra_key, method):
        draw, truth = self._random, self.truth

        def add(key):
            truth["keys"][key] += 1
            return span.attributes.add(key=key).value

        if draw.random() < 0.9:
            add("http.request.method").string_value = method
            truth["methods"][method] += 1
            status = draw.choice([200, 204, 404, 500])
            add("http.response.status_code").int_value = status
            truth["sum of status codes"] += status
        # Sums of these are exact.
        ratio = draw.randrange(1 << 10) / 64
        add("custom.ratio").double_value = ratio
        truth["sum of ratios"] += ratio
        add(extra_key).string_value = f"value {draw.randrange(1000)}"
        # One key, several types.
        if draw.random() < 0.5:
            add("custom.mixed").bool_value = draw.random() < 0.5
        else:
            add("custom.mixed").int_value = draw.randrange(100)
        # More keys than can have columns.
        if draw.random() < 0.1:
            add(f"rare.{draw.randrange(400)}").string_value = "rare"
        if draw.random() < 0.01:
            add("custom.list").array_value.values.add(int_value=1)

    def _event(self, event, extra_key, start, error):
        truth = self.truth
        event.time_unix_nano = start + self._random.randrange(10**6)
        event.name = "exception" if error else self._random.choice(["retry", "cache miss"])
        if error:
            event.attributes.add(key="exception.type").value.string_value = error
            event.attributes.add(key="exception.stacktrace").value.string_value = f"at {error}\n" * 5
        event.attributes.add(key=extra_key).value.string_value = "of an event"
        truth["events"][event.name, error] += 1
        truth["event times"] += event.time_unix_nano - start
