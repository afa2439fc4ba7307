"""Drops the spans of health checks."""

from traceweir_plugin import (
    Attribute,
    Batch,
    Config,
    Edits,
    Info,
    Owner,
    Processor,
    Projection,
    export,
)

SCHEMA = """{
  "type": "object",
  "properties": { "paths": { "type": "array", "items": { "type": "string" } } }
}"""


class MyPlugin(Processor):
    def describe(self) -> Info:
        return Info(
            name="my-plugin",
            version="0.1.0",
            description="drops the spans of health checks",
            config_schema=SCHEMA,
        )

    def configure(self, config: Config) -> Projection:
        self.paths = set(config.texts("paths", ["/healthz"]))
        # What is not read is not sent.
        projection = Projection()
        self.path = projection.read(Attribute(Owner.SPAN, "url.path"))
        return projection

    def process(self, batch: Batch) -> Edits:
        edits = Edits(batch)
        # `map` asks once for each path, however many spans have it.
        unwanted = batch.column(self.path).map(self.paths.__contains__)
        edits.drop_where(unwanted, "health check")
        return edits


globals().update(export(MyPlugin))
