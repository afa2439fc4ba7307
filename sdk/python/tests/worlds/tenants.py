"""Routes by an attribute."""

from traceweir_plugin import Attribute, Batch, Config, Info, Owner, Projection, Router, export


class Tenants(Router):
    def describe(self) -> Info:
        return Info("tenants", "1", "")

    def configure(self, config: Config) -> Projection:
        projection = Projection()
        self.tenant = projection.read(Attribute(Owner.RESOURCE, "tenant"))
        return projection

    def routes(self) -> list[str]:
        return ["a", "b"]

    def route(self, batch: Batch) -> list[int | None]:
        return batch.column(self.tenant).map({"a": 0, "b": 1}.get)


globals().update(export(Tenants))
