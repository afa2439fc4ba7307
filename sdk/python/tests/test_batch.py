"""What a plugin reads is what was sent; what is malformed is refused."""

import struct
import unittest

from traceweir_plugin import (
    EMPTY,
    UNREAD,
    Attribute,
    Attributes,
    BadInput,
    Batch,
    Budget,
    Internal,
    Intrinsic,
    Owner,
    Projection,
    codes,
    kit,
    rows_at_least,
    rows_equal,
)
from traceweir_plugin.sections import Sections
from traceweir_plugin.views import Texts

SPANS = [
    kit.Span(
        trace_id=bytes(range(16)),
        span_id=b"\1" * 8,
        trace_state="a=b",
        trace_flags=1,
        name="GET /",
        kind=2,
        start_time=1_000,
        duration=2**63,
        status_code=2,
        status_message="größe 🦊",
        attributes={"a": "x", "ab": -1, "b": 0.5, "c": True, "d": ["x", 1], "e": EMPTY},
        events=[kit.Event("e0", 7, {"a": "event"}), kit.Event("e1", 8)],
    ),
    kit.Span(
        trace_id=bytes(range(1, 17)),
        span_id=b"\2" * 8,
        parent_span_id=b"\1" * 8,
        name="GET /",
        duration=5,
        resource=1,
        attributes={"ab": 2**63 - 1, "d": b"bytes"},
        links=[kit.Link({"a": "link"})],
    ),
]
RESOURCES = [
    kit.Resource({"service.name": "shop"}, "10.0.0.1"),
    kit.Resource({"service.name": "pay", "team": "x"}),
]


def everything() -> Projection:
    projection = Projection(reads=list(Intrinsic))
    for owner in Owner:
        for complex in (False, True):
            projection.read(Attribute(owner, "d", complex))
            projection.read(Attributes(owner, "", complex))
    projection.read(Attribute(Owner.RESOURCE, "team"))
    projection.budget(Budget("all", 100, 1000))
    projection.budget(Budget("each", 10, 1000, Attribute(Owner.RESOURCE, "service.name")))
    return projection


BUDGETS = [{"": (100, 3)}, {"pay": (10, 12)}]
DATA = kit.Data(SPANS, RESOURCES, (kit.Scope("lib", "1.0"),), BUDGETS)


