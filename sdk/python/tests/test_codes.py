"""The codes are those of the tables in `docs/reference/plugin-buffer.md`."""

import re
import unittest

from traceweir_plugin import codes

from .examples import ROOT

DOC = (ROOT / "docs/reference/plugin-buffer.md").read_text()
TAGS = ["absent", "string", "int", "double", "bool", "bytes", "array", "map", "empty"]


def table(heading: str) -> dict[str, int]:
    """The rows `| code | name |` of a section of the page, also of those where it goes on."""
    section = re.split(r"^## ", DOC.split(f"\n## {heading}\n", 1)[1], maxsplit=1, flags=re.M)[0]
    rows = re.findall(r"^\| (\d+) \| `([a-z0-9-]+)` \|", section, flags=re.M)
    return {name.upper().replace("-", "_"): int(code) for code, name in rows}


def constants(prefix: str) -> dict[str, int]:
    names = [name for name in vars(codes) if name.startswith(prefix)]
    return {name.removeprefix(prefix): getattr(codes, name) for name in names}


class Codes(unittest.TestCase):
    def test_tables_of_the_page_are_the_constants(self) -> None:
        self.assertEqual(table("Types"), constants("LAYOUT_"))
        self.assertEqual(table("Domains"), constants("DOMAIN_"))
        self.assertEqual(table("Batch"), constants("BATCH_"))
        self.assertEqual(table("Answer"), constants("ANSWER_"))

    def test_tags_are_those_of_the_page(self) -> None:
        tags = {name.upper(): code for code, name in enumerate(TAGS)} | {"REMOVE": 255}
        self.assertEqual(tags, constants("TAG_"))
        rows = re.findall(r"^\| (\d+) \| (\w*) +\|", DOC.split("## Values of attributes")[1], re.M)
        for code, name in rows[: len(TAGS)]:
            self.assertEqual(TAGS[int(code)], name or "absent")

    def test_magic_numbers_are_those_of_the_page(self) -> None:
        self.assertIn(f"`TWB1` (0x{codes.MAGIC_BATCH:x})", DOC)
        self.assertIn(f"`TWA1` (0x{codes.MAGIC_ANSWER:x})", DOC)
