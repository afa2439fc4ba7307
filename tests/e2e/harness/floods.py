"""What strangers do to a listener, one row for each: a connection's worth of it, and how that may end."""

import http.client
import os
import select
import ssl
import struct

from .frames import (
    ContinuationFrame,
    DataFrame,
    Encoder,
    HeadersFrame,
    Http2,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
    TRACES,
    connect,
)

CALM, PROTOCOL = "GOAWAY ENHANCE_YOUR_CALM", "GOAWAY PROTOCOL_ERROR"
FLOW = "GOAWAY FLOW_CONTROL_ERROR"


class Attack:
    """`once(address, frames)` returns how it ended, which has to be one of `ends`. `counted` is a metric of
    `traceweir_connections_total` (its `end`) that has to go up, if any; `tls` is for listeners that speak it;
    `kib` is what a connection may have the process keep, where that is on purpose (windows and read buffers)."""

    def __init__(self, name, once, ends, counted=None, tls=False, kib=0):
        self.name, self.once, self.ends, self.counted = name, once, set(ends), counted
        self.tls, self.kib = tls, kib


def post(address, bomb):
    """The status of a body over HTTP/1.1."""
    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    headers = {"Content-Type": bomb.content_type, "X-Scope-OrgID": "attacker"}
    if bomb.coding:
        headers["Content-Encoding"] = bomb.coding
    try:
        connection.request("POST", "/v1/traces", bomb.body, headers)
        answer = connection.getresponse()
        said = answer.read()
        return answer.status, said
    finally:
        connection.close()


def _http1(address, data, limit=10):
    """The status line's number, or `closed`."""
    with connect(address, limit) as stream:
        try:
            stream.sendall(data)
            answer = stream.recv(64)
        except TimeoutError:
            return "open"
        except OSError:
            return "closed"
        return answer.split()[1].decode() if answer.startswith(b"HTTP/1.1 ") else "closed"


def _dribble(stream, data, pieces, pause=0.05):
    """Sends a byte now and then, as long as the other side takes it, and then listens."""
    from .wait import until

    left = bytearray(data[:pieces])
    stream.setblocking(False)

    def over():
        try:
            answer = stream.recv(64)
            return answer.split()[1].decode() if answer.startswith(b"HTTP/1.1 ") else "closed"
        except BlockingIOError:
            """Nothing yet."""
        except OSError:
            return "closed"
        if left:
            try:
                stream.send(left[:1])
                del left[:1]
            except BlockingIOError:
                """Later."""
            except OSError:
                return "closed"
        return None

    return until("end of what dribbles", 60, over, pause)


def slow_header(address, _):
    with connect(address) as stream:
        return _dribble(stream, b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 1_000, 6_000)


def slow_body(address, _):
    head = (b"POST /v1/traces HTTP/1.1\r\nhost: x\r\nx-scope-orgid: attacker\r\n"
            b"content-type: application/x-protobuf\r\ncontent-length: 100000\r\n\r\n")
    with connect(address) as stream:
        stream.sendall(head)
        return _dribble(stream, bytes(10_000), 10_000)


def long_slow_header(address, _):
    """As much of a header as there may be, and no end."""
    with connect(address, 60) as stream:
        stream.sendall(b"GET / HTTP/1.1\r\nx: " + b"y" * 79_000)
        return _until_closed(stream)


def half_frame(address, _):
    """Most of a frame that may have a MiB."""
    with Http2(address, limit=90) as connection:
        frame = DataFrame(1, bytes(1_000_000)).serialize()
        if not connection.send(connection.headers(1) + frame[:-1]):
            return "closed"
        return connection.ends()


def _until_closed(stream):
    try:
        while stream.recv(1 << 16):
            """Whatever it says."""
    except TimeoutError:
        return "open"
    except OSError:
        """Closed, too."""
    return "closed"


def silent(address, _):
    with connect(address, 60) as stream:
        return _until_closed(stream)


def half_preface(address, _):
    with connect(address, 60) as stream:
        stream.sendall(b"PRI * HTTP/2.0\r\n\r\nSM")
        return _until_closed(stream)


