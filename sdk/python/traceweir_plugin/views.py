"""Typed views over the sections of a batch: numbers, ids, texts and bytes where they lie.

A view is held against the rules of `docs/reference/plugin-buffer.md` when it is made, so that
reading it cannot fail. What can be done by one call into C for all entries is done so: a loop in
Python costs some 100 ns an entry in Wasm, a call a few.
"""

import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, compress
from operator import ne
from struct import Struct, iter_unpack
from typing import Any, Generic, Literal, TypeVar, overload

from .codes import LAYOUT_F64, LAYOUT_ID8, LAYOUT_ID16, LAYOUT_U8, LAYOUT_U32, LAYOUT_U64
from .errors import BadInput, Internal

T = TypeVar("T")
R = TypeVar("R")

ENTRY_SIZES = {
    LAYOUT_U8: 1,
    LAYOUT_U32: 4,
    LAYOUT_U64: 8,
    LAYOUT_F64: 8,
    LAYOUT_ID16: 16,
    LAYOUT_ID8: 8,
}


def numbers(data: memoryview, code: Literal["i", "I", "q", "Q", "d"]) -> Any:
    """A `memoryview` of the numbers in `data`, by their code in `struct`; no copy where the machine
    is little endian, as Wasm is. They need not be aligned: `memoryview` reads by bytes."""
    if sys.byteorder == "little":
        return data.cast(code)
    swapped = array(code, data.tobytes())
    swapped.byteswap()
    return memoryview(swapped)


def little_endian(values: "array[int] | array[float]") -> bytes:
    """The bytes of `values`, little endian."""
    if sys.byteorder == "little":
        return values.tobytes()
    swapped = values[:]
    swapped.byteswap()
    return swapped.tobytes()


def rows_equal(column: memoryview, value: int) -> list[int]:
    """The rows where a column of bytes, such as `status_codes`, has this value."""
    return _positions(column.tobytes(), value)


def rows_at_least(column: memoryview, limit: int) -> list[int]:
    """The rows where a column of u64, such as `durations`, has `limit` or more."""
    if sys.byteorder == "big" or not 0 < limit < 1 << 64:
        return [row for row, value in enumerate(column) if value >= limit]
    # Numbers are made objects only where the highest byte of the limit is reached, or one above it
    # is not 0: the rest is done a byte of all rows at a time, for a tenth of the time.
    data = column.tobytes()
    top = (limit.bit_length() - 1) // 8
    near = data[top::8].translate(_REACHES[limit >> 8 * top])
    rows = set(_positions(near, 1))
    for byte in range(top + 1, 8):
        above = data[byte::8]
        if above.count(0) < len(above):
            rows.update(_positions(above.translate(_REACHES[1]), 1))
    return sorted(row for row in rows if column[row] >= limit)


# For `bytes.translate`: 1 where a byte is at least so much.
_REACHES = [bytes(byte >= least for byte in range(256)) for least in range(256)]


def _positions(data: bytes, value: int) -> list[int]:
    """Where `data` has a byte."""
    if data.count(value) * 4 > len(data):
        return [at for at, byte in enumerate(data) if byte == value]
    positions: list[int] = []
    at = data.find(value)
    while at >= 0:
        positions.append(at)
        at = data.find(value, at + 1)
    return positions


def rises(values: list[int]) -> bool:
    """Whether none is less than the one before it."""
    # Sorting what is sorted is one comparison an entry, in C.
    return sorted(values) == values


def _is_below(index: memoryview, limit: int) -> bool:
    """Whether all of these numbers of four bytes are less than `limit`, as far as that can be told
    without making them: of a limit of 65,536 or less, where the two upper bytes are 0."""
    data = index.tobytes()
    if sys.byteorder == "big" or not 0 < limit <= 1 << 16:
        return False
    if data[3::4].strip(b"\0") or data[2::4].strip(b"\0"):
        return False
    high, low = divmod(limit - 1, 256)
    lows, highs = data[::4], data[1::4]
    if highs.translate(None, _SMALL[: high + 1]):
        return False
    if high:
        # The others are less whatever their low byte is.
        lows = bytes(compress(lows, highs.translate(bytes(high) + b"\1" * (256 - high))))
    return not lows.translate(None, _SMALL[: low + 1])


_SMALL = bytes(range(256))


