"""Puts answers together, in the one way that `docs/reference/plugin-buffer.md` has for each: the
same plugin gives the same bytes in every language."""

from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate, islice, repeat
from operator import is_not
from struct import pack
from typing import TypeVar

from .any_value import Write, encode, tag_of, word_of
from .batch import ENTRY, HEADER, Counts
from .codes import (
    ANSWER_MAGIC,
    DOMAIN_NONE,
    ENTRY_BYTES,
    HEADER_BYTES,
    LAYOUT_BLOB,
    LAYOUT_TEXT,
    LAYOUT_U8,
    LAYOUT_U64,
    NONE,
    TAG_ABSENT,
    TAG_ARRAY,
    TAG_BOOL,
    TAG_BYTES,
    TAG_DOUBLE,
    TAG_INT,
    TAG_MAP,
    TAG_STRING,
    VERSION,
)
from .errors import Internal
from .views import little_endian

T = TypeVar("T")


class Sections:
    """The sections of an answer, which are added in the order in which they are to stand."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, int, int, bytes | bytearray]] = []

    def add(
        self,
        kind: int,
        layout: int,
        data: bytes | bytearray,
        domain: int = DOMAIN_NONE,
        argument: int = 0,
    ) -> None:
        self._rows.append((kind, layout, domain, argument, data))

    def finish(self, counts: Counts, magic: int = ANSWER_MAGIC) -> bytes:
        """The whole buffer; an answer repeats the numbers of its batch."""
        buffer = bytearray(HEADER.pack(magic, VERSION, 0, *counts, len(self._rows)))
        offset = HEADER_BYTES + ENTRY_BYTES * len(self._rows)
        for kind, layout, domain, argument, data in self._rows:
            offset = -(-offset // 8) * 8
            buffer += ENTRY.pack(kind, layout, domain, argument, offset, len(data))
            offset += len(data)
        for row in self._rows:
            buffer += bytes(-len(buffer) % 8)
            buffer += row[4]
        return bytes(buffer)


def dictionary(index: bytes | bytearray, values: Sequence[bytes]) -> bytes:
    """A section of texts or blobs: which value each entry has, four bytes each, and the values."""
    return _section(index, list(map(len, values)), b"".join(values))


def _section(index: bytes | bytearray, lengths: Sequence[int], heap: bytes) -> bytes:
    ends = array("I", accumulate(lengths, initial=0))
    head = pack("<II", len(lengths), len(index) // 4)
    return b"".join((head, index, little_endian(ends), heap))


def texts(entries: Iterable[str | None]) -> bytes:
    """A section of texts: each once, in the order of first use."""
    entries = list(entries)
    values = _distinct(entries)
    return _written(_index(entries, values), values)


def _written(index: bytes, values: Sequence[str]) -> bytes:
    heap = "".join(values)
    if heap.isascii():
        # All at once: each character is a byte.
        return _section(index, list(map(len, values)), heap.encode())
    return dictionary(index, list(map(str.encode, values)))


def text_column(entries: Sequence[str | None]) -> bytes:
    """The same of a column, where nearly all are different each by itself."""
    if not _differ(entries):
        return texts(entries)
    return _written(b"", [text or "" for text in entries])


# So many entries tell whether a column is a dictionary: with more different values it is none.
SAMPLE = 128
DIFFERENT = SAMPLE // 8 * 7


def _differ(entries: Iterable[T | None]) -> bool:
    sample = list(islice((entry for entry in entries if entry is not None), SAMPLE))
    return len(sample) == SAMPLE and len(set(sample)) > DIFFERENT


def blobs(entries: Iterable[bytes | None]) -> bytes:
    """A section of blobs, as of texts of a column."""
    entries = list(entries)
    if _differ(entries):
        return dictionary(b"", [blob or b"" for blob in entries])
    values = _distinct(entries)
    return dictionary(_index(entries, values), values)


def _distinct(entries: list[T | None]) -> list[T]:
    """Each once, in the order of first use."""
    found = dict.fromkeys(entries)
    found.pop(None, None)
    return list(found)  # type: ignore[arg-type]


def _index(entries: Sequence[T | None], values: Sequence[T]) -> bytes:
    numbers: dict[T | None, int] = {value: number for number, value in enumerate(values)}
    numbers[None] = NONE
    return little_endian(array("I", map(numbers.__getitem__, entries)))


class Reasons:
    """Why each entry is dropped or kept."""

    # Of an entry that has no reason.
    NOBODY = 255

    def __init__(self, entries: int, reason: str = "") -> None:
        self._numbers: dict[str, int] = {}
        # One byte an entry, so that all of them can be handled by a few calls into C.
        self._which = bytearray([self._number(reason)]) * entries

    def _number(self, reason: str) -> int:
        if not reason:
            return self.NOBODY
        number = self._numbers.setdefault(reason, len(self._numbers))
        if number >= self.NOBODY:
            raise Internal("a host takes 32 different reasons at most")
        return number

    def put(self, rows: Iterable[int], reason: str) -> None:
        """Gives entries a reason; none where it is empty."""
        number = self._number(reason)
        for row in rows:
            self._which[row] = number

    def section(self) -> bytes | None:
        """The section; `None` where no entry has a reason."""
        first = {reason: self._which.find(number) for reason, number in self._numbers.items()}
        used = sorted((reason for reason in first if first[reason] >= 0), key=first.__getitem__)
        if not used:
            return None
        places = bytearray(b"\xff") * 256
        for place, reason in enumerate(used):
            places[self._numbers[reason]] = place
        index = bytearray(4 * len(self._which))
        index[0::4] = self._which.translate(places)
        if self.NOBODY in self._which:
            nobody = self._which.translate(_IS_NOBODY)
            index[1::4] = index[2::4] = index[3::4] = nobody
        return dictionary(index, [reason.encode() for reason in used])


# For `bytes.translate`: the upper bytes of an index, which are 0 but where there is none.
_IS_NOBODY = bytes(255).ljust(256, b"\xff")


class Values:
    """A column of an answer: for each entry a new value, a removal, or nothing."""

    def __init__(self, entries: int) -> None:
        self._tags = bytearray(entries)
        # Empty until an entry has such a value.
        self._words: list[int] = []
        self._texts: list[str | None] = []
        self._blobs: list[bytes | None] = []

    def __len__(self) -> int:
        return len(self._tags)

    def put(self, i: int, value: Write) -> None:
        """Gives entry `i` a value; `REMOVE` removes it, `None` leaves it as it is."""
        if not 0 <= i < len(self._tags):
            raise Internal(f"an answer has no entry {i}")
        tag = tag_of(value)
        if self._tags[i]:
            self._forget(i)
        self._tags[i] = tag
        if isinstance(value, str):
            self._texts = self._texts or [None] * len(self)
            self._texts[i] = value
        elif isinstance(value, int | float):
            self._words = self._words or [0] * len(self)
            self._words[i] = word_of(value)
        elif isinstance(value, bytes | list | dict):
            self._blobs = self._blobs or [None] * len(self)
            self._blobs[i] = encode(value)

    def put_texts(self, texts: Sequence[str | None]) -> None:
        """Gives each entry a text, or for `None` leaves it as it is."""
        if len(texts) != len(self):
            raise Internal(f"{len(texts)} texts for {len(self)} entries")
        # A string is 1, nothing is 0.
        self._tags = bytearray(map(is_not, texts, repeat(None)))
        self._words, self._texts, self._blobs = [], list(texts), []

    def append(self, value: Write) -> None:
        """An entry more, in a list by itself."""
        self._tags.append(TAG_ABSENT)
        if self._words:
            self._words.append(0)
        if self._texts:
            self._texts.append(None)
        if self._blobs:
            self._blobs.append(None)
        self.put(len(self) - 1, value)

    def _forget(self, i: int) -> None:
        if self._words:
            self._words[i] = 0
        if self._texts:
            self._texts[i] = None
        if self._blobs:
            self._blobs[i] = None

    def write(
        self, sections: Sections, kind: int, domain: int, argument: int, *, complex: bool = True
    ) -> None:
        """Adds its sections, of those that say something; bytes, arrays and maps if `complex`."""
        if not any(self._tags):
            return
        sections.add(kind, LAYOUT_U8, self._tags, domain, argument)
        if any(tag in self._tags for tag in (TAG_INT, TAG_DOUBLE, TAG_BOOL)):
            words = little_endian(array("Q", self._words))
            sections.add(kind, LAYOUT_U64, words, domain, argument)
        if TAG_STRING in self._tags:
            sections.add(kind, LAYOUT_TEXT, text_column(self._texts), domain, argument)
        if complex and any(tag in self._tags for tag in (TAG_BYTES, TAG_ARRAY, TAG_MAP)):
            sections.add(kind, LAYOUT_BLOB, blobs(self._blobs), domain, argument)
