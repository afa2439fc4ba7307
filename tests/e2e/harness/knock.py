"""Five ways to come to a gateway, each with Authorization headers as they are: the status of the answer.

gRPC goes over grpcio; what grpcio itself refuses to send goes over HTTP/2 frames that we write.
"""

import http.client
import os
import socket
import time

import grpc
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
SEARCH = "/tempopb.StreamingQuerier/Search"
PROTOCOLS = ("OTLP gRPC", "OTLP HTTP", "query", "streaming", "admin")
# A request that HTTP/2 itself refuses: its stream, or its connection, ends without an answer.
RESET = "reset"
# What has no status of gRPC has one of HTTP (431).
OF_GRPC = {0: 200, 3: 400, 7: 403, 14: 503, 16: 401, RESET: 400, "431": 431}
# More headers than grpcio sends, as servers tell it what they take.
LONG = 80_000


def spans(name, trace_id=None, attributes=()):
    """A request with one span of this name."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = name
    span = resource.scope_spans.add().spans.add(trace_id=trace_id or os.urandom(16), span_id=os.urandom(8), name=name)
    span.kind, span.start_time_unix_nano = 2, time.time_ns()
    span.end_time_unix_nano = span.start_time_unix_nano + 1_000_000
    for key, value in attributes:
        span.attributes.add(key=key).value.string_value = value
    return request


class Knock:
    """Connections that last: what is refused ends none."""

    def __init__(self, gateway):
        self.gateway = gateway
        # What the last answer says, as text for people.
        self.said = b""
        self._channels, self._connections = {}, {}

    def close(self):
        for one in (*self._channels.values(), *self._connections.values()):
            one.close()

    def by(self, protocol, values, tenant="", name="knock"):
        """The status, in terms of HTTP; gRPC's has to be the one that goes with it."""
        headers = [("authorization", value) for value in values]
        if tenant:
            headers.append(("x-scope-orgid", tenant.encode()))
        match protocol:
            case "OTLP gRPC":
                return self._grpc("otlp_grpc", EXPORT, spans(name).SerializeToString(), headers)
            case "streaming":
                # tempopb.SearchRequest: field 8 is the query.
                return self._grpc("http", SEARCH, b"\x42\x03{ }", headers)
            case "OTLP HTTP":
                body = spans(name).SerializeToString()
                headers.append(("content-type", b"application/x-protobuf"))
                return self.http("otlp_http", "POST", "/v1/traces", headers, body)[0]
            case "query":
                return self.http("http", "GET", "/api/search?q=%7B%20%7D", headers)[0]
            case "admin":
                return self.http("admin", "GET", "/status/config", headers)[0]

    def http(self, listener, method, path, headers, body=b""):
        """Status and body."""
        for is_last in (False, True):
            connection = self._connections.get(listener)
            if connection is None:
                host, port = self.gateway.addresses[listener].rsplit(":", 1)
                connection = self._connections[listener] = http.client.HTTPConnection(host, int(port), timeout=30)
            try:
                connection.putrequest(method, path, skip_accept_encoding=True)
                for header, value in (*headers, ("content-length", str(len(body)).encode())):
                    connection.putheader(header, value)
                connection.endheaders(body)
                answer = connection.getresponse()
                self.said = answer.read()
                return answer.status, self.said
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                # It ended between two requests, as it does where the one before was no HTTP.
                connection.close()
                del self._connections[listener]
                if is_last:
                    raise
        return None

    def _grpc(self, listener, path, message, headers):
        """The status in terms of HTTP."""
        is_plain = all(0x20 <= byte < 0x7F for _, value in headers for byte in value)
        # grpcio takes the space around a value away.
        if not is_plain or any(value != value.strip() or not 0 < len(value) < LONG for _, value in headers):
            return OF_GRPC[_frames(self.gateway.addresses[listener], path, message, headers)]
        code, _, told = self.stream(listener, path, message, headers)
        assert code in OF_GRPC, told
        return OF_GRPC[code]

    def stream(self, listener, path, message, headers):
        """A call with messages as they are: number of the status, all messages as one, and what is told beside them."""
        channel = self._channels.get(listener)
        if channel is None:
            channel = self._channels[listener] = grpc.insecure_channel(self.gateway.addresses[listener])
        call = channel.unary_stream(path, lambda message: message, lambda message: message)
        answers = call(message, timeout=30, metadata=[(name, value.decode()) for name, value in headers])
        body = b""
        try:
            for answer in answers:
                body += answer
        except grpc.RpcError:
            """The status says it."""
        told = (answers.initial_metadata(), answers.trailing_metadata(), answers.details())
        self.said = str(answers.details()).encode()
        return answers.code().value[0], body, told


def _frames(address, path, message, headers):
    """The number of gRPC's status, or RESET."""
    host, port = address.rsplit(":", 1)
    config = H2Configuration(header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False)
    connection = H2Connection(config)
    with socket.create_connection((host, int(port)), timeout=30) as stream:
        connection.initiate_connection()
        own = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", address), ("te", "trailers"),
               ("content-type", "application/grpc")]
        connection.send_headers(1, [(n.encode(), v.encode()) for n, v in own] + [(n.encode(), v) for n, v in headers])
        connection.send_data(1, b"\0" + len(message).to_bytes(4, "big") + message, end_stream=True)
        stream.sendall(connection.data_to_send())
        status = None
        while received := stream.recv(65536):
            for event in connection.receive_data(received):
                if isinstance(event, (ResponseReceived, TrailersReceived)):
                    told = dict(event.headers)
                    if told.get(b":status", b"200") != b"200":
                        return told[b":status"].decode()
                    status = int(told[b"grpc-status"]) if b"grpc-status" in told else status
                elif isinstance(event, DataReceived):
                    connection.acknowledge_received_data(event.flow_controlled_length, 1)
                elif isinstance(event, StreamEnded):
                    return status
                elif isinstance(event, (StreamReset, ConnectionTerminated)):
                    return RESET if status is None else status
            stream.sendall(connection.data_to_send())
    return RESET
