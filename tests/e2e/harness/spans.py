"""Spans in one comparable form, whichever way they were written or read.

Everything goes through the messages of the opentelemetry-proto package: what a client says that it
sent, and each of the four ways in which the gateway gives a trace back. protobuf's own JSON parser
is strict (an unknown or misspelt field fails), so it checks the answers' form as well.
"""

import base64
import difflib
import json

from google.protobuf import json_format
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData


def comparable(data):
    """Maps (trace id, span id, kind) to the whole span with its resource and scope, as text."""
    spans = {}
    for resource_spans in data.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                plain = _plain(span)
                if not plain.get("status"):
                    # A status that says nothing is none.
                    plain.pop("status", None)
                whole = {
                    "span": plain,
                    "resource": _plain(resource_spans.resource),
                    "resource_schema": resource_spans.schema_url,
                    "scope": _plain(scope_spans.scope),
                    "scope_schema": scope_spans.schema_url,
                }
                key = (span.trace_id.hex(), span.span_id.hex(), span.kind)
                assert key not in spans, f"span {key} came back twice"
                spans[key] = json.dumps(whole, sort_keys=True, indent=1, ensure_ascii=False)
    return spans


def assert_same(found, wanted, what):
    """Insists that both hold the same spans; shows the first difference."""
    assert sorted(found) == sorted(wanted), f"{what}: other spans than were sent"
    for key, span in wanted.items():
        lines = difflib.unified_diff(span.splitlines(), found[key].splitlines(), "sent", "found", lineterm="")
        difference = "\n".join(line[:300] for line in lines)
        assert not difference, f"{what}: span {key} differs\n{difference}"


def _plain(message):
    return json_format.MessageToDict(message)


def from_otlp_json(text):
    """Reads OTLP/JSON (hexadecimal ids) as clients write it."""
    request = json.loads(text)
    for resource_spans in request["resourceSpans"]:
        for scope_spans in resource_spans["scopeSpans"]:
            for span in scope_spans["spans"]:
                for owner in (span, *span.get("links", [])):
                    for key in ("traceId", "spanId", "parentSpanId"):
                        if owner.get(key):
                            owner[key] = base64.b64encode(bytes.fromhex(owner[key])).decode()
    # The JS SDK adds fields of its own (`schemaUrl` in the resource), which receivers ignore.
    return json_format.ParseDict(request, TracesData(), ignore_unknown_fields=True)


def _json(body):
    """Reads `-0`, which is how a double of minus zero is written, as what it is."""
    return json.loads(body, parse_int=lambda digits: -0.0 if digits == "-0" else int(digits))


def _v1_json(gateway, trace_id):
    status, body = gateway.get(f"/api/traces/{trace_id}")
    assert status == 200, (status, body[:300])
    return json_format.ParseDict({"resourceSpans": _json(body)["batches"]}, TracesData())


def _v2_json(gateway, trace_id):
    status, body = gateway.get(f"/api/v2/traces/{trace_id}")
    assert status == 200, (status, body[:300])
    return json_format.ParseDict(_json(body)["trace"], TracesData())


def _v1_protobuf(gateway, trace_id):
    status, body = gateway.get(f"/api/traces/{trace_id}", accept="application/protobuf")
    assert status == 200, (status, body[:300])
    return TracesData.FromString(body)


def _v2_protobuf(gateway, trace_id):
    """TraceByIDResponse: the trace is its field 1; tempopb.Trace is TracesData on the wire."""
    status, body = gateway.get(f"/api/v2/traces/{trace_id}", accept="application/protobuf")
    assert status == 200, (status, body[:300])
    return TracesData.FromString(_field_one(body))


def _field_one(message):
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        if tag & 7 == 0:
            _, position = _varint(message, position)
            continue
        assert tag & 7 == 2, f"unexpected wire type in TraceByIDResponse: tag {tag}"
        length, position = _varint(message, position)
        if tag >> 3 == 1:
            return message[position : position + length]
        position += length
    raise AssertionError("TraceByIDResponse without a trace")


def _varint(message, position):
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position


READERS = {
    "v1 JSON": _v1_json,
    "v2 JSON": _v2_json,
    "v1 protobuf": _v1_protobuf,
    "v2 protobuf": _v2_protobuf,
}
