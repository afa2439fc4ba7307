"""Plugins as files: the bundled ones and the examples of the SDK, as they are built from source."""

import functools
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]


@functools.cache
def directory():
    """Where they are; built once for the same sources."""
    built = subprocess.run([ROOT / "plugins/bundled/build"], capture_output=True, text=True, timeout=900)
    assert built.returncode == 0, built.stderr
    return Path(built.stdout.strip())


def guest(name):
    """The bytes of a plugin, such as `resource` or `examples/team`."""
    return (directory() / f"{name}.wasm").read_bytes()


def version(module, note):
    """The same core module with a note, which makes it another one by its digest."""
    name, note = b"note", note.encode()
    section = bytes([len(name)]) + name + note
    assert len(section) < 128
    return module + bytes([0, len(section)]) + section
