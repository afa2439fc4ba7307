"""A processor: keeps a share of all traces by their ids, and drops the spans of the others."""

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

ALL = 1 << 56
"""What the last 56 bits of an id are below."""


class Tenth(Processor):
    def describe(self) -> Info:
        return Info(
            name="tenth",
            version="0.1.0",
            description="keeps a share of all traces by their ids",
        )

    def configure(self, config: Config) -> Projection:
        # The least of these bits that is kept.
        self.threshold = ALL - ALL // config.integer("one_in", least=1, most=0xFFFF_FFFF)
        return Projection(reads=[Intrinsic.TRACE_ID])

    def process(self, batch: Batch) -> Edits:
        edits = Edits(batch)
        edits.drop_where(batch.trace_ids.below(self.threshold))
        return edits


globals().update(export(Tenth))
