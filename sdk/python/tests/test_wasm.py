"""The examples answer the vectors as components, too, and import nothing but what their worlds do.

Needs what `test --wasm` prepares: components in the directory that TRACEWEIR_GUESTS names, and in
TRACEWEIR_WASMTIME a Python that has wasmtime.
"""

import json
import os
import subprocess
import unittest
from pathlib import Path
from typing import Any

from .examples import PLUGINS
from .test_vectors import VECTORS

GUESTS = os.environ.get("TRACEWEIR_GUESTS")
PYTHON = os.environ.get("TRACEWEIR_WASMTIME")
SECONDS = 600


@unittest.skipUnless(GUESTS and PYTHON, "SKIPPED: components in Python: run sdk/python/test --wasm")
class Wasm(unittest.TestCase):
    def test_components_answer_every_vector(self) -> None:
        for example in PLUGINS:
            vectors = [json.loads(path.read_text()) for path in VECTORS]
            vectors = [vector for vector in vectors if vector["example"] == example]
            imports, *outcomes = run(Path(str(GUESTS), f"python-{example}.wasm"), vectors)
            for name in imports["imports"]:
                self.assertTrue(name.startswith("traceweir:plugin/"), name)
            for vector, outcome in zip(vectors, outcomes):
                with self.subTest(example, about=vector["about"]):
                    self.assertEqual(outcome, expected(vector))


def run(component: Path, vectors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    cases = [(json.dumps(vector["config"]), vector.get("batch")) for vector in vectors]
    runner = Path(__file__).parent / "run_component.py"
    command = [str(PYTHON), str(runner), str(component)]
    done = subprocess.run(
        command, input=json.dumps(cases), capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def expected(vector: dict[str, Any]) -> dict[str, Any]:
    if "config_error" in vector:
        return {"config_error": vector["config_error"]["path"]}
    if vector.get("bad_batch"):
        return {"plugin_error": "bad-input"}
    return {"answer": vector["answer"]}
