"""A gateway whose plugins come from a network, as an operator sets it up; and the commands that push and pull them."""

import json
import os
import subprocess
import urllib.error
import urllib.request

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from harness.limits import Overrides

# Files and polls are looked at every 5 s, and compiling takes its time.
SEEN_SECONDS = 60
TEAM = {"config": {"teams": {"web": "checkout"}}}


class Operator:
    """Writes the files of a gateway, and looks at what it tells."""

    def __init__(self, new_gateway, directory, authority, registry=None, chain=(), **content):
        self.directory, self.file, self.overrides = directory, directory / "plugins.yaml", Overrides(directory)
        self.overrides.write(defaults={"ingestion": {"plugins": list(chain)}})
        self.define(**content)
        settings = {"plugins__registry_auth_file": registry.auth_file(directory)} if registry else {}
        self.gateway = new_gateway(plugins__file=self.file, overrides__file=self.overrides.file, plugins__poll="1s",
                                   plugins__unpinned="true", plugins__ca_file=authority.file, **settings)

    def start(self):
        self.gateway.start()
        return self

    def define(self, **content):
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps(content))
        fresh.rename(self.file)

    def status(self):
        status, page = self.gateway.get("/status/plugins", listener="admin")
        assert status == 200, page
        return json.loads(page)

    def plugin(self, name):
        return next((of for of in self.status()["plugins"] if of["name"] == name), {})

    def table(self, name):
        return next(of for of in self.status()["tables"] if of["name"] == name)

    def reload(self):
        request = urllib.request.Request(self.gateway.url("admin", "/plugins/reload"), method="POST")
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def stored(self, **resource):
        """What is stored of the resource of a span that the SDK has sent."""
        exporter = OTLPSpanExporter(endpoint=self.gateway.url("otlp_grpc"), insecure=True)
        attributes = {key.replace("__", "."): value for key, value in resource.items()}
        provider = TracerProvider(resource=Resource.create({"service.name": "till", **attributes}))
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        with provider.get_tracer("tests").start_as_current_span("work") as span:
            trace_id = format(span.get_span_context().trace_id, "032x")
        provider.shutdown()
        status, body = self.gateway.get(f"/api/v2/traces/{trace_id}")
        assert status == 200, body
        [of] = json.loads(body)["trace"]["resourceSpans"]
        return {pair["key"]: next(iter(pair["value"].values())) for pair in of["resource"]["attributes"]}


def cli(*arguments, code=0):
    """What `traceweir plugin` prints; `code` is how it has to end."""
    command = [os.environ["TRACEWEIR_BIN"], "plugin", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr
    return done.stdout.strip() if code == 0 else done.stderr
