"""To test plugins without Wasm and without a host: spans in, what becomes of them out.

    outcome = kit.run(MyPlugin(), {"key": "team"}, spans=[kit.Span(name="GET /")])
    assert outcome.kept == [True]

What the plugin logs, counts and looks up is in `kit.host`.
"""

import json
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from . import codes
from . import host as _host
from .any_value import REMOVE, Write
from .batch import ENTRY, HEADER, Counts
from .columns import Column
from .plugin import Instance, Plugin, TailSampler
from .projection import Attribute, Attributes, Intrinsic, Owner, Projection
from .sections import Sections, Values, texts
from .views import Texts, little_endian, numbers

host = _host.stand_in
"""What answers in place of a host."""


def reset_host() -> None:
    """Forgets what plugins have logged and counted, and what they were to find."""
    for each in fields(host):
        setattr(host, each.name, getattr(_host.StandIn(), each.name))


@dataclass
class Event:
    name: str = ""
    time: int = 0
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Link:
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Scope:
    name: str = ""
    version: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Resource:
    attributes: Mapping[str, Any] = field(default_factory=dict)
    peer_address: str = ""


@dataclass
class Span:
    trace_id: bytes = bytes(15) + b"\1"
    span_id: bytes = bytes(7) + b"\1"
    parent_span_id: bytes = bytes(8)
    trace_state: str = ""
    trace_flags: int = 0
    name: str = ""
    kind: int = 0
    start_time: int = 0
    duration: int = 0
    status_code: int = 0
    status_message: str = ""
    resource: int = 0
    """Its place among the resources."""
    scope: int = 0
    attributes: Mapping[str, Any] = field(default_factory=dict)
    events: Sequence[Event] = ()
    links: Sequence[Link] = ()


@dataclass
class Data:
    """What a batch is made of."""

    spans: Sequence[Span] = ()
    resources: Sequence[Resource] = (Resource(),)
    scopes: Sequence[Scope] = (Scope(),)
    budgets: Sequence[Mapping[str, tuple[int, int]]] = ()
    """For each budget of the projection, limit and use by the values of its attribute."""

    @property
    def events(self) -> list[Event]:
        return [event for span in self.spans for event in span.events]

    @property
    def links(self) -> list[Link]:
        return [link for span in self.spans for link in span.links]

    def owners(self, owner: Owner) -> Sequence[Any]:
        """Spans, resources, scopes, events or links."""
        return (self.spans, self.resources, self.scopes, self.events, self.links)[owner]


def encode(data: Data, projection: Projection, *, by_trace: bool = False) -> bytes:
    """The batch that a host would make for this projection; `by_trace` with the table of traces, as
    tail samplers get it: spans are then ordered by their traces."""
    traces: dict[bytes, list[Span]] = {}
    if by_trace:
        for span in data.spans:
            traces.setdefault(span.trace_id, []).append(span)
        ordered = [span for spans in traces.values() for span in spans]
        data = Data(ordered, data.resources, data.scopes, data.budgets)
    sections = Sections()
    for place, what in enumerate(projection.reads):
        if isinstance(what, Attribute):
            _column(sections, place, what, data)
        elif isinstance(what, Attributes):
            _pairs(sections, place, what, data)
        else:
            layout, domain, content = _intrinsic(data, what)
            sections.add(what, layout, content, domain)
    for place, budget in enumerate(projection.budgets):
        _budget(sections, place, budget.per, data, traces)
    if by_trace:
        _traces(sections, traces, data)
    counts = Counts(
        len(data.spans), len(data.resources), len(data.scopes), len(data.events), len(traces)
    )
    return sections.finish(counts, codes.BATCH_MAGIC)


def _u32(values: Iterable[int]) -> bytes:
    return little_endian(array("I", values))


def _u64(values: Iterable[int]) -> bytes:
    return little_endian(array("Q", values))


_SPANS, _SCOPES, _EVENTS = codes.DOMAIN_SPANS, codes.DOMAIN_SCOPES, codes.DOMAIN_EVENTS


