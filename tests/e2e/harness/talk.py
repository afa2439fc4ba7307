"""What tests send to a gateway, and ask it."""

import json
import urllib.parse
import urllib.request

TRACES = 40


def send(gateway, known, traces=TRACES):
    gateway.post("otlp_http", "/v1/traces", known.request(traces, "custom.key").SerializeToString())


def search(gateway):
    """How many traces there are, and why some may be missing."""
    query = urllib.parse.urlencode({"q": "{ }", "limit": 5000})
    with urllib.request.urlopen(f"http://{gateway.addresses['http']}/api/search?{query}", timeout=60) as answer:
        return len(json.load(answer)["traces"]), answer.headers.get("x-traceweir-partial")
