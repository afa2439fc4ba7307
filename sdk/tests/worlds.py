"""Plugins of the worlds that no example has, as components, beside a stand-in for the host.

    PYTHON sdk/tests/worlds.py DIRECTORY

The directory has `LANGUAGE/PLUGIN.wasm` of the sources in `sdk/LANGUAGE/tests/worlds`: the same
four plugins in each language that makes components by itself. PYTHON is one that has wasmtime:
`$(sdk/python/tools/install wasmtime)/bin/python`; `tests/prove/sdks` does all of it.
"""

import sys
import unittest
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wasmtime import Config, Engine, Store
from wasmtime.component import Component, Linker, Record, Variant

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))
from traceweir_plugin import Attribute, Budget, Intrinsic, Owner, Projection, kit

PACKAGE = "traceweir:plugin"
VERSION = "0.1.0"


def interface(name: str) -> str:
    return f"{PACKAGE}/{name}@{VERSION}"


@dataclass
class Host:
    """What plugins call, and what they have said."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    metrics: list[tuple[Any, ...]] = field(default_factory=list)
    raised: list[tuple[int, Any]] = field(default_factory=list)
    cached: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    requests: list[Any] = field(default_factory=list)

    def register(self, *metric: Any) -> int:
        self.metrics.append(metric)
        return len(self.metrics) - 1

    def lookup(self, table: str, keys: list[str]) -> list[str | None]:
        return [{"shop": "checkout"}.get(key) if table == "teams" else None for key in keys]

    def fetch(self, request: Any) -> Any:
        self.requests.append(request)
        if request.url != "https://teams.example/":
            return Variant("network", "no route")
        headers = [("content-type", "text/plain")]
        return record(status=200, headers=headers, body=b"shop=checkout\npay=money\n")

    def interfaces(self) -> dict[str, dict[str, Callable[..., Any]]]:
        return {
            "log": {"write": lambda level, text: self.lines.append((level, text))},
            "metrics": {
                "counter": self.register,
                "histogram": self.register,
                "add": lambda metric, by: self.raised.append((metric, by)),
                "observe": lambda metric, value: self.raised.append((metric, value)),
            },
            "tables": {"lookup": self.lookup, "generation": lambda table: 7},
            "clock": {"now-unix-nano": lambda: 1234},
            "random": {"fill": lambda length: bytes(length)},
            "cache": {
                "get": lambda key: self.cached.get(key, (None,))[0],
                "set": lambda key, value, ttl: self.cached.__setitem__(key, (value, ttl)),
            },
            "fetch": {"send": self.fetch},
        }


def record(**fields: Any) -> Record:
    made = Record()
    for name, value in fields.items():
        setattr(made, name, value)
    return made


class Guest:
    """An instance of a component."""

    def __init__(self, engine: Engine, component: Component) -> None:
        self.host = Host()
        self.store = Store(engine)
        linker = Linker(engine)
        imports = set(component.type.imports(engine))
        with linker.root() as root:
            for name, functions in self.host.interfaces().items():
                if interface(name) in imports:
                    with root.add_instance(interface(name)) as instance:
                        for function, work in functions.items():
                            instance.add_func(function, without_store(work))
        self.instance = linker.instantiate(self.store, component)

    def call(self, of: str, function: str, *arguments: Any) -> Any:
        within = self.instance.get_export_index(self.store, interface(of))
        at = self.instance.get_export_index(self.store, function, within)
        result = self.instance.get_func(self.store, at)
        answer = result(self.store, *arguments)
        return answer

    def configure(self, config: str = "{}") -> Any:
        return ok(self.call("lifecycle", "configure", config))


def without_store(work: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _store, *arguments: work(*arguments)


def ok(result: Any) -> Any:
    """The value of a result, which has the tag only where its two cases look alike."""
    tag = getattr(result, "tag", None)
    assert tag in ("ok", None), result
    return result.payload if tag else result


def error(result: Any) -> Any:
    """What it says instead."""
    tag = getattr(result, "tag", None)
    assert tag != "ok", result
    return result.payload if tag == "err" else result


class Worlds(unittest.TestCase):
    """Run for one language; `main` makes a class for each."""

    language = ""
    directory = Path()
    engine: Engine
    components: dict[str, Component]

    @classmethod
    def setUpClass(cls) -> None:
        cls.engine = Engine(Config())
        cls.components = {}

    def guest(self, plugin: str, world: list[str]) -> Guest:
        """A new instance of a plugin, of which nothing is imported but what its world has."""
        if plugin not in self.components:
            path = self.directory / self.language / f"{plugin}.wasm"
            self.components[plugin] = Component.from_file(self.engine, path)
        component = self.components[plugin]
        allowed = {interface(name) for name in ["types", *world]}
        self.assertLessEqual(set(component.type.imports(self.engine)), allowed)
        return Guest(self.engine, component)

    def test_a_tail_sampler(self) -> None:
        guest = self.guest("tail", ["log", "metrics", "tables"])
        projection = guest.configure()
        self.assertEqual(projection.reads[0].payload, "name")
        self.assertEqual(
            [rule.key for rule in projection.__dict__["match-resource"]], ["service.name"]
        )
        (budget,) = projection.budgets
        self.assertEqual(
            (budget.limit, budget.__dict__["window-ms"], budget.per.key), (10, 1000, "service.name")
        )
        self.assertEqual(projection.__dict__["max-batch-rows"], 100)
        self.assertEqual(guest.call("tail-sampler", "level"), "projected-spans")
        service = Attribute(Owner.RESOURCE, "service.name")
        wanted = Projection(reads=[Intrinsic.NAME], budgets=[Budget("each", 10, 1000, service)])
        spans = [kit.Span(b"\1" * 16, status_code=2), kit.Span(b"\2" * 16)]
        data = kit.Data(
            spans, [kit.Resource({"service.name": "shop"})], budgets=[{"shop": (10, 0)}]
        )
        answer = ok(guest.call("tail-sampler", "decide", kit.encode(data, wanted, by_trace=True)))
        outcome = kit.decode_answer(bytes(answer))
        self.assertEqual((outcome.verdicts, outcome.reasons), ([1, 0], [None, "dull"]))
        self.assertEqual(outcome.counts, {0: 2})
        self.assertEqual(guest.host.metrics, [("seen", "Traces."), ("sizes", "Spans.", [1, 10])])
        self.assertEqual(
            (guest.host.raised, guest.host.lines), ([(0, 2), (1, 2.5)], [("info", "2 traces")])
        )
        self.assertEqual(error(guest.call("tail-sampler", "decide", b"")).tag, "bad-input")

    def test_a_router(self) -> None:
        guest = self.guest("tenants", ["log", "metrics", "tables"])
        guest.configure()
        self.assertEqual(guest.call("router", "routes"), ["a", "b"])
        resources = [kit.Resource({"tenant": "b"}), kit.Resource(), kit.Resource({"tenant": "a"})]
        wanted = Projection(reads=[Attribute(Owner.RESOURCE, "tenant")])
        routes = ok(guest.call("router", "route", kit.encode(kit.Data([], resources), wanted)))
        self.assertEqual(bytes(routes), b"\1\0\xff\xff\0\0")

    def test_an_authenticator(self) -> None:
        guest = self.guest("door", ["log", "metrics", "tables", "clock", "cache"])
        guest.configure()

        def authenticate(headers: list[tuple[str, bytes]], certificate: Any = None) -> Any:
            request = record(method="GET", path="/", headers=headers)
            setattr(request, "peer-ip", "10.0.0.1")
            setattr(request, "client-cert", certificate)
            return guest.call("authenticator", "authenticate", request)

        identity = ok(authenticate([("authorization", b"Bearer sesame")]))
        self.assertEqual((identity.tenants, identity.permissions), (["a"], ["ingest", "admin"]))
        self.assertEqual((identity.__dict__["rate-class"], identity.cluster), ("gold", "east"))
        self.assertEqual(identity.__dict__["ttl-seconds"], 5)
        self.assertEqual(guest.host.cached, {"last": (b"1234", 60)})
        identity = ok(authenticate([], record(subject="CN=a", names=["b"])))
        self.assertEqual((identity.tenants, identity.permissions), (["b"], ["query"]))
        denied = error(authenticate([]))
        self.assertEqual((denied.status, denied.message), (401, "no token"))

    def test_a_refresher(self) -> None:
        guest = self.guest("fetcher", ["log", "clock", "fetch"])
        guest.configure('{"url": "https://teams.example/"}')
        self.assertEqual(guest.call("refresher", "interval-seconds"), 30)
        (table,) = ok(guest.call("refresher", "refresh"))
        entries = [tuple(entry) for entry in table.entries]
        self.assertEqual((table.name, entries), ("teams", [("shop", "checkout"), ("pay", "money")]))
        (request,) = guest.host.requests
        self.assertEqual((request.method, request.headers), ("GET", [("accept", "text/plain")]))
        guest = self.guest("fetcher", ["log", "clock", "fetch"])
        guest.configure('{"url": "https://elsewhere.example/"}')
        self.assertIn("no route", error(guest.call("refresher", "refresh")))


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} DIRECTORY")
    directory = Path(sys.argv[1])
    suite = unittest.TestSuite()
    for language in sorted(path.name for path in directory.iterdir() if path.is_dir()):
        members = {"language": language, "directory": directory}
        case = type(f"Worlds of {language}", (Worlds,), members)
        suite.addTests(unittest.defaultTestLoader.loadTestsFromTestCase(case))
    if suite.countTestCases() == 0:
        sys.exit(f"{directory} has no LANGUAGE/PLUGIN.wasm")
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    sys.exit(not result.wasSuccessful())


if __name__ == "__main__":
    main()
