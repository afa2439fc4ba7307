"""API tokens as the command line makes them, and the file that has their hashes."""

import os
import re
import subprocess
import time

EVERY_SCOPE = [of for scope in ("traces:write", "traces:read", "metrics:read", "admin") for of in ("--scope", scope)]


class Tokens:
    """A file for `auth.tokens_file`."""

    def __init__(self, directory, name="tokens.yaml"):
        self.file = directory / name

    def new(self, name, *grants):
        command = [os.environ["TRACEWEIR_BIN"], "token", "new", "--id", name, *grants, "--file", self.file]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def ended(self, name, *grants):
        """One that ended an hour ago, which is not what the command line would write."""
        token = self.new(name, *grants, "--days", "1")
        before, _, row = self.file.read_text().rpartition("expires_at:")
        self.file.write_text(f"{before}expires_at: {int(time.time()) - 3600}\n" + row.split("\n", 1)[1])
        return token

    def revoke(self, name):
        """Its row becomes another's."""
        self.file.write_text(re.sub(rf"(?m)id: {name}$", f"id: no-{name}", self.file.read_text()))
