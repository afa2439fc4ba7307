"""Keeps traces with errors; says so in log and metrics, and looks a table up."""

from traceweir_plugin import (
    DROP,
    Attribute,
    Batch,
    Budget,
    Config,
    Decisions,
    Info,
    Intrinsic,
    Level,
    MatchRule,
    Owner,
    Projection,
    TailSampler,
    export,
    host,
)


class Tail(TailSampler):
    level = Level.PROJECTED_SPANS

    def describe(self) -> Info:
        return Info("tail", "1", "")

    def configure(self, config: Config) -> Projection:
        self.seen = host.counter("seen", "Traces.")
        self.sizes = host.histogram("sizes", "Spans.", [1, 10])
        service = Attribute(Owner.RESOURCE, "service.name")
        return Projection(
            reads=[Intrinsic.NAME],
            match_resource=[MatchRule("service.name", ("shop",))],
            budgets=[Budget("each", 10, 1000, service)],
            max_batch_rows=100,
        )

    def decide(self, batch: Batch) -> Decisions:
        traces = batch.traces
        host.info(f"{len(traces)} traces")
        host.add(self.seen, len(traces))
        host.observe(self.sizes, 2.5)
        assert host.lookup("teams", ["shop", "x"]) == ["checkout", None]
        assert host.generation("teams") == 7
        try:
            host.now_unix_nano()
        except NotImplementedError:
            pass
        else:
            raise AssertionError("a tail sampler has no clock")
        decisions = Decisions.of_traces(batch)
        decisions.count(self.seen, 2)
        for trace, errors in enumerate(traces.errors):
            if not errors:
                decisions.decide(trace, DROP, "dull")
        return decisions


globals().update(export(Tail))
