"""Makes a table of what a server says."""

from traceweir_plugin import Config, Info, Projection, Refresher, export, host


class Fetcher(Refresher):
    def describe(self) -> Info:
        return Info("fetcher", "1", "")

    def configure(self, config: Config) -> Projection:
        self.url = config.text("url")
        return Projection()

    def interval_seconds(self) -> int:
        return 30

    def refresh(self) -> dict[str, dict[str, str]]:
        response = host.fetch(self.url, headers=[("accept", "text/plain")])
        return {"teams": dict(line.split("=") for line in response.body.decode().split())}


globals().update(export(Fetcher))