def _intrinsic(data: Data, what: Intrinsic) -> tuple[int, int, bytes]:
    """Type, domain and content of a section."""
    spans, scopes, events = data.spans, data.scopes, data.events
    match what:
        case Intrinsic.TRACE_ID:
            return codes.LAYOUT_ID16, _SPANS, b"".join(span.trace_id for span in spans)
        case Intrinsic.SPAN_ID:
            return codes.LAYOUT_ID8, _SPANS, b"".join(span.span_id for span in spans)
        case Intrinsic.PARENT_SPAN_ID:
            return codes.LAYOUT_ID8, _SPANS, b"".join(span.parent_span_id for span in spans)
        case Intrinsic.TRACE_STATE:
            return codes.LAYOUT_TEXT, _SPANS, texts(span.trace_state for span in spans)
        case Intrinsic.TRACE_FLAGS:
            return codes.LAYOUT_U32, _SPANS, _u32(span.trace_flags for span in spans)
        case Intrinsic.NAME:
            return codes.LAYOUT_TEXT, _SPANS, texts(span.name for span in spans)
        case Intrinsic.KIND:
            return codes.LAYOUT_U8, _SPANS, bytes(span.kind for span in spans)
        case Intrinsic.START_TIME:
            return codes.LAYOUT_U64, _SPANS, _u64(span.start_time for span in spans)
        case Intrinsic.DURATION:
            return codes.LAYOUT_U64, _SPANS, _u64(span.duration for span in spans)
        case Intrinsic.STATUS_CODE:
            return codes.LAYOUT_U8, _SPANS, bytes(span.status_code for span in spans)
        case Intrinsic.STATUS_MESSAGE:
            return codes.LAYOUT_TEXT, _SPANS, texts(span.status_message for span in spans)
        case Intrinsic.SCOPE_NAME:
            return codes.LAYOUT_TEXT, _SCOPES, texts(scope.name for scope in scopes)
        case Intrinsic.SCOPE_VERSION:
            return codes.LAYOUT_TEXT, _SCOPES, texts(scope.version for scope in scopes)
        case Intrinsic.EVENT_NAME:
            return codes.LAYOUT_TEXT, _EVENTS, texts(event.name for event in events)
        case Intrinsic.EVENT_TIME:
            return codes.LAYOUT_U64, _EVENTS, _u64(event.time for event in events)
        case Intrinsic.EVENT_COUNT:
            return codes.LAYOUT_U32, _SPANS, _u32(len(span.events) for span in spans)
        case Intrinsic.LINK_COUNT:
            return codes.LAYOUT_U32, _SPANS, _u32(len(span.links) for span in spans)
        case Intrinsic.RESOURCE_INDEX:
            return codes.LAYOUT_U32, _SPANS, _u32(span.resource for span in spans)
        case Intrinsic.SCOPE_INDEX:
            return codes.LAYOUT_U32, _SPANS, _u32(span.scope for span in spans)
        case Intrinsic.EVENT_SPAN:
            rows = (row for row, span in enumerate(spans) for _ in span.events)
            return codes.LAYOUT_U32, _EVENTS, _u32(rows)
        case Intrinsic.SPAN_ATTRIBUTE_KEYS:
            keys = dict.fromkeys(key for span in spans for key in span.attributes)
            return codes.LAYOUT_TEXT, codes.DOMAIN_NONE, texts(keys)
        case Intrinsic.PEER_ADDRESS:
            addresses = texts(resource.peer_address for resource in data.resources)
            return codes.LAYOUT_TEXT, codes.DOMAIN_RESOURCES, addresses


def _column(sections: Sections, place: int, what: Attribute, data: Data) -> None:
    owners = data.owners(what.owner)
    values = [owner.attributes.get(what.key) for owner in owners]
    _values(sections, codes.BATCH_ATTRIBUTE, what.owner.domain, place, values, what.complex)


def _pairs(sections: Sections, place: int, what: Attributes, data: Data) -> None:
    ends: list[int] = []
    pairs: list[tuple[str, Any]] = []
    for owner in data.owners(what.owner):
        pairs += [pair for pair in owner.attributes.items() if pair[0].startswith(what.prefix)]
        ends.append(len(pairs))
    domain = what.owner.domain
    sections.add(codes.BATCH_PAIRS_END, codes.LAYOUT_U32, _u32(ends), domain, place)
    keys = texts(key for key, _ in pairs)
    sections.add(codes.BATCH_PAIRS_KEY, codes.LAYOUT_TEXT, keys, codes.DOMAIN_PAIRS, place)
    values = [value for _, value in pairs]
    _values(sections, codes.BATCH_PAIRS, codes.DOMAIN_PAIRS, place, values, what.complex)


