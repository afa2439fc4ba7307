"""Says whose spans they are, by the namespace of their resource."""

from traceweir_plugin import Attribute, Batch, Config, Info, Owner, Projection, Router, export


class MyPlugin(Router):
    def describe(self) -> Info:
        return Info(
            name="my-plugin",
            version="0.1.0",
            description="says whose spans they are, by their namespace",
        )

    def configure(self, config: Config) -> Projection:
        tenants = config.mapping("tenants")
        # Each tenant once, in the order of the configuration.
        self.tenants = list(dict.fromkeys(tenants.values()))
        self.places = {of: self.tenants.index(tenant) for of, tenant in tenants.items()}
        # What is not read is not sent.
        projection = Projection()
        self.namespace = projection.read(Attribute(Owner.RESOURCE, "k8s.namespace.name"))
        return projection

    def routes(self) -> list[str]:
        return self.tenants

    def route(self, batch: Batch) -> list[int | None]:
        return batch.column(self.namespace).map(self.places.get)


globals().update(export(MyPlugin))