def slow_body_http2(address, _):
    """A byte of a body at a time; another stream does it, too."""
    with Http2(address, limit=0.05) as connection:
        connection.send(connection.headers(1))
        for _ in range(2_000):
            if not connection.send(DataFrame(1, b"\0").serialize()):
                return "closed"
            end = connection.ends()
            if end != "open":
                return end
    return "open"


def headers_that_never_end(address, _):
    """HTTP/2's own slowloris: a header block whose next frame does not come. Its next ping is not answered."""
    with Http2(address, limit=90) as connection:
        connection.send(HeadersFrame(1, connection.encoder.encode(TRACES)).serialize())
        return connection.ends()


def rapid_reset(address, count):
    with Http2(address, limit=10) as connection:
        for stream in range(1, 2 * count, 2):
            data = connection.headers(stream) + RstStreamFrame(stream, error_code=8).serialize()
            if not connection.send(data):
                break
        return connection.ends()


def made_to_reset(address, count):
    """MadeYouReset (CVE-2025-8671): it is the server that resets, for a WINDOW_UPDATE of nothing."""
    with Http2(address, limit=10) as connection:
        for stream in range(1, 2 * count, 2):
            zero = b"\x00\x00\x04\x08\x00" + struct.pack(">II", stream, 0)
            if not connection.send(connection.headers(stream) + zero):
                break
        return _last(connection)


def _last(connection):
    """How it ends, whatever happens to streams before."""
    end = "open"
    while True:
        now = connection.ends()
        if now.startswith("GOAWAY") or now in ("open", "closed"):
            return end if now == "closed" and end != "open" else now
        end = now


def continuation(address, count):
    with Http2(address, limit=10) as connection:
        block = connection.encoder.encode([*TRACES, ("a", "b")])
        if connection.send(HeadersFrame(1, block).serialize()):
            for _ in range(count):
                if not connection.send(ContinuationFrame(1, b"\x00\x01a\x01b" * 10).serialize()):
                    break
        return connection.ends()


