"""A small file system of its own, to be filled."""

import contextlib
import subprocess

import pytest

STEP_BYTES = 64 << 10


@contextlib.contextmanager
def small_disk(path, size):
    """A tmpfs at `path`, unmounted at the end; skips the test where it may not be mounted."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"a full disk needs a tmpfs of its own, which takes root: {mounted.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def fill(path):
    """Writes a file that takes all space there is; returns its path."""
    step = bytes(STEP_BYTES)
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(step) == len(step):
            pass
    return path
