"""Two tenants of one gateway whose spans are alike but for words that only one of them has, and all that can be asked.

The same trace ids are in both. A word of one tenant in an answer to the other is a leak, in whichever form.
"""

import base64
import json
import time
import urllib.parse

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

# Words, keys and ids that are in no other place. Lengths differ, so that sizes do, too.
WORD = {"tenant-a": "aardvark", "tenant-b": "zebra-of-the-other"}
TRACES = [bytes([number]) * 15 + b"\x07" for number in (1, 2, 3)]
SPANS = {"tenant-a": 3, "tenant-b": 5}
JSON, PROTOBUF, SHORT = "application/json", "application/protobuf", "application/vnd.grafana.llm"


def span_id(tenant, trace, number):
    return WORD[tenant][:6].encode() + bytes([trace, number])


def request(tenant):
    """All spans of a tenant."""
    word, now = WORD[tenant], time.time_ns()
    made = ExportTraceServiceRequest()
    resource = made.resource_spans.add(schema_url=f"https://schema.example/{word}")
    resource.resource.attributes.add(key="service.name").value.string_value = f"service of {word}"
    resource.resource.attributes.add(key=f"resource.{word}").value.string_value = f"{word} of a resource"
    scope = resource.scope_spans.add()
    scope.scope.name, scope.scope.version = f"scope of {word}", word
    scope.scope.attributes.add(key=f"scope.{word}").value.string_value = f"{word} of a scope"
    for trace, trace_id in enumerate(TRACES):
        for number in range(SPANS[tenant]):
            span = scope.spans.add(trace_id=trace_id, span_id=span_id(tenant, trace, number), kind=2)
            if number:
                span.parent_span_id = span_id(tenant, trace, 0)
            span.name, span.trace_state = f"name of {word}", f"vendor={word}"
            span.start_time_unix_nano, span.end_time_unix_nano = now - 10**9, now - 10**9 + 10**6 * (number + 1)
            span.status.code, span.status.message = 2, f"status of {word}"
            span.attributes.add(key=f"span.{word}").value.string_value = f"{word} of a span"
            span.attributes.add(key="common").value.string_value = f"common value of {word}"
            event = span.events.add(name=f"event of {word}", time_unix_nano=now)
            event.attributes.add(key=f"event.{word}").value.string_value = f"{word} of an event"
            link = span.links.add(trace_id=b"\x09" * 16, span_id=span_id(tenant, trace, number))
            link.attributes.add(key=f"link.{word}").value.string_value = f"{word} of a link"
    return made


def traces_of(tenant, body, headers=""):
    """What of a tenant stands in an answer: its word, or the id of a span in one of the forms that ids have."""
    text = body.lower() + str(headers).lower().encode()
    found = [WORD[tenant]] if WORD[tenant].encode() in text else []
    for trace in range(len(TRACES)):
        for number in range(SPANS[tenant]):
            own = span_id(tenant, trace, number)
            if own.hex().encode() in text or base64.b64encode(own) in body or own in body:
                found.append(own.hex())
    return found


def _query(path, **parameters):
    parameters = {"start": int(time.time()) - 3600, "end": int(time.time()) + 60, **parameters}
    return f"{path}?{urllib.parse.urlencode(parameters)}"


def _ids(pattern):
    return [("GET", pattern.replace("{id}", one.hex()), None) for one in TRACES]


def _values(version):
    names = ["service.name", "common", "name", "status"] if version == 1 else [
        "resource.service.name", "span.common", "name", "statusMessage", ".common", "rootName", "rootServiceName",
        "event:name", "instrumentation:name"]
    own = ["span.{}", "resource.{}"] if version == 1 else ["span.span.{}", "resource.resource.{}"]
    names += [one.format(word) for word in WORD.values() for one in own]
    path = "/api/search/tag/{}/values" if version == 1 else "/api/v2/search/tag/{}/values"
    asked = [("GET", _query(path.format(urllib.parse.quote(name))), None) for name in names]
    # A filter that only one of them fits.
    filters = [f'{{ name = "name of {word}" }}' for word in WORD.values()]
    asked += [("GET", _query(path.format(names[1]), q=one), None) for one in filters] if version == 2 else []
    return asked


def _searches():
    queries = ["{ }", "{ status = error }", '{ span.common =~ ".*" } | select(span.common, name)',
               "{ } | by(span.common)", "{ } >> { }", "{ } | count() > 3"]
    queries += [f'{{ name = "name of {word}" }}' for word in WORD.values()]
    tags = [f"service.name=\"service of {word}\"" for word in WORD.values()]
    return [("GET", _query("/api/search", q=one, limit=50, spss=20), None) for one in queries] + [
        ("GET", _query("/api/search", tags=one), None) for one in tags] + [("GET", "/api/search", None)]