def gather(results: list[R | None], index: Sequence[int]) -> list[R | None]:
    """The result of each entry, of results that there are for each value."""
    if isinstance(index, range) and len(index) == len(results):
        return results
    results.append(None)
    return list(map(results.__getitem__, index))


_MANY = {size: Struct(f"{size}s" * 64) for size in (8, 16)}


class Ids(Sequence[bytes]):
    """Ids of traces (16 bytes) or spans (8)."""

    __slots__ = ("data", "size")

    def __init__(self, data: memoryview, size: int) -> None:
        self.data = data
        self.size = size

    def __len__(self) -> int:
        return len(self.data) // self.size

    @overload
    def __getitem__(self, i: int) -> bytes: ...
    @overload
    def __getitem__(self, i: slice) -> list[bytes]: ...
    def __getitem__(self, i: int | slice) -> bytes | list[bytes]:
        if isinstance(i, slice):
            return self.tolist()[i]
        if i < 0:
            i += len(self)
        if not 0 <= i < len(self):
            raise IndexError(i)
        return self.data[i * self.size : (i + 1) * self.size].tobytes()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.tolist())

    def tolist(self) -> list[bytes]:
        """All, in their order: what rows have in common is found with these as keys."""
        # One at a time takes five times as long.
        many = _MANY[self.size]
        ids: list[bytes] = []
        whole = len(self.data) - len(self.data) % many.size
        for at in range(0, whole, many.size):
            ids += many.unpack_from(self.data, at)
        ids += chain.from_iterable(iter_unpack(f"{self.size}s", self.data[whole:]))
        return ids

    def rows_like(self, rows: Iterable[int]) -> list[int]:
        """The rows that have the same id as one of these, and these: all spans of their traces."""
        wanted = {self[row] for row in rows}
        if not wanted:
            return []
        # No object is made for a row whose id does not even end alike.
        data = self.data.tobytes()
        ends = bytearray(256)
        for one in wanted:
            ends[one[-1]] = 1
        near = _positions(data[self.size - 1 :: self.size].translate(ends), 1)
        return [row for row in near if data[row * self.size : (row + 1) * self.size] in wanted]

    def below(self, limit: int) -> bytes:
        """For each row 1 where the last 56 bits of its id are less than `limit`, else 0. They are
        random (W3C Trace Context, level 2): `2**56 // 10` is the limit of a tenth of all traces."""
        data = self.data.tobytes()
        if limit <= 0:
            return bytes(len(self))
        if limit >= 1 << 56:
            return b"\1" * len(self)
        # The first of these bytes says it of all rows but one in 256.
        top = limit >> 48
        firsts = data[self.size - 7 :: self.size]
        flags = bytearray(firsts.translate(b"\1" * top + bytes(256 - top)))
        for row in _positions(firsts, top):
            end = (row + 1) * self.size
            flags[row] = int.from_bytes(data[end - 7 : end], "big") < limit
        return bytes(flags)


