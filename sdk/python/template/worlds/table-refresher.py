"""Makes the table teams of the lines that a server says, such as shop=checkout."""

from traceweir_plugin import Config, Info, Projection, Refresher, export, host


class MyPlugin(Refresher):
    def describe(self) -> Info:
        return Info(
            name="my-plugin",
            version="0.1.0",
            description="makes a table of what a server says",
        )

    def configure(self, config: Config) -> Projection:
        # The definition of the plugin has to allow its host.
        self.url = config.text("url")
        self.interval = config.integer("interval_seconds", 60, least=5, most=604_800)
        return Projection()

    def interval_seconds(self) -> int:
        return self.interval

    def refresh(self) -> dict[str, dict[str, str]]:
        """What it returns replaces the tables that it names; what it raises leaves them."""
        headers = [("accept", "text/plain")]
        response = host.fetch(self.url, headers=headers, timeout_ms=10_000)
        if response.status != 200:
            raise RuntimeError(f"{self.url} answers {response.status}")
        lines = response.body.decode().splitlines()
        return {"teams": dict(line.split("=", 1) for line in lines if "=" in line)}


globals().update(export(MyPlugin))
