"""Limits of tenants as tests set them, and what the gateway says that it has refused."""

import json
import os

from .wait import until

# The file is looked at every 5 s.
RELOAD_SECONDS = 30


class Overrides:
    """A file for `overrides.file`; JSON is YAML, too."""

    def __init__(self, directory, **content):
        self.file = directory / "overrides.yaml"
        self.write(**content)

    def write(self, **content):
        self.text(json.dumps(content))

    def text(self, text):
        """As editors do it: another file takes its name."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(text)
        fresh.rename(self.file)

    def swap(self, **content):
        """As Kubernetes does it: the name is a link into a directory that is a link, which is exchanged."""
        home = self.file.parent
        number = len(list(home.glob("..data-*")))
        version = home / f"..data-{number}"
        version.mkdir()
        (version / self.file.name).write_text(json.dumps(content))
        fresh = home / "..data.new"
        fresh.symlink_to(version.name)
        os.replace(fresh, home / "..data")
        if not self.file.is_symlink():
            link = home / "link.new"
            link.symlink_to(f"..data/{self.file.name}")
            os.replace(link, self.file)


def metric(gateway, name, **labels):
    """The sum of a metric over all label sets that have these."""
    _, page = gateway.get("/metrics", accept="text/plain", listener="admin")
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    total = 0.0
    for line in page.decode().splitlines():
        head, _, value = line.rpartition(" ")
        if head.split("{")[0] == name and all(want in head for want in wanted):
            total += float(value)
    return total


def reloads(gateway, change):
    """Makes a change to the overrides and waits until it is seen, whichever way it ends: whether it holds."""
    taken, failed = "traceweir_overrides_reloads_total", "traceweir_overrides_reload_failed_total"
    before = metric(gateway, taken), metric(gateway, failed)
    change()

    def ends():
        now = metric(gateway, taken), metric(gateway, failed)
        return now if now != before else None

    now = until("look at the overrides", RELOAD_SECONDS, ends)
    return now[0] > before[0]
