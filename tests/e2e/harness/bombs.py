"""Bodies that are small on the wire and large, deep or many behind it. Each with what it may be answered over HTTP."""

import gzip
import zlib

import pyarrow

PROTOBUF, JSON = "application/x-protobuf", "application/json"


class Bomb:
    """A body, how it says that it is made, and the statuses that are right: 413 for its size, 400 for its form."""

    def __init__(self, name, body, coding="", content_type=PROTOBUF, status=(413,), is_taken=False):
        self.name, self.body, self.coding = name, body, coding
        self.content_type, self.status = content_type, status
        # Whether it is no larger than a body may be: what it takes is bounded by what is in flight altogether.
        self.is_taken = is_taken


def zstd_zeros(blocks, window=0x68, size=b""):
    """A frame of blocks that each stand for 128 KiB of one byte; the window of 8 MiB is as large as is allowed."""
    # Magic; a descriptor without checksum, with 8 bytes of content size where there are some; then the window.
    head = b"\x28\xb5\x2f\xfd" + (b"\xc0" if size else b"\x00") + bytes([window]) + size
    block = (128 << 10) << 3 | 1 << 1
    body = block.to_bytes(3, "little") + b"\0"
    return head + body * (blocks - 1) + (block | 1).to_bytes(3, "little") + b"\0"


def _varint(value):
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def _field(number, data):
    return bytes([number << 3 | 2]) + _varint(len(data)) + data


def spans(data):
    """The ExportTraceServiceRequest around some bytes of ScopeSpans."""
    return _field(1, _field(2, data))


def nested(depth):
    """One span with an attribute of arrays within arrays: AnyValue.array_value.values.array_value."""
    # From the inside out, in one pass: a copy for each level would be quadratic.
    parts, length = [], 0
    for _ in range(depth):
        inner = b"\x0a" + _varint(length)
        outer = b"\x2a" + _varint(length + len(inner))
        parts.append(outer + inner)
        length += len(outer) + len(inner)
    value = b"".join(reversed(parts))
    return spans(_field(2, _field(1, b"\1" * 16) + _field(2, b"\1" * 8) +
                        _field(9, _field(1, b"k") + _field(2, value))))


def nested_json(depth):
    value = b'{"arrayValue":{"values":[' * depth + b']}}' * depth
    return (b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"%s","spanId":"%s","attributes":'
            b'[{"key":"k","value":%s}]}]}]}]}' % (b"1" * 32, b"1" * 16, value))


def _deflate_members(count):
    empty = gzip.compress(b"", 9, mtime=0)
    return empty * count


def all_of_them():
    """Made once: some take a second."""
    mib = 1 << 20
    zeros = bytes(64 * mib)
    million = 10**6
    ids = _field(1, b"\1" * 16) + _field(2, b"\1" * 8)
    return [
        Bomb("gzip, 64 KiB for 64 MiB", gzip.compress(zeros, 9), "gzip"),
        Bomb("gzip, its size a lie", gzip.compress(zeros, 9)[:-4] + b"\1\0\0\0", "gzip"),
        Bomb("gzip, 10^5 members", _deflate_members(100_000), "gzip", status=(400,)),
        Bomb("gzip within gzip", gzip.compress(gzip.compress(zeros, 9), 9), "gzip", status=(400,)),
        Bomb("deflate, 64 KiB for 64 MiB", zlib.compress(zeros, 9), "deflate"),
        Bomb("zstd, 1 KiB for 32 MiB", zstd_zeros(256), "zstd"),
        Bomb("zstd, 64 KiB for 2 GiB", zstd_zeros(16_384), "zstd"),
        Bomb("zstd, 512 B for 15 MiB", zstd_zeros(120), "zstd", status=(400,), is_taken=True),
        Bomb("zstd, a claim of 2^63", zstd_zeros(256, size=(1 << 63).to_bytes(8, "little")), "zstd"),
        Bomb("zstd, a window of 2 TiB", zstd_zeros(256, window=0xF8), "zstd", status=(400,)),
        Bomb("zstd, a window of 128 MiB", zstd_zeros(8, window=0x88), "zstd", status=(400,)),
        Bomb("snappy, 3 MiB for 64 MiB", pyarrow.compress(zeros, codec="snappy", asbytes=True), "snappy"),
        Bomb("snappy, a claim of 4 GiB", _varint(2**32 - 1) + b"\0" * 64, "snappy", status=(400,)),
        # Its span is refused, as those are that break another rule.
        Bomb("AnyValue, 10^4 deep", nested(10**4), status=(200,)),
        Bomb("AnyValue, 10^5 deep", nested(10**5), status=(200,)),
        Bomb("AnyValue, 10^4 deep, JSON", nested_json(10**4), content_type=JSON, status=(400,)),
        Bomb("AnyValue, 10^5 deep, JSON", nested_json(10**5), content_type=JSON, status=(400,)),
        Bomb("brackets, 10^6 deep, JSON", b"[" * million, content_type=JSON, status=(400,)),
        Bomb("10^6 empty spans", spans(b"\x12\x00" * million)),
        Bomb("10^6 empty spans, zstd", pyarrow.compress(spans(b"\x12\x00" * million), codec="zstd", asbytes=True),
             "zstd"),
        Bomb("10^6 empty spans, JSON", b'{"resourceSpans":[{"scopeSpans":[{"spans":[%s]}]}]}'
             % b",".join([b"{}"] * million), content_type=JSON),
        Bomb("10^6 attributes", spans(_field(2, ids + b"\x4a\x00" * million)), status=(200,)),
        Bomb("10^6 events", spans(_field(2, b"\x5a\x00" * million)), status=(200,)),
        Bomb("10^6 resources", b"\x0a\x00" * million, status=(200,)),
        Bomb("10^6 scopes", _field(1, b"\x12\x00" * million), status=(200,)),
        Bomb("a length of 2^63", b"\x0a" + _varint(2**63), status=(400,)),
    ]
