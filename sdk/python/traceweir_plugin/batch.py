"""What a plugin is given: typed views over the buffer, held against its rules once."""

from struct import Struct
from typing import NamedTuple, TypeVar

from . import codes
from .columns import Budget, Column, Pairs, Traces
from .errors import BadInput
from .projection import Attribute, Intrinsic, Projection
from .views import ENTRY_SIZES, Ids, Texts, numbers, rises

HEADER = Struct("<IHHIIIIII")
ENTRY = Struct("<HBBIII")

VALUES = (codes.LAYOUT_U8, codes.LAYOUT_U64, codes.LAYOUT_TEXT, codes.LAYOUT_BLOB)

# In place of a domain: the one that the section names, where the header counts it.
NAMED = -1
# In place of a domain: as many entries as there are.
ANY = -2

KINDS: dict[int, tuple[tuple[int, ...], int]] = {
    codes.BATCH_TRACE_ID: ((codes.LAYOUT_ID16,), codes.DOMAIN_SPANS),
    codes.BATCH_SPAN_ID: ((codes.LAYOUT_ID8,), codes.DOMAIN_SPANS),
    codes.BATCH_PARENT_SPAN_ID: ((codes.LAYOUT_ID8,), codes.DOMAIN_SPANS),
    codes.BATCH_TRACE_STATE: ((codes.LAYOUT_TEXT,), codes.DOMAIN_SPANS),
    codes.BATCH_TRACE_FLAGS: ((codes.LAYOUT_U32,), codes.DOMAIN_SPANS),
    codes.BATCH_NAME: ((codes.LAYOUT_TEXT,), codes.DOMAIN_SPANS),
    codes.BATCH_KIND: ((codes.LAYOUT_U8,), codes.DOMAIN_SPANS),
    codes.BATCH_START_TIME: ((codes.LAYOUT_U64,), codes.DOMAIN_SPANS),
    codes.BATCH_DURATION: ((codes.LAYOUT_U64,), codes.DOMAIN_SPANS),
    codes.BATCH_STATUS_CODE: ((codes.LAYOUT_U8,), codes.DOMAIN_SPANS),
    codes.BATCH_STATUS_MESSAGE: ((codes.LAYOUT_TEXT,), codes.DOMAIN_SPANS),
    codes.BATCH_SCOPE_NAME: ((codes.LAYOUT_TEXT,), codes.DOMAIN_SCOPES),
    codes.BATCH_SCOPE_VERSION: ((codes.LAYOUT_TEXT,), codes.DOMAIN_SCOPES),
    codes.BATCH_EVENT_NAME: ((codes.LAYOUT_TEXT,), codes.DOMAIN_EVENTS),
    codes.BATCH_EVENT_TIME: ((codes.LAYOUT_U64,), codes.DOMAIN_EVENTS),
    codes.BATCH_EVENT_COUNT: ((codes.LAYOUT_U32,), codes.DOMAIN_SPANS),
    codes.BATCH_LINK_COUNT: ((codes.LAYOUT_U32,), codes.DOMAIN_SPANS),
    codes.BATCH_RESOURCE_INDEX: ((codes.LAYOUT_U32,), codes.DOMAIN_SPANS),
    codes.BATCH_SCOPE_INDEX: ((codes.LAYOUT_U32,), codes.DOMAIN_SPANS),
    codes.BATCH_EVENT_SPAN: ((codes.LAYOUT_U32,), codes.DOMAIN_EVENTS),
    codes.BATCH_SPAN_ATTRIBUTE_KEYS: ((codes.LAYOUT_TEXT,), ANY),
    codes.BATCH_PEER_ADDRESS: ((codes.LAYOUT_TEXT,), codes.DOMAIN_RESOURCES),
    codes.BATCH_ATTRIBUTE: (VALUES, NAMED),
    codes.BATCH_PAIRS_END: ((codes.LAYOUT_U32,), NAMED),
    codes.BATCH_PAIRS_KEY: ((codes.LAYOUT_TEXT,), ANY),
    codes.BATCH_PAIRS: (VALUES, ANY),
    codes.BATCH_BUDGET_KEY: ((codes.LAYOUT_TEXT,), ANY),
    codes.BATCH_BUDGET_LIMIT: ((codes.LAYOUT_U64,), ANY),
    codes.BATCH_BUDGET_USED: ((codes.LAYOUT_U64,), ANY),
    codes.BATCH_BUDGET_INDEX: ((codes.LAYOUT_U32,), NAMED),
    codes.BATCH_TRACE_END_ROW: ((codes.LAYOUT_U32,), codes.DOMAIN_TRACES),
    codes.BATCH_TRACE: ((codes.LAYOUT_ID16,), codes.DOMAIN_TRACES),
    codes.BATCH_TRACE_START: ((codes.LAYOUT_U64,), codes.DOMAIN_TRACES),
    codes.BATCH_TRACE_DURATION: ((codes.LAYOUT_U64,), codes.DOMAIN_TRACES),
    codes.BATCH_TRACE_SPANS: ((codes.LAYOUT_U32,), codes.DOMAIN_TRACES),
    codes.BATCH_TRACE_ERRORS: ((codes.LAYOUT_U32,), codes.DOMAIN_TRACES),
    codes.BATCH_TRACE_SERVICES: ((codes.LAYOUT_U32,), codes.DOMAIN_TRACES),
    codes.BATCH_TRACE_ROOT_NAME: ((codes.LAYOUT_TEXT,), codes.DOMAIN_TRACES),
    codes.BATCH_TRACE_ROOT_SERVICE: ((codes.LAYOUT_TEXT,), codes.DOMAIN_TRACES),
    codes.BATCH_TRACE_STATE_BITS: ((codes.LAYOUT_U8,), codes.DOMAIN_TRACES),
}
"""What is known of the sections of a batch: types and domain. One that is not here is skipped."""