def empty_continuation(address, count):
    with Http2(address, limit=10) as connection:
        connection.send(HeadersFrame(1, b"").serialize())
        for _ in range(count // 100):
            if not connection.send(ContinuationFrame(1, b"").serialize() * 100):
                break
        return connection.ends()


def settings(address, count):
    """Each has to be acknowledged, and nobody reads that."""
    return _unread(address, SettingsFrame(0, settings={1: 4096}).serialize(), count)


def pings(address, count):
    return _unread(address, PingFrame(0, opaque_data=b"12345678").serialize(), count)


def _unread(address, frame, count):
    """`closed` where the other side takes no more until we read, and goes when we do not; `taken` where it took all."""
    with Http2(address, limit=2, receive_bytes=4096) as connection:
        return _unread_by(connection, frame, count)


def _unread_by(connection, frame, count):
    for _ in range(max(1, count // 10)):
        if not connection.send(frame * 1_000):
            gone = select.poll()
            gone.register(connection.socket, select.POLLERR | select.POLLHUP)
            return "closed" if gone.poll(90_000) else "stalled"
    return "taken"


def empty_data(address, count):
    with Http2(address, limit=10) as connection:
        connection.send(connection.headers(1))
        for _ in range(count // 100):
            if not connection.send(DataFrame(1, b"").serialize() * 100):
                break
        return connection.ends()


def tiny_data(address, count):
    with Http2(address, limit=10) as connection:
        connection.send(connection.headers(1))
        for _ in range(count // 100):
            if not connection.send(DataFrame(1, b"\n").serialize() * 100):
                break
        return connection.ends()


def padded_data(address, count):
    """A byte of a body, and 255 of padding."""
    with Http2(address, limit=10) as connection:
        connection.send(connection.headers(1))
        frame = DataFrame(1, b"\n", pad_length=255, flags=["PADDED"]).serialize()
        for _ in range(count // 100):
            if not connection.send(frame * 100):
                break
        return connection.ends()


def priorities(address, count):
    """Each is about a stream that is not there."""
    with Http2(address, limit=2) as connection:
        for start in range(0, count, 100):
            frames = b"".join(PriorityFrame(2 * stream + 1, depends_on=0, stream_weight=1).serialize()
                              for stream in range(start, start + 100))
            if not connection.send(frames):
                break
        return connection.ends()


def _update(stream, increment):
    return b"\x00\x00\x04\x08\x00" + struct.pack(">II", stream, increment)


def window_of_nothing(address, _):
    with Http2(address) as connection:
        connection.send(_update(0, 0))
        return connection.ends()


def window_too_large(address, _):
    with Http2(address) as connection:
        connection.send(WindowUpdateFrame(0, window_increment=2**31 - 1).serialize() * 2)
        return connection.ends()


def stream_window_too_large(address, _):
    with Http2(address) as connection:
        connection.send(connection.headers(1) + WindowUpdateFrame(1, window_increment=2**31 - 1).serialize() * 2)
        return connection.ends()


def initial_window_too_large(address, _):
    with Http2(address) as connection:
        connection.send(SettingsFrame(0, settings={4: 2**31}).serialize())
        return connection.ends()


def windows_back_and_forth(address, count):
    """Each has every stream counted anew."""
    frames = SettingsFrame(0, settings={4: 0}).serialize() + SettingsFrame(0, settings={4: 2**31 - 1}).serialize()
    with Http2(address, limit=2, receive_bytes=4096) as connection:
        for stream in range(1, 101, 2):
            connection.send(connection.headers(stream))
        return _unread_by(connection, frames, count // 2)


def hpack_bomb(address, _):
    """A value of 3 KiB goes into the table, and is named ten thousand times: 30 MiB of headers in 13 KiB."""
    with Http2(address) as connection:
        first = connection.encoder.encode([*TRACES, ("x-bomb", "v" * 3_000)])
        # 62 is the newest of the dynamic table.
        connection.send(HeadersFrame(1, first + b"\xbe" * 10_000, flags=["END_HEADERS"]).serialize())
        return connection.ends()


def table_size(address, _):
    """A table of 4 GiB, in the middle of a block."""
    with Http2(address) as connection:
        block = Encoder().encode(TRACES) + b"\x3f\xe1\xff\xff\xff\x0f"
        connection.send(HeadersFrame(1, block, flags=["END_HEADERS"]).serialize())
        return connection.ends()


def long_headers_http2(address, _):
    with Http2(address) as connection:
        block = connection.encoder.encode([*TRACES, *((f"x-{number}", "v" * 1_000) for number in range(150))])
        parts = [block[at:at + 16_000] for at in range(0, len(block), 16_000)]
        frames = [HeadersFrame(1, parts[0]), *(ContinuationFrame(1, part) for part in parts[1:])]
        frames[-1].flags.add("END_HEADERS")
        connection.send(b"".join(frame.serialize() for frame in frames))
        return connection.ends()


def too_many_streams(address, count):
    """None of them ends."""
    with Http2(address, limit=5) as connection:
        for stream in range(1, 2 * max(count, 300), 2):
            if not connection.send(connection.headers(stream)):
                break
        return _last(connection)


def frame_too_large(address, _):
    with Http2(address) as connection:
        connection.send(connection.headers(1) + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01")
        return connection.ends()


def long_headers(address, _):
    return _http1(address, b"GET / HTTP/1.1\r\n" + b"x-y: " + b"v" * 200_000 + b"\r\n\r\n")


def many_headers(address, _):
    return _http1(address, b"GET / HTTP/1.1\r\nhost: x\r\n" + b"a: b\r\n" * 10_000 + b"\r\n")


def long_path(address, _):
    return _http1(address, b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n")


def long_chunk(address, _):
    head = (b"POST /v1/traces HTTP/1.1\r\nhost: x\r\nx-scope-orgid: attacker\r\ntransfer-encoding: chunked\r\n"
            b"content-type: application/x-protobuf\r\n\r\n")
    return _http1(address, head + b"1;" + b"x" * 100_000)


def tiny_chunks(address, _):
    head = (b"POST /v1/traces HTTP/1.1\r\nhost: x\r\nx-scope-orgid: attacker\r\ntransfer-encoding: chunked\r\n"
            b"content-type: application/x-protobuf\r\n\r\n")
    return _http1(address, head + b"1\r\n\x0a\r\n" * 50_000 + b"0\r\n\r\n")


def long_claim(address, _):
    head = (b"POST /v1/traces HTTP/1.1\r\nhost: x\r\nx-scope-orgid: attacker\r\ncontent-length: 99999999999\r\n"
            b"content-type: application/x-protobuf\r\n\r\n")
    return _http1(address, head)


def garbage(address, _):
    return _http1(address, b"\x00" + os.urandom(4_096) + b"\r\n\r\n")


def half_handshake(address, _):
    """A ClientHello, and nothing after it."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        """As it should be: it has written its first words."""
    with connect(address, 60) as stream:
        stream.sendall(outgoing.read())
        return _until_closed(stream)


def broken_handshake(address, _):
    with connect(address, 60) as stream:
        stream.sendall(b"\x16\x03\x01\x40\x00" + b"\xff" * (1 << 14))
        return _until_closed(stream)


# `count` is how many frames or streams an attack sends at most on one connection.
ATTACKS = [
    Attack("slow header", slow_header, ["closed"], "silent"),
    Attack("slow header of 79 kB", long_slow_header, ["closed"], "silent", kib=256),
    Attack("slow body", slow_body, ["503"]),
    Attack("silent connection", silent, ["closed"], "silent"),
    Attack("half of HTTP/2's preface", half_preface, ["closed"], "silent"),
    Attack("slow body, HTTP/2", slow_body_http2, ["503"]),
    Attack("most of a frame of a MiB", half_frame, ["503", "GOAWAY NO_ERROR", "GOAWAY FRAME_SIZE_ERROR", "closed"], kib=1_200),
    Attack("headers that never end, HTTP/2", headers_that_never_end, ["GOAWAY NO_ERROR", "closed"]),
    Attack("rapid reset", rapid_reset, [CALM, "closed"], "failed"),
    Attack("made to reset", made_to_reset, [CALM, PROTOCOL, "closed"], "failed"),
    Attack("CONTINUATION flood", continuation, [CALM, "closed"], "failed"),
    Attack("empty CONTINUATION flood", empty_continuation, [CALM, "closed"], "failed"),
    Attack("SETTINGS flood", settings, ["closed"]),
    Attack("PING flood", pings, ["closed"]),
    Attack("empty DATA flood", empty_data, [CALM, "closed"], "failed"),
    Attack("DATA of one byte", tiny_data, [CALM, "closed"], "failed"),
    Attack("DATA of padding", padded_data, [CALM, FLOW, "RST FLOW_CONTROL_ERROR", "closed"]),
    Attack("PRIORITY flood", priorities, ["open", "GOAWAY NO_ERROR"]),
    Attack("WINDOW_UPDATE of nothing", window_of_nothing, [PROTOCOL], "failed"),
    Attack("WINDOW_UPDATE over the top", window_too_large, [FLOW], "failed"),
    Attack("WINDOW_UPDATE of a stream", stream_window_too_large, ["RST FLOW_CONTROL_ERROR"]),
    Attack("SETTINGS of a window over the top", initial_window_too_large, [FLOW, PROTOCOL], "failed"),
    Attack("SETTINGS of windows, back and forth", windows_back_and_forth, ["closed"]),
    Attack("HPACK bomb", hpack_bomb, ["431", CALM, PROTOCOL]),
    Attack("HPACK table of 4 GiB", table_size, [PROTOCOL, "GOAWAY COMPRESSION_ERROR"], "failed"),
    Attack("long headers, HTTP/2", long_headers_http2, ["431", CALM, PROTOCOL]),
    Attack("streams over the most", too_many_streams, [CALM, "RST REFUSED_STREAM", "closed"]),
    Attack("a frame of 16 MiB", frame_too_large, ["GOAWAY FRAME_SIZE_ERROR"], "failed"),
    Attack("a header of 200 kB", long_headers, ["431", "closed"], "failed"),
    Attack("10^4 headers", many_headers, ["431", "closed"], "failed"),
    Attack("a path of 200 kB", long_path, ["414", "431", "closed"], "failed"),
    Attack("an extension of a chunk without end", long_chunk, ["400", "503", "closed"]),
    Attack("chunks of one byte", tiny_chunks, ["400", "503"]),
    Attack("a claim of 100 GB", long_claim, ["413"]),
    Attack("garbage", garbage, ["400", "closed"], "failed"),
    Attack("half a handshake", half_handshake, ["closed"], "silent", tls=True),
    Attack("a broken handshake", broken_handshake, ["closed"], "failed", tls=True),
]
