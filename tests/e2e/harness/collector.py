"""The OpenTelemetry Collector between a client and the gateway, retrying for ever as one would."""

import json
import os
import socket
import subprocess

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from .wait import until


class Collector:
    """Takes OTLP over gRPC, batches, and forwards with the given exporter to the given endpoint.

    `settings` are more of the exporter's: `tls`, `headers`.
    """

    def __init__(self, directory, exporter, endpoint, compression, batch=200, **settings):
        self.log = directory / "collector.log"
        self.config = directory / "collector.json"
        self.address = f"127.0.0.1:{_free_port()}"
        config = self._config(exporter, endpoint, compression, batch)
        config["exporters"][exporter].update(settings)
        self.config.write_text(json.dumps(config, indent=1))
        self.process = None

    def _config(self, exporter, endpoint, compression, batch):
        settings = {
            "endpoint": endpoint,
            "compression": compression,
            "tls": {"insecure": True},
            "timeout": "5s",
            "retry_on_failure": {"enabled": True, "initial_interval": "100ms", "max_interval": "500ms",
                                 "max_elapsed_time": "0s"},
            "sending_queue": {"enabled": True, "num_consumers": 4, "queue_size": 10_000},
        }
        return {
            "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": self.address}}}},
            "processors": {"batch": {"send_batch_size": batch, "send_batch_max_size": batch, "timeout": "50ms"}},
            "exporters": {exporter: settings},
            "service": {
                "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "info"}},
                "pipelines": {"traces": {"receivers": ["otlp"], "processors": ["batch"], "exporters": [exporter]}},
            },
        }

    def __enter__(self):
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen([os.environ["E2E_COLLECTOR"], "--config", f"file:{self.config}"],
                                            stdout=out, stderr=subprocess.STDOUT)
        self.channel = grpc.insecure_channel(self.address)
        self.stub = TraceServiceStub(self.channel)
        until("Collector", 30, self._is_up)
        return self

    def __exit__(self, *_):
        self.channel.close()
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def send(self, request):
        self.stub.Export(request, timeout=30)

    def dropped(self):
        """The lines in which the Collector says that it threw data away."""
        return [line for line in self.log.read_text(errors="replace").splitlines() if "Dropping data" in line]

    def tail(self, lines=20):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _is_up(self):
        assert self.process.poll() is None, f"the Collector ended at start-up\n{self.tail()}"
        try:
            self.stub.Export(ExportTraceServiceRequest(), timeout=1)
            return True
        except grpc.RpcError:
            return False


def _free_port():
    """The Collector does not tell which port it picked, so one is picked for it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
