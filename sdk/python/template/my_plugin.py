"""Drops the spans of health checks."""

from traceweir_plugin import (
    Batch,
    Config,
    Edits,
    Info,
    Intrinsic,
    Processor,
    Projection,
    export,
)

SCHEMA = """{
  "type": "object",
  "properties": { "names": { "type": "array", "items": { "type": "string" } } }
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
        self.names = set(config.texts("names", ["GET /healthz"]))
        # What is not named here is not sent.
        return Projection(reads=[Intrinsic.NAME])

    def process(self, batch: Batch) -> Edits:
        edits = Edits(batch)
        # `map` asks once for each name, however many spans have it.
        for row, unwanted in enumerate(batch.names.map(self.names.__contains__)):
            if unwanted:
                edits.drop(row, "health check")
        return edits


globals().update(export(MyPlugin))
