"""Columns of attributes, tables of pairs, budgets, and the table of traces of a tail sampler."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from typing import TypeVar

from .any_value import EMPTY, UNREAD, Read, decode
from .codes import (
    LAYOUT_BLOB,
    LAYOUT_TEXT,
    LAYOUT_U8,
    LAYOUT_U64,
    TAG_ABSENT,
    TAG_ARRAY,
    TAG_BOOL,
    TAG_BYTES,
    TAG_DOUBLE,
    TAG_EMPTY,
    TAG_INT,
    TAG_MAP,
    TAG_STRING,
)
from .errors import BadInput
from .views import Blobs, Dictionary, Ids, Texts, gather, numbers, rises

T = TypeVar("T")

WORDS = (TAG_INT, TAG_DOUBLE, TAG_BOOL)
COMPLEX = (TAG_BYTES, TAG_ARRAY, TAG_MAP)
KNOWN = bytes((TAG_ABSENT, TAG_STRING, *WORDS, *COMPLEX, TAG_EMPTY))


def _mask(*tags: int) -> bytes:
    """For `bytes.translate`: makes of tags a 1 where they are among these."""
    return bytes(tag in tags for tag in range(256))


IS_STRING = _mask(TAG_STRING)
IS_COMPLEX = _mask(*COMPLEX)


class Column:
    """One attribute: the value that each of its owners has."""

    def __init__(self, sections: dict[int, memoryview], entries: int | None = None) -> None:
        """Reads up to four sections, by their type; the column has `entries`, or as many as there
        are tags."""
        tags = sections.get(LAYOUT_U8)
        if tags is None:
            raise BadInput("a column has no tags")
        entries = len(tags) if entries is None else entries
        if len(tags) < entries:
            raise BadInput("a column has too few entries")
        self.tags: bytes = tags[:entries].tobytes()
        """The type of each value, as in `codes.TAG_…`."""
        if self.tags.translate(None, KNOWN):
            raise BadInput("a column has a tag that there is not")
        words = sections.get(LAYOUT_U64)
        if words is not None and len(words) < 8 * entries:
            raise BadInput("a column has too few entries")
        if words is None and any(tag in self.tags for tag in WORDS):
            raise BadInput("a column has no value where its tag says that it has")
        self._words = None if words is None else words[: 8 * entries]
        self.texts = Texts(sections[LAYOUT_TEXT]) if LAYOUT_TEXT in sections else None
        """The texts, as far as `tags` say that there are some."""
        self.blobs = Blobs(sections[LAYOUT_BLOB]) if LAYOUT_BLOB in sections else None
        """Bytes, arrays and maps as OTLP `AnyValue`, where they were asked for."""
        if self.texts is None and TAG_STRING in self.tags:
            raise BadInput("a column has no value where its tag says that it has")
        for dictionary, mask in ((self.texts, IS_STRING), (self.blobs, IS_COMPLEX)):
            if dictionary is not None:
                _check(dictionary, self.tags.translate(mask))

    def __len__(self) -> int:
        return len(self.tags)

    @cached_property
    def index(self) -> Sequence[int]:
        """Which of `values` each owner has; -1 where the value is no text."""
        if self.texts is None:
            return [-1] * len(self)
        index = self.texts.index
        if self.tags.count(TAG_STRING) == len(self):
            return index[: len(self)]
        is_string = self.tags.translate(IS_STRING)
        return [at if there else -1 for at, there in zip(index, is_string)]

    @property
    def values(self) -> list[str]:
        """The texts that occur: what depends on the text alone is worked out once for each."""
        return [] if self.texts is None else self.texts.values

    def text(self, i: int) -> str | None:
        """The text of owner `i`, if its value is one."""
        if self.texts is None or self.tags[i] != TAG_STRING:
            return None
        return self.texts[i]

    def map(self, work: Callable[[str], T]) -> list[T | None]:
        """`work` done for the text of each owner, but called only once for each text; `None` where
        the value is no text."""
        return gather([*map(work, self.values)], self.index)

    def rewrite(self, work: Callable[[str], str]) -> list[str | None]:
        """The new text of each owner; `None` where the value is no text, or stays what it is. See
        `Texts.rewrite`: `work` is given all texts at once."""
        return gather([] if self.texts is None else self.texts.rewritten(work), self.index)

    def value(self, i: int) -> Read:
        """The value of owner `i`; `None` where there is none."""
        tag = self.tags[i]
        if tag == TAG_ABSENT:
            return None
        if tag == TAG_STRING:
            return self.text(i)
        if tag == TAG_INT:
            return int(self.ints[i])
        if tag == TAG_DOUBLE:
            return float(self.doubles[i])
        if tag == TAG_BOOL:
            return self.ints[i] != 0
        if tag == TAG_EMPTY:
            return EMPTY
        blob = None if self.blobs is None else self.blobs[i]
        return UNREAD if blob is None else decode(blob)

    def __iter__(self) -> Iterator[Read]:
        return map(self.value, range(len(self)))

    @cached_property
    def ints(self) -> Sequence[int]:
        """The number of each owner whose tag says that it is an int."""
        ints: Sequence[int] = numbers(self._words or memoryview(b""), "q")
        return ints

    @cached_property
    def doubles(self) -> Sequence[float]:
        """The number of each owner whose tag says that it is a double."""
        doubles: Sequence[float] = numbers(self._words or memoryview(b""), "d")
        return doubles


def _check(dictionary: Dictionary[str] | Dictionary[bytes], there: bytes) -> None:
    """Refuses an index that leads nowhere, where there is a value: the others mean nothing."""
    if len(dictionary) < len(there):
        raise BadInput("a column has too few entries")
    least, most = dictionary.bounds
    if least < 0 or most >= dictionary.distinct:
        used = list(compress(dictionary.index, there))
        if used and not (min(used) >= 0 and max(used) < dictionary.distinct):
            raise BadInput("a column has no value where its tag says that it has")


class Pairs:
    """Every attribute whose key begins so: a list of key and value, owner after owner."""

    def __init__(
        self, place: int, ends: memoryview, keys: Texts | None, values: dict[int, memoryview] | None
    ) -> None:
        if not rises(ends.tolist()):
            raise BadInput("pairs end before they begin")
        pairs = ends[-1] if len(ends) else 0
        if pairs and keys is None:
            raise BadInput("a pair has no key")
        self.place = place
        """Its place in `reads`."""
        self.ends = ends
        """Owner `i` has the pairs `ends[i - 1] .. ends[i]`."""
        self.keys = Texts(memoryview(bytes(12))) if keys is None else keys
        """The key of each pair; `keys.values` are those that occur."""
        self.values = Column({LAYOUT_U8: memoryview(b"")} if values is None else values, pairs)
        """The value of each pair."""
        self.keys.check(pairs)
        if self.keys.bounds[0] < 0 and -1 in self.keys.index[:pairs]:
            raise BadInput("a pair has no key")

    def __len__(self) -> int:
        return len(self.values)

    def of(self, owner: int) -> range:
        """The pairs of an owner."""
        return range(self.ends[owner - 1] if owner else 0, self.ends[owner])

    def __getitem__(self, pair: int) -> tuple[str, Read]:
        return self.keys[pair] or "", self.values.value(pair)


class Budget:
    """What may be kept in the window, and what was: by the values of the budget's attribute."""

    def __init__(
        self, keys: Texts, limits: memoryview, used: memoryview, index: memoryview
    ) -> None:
        if min(len(limits), len(used)) < len(keys):
            raise BadInput("a budget has too few entries")
        self.keys = keys
        """The values that have a budget; one empty text where there is one for all."""
        self.limits = limits
        """Rows that may be kept in the window, for each key."""
        self.used = used
        """Rows that were kept in it, for each key."""
        self.index = index
        """Which key each row (or trace) counts for; -1: none."""

    def left(self, key: int) -> int:
        """Rows that may still be kept."""
        return max(0, self.limits[key] - self.used[key])


@dataclass(frozen=True, slots=True)
class Traces:
    """The traces that a tail sampler decides on; an entry of each list for each."""

    ends: memoryview
    """Trace `i` has the rows `ends[i - 1] .. ends[i]`."""
    ids: Ids
    starts: memoryview
    """Nanoseconds since 1970."""
    durations: memoryview
    """From the first start to the last end, nanoseconds."""
    spans: memoryview
    errors: memoryview
    """Spans whose status is error."""
    services: memoryview
    root_names: Texts
    """Empty where no root was seen."""
    root_services: Texts
    states: memoryview
    """1: complete (every parent is there); 2: late (it was decided before)."""

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, trace: int) -> range:
        """The rows of a trace; none where only the table is given."""
        return range(self.ends[trace - 1] if trace else 0, self.ends[trace])

    def complete(self, trace: int) -> bool:
        """Whether every parent of its spans is there."""
        return self.states[trace] & 1 != 0

    def late(self, trace: int) -> bool:
        """Whether it was decided before."""
        return self.states[trace] & 2 != 0
