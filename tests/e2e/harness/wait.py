"""Waiting for a condition with a deadline; nothing here waits for a fixed time."""

import time


def until(what, limit, poll, pause=0.02):
    """Returns the first truthy value of `poll()`; fails after `limit` seconds, naming `what`."""
    deadline = time.monotonic() + limit
    while True:
        value = poll()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"no {what} within {limit} s (last: {value!r})")
        time.sleep(pause)
