"""A processor: masks what follows `token=` in `url.full`, and removes `http.request.header.*`."""

import re

from traceweir_plugin import (
    Attribute,
    Attributes,
    Batch,
    Config,
    Edits,
    Info,
    Owner,
    Processor,
    Projection,
    export,
)

HEADERS = "http.request.header."

TOKEN = re.compile(r"token=[^&# \0]*")
"""A token ends where the text does, too, which `\\0` says."""


def mask(urls: str) -> str:
    return TOKEN.sub("token=***", urls)


class Scrub(Processor):
    def describe(self) -> Info:
        return Info(
            name="scrub",
            version="0.1.0",
            description="masks tokens in URLs and removes headers",
        )

    def configure(self, config: Config) -> Projection:
        url = Attribute(Owner.SPAN, "url.full")
        projection = Projection()
        self.url = projection.read(url)
        self.to = projection.write(url)
        projection.write(Attributes(Owner.SPAN, HEADERS))
        return projection

    def process(self, batch: Batch) -> Edits:
        edits = Edits(batch)
        edits.delete_starting(Owner.SPAN, HEADERS)
        # All at once, and not a call for each.
        edits.set(self.to, Owner.SPAN).put_texts(batch.column(self.url).rewrite(mask))
        return edits


globals().update(export(Scrub))