class Reading(unittest.TestCase):
    def setUp(self) -> None:
        self.projection = everything()
        self.batch = Batch(kit.encode(DATA, self.projection))

    def test_intrinsic_fields(self) -> None:
        batch = self.batch
        self.assertEqual(batch.counts, (2, 2, 1, 2, 0))
        self.assertEqual(list(batch.trace_ids), [bytes(range(16)), bytes(range(1, 17))])
        self.assertEqual(batch.trace_ids[1], batch.trace_ids.tolist()[1])
        self.assertEqual(batch.span_ids.tolist(), [b"\1" * 8, b"\2" * 8])
        self.assertEqual(batch.parent_span_ids[1], b"\1" * 8)
        self.assertEqual(list(batch.trace_states), ["a=b", ""])
        self.assertEqual(batch.trace_flags.tolist(), [1, 0])
        self.assertEqual(list(batch.names), ["GET /", "GET /"])
        self.assertEqual(batch.names.values, ["GET /"])
        self.assertEqual(batch.kinds.tolist(), [2, 0])
        self.assertEqual(batch.start_times.tolist(), [1000, 0])
        self.assertEqual(batch.durations.tolist(), [2**63, 5])
        self.assertEqual(batch.status_codes.tolist(), [2, 0])
        self.assertEqual(list(batch.status_messages), ["größe 🦊", ""])
        self.assertEqual(list(batch.scope_names), ["lib"])
        self.assertEqual(list(batch.scope_versions), ["1.0"])
        self.assertEqual(list(batch.event_names), ["e0", "e1"])
        self.assertEqual(batch.event_times.tolist(), [7, 8])
        self.assertEqual(batch.event_counts.tolist(), [2, 0])
        self.assertEqual(batch.link_counts.tolist(), [0, 1])
        self.assertEqual(batch.resource_indices.tolist(), [0, 1])
        self.assertEqual(batch.scope_indices.tolist(), [0, 0])
        self.assertEqual(batch.event_spans.tolist(), [0, 0])
        self.assertEqual(list(batch.span_attribute_keys), ["a", "ab", "b", "c", "d", "e"])
        self.assertEqual(list(batch.peer_addresses), ["10.0.0.1", ""])

    def test_columns(self) -> None:
        read = self.projection.read
        self.assertEqual(
            list(self.batch.column(read(Attribute(Owner.SPAN, "d")))), [UNREAD, UNREAD]
        )
        column = self.batch.column(read(Attribute(Owner.SPAN, "d", complex=True)))
        self.assertEqual(list(column), [["x", 1], b"bytes"])
        team = self.batch.column(read(Attribute(Owner.RESOURCE, "team")))
        self.assertEqual(list(team), [None, "x"])
        self.assertEqual([team.text(0), team.text(1)], [None, "x"])
        self.assertEqual(list(team.index), [-1, 0])
        self.assertEqual(team.map(str.upper), [None, "X"])
        self.assertEqual(self.batch.links, 1)

    def test_pairs(self) -> None:
        pairs = self.batch.pairs(self.projection.read(Attributes(Owner.SPAN, "", complex=True)))
        self.assertEqual([pairs.of(0), pairs.of(1)], [range(0, 6), range(6, 8)])
        self.assertEqual(dict(pairs[i] for i in pairs.of(0)), dict(SPANS[0].attributes))
        self.assertEqual(pairs[6], ("ab", 2**63 - 1))
        links = self.batch.pairs(self.projection.read(Attributes(Owner.LINK, "")))
        self.assertEqual([links[i] for i in links.of(0)], [("a", "link")])

    def test_budgets(self) -> None:
        each = self.batch.budget(1)
        self.assertEqual(list(each.keys), ["pay"])
        self.assertEqual(list(each.index), [-1, 0])
        self.assertEqual(each.left(0), 0)
        self.assertEqual(self.batch.budget(0).left(0), 97)

    def test_traces(self) -> None:
        spans = [SPANS[0], SPANS[1], kit.Span(trace_id=bytes(range(16)), status_code=2)]
        data = kit.Data(spans, RESOURCES, budgets=BUDGETS)
        traces = Batch(kit.encode(data, self.projection, by_trace=True)).traces
        self.assertEqual(len(traces), 2)
        self.assertEqual([traces.rows(0), traces.rows(1)], [range(0, 2), range(2, 3)])
        self.assertEqual(traces.errors.tolist(), [2, 0])
        self.assertEqual(traces.spans.tolist(), [2, 1])
        self.assertEqual(traces.durations[1], 5)
        self.assertEqual(list(traces.root_names), ["GET /", ""])
        self.assertEqual(list(traces.root_services), ["shop", ""])
        self.assertEqual(
            [traces.complete(0), traces.complete(1), traces.late(0)], [True, False, False]
        )

    def test_what_was_not_read_is_an_error(self) -> None:
        batch = Batch(kit.encode(DATA, Projection()))
        for read in (
            lambda: batch.durations,
            lambda: batch.column(0),
            lambda: batch.pairs(0),
            lambda: batch.budget(0),
            lambda: batch.traces,
        ):
            with self.assertRaises(BadInput):
                read()

    def test_columns_can_be_searched(self) -> None:
        batch = self.batch
        self.assertEqual(rows_equal(batch.status_codes, 2), [0])
        self.assertEqual(rows_at_least(batch.durations, 6), [0])
        self.assertEqual(rows_at_least(batch.durations, 5), [0, 1])
        self.assertEqual(rows_at_least(batch.durations, 0), [0, 1])
        self.assertEqual(rows_at_least(batch.durations, 2**63 + 1), [])
        self.assertEqual(rows_at_least(batch.durations, 2**64), [])
        self.assertEqual(batch.trace_ids.rows_like([0]), [0])
        self.assertEqual(batch.trace_ids.rows_like([]), [])


def section(
    kind: int, layout: int, content: bytes, domain: int = 1, argument: int = 0, rows: int = 1
) -> bytes:
    """A batch of one section."""
    sections = Sections()
    sections.add(kind, layout, content, domain, argument)
    return sections.finish(kit.Counts(rows, 1, 0, 0, 0), codes.BATCH_MAGIC)


def texts(values: int, index: list[int], ends: list[int], heap: bytes) -> bytes:
    numbers = [values, len(index), *index, *ends]
    return struct.pack(f"<{len(numbers)}I", *numbers) + heap


NAME = codes.BATCH_NAME, codes.LAYOUT_TEXT


