"""What surrounds the buffers: configurations, errors, the bases of plugins, values, the host."""

import json
import struct
import unittest
from typing import ClassVar

from traceweir_plugin import (
    DROP,
    EMPTY,
    Attribute,
    Attributes,
    BadInput,
    Batch,
    Config,
    ConfigError,
    Decisions,
    Edits,
    Info,
    Internal,
    Level,
    NotReady,
    Owner,
    Processor,
    Projection,
    Router,
    TailSampler,
    any_value,
    export,
    host,
    kit,
)
from traceweir_plugin.plugin import Instance

from .examples import PLUGINS, KeepInteresting


class Configurations(unittest.TestCase):
    def refuse(self, config: object, path: str) -> None:
        with self.assertRaises(ConfigError) as raised:
            Instance(Everything()).configure(json.dumps(config))
        self.assertEqual(raised.exception.path, path)

    def test_values_are_read(self) -> None:
        plugin = Everything()
        config = {
            "text": "x",
            "inner": {"flag": True},
            "number": 1,
            "list": ["a"],
            "map": {"k": "v"},
            "rules": [{"key": "a"}, {"key": "b"}],
        }
        Instance(plugin).configure(json.dumps(config))
        self.assertEqual(plugin.read, ("x", 3, 1.0, ["a"], {"k": "v"}, True, ["a", "b"]))

    def test_faults_are_named_by_their_path(self) -> None:
        self.refuse([], "$")
        self.refuse({}, "$.text")
        good = {"text": "x"}
        self.refuse({"text": 1}, "$.text")
        self.refuse(good | {"integer": 10}, "$.integer")
        self.refuse(good | {"rules": {}}, "$.rules")
        self.refuse(good | {"rules": [{"key": "a"}, 1]}, "$.rules[1]")
        self.refuse(good | {"rules": [{"key": "a"}, {}]}, "$.rules[1].key")
        self.refuse(good | {"rules": [{"key": "a", "foo": 1}]}, "$.rules[0].foo")
        self.refuse(good | {"integer": True}, "$.integer")
        self.refuse(good | {"integer": 1.5}, "$.integer")
        self.refuse(good | {"number": "1"}, "$.number")
        self.refuse(good | {"number": 1.5}, "$.number")
        self.refuse(good | {"list": "a"}, "$.list")
        self.refuse(good | {"list": ["a", 1]}, "$.list[1]")
        self.refuse(good | {"map": {"a": 1}}, "$.map.a")
        self.refuse(good | {"inner": 1}, "$.inner")
        self.refuse(good | {"inner": {"flag": 1}}, "$.inner.flag")
        self.refuse(good | {"foo": 1}, "$.foo")
        self.refuse(good | {"inner": {"foo": 1}}, "$.inner.foo")

    def test_what_is_no_json_is_refused(self) -> None:
        for text in ("", "{", '{"text": NaN}', "[" * 100_000):
            with self.assertRaises(ConfigError) as raised:
                Instance(Everything()).configure(text)
            self.assertEqual(raised.exception.path, "$")


class Everything(Processor):
    """Reads a configuration of all types; fails as its text says."""

    def describe(self) -> Info:
        return Info("everything", "0", "")

    def configure(self, config: Config) -> Projection:
        text = config.text("text")
        self.read = (
            text,
            config.integer("integer", 3, least=0, most=9),
            config.number("number", 0.5, least=0, most=1),
            config.texts("list", []),
            config.mapping("map", {}),
            config.object("inner").boolean("flag", False),
            [rule.text("key") for rule in config.objects("rules")],
        )
        return Projection()

    def process(self, batch: Batch) -> Edits | None:
        match self.read[0]:
            case "bad":
                raise BadInput("told so")
            case "key":
                raise KeyError("x")
            case "trap":
                raise MemoryError
        return None


class Held(unittest.TestCase):
    def test_what_the_projection_reads_is_there_and_of_whom_it_says(self) -> None:
        instance = Instance(PLUGINS["team"]())
        instance.configure("{}")
        data = kit.Data([kit.Span()], [kit.Resource(), kit.Resource()])
        namespace = "k8s.namespace.name"
        for reads in (
            [],
            [Attribute(Owner.SPAN, namespace)],
            [Attributes(Owner.RESOURCE, "")],
        ):
            with self.assertRaises(BadInput):
                instance.answer(kit.encode(data, Projection(reads=reads)))


class Errors(unittest.TestCase):
    def answer(self, text: str) -> bytes:
        instance = Instance(Everything())
        instance.configure(json.dumps({"text": text}))
        return instance.answer(kit.encode(kit.Data(), Projection()))

    def test_errors_of_a_plugin_reach_the_host(self) -> None:
        with self.assertRaisesRegex(BadInput, "told so"):
            self.answer("bad")

    def test_any_other_exception_is_internal_and_says_where(self) -> None:
        with self.assertRaisesRegex(Internal, r"KeyError: 'x' \(.*test_plugin.py:\d+\)"):
            self.answer("key")

    def test_without_memory_the_instance_does_not_live_on(self) -> None:
        with self.assertRaises(MemoryError):
            self.answer("trap")

    def test_nothing_to_say_is_an_answer_without_sections(self) -> None:
        self.assertEqual(len(self.answer("")), 32)

    def test_no_batch_before_a_configuration(self) -> None:
        with self.assertRaises(NotReady):
            Instance(Everything()).answer(b"")


