"""The clients of tests/e2e/clients: each writes the known set of spans and says what it sent."""

import os
import subprocess
import sys
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from .spans import from_otlp_json

CLIENTS = Path(__file__).parent.parent / "clients"


def write(client, protocol, coding, endpoint, out, environment=None):
    """Sends the known set to an address, or to a URL; what was sent goes to the file `out`."""
    if client == "python":
        command = [sys.executable, CLIENTS / "python_sdk.py"]
    else:
        command = ["node", CLIENTS / "js_sdk.cjs"]
    url = endpoint if "://" in endpoint else f"http://{endpoint}"
    environment = {**os.environ, "NODE_PATH": os.environ["E2E_NODE_MODULES"], **(environment or {})}
    run = subprocess.run([*command, protocol, coding, url, out], env=environment, timeout=90,
                         capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert "Failed to export" not in run.stderr, run.stderr[-3000:]


def burst(client, protocol, spans, endpoint, out, environment=None):
    """Sends so many spans at once; what was sent goes to the file `out`. How many spans the exporter gave up on."""
    script = [sys.executable, CLIENTS / "python_burst.py"] if client == "python" else ["node", CLIENTS / "js_burst.cjs"]
    url = endpoint if "://" in endpoint else f"http://{endpoint}"
    modules = {"NODE_PATH": os.environ["E2E_NODE_MODULES"]}
    # Its default of 10 s is shorter than a debt may be.
    patience = {"OTEL_EXPORTER_OTLP_TIMEOUT": "60" if client == "python" else "60000"}
    environment = {**os.environ, **modules, **patience, **(environment or {})}
    run = subprocess.run([*script, protocol, str(spans), url, out], env=environment, timeout=120,
                         capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return int(run.stdout.split()[-1])


def read(client, out):
    """What it sent."""
    if client == "python":
        return TracesData(resource_spans=ExportTraceServiceRequest.FromString(out.read_bytes()).resource_spans)
    return from_otlp_json(out.read_text())
