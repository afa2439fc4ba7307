"""The example plugins, by their names in the vectors."""

import sys
from pathlib import Path

SDK = Path(__file__).resolve().parent.parent
ROOT = SDK.parent.parent

for path in (SDK, SDK / "examples/team", SDK / "examples/keep-interesting"):
    sys.path.insert(0, str(path))

from keep_interesting import KeepInteresting  # noqa: E402
from team import Team  # noqa: E402

PLUGINS = {"team": Team, "keep-interesting": KeepInteresting}