class Tail(TailSampler):
    level: ClassVar[Level] = Level.PROJECTED_SPANS

    def describe(self) -> Info:
        return Info("tail", "0", "")

    def configure(self, config: Config) -> Projection:
        return Projection()

    def decide(self, batch: Batch) -> Decisions:
        decisions = Decisions.of_traces(batch)
        for trace, errors in enumerate(batch.traces.errors):
            if not errors:
                decisions.decide(trace, DROP, "dull")
        return decisions


class Tenants(Router):
    def describe(self) -> Info:
        return Info("tenants", "0", "")

    def configure(self, config: Config) -> Projection:
        projection = Projection()
        self.tenant = projection.read(Attribute(Owner.RESOURCE, "tenant"))
        return projection

    def routes(self) -> list[str]:
        return ["a", "b"]

    def route(self, batch: Batch) -> list[int | None]:
        return batch.column(self.tenant).map({"a": 0, "b": 1}.get)


class Bases(unittest.TestCase):
    def test_a_tail_sampler_drops_dull_traces(self) -> None:
        spans = [kit.Span(status_code=2), kit.Span(bytes(16)), kit.Span()]
        outcome = kit.run(Tail(), {}, spans)
        self.assertEqual(outcome.verdicts, [1, 0])
        self.assertEqual(outcome.reasons, [None, "dull"])

    def test_a_router_names_a_route_for_each_resource(self) -> None:
        instance = Instance(Tenants())
        projection = instance.configure("{}")
        resources = [kit.Resource({"tenant": "b"}), kit.Resource(), kit.Resource({"tenant": "a"})]
        answer = instance.answer(kit.encode(kit.Data([], resources), projection))
        self.assertEqual(struct.unpack("<3H", answer), (1, 0xFFFF, 0))

    def test_a_head_sampler_is_run_by_the_kit(self) -> None:
        spans = [kit.Span(duration=600_000_000), kit.Span(bytes(16))]
        outcome = kit.run(KeepInteresting(), {"ratio": 0.25}, spans)
        self.assertEqual(outcome.reasons, ["slow", "ratio"])
        self.assertEqual(outcome.probabilities, [0, 0.25])

    def test_outside_of_a_component_nothing_is_exported(self) -> None:
        self.assertEqual(export(Tail), {})


class Values(unittest.TestCase):
    def test_values_come_back_as_they_were(self) -> None:
        for value in (
            "größe",
            True,
            -1,
            2**63 - 1,
            -(2**63),
            0.5,
            b"\0\xff",
            EMPTY,
            ["x", [1, 2.5], {}],
            {"a": b"", "b": {"c": [EMPTY]}},
        ):
            self.assertEqual(any_value.decode(any_value.encode(value)), value)

    def test_depth_has_a_limit(self) -> None:
        data = b""
        for _ in range(100):
            data = any_value._delimited(5, any_value._delimited(1, data))
        with self.assertRaises(BadInput):
            any_value.decode(data)


class Host(unittest.TestCase):
    def setUp(self) -> None:
        kit.reset_host()

    def test_the_kit_stands_in_for_the_host(self) -> None:
        host.warn("careful")
        seen = host.counter("seen", "")
        host.add(seen, 2)
        host.add(seen)
        host.observe(host.histogram("sizes", "", [1, 2]), 1.5)
        kit.host.tables["teams"] = {"shop": "checkout"}
        host.cache_set("k", b"v", 1)
        self.assertEqual(host.lookup("teams", ["shop", "x"]), ["checkout", None])
        self.assertEqual(host.lookup("none", ["shop"]), [None])
        self.assertEqual(host.generation("teams"), 0)
        self.assertEqual((host.cache_get("k"), host.cache_get("x")), (b"v", None))
        self.assertEqual(host.random_bytes(2), b"\0\0")
        self.assertEqual(host.now_unix_nano(), 0)
        self.assertEqual(kit.host.log, [("warn", "careful")])
        self.assertEqual(kit.host.counters, {"seen": 3})
        self.assertEqual(kit.host.observed, {"sizes": [1.5]})

    def test_what_the_stand_in_does_not_know_is_not_fetched(self) -> None:
        kit.host.responses["http://a"] = host.Response(200, [], b"x")
        self.assertEqual(host.fetch("http://a").body, b"x")
        with self.assertRaisesRegex(host.FetchError, "not-allowed"):
            host.fetch("http://b")
