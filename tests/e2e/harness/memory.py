"""The resident memory of a gateway, and its largest while something goes on."""

import threading
from pathlib import Path


def resident(gateway):
    """In KiB, as the kernel tells it."""
    for line in Path(f"/proc/{gateway.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def files(gateway):
    """Open files, sockets among them."""
    return len(list(Path(f"/proc/{gateway.process.pid}/fd").iterdir()))


class Watch:
    """Looks every few milliseconds; `peak` is in KiB."""

    def __init__(self, gateway, pause=0.01):
        self.gateway, self.pause, self.peak = gateway, pause, resident(gateway)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()

    def _run(self):
        while not self._done.wait(self.pause):
            try:
                self.peak = max(self.peak, resident(self.gateway))
            except (OSError, AssertionError):
                # It has gone, which its own checks tell.
                return