class Malformed(unittest.TestCase):
    def refuse(self, data: bytes, why: str) -> None:
        with self.assertRaisesRegex(BadInput, why):
            Batch(data)

    def test_headers(self) -> None:
        good = kit.encode(DATA, everything())
        self.refuse(b"", "no header")
        self.refuse(good[:31], "no header")
        self.refuse(b"TWA1" + good[4:], "magic")
        self.refuse(good[:4] + b"\2" + good[5:], "version")
        self.refuse(good[:28] + b"\xff\xff\xff\xff" + good[32:], "table")

    def test_sections(self) -> None:
        duration = codes.BATCH_DURATION
        self.refuse(section(duration, codes.LAYOUT_F64, bytes(8)), "type")
        self.refuse(section(duration, codes.LAYOUT_U64, bytes(7)), "few")
        self.refuse(section(duration, codes.LAYOUT_U64, bytes(8))[:-1], "reaches out")
        unknown = section(9999, 77, b"")
        # Offset and length of the one section.
        self.assertEqual(Batch(unknown[:40] + b"\xff" * 8).rows, 1)

    def test_texts(self) -> None:
        for content, why in (
            (b"", "shorter"),
            (texts(2**32 - 1, [], [0], b""), "shorter"),
            (struct.pack("<III", 0, 2**32 - 1, 0), "shorter"),
            (texts(1, [0], [0, 2], b"x"), "shorter"),
            (texts(1, [0], [1, 1], b"x"), "before"),
            (texts(2, [0], [0, 1, 0], b"x"), "before"),
            (texts(1, [1], [0, 1], b"x"), "nowhere"),
            (texts(1, [2**31], [0, 1], b"x"), "nowhere"),
            (texts(1, [0], [0, 1], b"\xff"), "UTF-8"),
            (texts(2, [0], [0, 1, 2], "ß".encode()), "UTF-8"),
            (texts(0, [], [0], b""), "few"),
        ):
            with self.subTest(content):
                self.refuse(section(*NAME, content), why)

    def test_a_mark_at_the_beginning_of_a_text_stays(self) -> None:
        heap = "\ufeffx\ufeff".encode()
        view = Texts(memoryview(texts(2, [], [0, 4, 7], heap)))
        self.assertEqual(view.values, ["\ufeffx", "\ufeff"])

    def test_an_entry_may_have_no_text(self) -> None:
        batch = Batch(section(*NAME, texts(1, [0, 2**32 - 1], [0, 1], b"x"), rows=2))
        self.assertEqual(list(batch.names), ["x", None])
        self.assertEqual(batch.names.map(len), [1, None])
        self.assertEqual(batch.names.rewrite(str.upper), ["X", None])

    def test_texts_are_rewritten_all_at_once(self) -> None:
        given = []

        def work(joined: str) -> str:
            given.append(joined)
            return joined.replace("a", "ü")

        heap = "abbä\0a".encode()
        for index, expected in (
            ([], ["ü", None, "ä\0ü"]),
            ([0, 0, 2**32 - 1, 1], ["ü", "ü", None, None]),
        ):
            view = Texts(memoryview(texts(3, index, [0, 1, 3, 7], heap)))
            self.assertEqual(view.rewrite(work), expected)
        self.assertEqual(given, ["a\0bb\0ä\ud800a\0"] * 2)
        self.assertEqual(Texts(memoryview(texts(0, [], [0], b""))).rewrite(work), [])
        for wrong in ("{}\0", "{}x", "x", ""):
            with self.assertRaises(Internal):
                view.rewrite(wrong.format)

    def test_texts_of_columns_are_rewritten(self) -> None:
        spans = [kit.Span(attributes={"a": value}) for value in ("x", 7, "X", "x")]
        projection = Projection(reads=[Attribute(Owner.SPAN, "a")])
        column = Batch(kit.encode(kit.Data(spans), projection)).column(0)
        self.assertEqual(column.rewrite(str.upper), ["X", None, None, "X"])
        none = Batch(kit.encode(kit.Data(spans[1:2]), projection)).column(0)
        self.assertEqual(none.rewrite(str.upper), [None])

    def test_columns(self) -> None:
        def column(*parts: tuple[int, bytes]) -> bytes:
            sections = Sections()
            for layout, content in parts:
                sections.add(codes.BATCH_ATTRIBUTE, layout, content, codes.DOMAIN_SPANS, 3)
            return sections.finish(kit.Counts(2, 0, 0, 0, 0), codes.BATCH_MAGIC)

        tags, words, text, blob = (
            codes.LAYOUT_U8,
            codes.LAYOUT_U64,
            codes.LAYOUT_TEXT,
            codes.LAYOUT_BLOB,
        )
        good = texts(1, [0, 0], [0, 1], b"x")
        self.refuse(column((text, good)), "no tags")
        self.refuse(column((tags, b"\1"), (text, good)), "few")
        self.refuse(column((tags, b"\1\1")), "no value")
        self.refuse(column((tags, b"\2\0")), "no value")
        self.refuse(column((tags, b"\2\0"), (words, bytes(8))), "few")
        self.refuse(column((tags, b"\x09\0")), "tag")
        self.refuse(column((tags, b"\xff\0")), "tag")
        self.refuse(column((tags, b"\1\1"), (text, texts(1, [0, 1], [0, 1], b"x"))), "no value")
        self.refuse(column((tags, b"\1\1"), (text, texts(1, [0], [0, 1], b"x"))), "few")
        self.refuse(column((tags, b"\6\0"), (blob, texts(1, [1, 1], [0, 1], b"x"))), "no value")
        # What a tag does not point to means nothing.
        batch = Batch(column((tags, b"\1\0"), (text, texts(1, [0, 77], [0, 1], b"x"))))
        self.assertEqual(list(batch.column(3)), ["x", None])
        self.assertEqual(batch.column(3).map(len), [1, None])

    def test_indices(self) -> None:
        u32 = codes.LAYOUT_U32
        self.refuse(section(codes.BATCH_RESOURCE_INDEX, u32, struct.pack("<I", 1)), "nowhere")
        self.refuse(section(codes.BATCH_SCOPE_INDEX, u32, struct.pack("<I", 0)), "nowhere")
        self.refuse(section(codes.BATCH_BUDGET_INDEX, u32, struct.pack("<I", 0)), "no section")
        ends = section(codes.BATCH_PAIRS_END, u32, struct.pack("<II", 2, 1), rows=2)
        self.refuse(ends, "before they begin")
        self.refuse(section(codes.BATCH_PAIRS_END, u32, struct.pack("<I", 1)), "no key")
