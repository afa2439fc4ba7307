"""What a plugin says of itself, and what it asks for: the records of `types` in the WIT."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeVar

from . import codes

T = TypeVar("T")


class Intrinsic(IntEnum):
    """What every span has, and what the host knows of it. Its number is that of its section."""

    TRACE_ID = codes.BATCH_TRACE_ID
    SPAN_ID = codes.BATCH_SPAN_ID
    PARENT_SPAN_ID = codes.BATCH_PARENT_SPAN_ID
    TRACE_STATE = codes.BATCH_TRACE_STATE
    TRACE_FLAGS = codes.BATCH_TRACE_FLAGS
    NAME = codes.BATCH_NAME
    KIND = codes.BATCH_KIND
    START_TIME = codes.BATCH_START_TIME
    DURATION = codes.BATCH_DURATION
    STATUS_CODE = codes.BATCH_STATUS_CODE
    STATUS_MESSAGE = codes.BATCH_STATUS_MESSAGE
    SCOPE_NAME = codes.BATCH_SCOPE_NAME
    SCOPE_VERSION = codes.BATCH_SCOPE_VERSION
    EVENT_NAME = codes.BATCH_EVENT_NAME
    EVENT_TIME = codes.BATCH_EVENT_TIME
    EVENT_COUNT = codes.BATCH_EVENT_COUNT
    LINK_COUNT = codes.BATCH_LINK_COUNT
    RESOURCE_INDEX = codes.BATCH_RESOURCE_INDEX
    SCOPE_INDEX = codes.BATCH_SCOPE_INDEX
    EVENT_SPAN = codes.BATCH_EVENT_SPAN
    SPAN_ATTRIBUTE_KEYS = codes.BATCH_SPAN_ATTRIBUTE_KEYS
    PEER_ADDRESS = codes.BATCH_PEER_ADDRESS


class SpanKind(IntEnum):
    """Of which kind a span is, in `Batch.kinds`."""

    UNSPECIFIED = codes.KIND_UNSPECIFIED
    INTERNAL = codes.KIND_INTERNAL
    SERVER = codes.KIND_SERVER
    CLIENT = codes.KIND_CLIENT
    PRODUCER = codes.KIND_PRODUCER
    CONSUMER = codes.KIND_CONSUMER


class Status(IntEnum):
    """How a span ended, in `Batch.status_codes`."""

    UNSET = codes.STATUS_UNSET
    OK = codes.STATUS_OK
    ERROR = codes.STATUS_ERROR


class Owner(IntEnum):
    """Whose attribute it is, numbered as in the WIT."""

    SPAN = codes.OWNER_SPAN
    RESOURCE = codes.OWNER_RESOURCE
    SCOPE = codes.OWNER_SCOPE
    EVENT = codes.OWNER_EVENT
    LINK = codes.OWNER_LINK

    @property
    def domain(self) -> int:
        """The domain of what has an entry per owner."""
        return _DOMAINS[self]


_DOMAINS = (
    codes.DOMAIN_SPANS,
    codes.DOMAIN_RESOURCES,
    codes.DOMAIN_SCOPES,
    codes.DOMAIN_EVENTS,
    codes.DOMAIN_LINKS,
)


@dataclass(frozen=True)
class Attribute:
    """One attribute: a column."""

    owner: Owner
    key: str
    complex: bool = False
    """Whether arrays, maps and bytes are passed, too; else only their type is seen."""


@dataclass(frozen=True)
class Attributes:
    """Every attribute whose key starts so, the empty text for all: a table of pairs."""

    owner: Owner
    prefix: str
    complex: bool = False
    """As in `Attribute`."""


Field = Intrinsic | Attribute | Attributes
"""What is read or written."""


@dataclass(frozen=True)
class MatchRule:
    """A resource matches when its attribute by this key is one of these texts."""

    key: str
    any_of: tuple[str, ...]


@dataclass(frozen=True)
class Budget:
    """So many rows may be kept in a stretch of time; the host counts."""

    name: str
    limit: int
    """Rows in the stretch."""
    window_ms: int
    """From 100 to 3,600,000."""
    per: Attribute | None = None
    """Each value of this attribute (of span or resource) has a budget of its own; else there is one
    for all."""


@dataclass
class Projection:
    """What the plugin reads and what it may write: nothing else crosses, and one edit of something
    else fails the whole answer."""

    reads: list[Field] = field(default_factory=list)
    writes: list[Field] = field(default_factory=list)
    match_resource: list[MatchRule] = field(default_factory=list)
    """Only spans of resources that match every rule are passed."""
    budgets: list[Budget] = field(default_factory=list)
    max_batch_rows: int = 0
    """Most rows in a batch; 0 leaves it to the host."""

    def read(self, what: Field) -> int:
        """Reads a field, once however often it is asked for, and says by which place its column is
        found."""
        return _place(self.reads, what)

    def write(self, what: Field) -> int:
        """May write a field, and says by which place it is set."""
        return _place(self.writes, what)

    def budget(self, budget: Budget) -> int:
        """Has the host count, and says by which place the counts are found."""
        return _place(self.budgets, budget)


def _place(places: list[T], item: T) -> int:
    if item not in places:
        places.append(item)
    return places.index(item)


@dataclass(frozen=True)
class Info:
    """What a plugin says of itself."""

    name: str
    version: str
    description: str
    """One line for whoever chooses."""
    config_schema: str = ""
    """JSON Schema (2020-12) of what `configure` takes; empty: everything is passed."""
    stateless: bool = True
    """Same input, same output, and nothing remembered from one call for the next."""
