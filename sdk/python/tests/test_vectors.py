"""The vectors that every SDK answers alike: `sdk/vectors`."""

import base64
import json
import unittest
from typing import Any

from traceweir_plugin import BadInput, ConfigError
from traceweir_plugin.plugin import Instance

from .examples import PLUGINS, ROOT

VECTORS = sorted((ROOT / "sdk/vectors").glob("*.json"))


class Vectors(unittest.TestCase):
    def test_every_vector_is_answered_byte_by_byte(self) -> None:
        if not VECTORS:
            self.skipTest("SKIPPED: there are no vectors in sdk/vectors")
        for path in VECTORS:
            with self.subTest(path.name):
                self.answer(json.loads(path.read_text()))

    def answer(self, vector: dict[str, Any]) -> None:
        instance = Instance(PLUGINS[vector["example"]]())
        config = json.dumps(vector["config"])
        if "config_error" in vector:
            with self.assertRaises(ConfigError) as raised:
                instance.configure(config)
            self.assertEqual(raised.exception.path, vector["config_error"]["path"])
            return
        instance.configure(config)
        batch = base64.b64decode(vector["batch"])
        if vector.get("bad_batch"):
            with self.assertRaises(BadInput):
                instance.answer(batch)
            return
        self.assertEqual(instance.answer(batch).hex(" ", 4), hexed(vector["answer"]))


def hexed(answer: str) -> str:
    return base64.b64decode(answer).hex(" ", 4)