V = TypeVar("V")


class Counts(NamedTuple):
    """How many of what there are: of what the header counts, which an answer repeats."""

    rows: int
    """Spans."""
    resources: int
    scopes: int
    events: int
    traces: int
    """For a tail sampler; else 0."""

    def of(self, domain: int) -> int | None:
        """Entries of a domain; `None` where the header does not count it."""
        return self[domain - 1] if codes.DOMAIN_SPANS <= domain <= codes.DOMAIN_TRACES else None


class Batch:
    """A batch: columns of spans, resources, scopes and events, of which a plugin sees those that it
    reads. What is not there raises `BadInput`: the host sends whatever was in `reads`.

    Columns of numbers are `memoryview`s over the buffer, without copies.
    """

    def __init__(self, data: bytes) -> None:
        """Reads a batch.

        Raises `BadInput` when the buffer breaks a rule of `docs/reference/plugin-buffer.md`.
        """
        if len(data) < codes.HEADER_BYTES:
            raise BadInput("no header")
        magic, version, _flags, *counts, sections = HEADER.unpack_from(data)
        if magic != codes.BATCH_MAGIC:
            raise BadInput("another magic")
        if version != codes.VERSION:
            raise BadInput("another version")
        self.counts = Counts(*counts)
        self.rows = self.counts.rows
        """Spans."""
        self.resources = self.counts.resources
        self.links = 0
        """Links, if anything of links is read."""
        # What was read by kind and argument; of columns the parts, which belong together.
        self._views: dict[tuple[int, int], Ids | Texts | memoryview] = {}
        self._parts: dict[tuple[int, int], dict[int, memoryview]] = {}
        self._domains: dict[tuple[int, int], int] = {}
        self._columns: dict[int, Column] = {}
        self._pairs: dict[int, Pairs] = {}

        whole = memoryview(data)
        table = whole[codes.HEADER_BYTES : codes.HEADER_BYTES + codes.ENTRY_BYTES * sections]
        if len(table) < codes.ENTRY_BYTES * sections:
            raise BadInput("the table reaches out of the buffer")
        for kind, layout, domain, argument, offset, length in ENTRY.iter_unpack(table):
            if kind not in KINDS:
                continue
            if layout not in KINDS[kind][0]:
                raise BadInput(f"section {kind} of {argument} has another type")
            if offset + length > len(whole):
                raise BadInput(f"section {kind} of {argument} reaches out of the buffer")
            self._take(kind, layout, domain, argument, whole[offset : offset + length])
        self._join()

    def _take(self, kind: int, layout: int, domain: int, argument: int, part: memoryview) -> None:
        """Takes a section, of those that are alike the first."""
        key = kind, argument
        self._domains.setdefault(key, domain)
        layouts, entries_of = KINDS[kind]
        if layouts is VALUES:
            if self._domains[key] != domain:
                raise BadInput(f"section {kind} of {argument} has another domain")
            self._parts.setdefault(key, {}).setdefault(layout, part)
            return
        entries = self.counts.of(domain if entries_of == NAMED else entries_of)
        if layout == codes.LAYOUT_TEXT:
            self._views.setdefault(key, Texts(part, entries or 0))
            return
        size = ENTRY_SIZES[layout]
        entries = len(part) // size if entries is None else entries
        if len(part) < size * entries:
            raise BadInput(f"section {kind} of {argument} has too few entries")
        part = part[: size * entries]
        if layout in (codes.LAYOUT_ID16, codes.LAYOUT_ID8):
            self._views.setdefault(key, Ids(part, size))
        elif layout == codes.LAYOUT_U8:
            self._views.setdefault(key, part)
        elif kind == codes.BATCH_BUDGET_INDEX:
            # Signed, so that "none" is -1.
            self._views.setdefault(key, numbers(part, "i"))
        else:
            self._views.setdefault(key, numbers(part, "I" if layout == codes.LAYOUT_U32 else "Q"))

    def _join(self) -> None:
        """Puts columns together, and holds sections against each other."""
        for (kind, place), parts in self._parts.items():
            if kind == codes.BATCH_ATTRIBUTE:
                domain = self._domains[kind, place]
                column = Column(parts, self.counts.of(domain))
                self._columns[place] = column
                if domain == codes.DOMAIN_LINKS:
                    self.links = max(self.links, len(column))
        for (kind, place), view in self._views.items():
            if kind == codes.BATCH_PAIRS_END:
                ends = self._view(kind, place, memoryview)
                keys = self._views.get((codes.BATCH_PAIRS_KEY, place))
                values = self._parts.get((codes.BATCH_PAIRS, place))
                assert keys is None or isinstance(keys, Texts), "KINDS says so"
                self._pairs[place] = Pairs(place, ends, keys, values)
                if self._domains[kind, place] == codes.DOMAIN_LINKS:
                    self.links = max(self.links, len(ends))
            elif kind == codes.BATCH_BUDGET_INDEX:
                keys = self._view(codes.BATCH_BUDGET_KEY, place, Texts)
                _leads(view, len(keys), lowest=-1)
            elif kind == codes.BATCH_RESOURCE_INDEX:
                _leads(view, self.counts.resources)
            elif kind == codes.BATCH_SCOPE_INDEX:
                _leads(view, self.counts.scopes)
            elif kind == codes.BATCH_EVENT_SPAN:
                _leads(view, self.rows)
            elif kind == codes.BATCH_TRACE_END_ROW:
                _leads(view, self.rows + 1)
                ends = self._view(kind, place, memoryview)
                if not rises(ends.tolist()):
                    raise BadInput("a trace ends before it begins")

    def hold(self, projection: Projection) -> None:
        """Raises `BadInput` where something is not there that the projection reads, or is of others
        than it says."""
        for place, field in enumerate(projection.reads):
            if isinstance(field, Intrinsic):
                self._view(field, 0, object)
                continue
            single = isinstance(field, Attribute)
            self.column(place) if single else self.pairs(place)
            kind = codes.BATCH_ATTRIBUTE if single else codes.BATCH_PAIRS_END
            if self._domains[kind, place] != field.owner.domain:
                raise BadInput(f"section {kind} of {place} is of another domain")
        for place in range(len(projection.budgets)):
            self.budget(place)

    def _view(self, kind: int, argument: int, of: type[V]) -> V:
        view = self._views.get((kind, argument))
        if view is None:
            raise BadInput(f"the batch has no section {kind} of {argument}")
        assert isinstance(view, of), "KINDS says so"
        return view

    def column(self, place: int) -> Column:
        """The column of an attribute, by its place in `reads`."""
        if place not in self._columns:
            raise BadInput(f"the batch has no column of attributes {place}")
        return self._columns[place]

    def pairs(self, place: int) -> Pairs:
        """All attributes whose key begins so, by the field's place in `reads`."""
        if place not in self._pairs:
            raise BadInput(f"the batch has no table of pairs {place}")
        return self._pairs[place]

    def budget(self, place: int) -> Budget:
        """A budget, by its place in `budgets`."""
        return Budget(
            self._view(codes.BATCH_BUDGET_KEY, place, Texts),
            self._view(codes.BATCH_BUDGET_LIMIT, place, memoryview),
            self._view(codes.BATCH_BUDGET_USED, place, memoryview),
            self._view(codes.BATCH_BUDGET_INDEX, place, memoryview),
        )

    @property
    def traces(self) -> Traces:
        """The table of traces that a tail sampler decides on."""
        return Traces(
            ends=self._view(codes.BATCH_TRACE_END_ROW, 0, memoryview),
            ids=self._view(codes.BATCH_TRACE, 0, Ids),
            starts=self._view(codes.BATCH_TRACE_START, 0, memoryview),
            durations=self._view(codes.BATCH_TRACE_DURATION, 0, memoryview),
            spans=self._view(codes.BATCH_TRACE_SPANS, 0, memoryview),
            errors=self._view(codes.BATCH_TRACE_ERRORS, 0, memoryview),
            services=self._view(codes.BATCH_TRACE_SERVICES, 0, memoryview),
            root_names=self._view(codes.BATCH_TRACE_ROOT_NAME, 0, Texts),
            root_services=self._view(codes.BATCH_TRACE_ROOT_SERVICE, 0, Texts),
            states=self._view(codes.BATCH_TRACE_STATE_BITS, 0, memoryview),
        )

    @property
    def trace_ids(self) -> Ids:
        return self._view(codes.BATCH_TRACE_ID, 0, Ids)

    @property
    def span_ids(self) -> Ids:
        return self._view(codes.BATCH_SPAN_ID, 0, Ids)

    @property
    def parent_span_ids(self) -> Ids:
        """Zeros for roots."""
        return self._view(codes.BATCH_PARENT_SPAN_ID, 0, Ids)

    @property
    def trace_states(self) -> Texts:
        """W3C tracestates."""
        return self._view(codes.BATCH_TRACE_STATE, 0, Texts)

    @property
    def trace_flags(self) -> memoryview:
        return self._view(codes.BATCH_TRACE_FLAGS, 0, memoryview)

    @property
    def names(self) -> Texts:
        return self._view(codes.BATCH_NAME, 0, Texts)

    @property
    def kinds(self) -> memoryview:
        """Each a `SpanKind`."""
        return self._view(codes.BATCH_KIND, 0, memoryview)

    @property
    def start_times(self) -> memoryview:
        """Nanoseconds since 1970."""
        return self._view(codes.BATCH_START_TIME, 0, memoryview)

    @property
    def durations(self) -> memoryview:
        """Nanoseconds."""
        return self._view(codes.BATCH_DURATION, 0, memoryview)

    @property
    def status_codes(self) -> memoryview:
        """Each a `Status`."""
        return self._view(codes.BATCH_STATUS_CODE, 0, memoryview)

    @property
    def status_messages(self) -> Texts:
        return self._view(codes.BATCH_STATUS_MESSAGE, 0, Texts)

    @property
    def scope_names(self) -> Texts:
        """One per scope."""
        return self._view(codes.BATCH_SCOPE_NAME, 0, Texts)

    @property
    def scope_versions(self) -> Texts:
        """One per scope."""
        return self._view(codes.BATCH_SCOPE_VERSION, 0, Texts)

    @property
    def event_names(self) -> Texts:
        """One per event."""
        return self._view(codes.BATCH_EVENT_NAME, 0, Texts)

    @property
    def event_times(self) -> memoryview:
        """One per event, nanoseconds since 1970."""
        return self._view(codes.BATCH_EVENT_TIME, 0, memoryview)

    @property
    def event_counts(self) -> memoryview:
        return self._view(codes.BATCH_EVENT_COUNT, 0, memoryview)

    @property
    def link_counts(self) -> memoryview:
        return self._view(codes.BATCH_LINK_COUNT, 0, memoryview)

    @property
    def resource_indices(self) -> memoryview:
        """Which resource each span is of."""
        return self._view(codes.BATCH_RESOURCE_INDEX, 0, memoryview)

    @property
    def scope_indices(self) -> memoryview:
        """Which scope each span is of."""
        return self._view(codes.BATCH_SCOPE_INDEX, 0, memoryview)

    @property
    def event_spans(self) -> memoryview:
        """Which span each event is of."""
        return self._view(codes.BATCH_EVENT_SPAN, 0, memoryview)

    @property
    def span_attribute_keys(self) -> Texts:
        """The keys of all span attributes of the batch, each once."""
        return self._view(codes.BATCH_SPAN_ATTRIBUTE_KEYS, 0, Texts)

    @property
    def peer_addresses(self) -> Texts:
        """One per resource: the address of whoever sent it, without the port."""
        return self._view(codes.BATCH_PEER_ADDRESS, 0, Texts)


def _leads(index: Ids | Texts | memoryview, limit: int, lowest: int = 0) -> None:
    """Refuses an index of something that is not there."""
    assert isinstance(index, memoryview), "KINDS says so"
    if len(index) and not (min(index) >= lowest and max(index) < limit):
        raise BadInput("an index leads nowhere")
