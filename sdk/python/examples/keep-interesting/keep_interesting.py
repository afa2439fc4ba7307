"""A head sampler: keeps what failed, what was slow, and a share of the rest. All spans that a batch
has of a trace share their fate."""

from traceweir_plugin import (
    KEEP,
    Batch,
    Config,
    Decisions,
    HeadSampler,
    Info,
    Intrinsic,
    Projection,
    Status,
    export,
    probability,
    rows_at_least,
    rows_equal,
)

SCHEMA = """{
  "type": "object",
  "properties": {
    "slow_ms": { "type": "integer", "minimum": 0, "maximum": 4294967295 },
    "ratio": { "type": "number", "minimum": 0, "maximum": 1 }
  }
}"""


class KeepInteresting(HeadSampler):
    def describe(self) -> Info:
        return Info(
            name="keep-interesting",
            version="0.1.0",
            description="keeps traces with errors, slow ones, and a share of the rest",
            config_schema=SCHEMA,
        )

    def configure(self, config: Config) -> Projection:
        self.slow_nano = config.integer("slow_ms", 500, least=0, most=0xFFFF_FFFF) * 1_000_000
        self.ratio = probability(config.number("ratio", 0.1, least=0, most=1))
        return Projection(reads=[Intrinsic.TRACE_ID, Intrinsic.DURATION, Intrinsic.STATUS_CODE])

    def sample(self, batch: Batch) -> Decisions:
        traces = batch.trace_ids
        slow = rows_at_least(batch.durations, self.slow_nano)
        failed = rows_equal(batch.status_codes, Status.ERROR)
        decisions = Decisions(batch)
        decisions.decide_all(self.ratio, "ratio")
        decisions.decide_rows(traces.rows_like(slow), KEEP, "slow")
        decisions.decide_rows(traces.rows_like(failed), KEEP, "error")
        return decisions


globals().update(export(KeepInteresting))
