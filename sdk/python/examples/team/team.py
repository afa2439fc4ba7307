"""A processor: tells which team a resource belongs to, by its Kubernetes namespace."""

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
  "properties": {
    "key": { "type": "string", "minLength": 1, "maxLength": 512 },
    "teams": { "type": "object", "additionalProperties": { "type": "string" } }
  }
}"""


class Team(Processor):
    def describe(self) -> Info:
        return Info(
            name="team",
            version="0.1.0",
            description="tells which team a resource belongs to, by its namespace",
            config_schema=SCHEMA,
        )

    def configure(self, config: Config) -> Projection:
        key = config.text("key", "team")
        if not 1 <= len(key.encode()) <= 512:
            config.fail("key", "must have 1 to 512 bytes")
        self.teams = config.mapping("teams", {})

        projection = Projection()
        self.namespace = projection.read(Attribute(Owner.RESOURCE, "k8s.namespace.name"))
        self.team = projection.write(Attribute(Owner.RESOURCE, key))
        return projection

    def process(self, batch: Batch) -> Edits:
        # Looked up once for each namespace, not for each resource.
        teams = batch.column(self.namespace).map(self.teams.get)
        edits = Edits(batch)
        edits.set(self.team, Owner.RESOURCE).put_texts(teams)
        return edits


globals().update(export(Team))
