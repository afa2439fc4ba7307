"""Values of attributes, and the encoding of OTLP's `AnyValue` for those that are arrays, maps or
bytes: opentelemetry-proto, common/v1/common.proto."""

from enum import Enum
from struct import pack, unpack_from
from typing import Final, Literal, Union

from .codes import (
    TAG_ABSENT,
    TAG_ARRAY,
    TAG_BOOL,
    TAG_BYTES,
    TAG_DOUBLE,
    TAG_EMPTY,
    TAG_INT,
    TAG_MAP,
    TAG_REMOVE,
    TAG_STRING,
)
from .errors import BadInput, Internal


class Special(Enum):
    """What is no value of its own."""

    EMPTY = TAG_EMPTY
    """An attribute without a value."""
    REMOVE = TAG_REMOVE
    """In answers: the attribute goes. Empties a tracestate or a status message."""
    UNREAD = -1
    """In batches: an array, a map or bytes, which were not asked for with `complex`."""


EMPTY: Final = Special.EMPTY
REMOVE: Final = Special.REMOVE
UNREAD: Final = Special.UNREAD

Any = Union[str, bool, int, float, bytes, list["Any"], dict[str, "Any"], Literal[Special.EMPTY]]
"""A value. What is bytes, a `list` or a `dict` crosses as an `AnyValue`."""
Read = Union[Any, Literal[Special.UNREAD], None]
"""What a batch says of an attribute; `None`: there is no such attribute."""
Write = Union[Any, Literal[Special.REMOVE], None]
"""What an answer says of an attribute; `None`: it stays as it is."""

# How deep arrays and maps may lie in each other.
DEPTH_MAX: Final = 64

INT_MIN: Final = -(1 << 63)
INT_MAX: Final = (1 << 63) - 1


def tag_of(value: Write) -> int:
    """The number of its type."""
    if value is None:
        return TAG_ABSENT
    if isinstance(value, str):
        return TAG_STRING
    if isinstance(value, bool):
        return TAG_BOOL
    if isinstance(value, int):
        return TAG_INT
    if isinstance(value, float):
        return TAG_DOUBLE
    if isinstance(value, bytes):
        return TAG_BYTES
    if isinstance(value, list):
        return TAG_ARRAY
    if isinstance(value, dict):
        return TAG_MAP
    if value is EMPTY:
        return TAG_EMPTY
    if value is REMOVE:
        return TAG_REMOVE
    raise Internal(f"no value for an attribute: {value!r}")


def word_of(value: bool | int | float) -> int:
    """The bits of a number or bool."""
    if isinstance(value, float):
        return int.from_bytes(pack("<d", value), "little")
    if not INT_MIN <= value <= INT_MAX:
        raise Internal(f"{value} has more than 64 bits")
    return value & 0xFFFF_FFFF_FFFF_FFFF


def encode(value: Any) -> bytes:
    """`value` as an `AnyValue`."""
    if value is EMPTY:
        return b""
    if isinstance(value, str):
        return _delimited(1, value.encode())
    if isinstance(value, bool):
        return b"\x10" + (b"\1" if value else b"\0")
    if isinstance(value, int):
        return b"\x18" + _varint(word_of(value))
    if isinstance(value, float):
        return b"\x21" + pack("<d", value)
    if isinstance(value, list):
        return _delimited(5, b"".join(_delimited(1, encode(item)) for item in value))
    if isinstance(value, dict):
        return _delimited(6, b"".join(_pair(key, item) for key, item in value.items()))
    if isinstance(value, bytes):
        return _delimited(7, value)
    raise Internal(f"no value for an attribute: {value!r}")


def _pair(key: str, value: Any) -> bytes:
    return _delimited(1, _delimited(1, key.encode()) + _delimited(2, encode(value)))


def _delimited(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    data = bytearray()
    while number > 0x7F:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    data.append(number)
    return bytes(data)


def decode(data: bytes) -> Any:
    """The value that an `AnyValue` has.

    Raises `BadInput` when it is malformed or deeper than `DEPTH_MAX`.
    """
    return _decode(data, DEPTH_MAX)


def _decode(data: bytes, depth: int) -> Any:
    if depth == 0:
        raise BadInput("a value is too deep")
    value: Any = EMPTY
    for field, wire in _fields(data):
        match field, wire:
            case 1, bytes():
                value = _text(wire)
            case 2, int():
                value = wire != 0
            case 3, int():
                value = (wire & 0xFFFF_FFFF_FFFF_FFFF ^ 1 << 63) - (1 << 63)
            case 4, float():
                value = wire
            case 5, bytes():
                value = [_decode(item, depth - 1) for item in _members(wire)]
            case 6, bytes():
                value = dict(_decode_pair(item, depth - 1) for item in _members(wire))
            case 7, bytes():
                value = wire
    return value


def _members(data: bytes) -> list[bytes]:
    return [wire for field, wire in _fields(data) if field == 1 and isinstance(wire, bytes)]


def _decode_pair(data: bytes, depth: int) -> tuple[str, Any]:
    key, value = "", b""
    for field, wire in _fields(data):
        if field == 1 and isinstance(wire, bytes):
            key = _text(wire)
        elif field == 2 and isinstance(wire, bytes):
            value = wire
    return key, _decode(value, depth)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BadInput("a text is not UTF-8") from error


def _fields(data: bytes) -> list[tuple[int, int | float | bytes]]:
    """Number and content of the fields of a message; fixed 32 bits, which `AnyValue` has not, are
    skipped."""
    fields: list[tuple[int, int | float | bytes]] = []
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        if key & 7 == 0:
            number, at = _read_varint(data, at)
            fields.append((key >> 3, number))
            continue
        if key & 7 == 2:
            length, at = _read_varint(data, at)
        else:
            length = {1: 8, 5: 4}.get(key & 7, len(data) + 1)
        if at + length > len(data):
            raise BadInput("a value is malformed")
        if key & 7 == 1:
            fields.append((key >> 3, unpack_from("<d", data, at)[0]))
        elif key & 7 == 2:
            fields.append((key >> 3, data[at : at + length]))
        at += length
    return fields


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise BadInput("a value is malformed")
