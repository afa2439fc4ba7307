"""A gateway with plugins, as an operator sets it up, and plugins that are built from the examples of the SDK."""

import functools
import json
import os
import pathlib
import subprocess
import urllib.error
import urllib.request

from harness.limits import Overrides, reloads

ROOT = pathlib.Path(__file__).parents[3]


@functools.cache
def examples():
    """The directory with the examples of the Rust SDK, as modules. Those of the same sources are built once."""
    built = subprocess.run([ROOT / "plugins/bundled/build"], check=True, stdout=subprocess.PIPE, text=True, env=os.environ)
    return pathlib.Path(built.stdout.splitlines()[-1]) / "examples"


class Operator:
    """Writes the files of a gateway, and asks its administration port."""

    def __init__(self, directory, new_gateway, plugins, chain=(), tenants=None, **config):
        self.file, self.overrides = directory / "plugins.yaml", Overrides(directory)
        self.define(plugins)
        self.overrides.write(defaults={"ingestion": {"plugins": list(chain)}}, tenants=tenants or {})
        self.gateway = new_gateway(plugins__file=self.file, overrides__file=self.overrides.file, **config).start()

    def define(self, plugins):
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps({"plugins": plugins}))
        fresh.rename(self.file)

    def attach(self, chain):
        assert reloads(self.gateway, lambda: self.overrides.write(defaults={"ingestion": {"plugins": chain}}))

    def ask(self, method, path):
        request = urllib.request.Request(self.gateway.url("admin", path), method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def plugin(self, name):
        status, page = self.ask("GET", "/status/plugins")
        assert status == 200, page
        return next((of for of in json.loads(page)["plugins"] if of["name"] == name), None)
