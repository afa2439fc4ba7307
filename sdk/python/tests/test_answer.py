"""Answers stand in the one form that `docs/reference/plugin-buffer.md` has for each."""

import struct
import unittest
from collections.abc import Iterable

from traceweir_plugin import (
    DROP,
    EMPTY,
    KEEP,
    REMOVE,
    Attribute,
    Attributes,
    Batch,
    Decisions,
    Edits,
    Internal,
    Owner,
    Projection,
    codes,
    kit,
    probability,
)
from traceweir_plugin.batch import ENTRY, HEADER
from traceweir_plugin.sections import texts

NONE = codes.NONE
PAIRS = Projection(reads=[Attributes(Owner.SPAN, ""), Attribute(Owner.LINK, "x")])


def batch(rows: int = 3) -> Batch:
    spans = [kit.Span(attributes={"a": i}, links=[kit.Link()]) for i in range(rows)]
    return Batch(kit.encode(kit.Data(spans, (kit.Resource(), kit.Resource())), PAIRS))


def u64s(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}Q", *numbers)


def u32s(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


def text(index: Iterable[int], *values: bytes) -> bytes:
    ends = [len(b"".join(values[:i])) for i in range(len(values) + 1)]
    index = list(index)
    return u32s(len(values), len(index), *index, *ends) + b"".join(values)


def parts(answer: bytes) -> list[tuple[int, int, int, int, bytes]]:
    """Kind, type, domain, argument and content, after holding the places against the rules."""
    *_, count = HEADER.unpack_from(answer)
    end = codes.HEADER_BYTES + codes.ENTRY_BYTES * count
    found = []
    for row in ENTRY.iter_unpack(answer[codes.HEADER_BYTES : end]):
        kind, layout, domain, argument, offset, length = row
        assert offset % 8 == 0 and answer[end:offset] == bytes(offset - end)
        end = offset + length
        found.append((kind, layout, domain, argument, answer[offset:end]))
    assert end == len(answer)
    return found


class Answers(unittest.TestCase):
    maxDiff = None

    def test_an_answer_that_says_nothing_has_no_sections(self) -> None:
        edits = Edits(batch())
        edits.set(0, Owner.SPAN).put(1, None)
        edits.count(3, 0)
        answer = edits.encode()
        self.assertEqual(answer, HEADER.pack(codes.ANSWER_MAGIC, 1, 0, 3, 2, 1, 0, 0, 0))

    def test_sections_stand_in_their_order(self) -> None:
        of = batch()
        edits = Edits(of)
        edits.count(5)
        edits.count(2, 2**64 - 1)
        edits.count(2)
        edits.count(5, 2)
        edits.add(3, 1, "k", "v")
        edits.add(1, 0, "n", -1)
        edits.add(3, 2, "k", True)
        edits.set(2, Owner.RESOURCE).put(1, "b")
        edits.set(2, Owner.SPAN).put(2, 0.5)
        edits.set(0, Owner.LINK).put(1, REMOVE)
        edits.set_pairs(of.pairs(0)).put(0, {"x": 1})
        edits.delete_key(Owner.RESOURCE, "x")
        edits.delete_starting(Owner.SPAN, "x.")
        for key in "yzy":
            edits.delete_key(Owner.SPAN, key)
        edits.rename(Owner.SPAN, "a", "b", replace=True)
        edits.rename(Owner.SPAN, "b", "c")
        edits.rename(Owner.SPAN, "c", "b")
        edits.drop(2, "late")
        edits.drop(0, "early")
        expected = [
            (1, 5, 1, 0, u64s(0b010)),
            (2, 6, 1, 0, text([0, NONE, 1], b"early", b"late")),
            (5, 6, 0, 0, text([0, 1, 1, 0], b"b", b"c")),
            (5, 6, 0, 256, text([0, 1], b"a", b"b")),
            (6, 6, 0, 0, text([0, 1, 0], b"y", b"z")),
            (6, 6, 0, 1, text([0], b"x")),
            (7, 1, 6, 0, b"\7\0\0"),
            (7, 7, 6, 0, text([0, NONE, NONE], b"\x32\x09\x0a\x07\x0a\x01x\x12\x02\x18\x01")),
            (8, 1, 8, 0, b"\0\xff\0"),
            (8, 1, 1, 2, b"\0\0\3"),
            (8, 3, 1, 2, u64s(0, 0, 0x3FE0 << 48)),
            (8, 1, 2, 2, b"\0\1"),
            (8, 6, 2, 2, text([NONE, 0], b"b")),
            (9, 2, 0, 1, u32s(0)),
            (9, 2, 0, 3, u32s(1, 2)),
            (10, 6, 0, 1, text([0], b"n")),
            (10, 6, 0, 3, text([0, 0], b"k")),
            (11, 1, 0, 1, b"\2"),
            (11, 3, 0, 1, u64s(2**64 - 1)),
            (11, 1, 0, 3, b"\1\4"),
            (11, 3, 0, 3, u64s(0, 1)),
            (11, 6, 0, 3, text([0, NONE], b"v")),
            (12, 10, 0, 0, u64s(5, 3, 2, 2**64 - 1)),
            (13, 6, 0, 0, text([0], b"x.")),
        ]
        self.assertEqual(parts(edits.encode()), expected)

    def test_texts_that_are_nearly_all_different_stand_each_by_itself(self) -> None:
        def written(rows: int, different: int, order: Iterable[int]) -> bytes:
            edits = Edits(batch(rows))
            values = edits.set(0, Owner.SPAN)
            for i in order:
                values.put(i, f"t{i % different}" if i != 5 else None)
            return edits.encode()

        def indices(rows: int, different: int) -> int:
            [_, (*_, texts)] = parts(written(rows, different, range(rows)))
            return int(struct.unpack_from("<I", texts, 4)[0])

        self.assertEqual(indices(129, 113), 0)
        self.assertEqual(indices(129, 112), 129)
        self.assertEqual(indices(128, 128), 128, "too few to tell")
        for different in 113, 112:
            backwards = written(300, different, [*reversed(range(300)), 130])
            self.assertEqual(backwards, written(300, different, range(300)))

    def test_the_last_word_on_an_entry_counts(self) -> None:
        edits = Edits(batch())
        values = edits.set(0, Owner.SPAN)
        values.put(0, "gone")
        values.put(0, 7)
        values.put(1, 7)
        values.put(1, "late")
        values.put(2, "gone")
        values.put(2, EMPTY)
        expected = [
            (8, 1, 1, 0, b"\2\1\x08"),
            (8, 3, 1, 0, u64s(7, 0, 0)),
            (8, 6, 1, 0, text([NONE, 0, NONE], b"late")),
        ]
        self.assertEqual(parts(edits.encode()), expected)

    def test_all_entries_may_get_texts_at_once(self) -> None:
        edits = Edits(batch())
        edits.set(0, Owner.SPAN).put_texts(["b", None, "a"])
        expected = [(8, 1, 1, 0, b"\1\0\1"), (8, 6, 1, 0, text([0, NONE, 1], b"b", b"a"))]
        self.assertEqual(parts(edits.encode()), expected)

    def test_many_texts_are_what_they_are_one_by_one(self) -> None:
        for start in ("a", "größe 🦊 "):
            many = [None if i == 3 else f"{start}{i}" for i in range(140)]
            edits = Edits(batch(140))
            edits.set(0, Owner.SPAN).put_texts(many)
            tags = bytes(of is not None for of in many)
            each = text([], *((of or "").encode() for of in many))
            self.assertEqual(parts(edits.encode()), [(8, 1, 1, 0, tags), (8, 6, 1, 0, each)])

    def test_spans_are_dropped_by_flags(self) -> None:
        for flags in (b"\0\1\2", [None, True, "x"]):
            edits = Edits(batch())
            edits.drop_where(bytes(3))
            self.assertEqual(parts(edits.encode()), [])
            edits.drop_where(flags, "why")
            edits.drop_where([False, False, True])
            self.assertEqual(
                parts(edits.encode()),
                [(1, 5, 1, 0, u64s(0b001)), (2, 6, 1, 0, text([NONE, 0, 0], b"why"))],
            )
            edits.drop(0)
            edits.drop_where([False, False, True])
            self.assertEqual(parts(edits.encode())[0], (1, 5, 1, 0, u64s(0)))
            with self.assertRaises(Internal):
                edits.drop_where([True])

    def test_bits_fill_whole_words(self) -> None:
        for rows in (1, 63, 64, 65, 128, 130):
            edits = Edits(batch(rows))
            edits.drop(rows - 1)
            ((*_, bitmap),) = parts(edits.encode())
            words = struct.unpack(f"<{-(-rows // 64)}Q", bitmap)
            bits = sum(word << 64 * i for i, word in enumerate(words))
            self.assertEqual(bits, (1 << rows - 1) - 1)

    def test_decisions(self) -> None:
        decisions = Decisions(batch())
        self.assertEqual(parts(decisions.encode()), [(3, 1, 1, 0, b"\1\1\1")])
        decisions.decide(1, probability(0.25), "ratio")
        decisions.decide(2, DROP)
        decisions.decide(0, probability(0.5), "ratio")
        decisions.decide(0, KEEP, "kept")
        expected = [
            (2, 6, 1, 0, text([0, 1, NONE], b"kept", b"ratio")),
            (3, 1, 1, 0, b"\1\2\0"),
            (4, 4, 1, 0, struct.pack("<3d", 0, 0.25, 0)),
        ]
        self.assertEqual(parts(decisions.encode()), expected)

    def test_decisions_on_many(self) -> None:
        decisions = Decisions(batch(5))
        decisions.decide_all(probability(0.1), "ratio")
        decisions.decide_rows([4, 0], KEEP, "slow")
        decisions.decide_rows([2, 0], KEEP, "error")
        expected = [
            (2, 6, 1, 0, text([0, 1, 0, 1, 2], b"error", b"ratio", b"slow")),
            (3, 1, 1, 0, b"\1\2\1\2\1"),
            (4, 4, 1, 0, struct.pack("<5d", 0, 0.1, 0, 0.1, 0)),
        ]
        self.assertEqual(parts(decisions.encode()), expected)
        decisions.decide_all(DROP)
        self.assertEqual(parts(decisions.encode()), [(3, 1, 1, 0, bytes(5))])

    def test_a_tail_sampler_decides_on_traces(self) -> None:
        data = kit.Data([kit.Span(), kit.Span(bytes(16))], (kit.Resource(),))
        decisions = Decisions.of_traces(Batch(kit.encode(data, Projection(), by_trace=True)))
        decisions.decide(1, DROP, "dull")
        expected = [(2, 6, 5, 0, text([NONE, 0], b"dull")), (3, 1, 5, 0, b"\1\0")]
        self.assertEqual(parts(decisions.encode()), expected)

    def test_what_the_batch_does_not_have_cannot_be_edited(self) -> None:
        edits, decisions = Edits(batch()), Decisions(batch())
        for edit in (
            lambda: edits.drop(3),
            lambda: edits.drop(-1),
            lambda: edits.set(0, Owner.SPAN).put(3, "x"),
            lambda: edits.set(0, Owner.SPAN).put(-1, "x"),
            lambda: edits.set(0, Owner.SPAN).put_texts(["x"]),
            lambda: edits.set(0, Owner.SPAN).put(0, 2**63),
            lambda: edits.set(0, Owner.SPAN).put(0, object()),  # type: ignore[arg-type]
            lambda: decisions.decide(3, KEEP),
            lambda: decisions.decide_rows([0, -1], KEEP),
        ):
            with self.assertRaises(Internal):
                edit()

    def test_a_dictionary_has_its_texts_in_the_order_of_first_use(self) -> None:
        self.assertEqual(texts(["b", None, "a", "b"]), text([0, NONE, 1, 0], b"b", b"a"))
        self.assertEqual(texts([]), text([]))

    def test_the_kit_reads_what_was_written(self) -> None:
        of = batch()
        edits = Edits(of)
        edits.drop(1, "why")
        edits.rename(Owner.EVENT, "a", "b", replace=True)
        edits.delete_key(Owner.SCOPE, "c")
        edits.set(4, Owner.RESOURCE).put(0, ["x", {"y": b"z"}])
        edits.set_pairs(of.pairs(0)).put(2, 1.5)
        edits.add(6, 2, "k", "v")
        edits.count(9, 3)
        outcome = kit.decode_answer(edits.encode())
        self.assertEqual(outcome.kept, [True, False, True])
        self.assertEqual(outcome.reasons, [None, "why", None])
        self.assertEqual(outcome.renamed, [(Owner.EVENT, "a", "b", True)])
        self.assertEqual(outcome.deleted, [(Owner.SCOPE, "c")])
        self.assertEqual(outcome.set, {(4, Owner.RESOURCE): [["x", {"y": b"z"}], None]})
        self.assertEqual(outcome.set_pairs, {0: [None, None, 1.5]})
        self.assertEqual(outcome.added, [(6, 2, "k", "v")])
        self.assertEqual(outcome.counts, {9: 3})
