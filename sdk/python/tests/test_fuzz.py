"""Whatever a buffer is: a plugin that reads all of it answers, or says that it is malformed."""

import random
import unittest
from array import array
from contextlib import suppress

from traceweir_plugin import BadInput, Batch, PluginError, kit, rows_at_least, rows_equal
from traceweir_plugin.plugin import Instance
from traceweir_plugin.views import Ids, Texts

from .examples import CONFIGS, PLUGINS
from .test_batch import BUDGETS, RESOURCES, SPANS, everything

ROUNDS = 3000
PROPERTIES = [name for name in dir(Batch) if isinstance(getattr(Batch, name), property)]


def read_all(data: bytes) -> None:
    """Reads whatever there is."""
    batch = Batch(data)
    for name in PROPERTIES:
        with suppress(BadInput):
            list(batch.traces.root_names if name == "traces" else getattr(batch, name))
    for column in batch._columns.values():
        list(column)
        column.map(len)
    for pairs in batch._pairs.values():
        for owner in range(len(pairs.ends)):
            for pair in pairs.of(owner):
                pairs[pair]


def mutate(data: bytes, chance: random.Random) -> bytes:
    """A few bytes, words or ends that are others."""
    buffer = bytearray(data)
    for _ in range(chance.randrange(1, 4)):
        if not buffer:
            break
        at = chance.randrange(len(buffer))
        match chance.randrange(5):
            case 0:
                buffer[at] ^= 1 << chance.randrange(8)
            case 1:
                word = chance.choice([0, 1, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, len(buffer)])
                at -= at % 4
                buffer[at : at + 4] = word.to_bytes(4, "little")
            case 2:
                del buffer[at:]
            case 3:
                buffer[at:at] = chance.randbytes(chance.randrange(1, 9))
            case 4:
                at = chance.randrange(min(len(buffer), 32 + 16 * 60))
                buffer[at] = chance.randrange(256)
    return bytes(buffer)


class Fuzz(unittest.TestCase):
    def setUp(self) -> None:
        self.seed = random.randrange(1 << 32)
        self.chance = random.Random(self.seed)

    def try_to_read(self, data: bytes) -> None:
        try:
            read_all(data)
        except BadInput:
            pass
        except Exception as error:
            raise AssertionError(f"seed {self.seed}: {error!r} of {data.hex()}") from error

    def test_random_bytes(self) -> None:
        for _ in range(ROUNDS):
            data = self.chance.randbytes(self.chance.randrange(200))
            self.try_to_read(data)
            self.try_to_read(b"TWB1\1\0\0\0" + data)

    def test_mutated_batches(self) -> None:
        projection = everything()
        for by_trace in (False, True):
            data = kit.encode(
                kit.Data(SPANS, RESOURCES, budgets=BUDGETS), projection, by_trace=by_trace
            )
            read_all(data)
            for _ in range(ROUNDS // 4):
                self.try_to_read(mutate(data, self.chance))

    def test_examples_fail_cleanly(self) -> None:
        for name, example in PLUGINS.items():
            instance = Instance(example())
            projection = instance.configure(CONFIGS.get(name, "{}"))
            url = {"url.full": "?token=a\0", "http.request.header.host": "b"}
            spans = [
                kit.Span(self.chance.randbytes(16), duration=i << 27, attributes=url)
                for i in range(20)
            ]
            resources = [kit.Resource({"k8s.namespace.name": name}) for name in "abc"]
            data = kit.encode(kit.Data(spans, resources), projection)
            instance.answer(data)
            for _ in range(ROUNDS // 2):
                # A host does not send more rows than it has memory for.
                mutated = mutate(data, self.chance)
                if int.from_bytes(mutated[8:12], "little") > 1 << 20:
                    continue
                if int.from_bytes(mutated[12:16], "little") > 1 << 20:
                    continue
                try:
                    instance.answer(mutated)
                except PluginError as error:
                    self.assertIsInstance(error, BadInput, f"seed {self.seed}: {error}")

    def test_searches_find_what_a_loop_finds(self) -> None:
        edges = [0, 1, 255, 256, 2**32, 2**63, 2**64 - 1]
        for _ in range(ROUNDS // 4):
            rows = self.chance.randrange(200)
            values = [
                self.chance.choice([*edges, self.chance.getrandbits(self.chance.randrange(1, 65))])
                for _ in range(rows)
            ]
            limit = self.chance.choice([*edges, *values, 2**64, -1]) + self.chance.randrange(-1, 2)
            expected = [row for row, value in enumerate(values) if value >= limit]
            self.assertEqual(
                rows_at_least(memoryview(array("Q", values)), limit), expected, self.seed
            )

            codes = self.chance.choices(
                [0, 1, 2], self.chance.choice([(9, 9, 1), (1, 1, 9)]), k=rows
            )
            expected = [row for row, code in enumerate(codes) if code == 2]
            self.assertEqual(rows_equal(memoryview(bytes(codes)), 2), expected)

            limit = self.chance.choice([1, 2, 255, 256, 257, 300, 513])
            near = [0, limit - 1, limit, limit - 256, limit - 257, 255, 256]
            index = self.chance.choices([at for at in near if at >= 0], k=rows)
            index = [at for at in index if at < limit or self.chance.random() < 0.01]
            index = [-1 if self.chance.random() < 0.001 else at for at in index]
            ends = array("I", [0] * (limit + 1))
            head = array("I", [limit, len(index)]).tobytes() + array("i", index).tobytes()
            least, most = Texts(memoryview(head + ends.tobytes())).bounds
            if index:
                self.assertEqual(least >= 0, min(index) >= 0)
                self.assertEqual(most < limit, max(index) < limit)

            for size in (8, 16):
                ids = [
                    bytes(self.chance.choices([0, 1], k=2)).rjust(size, b"x") for _ in range(rows)
                ]
                some = [row for row in range(rows) if self.chance.random() < 0.05]
                wanted = {ids[row] for row in some}
                expected = [row for row, one in enumerate(ids) if one in wanted]
                view = Ids(memoryview(b"".join(ids)), size)
                self.assertEqual(view.tolist(), ids)
                self.assertEqual(view.rows_like(some), expected)
                lows = [int.from_bytes(one[-7:], "big") for one in ids]
                limit = self.chance.choice([*lows, 0, -1, 2**56]) + self.chance.randrange(2)
                expected_flags = bytes(low < limit for low in lows)
                self.assertEqual(view.below(limit), expected_flags)
