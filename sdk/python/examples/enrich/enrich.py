"""A processor: tells each span the team of its resource's namespace."""

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


class Enrich(Processor):
    def describe(self) -> Info:
        return Info(
            name="enrich",
            version="0.1.0",
            description="tells spans the team of their namespace",
        )

    def configure(self, config: Config) -> Projection:
        self.teams = config.mapping("teams")

        projection = Projection()
        self.namespace = projection.read(Attribute(Owner.RESOURCE, "k8s.namespace.name"))
        self.team = projection.write(Attribute(Owner.SPAN, "team"))
        return projection

    def process(self, batch: Batch) -> Edits:
        teams = batch.column(self.namespace).map(self.teams.get)
        edits = Edits(batch)
        # Each resource says it for all its spans.
        edits.set(self.team, Owner.RESOURCE).put_texts(teams)
        return edits


globals().update(export(Enrich))
