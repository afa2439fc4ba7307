"""The template of a new plugin passes its own test, and examples have the manifest of a plugin."""

import runpy
import subprocess
import sys
import tomllib
import unittest

from .examples import PLUGINS, SDK

LANGUAGE = "python"


class Template(unittest.TestCase):
    def test_the_template_passes_its_test(self) -> None:
        command = [sys.executable, "-m", "unittest", "-q"]
        done = subprocess.run(
            command, cwd=SDK / "template", env={"PYTHONPATH": str(SDK)}, capture_output=True
        )
        self.assertEqual(done.returncode, 0, done.stderr.decode())

    def test_templates_of_other_worlds_describe_themselves(self) -> None:
        sources = sorted(SDK.glob("template/worlds/*.py"))
        self.assertEqual(len(sources), 4)
        for source in sources:
            plugin = runpy.run_path(str(source))["MyPlugin"]()
            self.assertEqual(plugin.describe().name, "my-plugin", source.name)

    def test_manifests_name_what_their_commands_make(self) -> None:
        manifests = [*SDK.glob("template/plugin.toml"), *SDK.glob("examples/*/plugin.toml")]
        self.assertEqual(len(manifests), 1 + len(PLUGINS))
        for path in manifests:
            manifest = tomllib.loads(path.read_text())
            self.assertEqual(manifest["language"], LANGUAGE)
            (command,) = manifest["build"]
            self.assertIn(f" {manifest['world']} {{wit}} {manifest['artifact']}", command)