def _series(path, **more):
    queries = ["{ } | count_over_time() by (name)", "{ } | rate() by (resource.service.name, span.common)",
               "{ } | quantile_over_time(duration, .9) by (span.common)", "{ } | compare({ status = error })"]
    queries += [f'{{ name = "name of {word}" }} | count_over_time() by (name)' for word in WORD.values()]
    return [("GET", _query(path, q=one, **more), None) for one in queries]


def _diffs():
    forms = ("trace-patch-v0", "trace-summary-v0-native", "trace-summary-v0-composed")
    sides = {"base": {"traceId": TRACES[0].hex()}, "compare": {"traceId": TRACES[1].hex()}}
    return [("POST", "/api/v2/traces/diff", json.dumps({**sides, "format": form}).encode()) for form in forms]


def _nothing(path):
    return [("GET", path, None)]


# Every route of the query port, what is asked of it, and what is right: the tenant's own words, nothing of
# anybody, or to be refused for want of a scope.
OWN, NOTHING, SCOPE, OPEN = "its own", "nothing of anybody", "a scope", "open to all"


def routes():
    """As GET /status/endpoints lists them."""
    return {
        "GET /api/traces/{id}": (OWN, _ids("/api/traces/{id}")),
        "GET /api/v2/traces/{id}": (OWN, _ids("/api/v2/traces/{id}")),
        "POST /api/v2/traces/diff": (OWN, _diffs()),
        "GET /api/search": (OWN, _searches()),
        "GET /api/search/tags": (OWN, [("GET", _query("/api/search/tags"), None)]),
        "GET /api/v2/search/tags": (OWN, [("GET", _query("/api/v2/search/tags", scope=scope), None) for scope in
                                          ("", "span", "resource", "event", "link", "instrumentation")]),
        "GET /api/search/tag/{tag}/values": (OWN, _values(1)),
        "GET /api/v2/search/tag/{scoped}/values": (OWN, _values(2)),
        "GET /api/metrics/query_range": (OWN, _series("/api/metrics/query_range", step="60s", exemplars=10)),
        "GET /api/metrics/query": (OWN, _series("/api/metrics/query")),
        "GET /api/echo": (NOTHING, _nothing("/api/echo")),
        "GET /api/overrides": (NOTHING, _nothing("/api/overrides")),
        "GET /api/status/buildinfo": (NOTHING, _nothing("/api/status/buildinfo")),
        "GET /status/services": (SCOPE, _nothing("/status/services")),
        "GET /status/version": (SCOPE, _nothing("/status/version")),
        "GET /status/endpoints": (SCOPE, _nothing("/status/endpoints")),
        "GET /metrics": (SCOPE, _nothing("/metrics")),
        "GET /ready": (OPEN, _nothing("/ready")),
        "GET /live": (OPEN, _nothing("/live")),
    }


def _text(number, value):
    data = value.encode()
    return bytes([number << 3 | 2, len(data)]) + data if len(data) < 128 else (
        bytes([number << 3 | 2, len(data) & 0x7F | 0x80, len(data) >> 7]) + data)


def _varint(value):
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def _numbers(**fields):
    return b"".join(_varint(int(number[1:]) << 3) + _varint(value) for number, value in fields.items())


def calls():
    """Every gRPC method of the query port, as GET /status/endpoints lists them, and messages (tempopb) for it."""
    now = int(time.time())
    seconds = {"start": now - 3600, "end": now + 60}
    words = [f'{{ name = "name of {word}" }}' for word in WORD.values()]
    series = ["{ } | count_over_time() by (name)", *(f"{one} | count_over_time() by (span.common)" for one in words)]
    nanos = _numbers(f2=seconds["start"] * 10**9, f3=seconds["end"] * 10**9)
    tags = _numbers(f3=seconds["start"], f4=seconds["end"])
    values = _numbers(f4=seconds["start"], f5=seconds["end"])
    search = _numbers(f4=50, f5=seconds["start"], f6=seconds["end"], f9=20)
    searches = [search + _text(8, one) for one in ["{ }", *words]]
    named = ["span.common", "resource.service.name", "name", *(f"span.span.{word}" for word in WORD.values())]
    plain = ["common", "service.name", *(f"span.{word}" for word in WORD.values())]
    of = "/tempopb.StreamingQuerier/"
    return {
        f"{of}Search": searches,
        f"{of}SearchTags": [tags],
        f"{of}SearchTagsV2": [tags, _text(1, "span") + tags],
        f"{of}SearchTagValues": [_text(1, name) + values for name in plain],
        f"{of}SearchTagValuesV2": [_text(1, name) + values for name in named],
        f"{of}MetricsQueryRange": [_text(1, one) + nanos + _numbers(f4=60 * 10**9, f16=10) for one in series],
        f"{of}MetricsQueryInstant": [_text(1, one) + nanos for one in series],
    }

