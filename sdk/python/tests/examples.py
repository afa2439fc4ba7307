"""The example plugins, by their names in the vectors."""

import sys
from pathlib import Path

SDK = Path(__file__).resolve().parent.parent
ROOT = SDK.parent.parent

NAMES = ("enrich", "keep-interesting", "scrub", "team", "tenth")
for path in (SDK, *(SDK / "examples" / name for name in NAMES)):
    sys.path.insert(0, str(path))

from enrich import Enrich  # noqa: E402
from keep_interesting import KeepInteresting  # noqa: E402
from scrub import Scrub  # noqa: E402
from team import Team  # noqa: E402
from tenth import Tenth  # noqa: E402

PLUGINS = {
    "enrich": Enrich,
    "keep-interesting": KeepInteresting,
    "scrub": Scrub,
    "team": Team,
    "tenth": Tenth,
}

CONFIGS = {"enrich": '{"teams": {"a": "x"}}', "tenth": '{"one_in": 2}'}
"""What they cannot do without; the others take an empty one."""
