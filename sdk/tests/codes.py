"""Holds the codes of every SDK, and the WIT, against `docs/reference/plugin-buffer.md`.

    python3 sdk/tests/codes.py

Each language has its codes in one file of constants; how they are read is in `LANGUAGES`. A group
of codes is named as in those files, and the one without a name has what stands alone.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOC = "docs/reference/plugin-buffer.md"
WIT = "wit/traceweir-plugin.wit"

Codes = dict[str, dict[str, int]]

GROUPS = ["layout", "domain", "tag", "batch", "answer", "verdict", "kind", "status", "owner"]
# What a language may do without: nothing of the SDK uses it, whoever writes plugins would have to.
OPTIONAL = {"rust": {"kind", "status", "owner"}}


def plain(name: str) -> str:
    """A name in the one form that `TraceID`, `TRACE_ID` and `trace-id` have in common."""
    return re.sub("[^a-z0-9]", "", name.lower())


# The page.


def tables(heading: str) -> list[dict[str, int]]:
    """The tables `| code | name |` below a heading; a row without a name is named as its code."""
    parts = re.split(rf"^## {heading}$", page(), flags=re.M)
    assert len(parts) == 2, f"{DOC}: one heading {heading}"
    section = re.split(r"^## ", parts[1], maxsplit=1, flags=re.M)[0]
    found: list[dict[str, int]] = []
    for table in re.split(r"^\|-[-|]*\|$", section, flags=re.M)[1:]:
        rows = re.findall(r"^\| (\d+) \| *`?([a-z0-9-]*)`? *\|", table, flags=re.M)
        found.append({plain(name or code): int(code) for code, name in rows})
    return [table for table in found if table]


def page() -> str:
    return (ROOT / DOC).read_text()


def one(pattern: str) -> int:
    found = re.findall(pattern, page())
    assert len(found) == 1, f"{DOC}: {pattern} is found {len(found)} times"
    return int(found[0], 0)


def of_the_page() -> Codes:
    (layout,), (domain,), (tag,) = map(tables, ["Types", "Domains", "Values of attributes"])
    (kind, status), (owner,) = map(tables, ["Kinds and statuses of spans", "Owners"])
    batch = {name: code for table in tables("Batch") for name, code in table.items()}
    answer, verdict = tables("Answer")
    # The page says what these two mean, and not how they are called.
    tag["absent"], tag["remove"] = tag.pop("0"), tag.pop("255")
    alone = {
        "batchmagic": one(r"`TWB1` \((0x[0-9a-f]+)\)"),
        "answermagic": one(r"`TWA1` \((0x[0-9a-f]+)\)"),
        "version": one(r"\| 4 \| u16 \| version: (\d+)\."),
        "headerbytes": one(r"A header of (\d+) bytes"),
        "entrybytes": one(r"a table of sections, (\d+) bytes each"),
        "none": one(r"which value each entry has; (0x[0-9a-f]+): none"),
        "replace": one(r"the owner, and (\d+) where an attribute that has the new key is replaced"),
    }
    values = [layout, domain, tag, batch, answer, verdict, kind, status, owner]
    return {"": alone, **dict(zip(GROUPS, values, strict=True))}


# The languages.


def number(text: str) -> int:
    return 0xFFFFFFFF if text == "u32::MAX" else int(text.replace("_", ""), 0)


def flat(pattern: str) -> Callable[[str], Codes]:
    """Reads constants whose group begins their name: `BATCH_TRACE_ID`, `BatchTraceID`."""

    def read(text: str) -> Codes:
        codes: Codes = {"": {}}
        for name, value in re.findall(pattern, text, flags=re.M):
            name = plain(name)
            group = next(
                (g for g in GROUPS if name.startswith(g) and not name.endswith("magic")), ""
            )
            codes.setdefault(group, {})[name.removeprefix(group)] = number(value)
        return codes

    return read


def nested(text: str) -> Codes:
    """Reads constants of Rust, whose group is a module."""
    codes: Codes = {"": {}}
    group = ""
    for line in text.splitlines():
        if module := re.match(r"pub mod (\w+) \{", line):
            group = module[1]
            codes[group] = {}
        elif line == "}":
            group = ""
        elif const := re.match(r" *pub const (\w+): \w+ = ([\w:]+);", line):
            codes[group][plain(const[1])] = number(const[2])
    return codes


LANGUAGES = {
    "rust": ("sdk/rust/src/codes.rs", nested),
    "go": ("sdk/go/codes/codes.go", flat(r"^\t(\w+) += (\w+)$")),
    "c": ("sdk/c/traceweir_codes.h", flat(r"^#define TW_(\w+) (\w+)$")),
    "js": ("sdk/js/src/codes.js", flat(r"^export const (\w+) = (\w+);$")),
    "python": ("sdk/python/traceweir_plugin/codes.py", flat(r"^(\w+) = (\w+)$")),
    "assemblyscript": ("sdk/assemblyscript/codes.ts", flat(r"^export const (\w+): \w+ = (\w+);$")),
}


def enum(path: str, opening: str) -> list[str]:
    """The cases of an enum, in their order."""
    text = (ROOT / path).read_text()
    assert opening in text, f"{path}: {opening}"
    body = text.split(opening, 1)[1].split("}", 1)[0]
    body = re.sub(r"//.*", "", body)
    return [plain(re.sub(r"=.*", "", case)) for case in body.split(",") if case.strip()]


def faults() -> list[str]:
    wanted = of_the_page()
    found = []
    for language, (path, read) in LANGUAGES.items():
        codes = read((ROOT / path).read_text())
        for group in ["", *GROUPS]:
            if group not in codes and group in OPTIONAL.get(language, set()):
                continue
            found += differences(path, group, wanted[group], codes.get(group, {}))
        found += [f"{path}: no group {group} is known" for group in codes if group not in wanted]
    # Numbered by their place, intrinsic fields from 1.
    intrinsics = [name for name, code in wanted["batch"].items() if code <= 22]
    owners = list(wanted["owner"])
    for path, opening, names in [
        (WIT, "enum intrinsic {", intrinsics),
        (WIT, "enum owner {", owners),
        ("sdk/rust/src/projection.rs", "pub enum Intrinsic {", intrinsics),
        ("sdk/rust/src/projection.rs", "pub enum Owner {", owners),
    ]:
        if enum(path, opening) != names:
            found.append(f"{path}: {opening} {enum(path, opening)}; the page has {names}")
    return found


def differences(path: str, group: str, wanted: dict[str, int], codes: dict[str, int]) -> list[str]:
    return [
        f"{path}: {group} {name} is {codes.get(name)}, the page has {wanted.get(name)}"
        for name in sorted(wanted.keys() | codes.keys())
        if wanted.get(name) != codes.get(name)
    ]


def main() -> None:
    found = faults()
    print(*found, sep="\n", end="\n" if found else "")
    if found:
        sys.exit(1)
    count = sum(map(len, of_the_page().values()))
    print(f"{count} codes of {DOC} stand alike in the WIT and in {', '.join(LANGUAGES)}")


if __name__ == "__main__":
    main()