def _values(
    sections: Sections, kind: int, domain: int, place: int, of: list[Any], complex: bool
) -> None:
    values = Values(len(of))
    for i, value in enumerate(of):
        values.put(i, value)
    if any(value is not None for value in of):
        values.write(sections, kind, domain, place, complex=complex)
    else:
        # A batch says even that there is nothing.
        sections.add(kind, codes.LAYOUT_U8, bytes(len(of)), domain, place)


def _budget(
    sections: Sections,
    place: int,
    per: Attribute | None,
    data: Data,
    traces: Mapping[bytes, Sequence[Span]],
) -> None:
    limits = data.budgets[place]
    keys = list(limits)
    spans = [trace[0] for trace in traces.values()] if traces else data.spans

    def key_of(span: Span) -> str:
        if per is None:
            return ""
        owner = span if per.owner is Owner.SPAN else data.resources[span.resource]
        return str(owner.attributes.get(per.key, ""))

    of = [keys.index(key) if (key := key_of(span)) in keys else codes.NONE for span in spans]
    domain = codes.DOMAIN_TRACES if traces else codes.DOMAIN_SPANS
    budgets = codes.DOMAIN_BUDGETS
    limit = _u64(limit for limit, _ in limits.values())
    used = _u64(used for _, used in limits.values())
    sections.add(codes.BATCH_BUDGET_KEY, codes.LAYOUT_TEXT, texts(keys), budgets, place)
    sections.add(codes.BATCH_BUDGET_LIMIT, codes.LAYOUT_U64, limit, budgets, place)
    sections.add(codes.BATCH_BUDGET_USED, codes.LAYOUT_U64, used, budgets, place)
    sections.add(codes.BATCH_BUDGET_INDEX, codes.LAYOUT_U32, _u32(of), domain, place)


def _traces(sections: Sections, traces: Mapping[bytes, Sequence[Span]], data: Data) -> None:
    def add(kind: int, layout: int, content: bytes) -> None:
        sections.add(kind, layout, content, codes.DOMAIN_TRACES)

    def service(span: Span) -> str:
        return str(data.resources[span.resource].attributes.get("service.name", ""))

    ends, row = [], 0
    for spans in traces.values():
        row += len(spans)
        ends.append(row)
    starts = [min(span.start_time for span in spans) for spans in traces.values()]
    lasts = [max(span.start_time + span.duration for span in spans) for spans in traces.values()]
    roots = [
        next((span for span in spans if not any(span.parent_span_id)), None)
        for spans in traces.values()
    ]
    services = [len({service(span) for span in spans} - {""}) for spans in traces.values()]
    errors = [sum(span.status_code == 2 for span in spans) for spans in traces.values()]
    add(codes.BATCH_TRACE_END_ROW, codes.LAYOUT_U32, _u32(ends))
    add(codes.BATCH_TRACE, codes.LAYOUT_ID16, b"".join(traces))
    add(codes.BATCH_TRACE_START, codes.LAYOUT_U64, _u64(starts))
    durations = (last - start for last, start in zip(lasts, starts))
    add(codes.BATCH_TRACE_DURATION, codes.LAYOUT_U64, _u64(durations))
    add(codes.BATCH_TRACE_SPANS, codes.LAYOUT_U32, _u32(map(len, traces.values())))
    add(codes.BATCH_TRACE_ERRORS, codes.LAYOUT_U32, _u32(errors))
    add(codes.BATCH_TRACE_SERVICES, codes.LAYOUT_U32, _u32(services))
    names = texts(root.name if root else "" for root in roots)
    add(codes.BATCH_TRACE_ROOT_NAME, codes.LAYOUT_TEXT, names)
    root_services = texts(service(root) if root else "" for root in roots)
    add(codes.BATCH_TRACE_ROOT_SERVICE, codes.LAYOUT_TEXT, root_services)
    add(codes.BATCH_TRACE_STATE_BITS, codes.LAYOUT_U8, bytes(_complete(t) for t in traces.values()))


def _complete(spans: Sequence[Span]) -> bool:
    ids = {span.span_id for span in spans} | {bytes(8)}
    return all(span.parent_span_id in ids for span in spans)


@dataclass
class Outcome:
    """What an answer says."""

    rows: int
    kept: list[bool]
    """For each span."""
    reasons: list[str | None]
    """For each span or trace."""
    verdicts: list[int]
    """For each span or trace: `codes.VERDICT_…`."""
    probabilities: list[float]
    renamed: list[tuple[Owner, str, str, bool]]
    """Whose, from, to, and whether an attribute of that name is replaced."""
    deleted: list[tuple[Owner, str]]
    deleted_starting: list[tuple[Owner, str]]
    """Whose, and what the keys begin with."""
    set_pairs: dict[int, list[Write]]
    """By place in `reads`."""
    set: dict[tuple[int, Owner], list[Write]]
    """By place in `writes` and who has an entry each."""
    added: list[tuple[int, int, str, Write]]
    """Place in `writes`, owner, key, value."""
    counts: dict[int, int]