class Dictionary(Generic[T]):
    """Texts or blobs: values that each stand once, and which of them each entry has; or a value for
    each entry. `len` and iteration are over entries; an entry without a value is `None`."""

    __slots__ = ("_bounds", "_ends", "_index", "_values")

    def __init__(self, data: memoryview, entries: int | None = None) -> None:
        """Reads a section that has at least `entries`."""
        if len(data) < 8:
            raise BadInput("a section of texts is shorter than it says")
        values, indices = numbers(data[:8], "I")
        heap = 8 + 4 * (indices + values + 1)
        if heap > len(data):
            raise BadInput("a section of texts is shorter than it says")
        # Signed, so that "none" is -1, which is the last of a list.
        self._index = numbers(data[8 : 8 + 4 * indices], "i") if indices else None
        self._ends: list[int] = numbers(data[8 + 4 * indices : heap], "I").tolist()
        last = self._ends[-1]
        if self._ends[0] != 0 or not rises(self._ends):
            raise BadInput("a text ends before it begins")
        if heap + last > len(data):
            raise BadInput("a section of texts is shorter than it says")
        self._values: list[T] | None = None
        self._bounds: tuple[int, int] | None = None
        self._take(data[heap : heap + last])
        if entries is not None:
            self.check(entries)

    def _take(self, heap: memoryview) -> None:
        """Holds the heap against its rules."""
        raise NotImplementedError

    def _slice(self, start: int, end: int) -> T:
        raise NotImplementedError

    def check(self, entries: int) -> None:
        """Refuses too few entries, and an index that leads nowhere."""
        if len(self) < entries:
            raise BadInput("a section of texts has too few entries")
        least, most = self.bounds
        if least < -1 or most >= self.distinct:
            raise BadInput("an index of texts leads nowhere")

    @property
    def bounds(self) -> tuple[int, int]:
        """Of `index` at most the least and at least the most number."""
        if self._bounds is None:
            self._bounds = 0, self.distinct - 1
            index = self._index
            if index is not None and not _is_below(index.cast("B"), self.distinct):
                listed = index.tolist()
                self._bounds = min(listed), max(listed)
        return self._bounds

    def __len__(self) -> int:
        return self.distinct if self._index is None else len(self._index)

    @property
    def distinct(self) -> int:
        """How many values there are."""
        return len(self._ends) - 1

    @property
    def index(self) -> Sequence[int]:
        """Which of `values` each entry has; -1 for none, which is the last of a list: give a list
        of results a `None` at its end, and it is found there."""
        return range(self.distinct) if self._index is None else self._index

    @property
    def values(self) -> list[T]:
        """The values, each once in a dictionary. Made when first asked for."""
        if self._values is None:
            self._values = list(map(self._slice, self._ends, self._ends[1:]))
        return self._values

    def value(self, number: int) -> T:
        """One value, without making all of them."""
        if self._values is not None:
            return self._values[number]
        return self._slice(self._ends[number], self._ends[number + 1])

    def __getitem__(self, i: int) -> T | None:
        number = self.index[i]
        return None if number < 0 else self.value(number)

    def __iter__(self) -> Iterator[T | None]:
        return map([*self.values, None].__getitem__, self.index)

    def map(self, work: Callable[[T], R]) -> list[R | None]:
        """`work` done for each entry, but called only once for each value; `None` where there is no
        value."""
        return gather([*map(work, self.values)], self.index)


class Texts(Dictionary[str]):
    """A section of texts."""

    __slots__ = ("_bytes", "_text")

    def rewrite(self, work: Callable[[str], str]) -> list[str | None]:
        """The new text of each entry; `None` where there is none, or it stays what it is. `work` is
        given all values at once, each with a `"\\0"` behind it, and gives them back so: one call of
        a regular expression, and not one for each. A `"\\0"` in a value is passed as `"\\ud800"`,
        which no text has."""
        return gather(self.rewritten(work), self.index)

    def rewritten(self, work: Callable[[str], str]) -> list[str | None]:
        """What `rewrite` finds, for each value."""
        values = self.values
        if not values:
            return []
        strange = "\0" in self._text
        given = [value.replace("\0", "\ud800") for value in values] if strange else values
        joined = "\0".join([*given, ""])
        changed: list[str | None] = [*work(joined).split("\0")]
        if changed.pop() or len(changed) != len(values):
            raise Internal('work must leave the "\\0" behind each text')
        if strange:
            changed = [text and text.replace("\ud800", "\0") for text in changed]
        if all(map(ne, changed, values)):
            return changed
        return [None if new == old else new for new, old in zip(changed, values)]

    @property
    def values(self) -> list[str]:
        """The values, each once in a dictionary. Made when first asked for."""
        if self._values is None:
            # As `_slice` does, without a call of it for each.
            places, text, data = zip(self._ends, self._ends[1:]), self._text, self._bytes
            if data is None:
                self._values = [text[start:end] for start, end in places]
            else:
                self._values = [data[start:end].decode() for start, end in places]
        return self._values

    def _take(self, heap: memoryview) -> None:
        try:
            self._text = str(heap, "utf-8")
        except UnicodeDecodeError as error:
            raise BadInput("a text is not UTF-8") from error
        # Where each character is one byte, ends are places in the text, too.
        self._bytes: bytes | None = None
        if len(self._text) == len(heap):
            return
        self._bytes = data = heap.tobytes()
        if any(end < len(data) and data[end] & 0xC0 == 0x80 for end in self._ends):
            raise BadInput("a text is not UTF-8")

    def _slice(self, start: int, end: int) -> str:
        return self._text[start:end] if self._bytes is None else self._bytes[start:end].decode()


class Blobs(Dictionary[bytes]):
    """A section of bytes: each an OTLP `AnyValue`."""

    __slots__ = ("_bytes",)

    def _take(self, heap: memoryview) -> None:
        self._bytes = heap.tobytes()

    def _slice(self, start: int, end: int) -> bytes:
        return self._bytes[start:end]
