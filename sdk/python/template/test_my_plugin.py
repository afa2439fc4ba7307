"""Runs without Wasm: PYTHONPATH=…/sdk/python python3 -m unittest"""

import unittest

from my_plugin import MyPlugin

from traceweir_plugin import ConfigError, kit


class MyPluginTest(unittest.TestCase):
    def test_health_checks_are_dropped(self) -> None:
        spans = [kit.Span(name="GET /healthz"), kit.Span(name="GET /cart")]
        outcome = kit.run(MyPlugin(), {}, spans)
        self.assertEqual(outcome.kept, [False, True])
        self.assertEqual(outcome.reasons, ["health check", None])

    def test_other_names_can_be_configured(self) -> None:
        outcome = kit.run(MyPlugin(), {"names": ["ping"]}, [kit.Span(name="ping")])
        self.assertEqual(outcome.kept, [False])

    def test_a_key_that_there_is_not_is_refused(self) -> None:
        with self.assertRaises(ConfigError) as raised:
            kit.run(MyPlugin(), {"name": []})
        self.assertEqual(raised.exception.path, "$.name")


if __name__ == "__main__":
    unittest.main()
