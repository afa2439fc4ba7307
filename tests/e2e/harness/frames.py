"""HTTP/2 by the frame, as no client would write it: what is sent, and how the other side takes it."""

import socket

from hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
TRACES = [(":method", "POST"), (":scheme", "http"), (":path", "/v1/traces"), (":authority", "x"),
          ("content-type", "application/x-protobuf"), ("x-scope-orgid", "attacker")]
CODES = {0: "NO_ERROR", 1: "PROTOCOL_ERROR", 2: "INTERNAL_ERROR", 3: "FLOW_CONTROL_ERROR", 5: "STREAM_CLOSED",
         6: "FRAME_SIZE_ERROR", 7: "REFUSED_STREAM", 8: "CANCEL", 9: "COMPRESSION_ERROR", 11: "ENHANCE_YOUR_CALM"}
__all__ = ["CODES", "PREFACE", "TRACES", "ContinuationFrame", "DataFrame", "Encoder", "HeadersFrame", "Http2",
           "PingFrame", "PriorityFrame", "RstStreamFrame", "SettingsFrame", "WindowUpdateFrame", "connect"]


def connect(address, limit=10, receive_bytes=None):
    host, port = address.rsplit(":", 1)
    stream = socket.socket()
    if receive_bytes:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    stream.settimeout(limit)
    stream.connect((host, int(port)))
    return stream


class Http2:
    """A connection that has said its preface."""

    def __init__(self, address, settings=None, limit=10, receive_bytes=None):
        self.socket = connect(address, limit, receive_bytes)
        self.encoder, self.decoder, self.left = Encoder(), Decoder(), b""
        self.socket.sendall(PREFACE + SettingsFrame(0, settings=settings or {}).serialize())

    def headers(self, stream, headers=None, end=False):
        flags = ["END_HEADERS", *(["END_STREAM"] if end else [])]
        return HeadersFrame(stream, self.encoder.encode(headers or TRACES), flags=flags).serialize()

    def send(self, data):
        """Whether it was taken: False where the other side has closed, or takes no more in time."""
        try:
            self.socket.sendall(data)
            return True
        except (OSError, TimeoutError):
            return False

    def frames(self):
        """What comes until the other side closes, or says nothing for as long as the limit is."""
        while True:
            while len(self.left) >= 9:
                frame, length = Frame.parse_frame_header(memoryview(self.left[:9]))
                if len(self.left) < 9 + length:
                    break
                frame.parse_body(memoryview(self.left[9:9 + length]))
                self.left = self.left[9 + length:]
                yield frame
            try:
                more = self.socket.recv(1 << 16)
            except OSError as error:
                self.left = b""
                if not isinstance(error, TimeoutError):
                    yield None
                return
            if not more:
                yield None
                return
            self.left += more

    def ends(self):
        """How it ends: the code of GOAWAY, of the first stream that is reset, a status, or `closed`; `open` where it
        does not."""
        reset = None
        for frame in self.frames():
            match frame:
                case None:
                    return reset or "closed"
                case GoAwayFrame(error_code=code):
                    return f"GOAWAY {CODES.get(code, code)}"
                case RstStreamFrame(error_code=code):
                    reset = reset or f"RST {CODES.get(code, code)}"
                    if frame.stream_id and "REFUSED" not in reset:
                        return reset
                case HeadersFrame():
                    told = dict(self.decoder.decode(frame.data))
                    if told.get(":status", "") != "200" or "grpc-status" not in told:
                        return told.get(":status", "trailers")
                    return f"grpc {told['grpc-status']}"
        return reset or "open"

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
