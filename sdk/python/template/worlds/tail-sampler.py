"""Keeps traces with errors, those that take long, and a share of the rest."""

from traceweir_plugin import (
    KEEP,
    Batch,
    Config,
    Decisions,
    Info,
    Level,
    Projection,
    TailSampler,
    export,
    probability,
)


class MyPlugin(TailSampler):
    # The table of traces says enough: no column of their spans is read.
    level = Level.SUMMARY

    def describe(self) -> Info:
        return Info(
            name="my-plugin",
            version="0.1.0",
            description="keeps traces with errors, slow ones, and a share of the rest",
        )

    def configure(self, config: Config) -> Projection:
        self.slow_nano = config.integer("slow_ms", 500, least=0, most=0xFFFF_FFFF) * 1_000_000
        # The host draws, by the id of the trace.
        self.ratio = probability(config.number("ratio", 0.1, least=0, most=1))
        return Projection()

    def decide(self, batch: Batch) -> Decisions:
        traces = batch.traces
        decisions = Decisions.of_traces(batch)
        for trace, (errors, duration) in enumerate(zip(traces.errors, traces.durations)):
            if errors:
                decisions.decide(trace, KEEP, "error")
            elif duration >= self.slow_nano:
                decisions.decide(trace, KEEP, "slow")
            else:
                decisions.decide(trace, self.ratio, "ratio")
        return decisions


globals().update(export(MyPlugin))
