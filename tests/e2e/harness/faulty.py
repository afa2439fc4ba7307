"""A server between the Collector and the gateway that refuses two of three requests, by script.

Over HTTP: 429 and 503 with Retry-After; over gRPC: RESOURCE_EXHAUSTED and UNAVAILABLE with
RetryInfo. Every third request goes on to the gateway, byte for byte.
"""

import itertools
import threading
import urllib.request
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2, status_pb2

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def _status(code, message, retry):
    status = status_pb2.Status(code=code, message=message)
    status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=retry))
    return status.SerializeToString()


class Script:
    """Hands out what to do with each request: refuse, refuse, pass, refuse, ..."""

    def __init__(self):
        self._next = itertools.cycle(["limited", "unavailable", "pass"])
        self._lock = threading.Lock()
        self.counts = {"limited": 0, "unavailable": 0, "pass": 0}

    def step(self):
        with self._lock:
            step = next(self._next)
            self.counts[step] += 1
            return step


class FaultyHttp(Script):
    """Use as a context manager; `endpoint` is what the exporter is pointed at."""

    def __init__(self, target):
        super().__init__()
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                step = script.step()
                if step == "pass":
                    self._pass_on(body)
                elif step == "limited":
                    self._refuse(429, _status(code_pb2.RESOURCE_EXHAUSTED, "limited", Duration(seconds=1)))
                else:
                    self._refuse(503, _status(code_pb2.UNAVAILABLE, "unavailable", Duration(seconds=1)))

            def _pass_on(self, body):
                headers = {k: v for k, v in self.headers.items() if k in ("Content-Type", "Content-Encoding")}
                request = urllib.request.Request(f"http://{target}{self.path}", body, headers)
                with urllib.request.urlopen(request, timeout=30) as answer:
                    self._answer(answer.status, answer.read(), {})

            def _refuse(self, code, body):
                self._answer(code, body, {"Retry-After": "1"})

            def _answer(self, code, body, headers):
                self.send_response(code)
                for key, value in {"Content-Type": "application/x-protobuf", **headers}.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = "http://127.0.0.1:%d" % self._server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


class FaultyGrpc(Script):
    """Use as a context manager; `endpoint` is what the exporter is pointed at."""

    def __init__(self, target):
        super().__init__()
        self._channel = grpc.insecure_channel(target)
        self._forward = self._channel.unary_unary(EXPORT)
        self._server = grpc.server(futures.ThreadPoolExecutor(8))
        handler = grpc.unary_unary_rpc_method_handler(self._export)
        service, method = EXPORT[1:].split("/")
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
        self.endpoint = "127.0.0.1:%d" % self._server.add_insecure_port("127.0.0.1:0")

    def _export(self, body, context):
        step = self.step()
        if step == "pass":
            return self._forward(body, timeout=30)
        code = grpc.StatusCode.RESOURCE_EXHAUSTED if step == "limited" else grpc.StatusCode.UNAVAILABLE
        details = _status(code.value[0], step, Duration(nanos=200_000_000))
        context.set_trailing_metadata((("grpc-status-details-bin", details),))
        context.abort(code, step)

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *_):
        self._server.stop(None)
        self._channel.close()
