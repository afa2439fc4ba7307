"""Runs without Wasm: PYTHONPATH=…/sdk/python python3 -m unittest"""

import unittest

from my_plugin import MyPlugin

from traceweir_plugin import ConfigError, kit


def to(path: str) -> kit.Span:
    return kit.Span(attributes={"url.path": path})


class MyPluginTest(unittest.TestCase):
    def test_health_checks_are_dropped(self) -> None:
        outcome = kit.run(MyPlugin(), {}, [to("/healthz"), to("/cart"), kit.Span()])
        self.assertEqual(outcome.kept, [False, True, True])
        self.assertEqual(outcome.reasons, ["health check", None, None])

    def test_other_paths_can_be_configured(self) -> None:
        outcome = kit.run(MyPlugin(), {"paths": ["/ping"]}, [to("/ping")])
        self.assertEqual(outcome.kept, [False])

    def test_a_key_that_there_is_not_is_refused(self) -> None:
        with self.assertRaises(ConfigError) as raised:
            kit.run(MyPlugin(), {"path": []})
        self.assertEqual(raised.exception.path, "$.path")


if __name__ == "__main__":
    unittest.main()