def decode_answer(data: bytes) -> Outcome:
    """Reads an answer in the form that the SDKs write."""
    _, _, _, *counts, count = HEADER.unpack_from(data)
    outcome = Outcome(counts[0], [True] * counts[0], [], [], [], [], [], [], {}, {}, [], {})
    table = memoryview(data)[codes.HEADER_BYTES :][: codes.ENTRY_BYTES * count]
    columns: dict[tuple[int, int, int], dict[int, memoryview]] = {}
    added: dict[int, tuple[list[int], list[str]]] = {}
    for kind, layout, domain, argument, offset, length in ENTRY.iter_unpack(table):
        part = memoryview(data)[offset : offset + length]
        match kind:
            case codes.ANSWER_KEEP:
                bits = int.from_bytes(part, "little")
                outcome.kept = [bits >> row & 1 == 1 for row in range(outcome.rows)]
            case codes.ANSWER_REASON:
                outcome.reasons = list(Texts(part))
            case codes.ANSWER_VERDICT:
                outcome.verdicts = list(part)
            case codes.ANSWER_PROBABILITY:
                outcome.probabilities = numbers(part, "d").tolist()
            case codes.ANSWER_RENAME:
                names = [str(name) for name in Texts(part)]
                owner, replace = Owner(argument & 0xFF), argument & codes.REPLACE != 0
                for old, new in zip(names[::2], names[1::2]):
                    outcome.renamed.append((owner, old, new, replace))
            case codes.ANSWER_DELETE_KEYS:
                outcome.deleted += ((Owner(argument), str(key)) for key in Texts(part))
            case codes.ANSWER_DELETE_STARTS:
                outcome.deleted_starting += ((Owner(argument), str(start)) for start in Texts(part))
            case codes.ANSWER_ADD_OWNER:
                added[argument] = numbers(part, "I").tolist(), []
            case codes.ANSWER_ADD_KEY:
                added[argument][1].extend(str(key) for key in Texts(part))
            case codes.ANSWER_COUNT:
                words: list[int] = numbers(part, "Q").tolist()
                outcome.counts = dict(zip(words[::2], words[1::2]))
            case _:
                columns.setdefault((kind, argument, domain), {})[layout] = part
    for (kind, argument, domain), parts in columns.items():
        column = _decode_values(parts)
        if kind == codes.ANSWER_SET_PAIRS:
            outcome.set_pairs[argument] = column
        elif kind == codes.ANSWER_SET:
            owner = next(owner for owner in Owner if owner.domain == domain)
            outcome.set[argument, owner] = column
        else:
            owners, keys = added[argument]
            outcome.added += [(argument, *each) for each in zip(owners, keys, column)]
    return outcome


def _decode_values(parts: dict[int, memoryview]) -> list[Write]:
    tags = parts[codes.LAYOUT_U8].tobytes()
    # Removals are no values of a batch: the rest is a column as there.
    removed = [tag == codes.TAG_REMOVE for tag in tags]
    plain = tags.replace(bytes([codes.TAG_REMOVE]), bytes([codes.TAG_ABSENT]))
    column = Column({**parts, codes.LAYOUT_U8: memoryview(plain)})
    values: list[Any] = list(column)
    return [REMOVE if gone else value for gone, value in zip(removed, values)]


def run(
    plugin: Plugin,
    config: Mapping[str, Any],
    spans: Sequence[Span] = (),
    resources: Sequence[Resource] = (Resource(),),
    scopes: Sequence[Scope] = (Scope(),),
    budgets: Sequence[Mapping[str, tuple[int, int]]] = (),
) -> Outcome:
    """Configures a plugin, has it answer one batch, and reads the answer.

    Raises `ConfigError` and `PluginError` as the plugin does; what else it raises becomes one.
    """
    instance = Instance(plugin)
    projection = instance.configure(json.dumps(config))
    data = Data(spans, resources, scopes, budgets)
    batch = encode(data, projection, by_trace=isinstance(plugin, TailSampler))
    return decode_answer(instance.answer(batch))
