"""What the host offers to plugins: log, metrics, tables; and, where the world of the plugin has
them, cache, clock, random and fetch.

In a component these are its imports. Elsewhere a `StandIn` answers, which tests fill: `kit.host`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any


@dataclass
class Response:
    """What a server has answered."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class FetchError(Exception):
    """Nothing was fetched: `not-allowed`, `timeout`, `too-large`, or `network: …`."""


@dataclass
class StandIn:
    """A host for tests."""

    log: list[tuple[str, str]] = field(default_factory=list)
    """Level and message of what was logged."""
    metrics: list[str] = field(default_factory=list)
    """Names of what was registered; their ids are places in this list."""
    counters: dict[str, int] = field(default_factory=dict)
    """What was added, by name."""
    observed: dict[str, list[float]] = field(default_factory=dict)
    """What was observed, by name."""
    tables: dict[str, dict[str, str]] = field(default_factory=dict)
    """What `lookup` finds."""
    generations: dict[str, int] = field(default_factory=dict)
    cache: dict[str, bytes] = field(default_factory=dict)
    now_unix_nano: int = 0
    random: bytes = b"\0"
    """What `random_bytes` repeats."""
    responses: dict[str, Response | FetchError] = field(default_factory=dict)
    """What `fetch` answers, by URL."""


stand_in = StandIn()


def _imported(name: str) -> Any:
    """The bindings of an import; `None` outside of a component, or where its world has none.

    Asked for when this module is imported, which is when the component is built: there are no files
    to import from later.
    """
    try:
        return import_module(f"wit_world.imports.{name}")
    except ModuleNotFoundError:
        return None


in_component = _imported("types") is not None
_log = _imported("log")
_metrics = _imported("metrics")
_tables = _imported("tables")
_cache = _imported("cache")
_clock = _imported("clock")
_random = _imported("random")
_fetch = _imported("fetch")


def _stand_in(name: str) -> StandIn:
    if in_component:
        raise NotImplementedError(f"the world of this plugin has no {name}")
    return stand_in


def _write(level: str, message: str) -> None:
    if _log is None:
        _stand_in("log").log.append((level, message))
    else:
        _log.write(_log.Level[level.upper()], message)


def debug(message: str) -> None:
    """A line in the host's log; of all lines ten in a second and a hundred at once, what is more is
    counted."""
    _write("debug", message)


def info(message: str) -> None:
    """As `debug`."""
    _write("info", message)


def warn(message: str) -> None:
    """As `debug`: something is degraded."""
    _write("warn", message)


def error(message: str) -> None:
    """As `debug`: something is lost."""
    _write("error", message)


def counter(name: str, help: str) -> int:
    """Registers a counter, in `configure`: 64 metrics at most. Raise it with `Answer.count`, which
    costs no call, or with `add`."""
    if _metrics is None:
        return _register(name)
    return int(_metrics.counter(name, help))


def histogram(name: str, help: str, bounds: Sequence[float]) -> int:
    """Registers a histogram, in `configure`, with these upper bounds."""
    if _metrics is None:
        return _register(name)
    return int(_metrics.histogram(name, help, list(bounds)))


def _register(name: str) -> int:
    metrics = _stand_in("metrics").metrics
    if name not in metrics:
        metrics.append(name)
    return metrics.index(name)


def add(metric: int, delta: int = 1) -> None:
    """Raises a counter."""
    if _metrics is None:
        host = _stand_in("metrics")
        name = host.metrics[metric]
        host.counters[name] = host.counters.get(name, 0) + delta
    else:
        _metrics.add(metric, delta)


def observe(metric: int, value: float) -> None:
    """Puts a value into a histogram."""
    if _metrics is None:
        host = _stand_in("metrics")
        host.observed.setdefault(host.metrics[metric], []).append(value)
    else:
        _metrics.observe(metric, value)


def lookup(table: str, keys: Iterable[str]) -> list[str | None]:
    """The values of these keys, in their order: one call per batch, not one per span. A table that
    there is not has no values."""
    if _tables is None:
        values = _stand_in("tables").tables.get(table, {})
        return [values.get(key) for key in keys]
    found: list[str | None] = _tables.lookup(table, list(keys))
    return found


def generation(table: str) -> int:
    """Goes up when the table changes; 0 where there is none."""
    if _tables is None:
        return _stand_in("tables").generations.get(table, 0)
    return int(_tables.generation(table))


def cache_get(key: str) -> bytes | None:
    """What was set for `key`, if it is still there. Not for samplers."""
    if _cache is None:
        return _stand_in("cache").cache.get(key)
    value: bytes | None = _cache.get(key)
    return value


def cache_set(key: str, value: bytes, ttl_seconds: int) -> None:
    """Keeps `value` for so many seconds, or until there is no room. Not for samplers."""
    if _cache is None:
        _stand_in("cache").cache[key] = value
    else:
        _cache.set(key, value, ttl_seconds)


def now_unix_nano() -> int:
    """Nanoseconds since 1970. Not for samplers; `time` of the standard library has no clock."""
    return _stand_in("clock").now_unix_nano if _clock is None else int(_clock.now_unix_nano())


def random_bytes(length: int) -> bytes:
    """Random bytes, 64 KiB at most. Not for samplers; `random` of the standard library begins alike
    in every instance."""
    if _random is None:
        pattern = _stand_in("random").random
        return (pattern * length)[:length]
    return bytes(_random.fill(length))


def fetch(
    url: str,
    *,
    method: str = "GET",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    timeout_ms: int = 10_000,
) -> Response:
    """Sends a request to a host that the attachment allows. For refreshers alone.

    Raises `FetchError`.
    """
    if _fetch is None:
        response = _stand_in("fetch").responses.get(url, FetchError("not-allowed"))
        if isinstance(response, FetchError):
            raise response
        return response
    from componentize_py_types import Err  # type: ignore[import-not-found]

    try:
        answer = _fetch.send(_fetch.Request(method, url, list(headers), body, timeout_ms))
    except Err as failure:
        raise FetchError(_fetch_error(failure.value)) from failure
    return Response(answer.status, list(answer.headers), answer.body)


def _fetch_error(case: Any) -> str:
    name = type(case).__name__
    if name == "FetchError_Network":
        return f"network: {case.value}"
    return {
        "FetchError_NotAllowed": "not-allowed",
        "FetchError_Timeout": "timeout",
        "FetchError_TooLarge": "too-large",
    }.get(name, name)
