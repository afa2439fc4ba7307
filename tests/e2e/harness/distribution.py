"""The registry `distribution` and the client `oras`, as they are built by tests/e2e/registry/build."""

import base64
import json
import os
import re
import subprocess

from .wait import until

USER, PASSWORD = "bot", "hunter2:and-more"
# The password, as the registry wants to have it.
HASHED = "$2a$05$tU05l4XHj71iAPjL4lCk2eGtNhvX8/V4g5uewE/Ua9.ytfv4qCV9y"
START_SECONDS = 30


def why_missing():
    return os.environ.get("E2E_REGISTRY_MISSING")


def _tool(name):
    return os.path.join(os.environ["E2E_REGISTRY"], name)


class Distribution:
    """A registry over TLS, which wants a user and a password."""

    def __init__(self, authority, directory):
        self.authority, self.directory = authority, directory
        certificate, key = authority.sign("distribution")
        (directory / "htpasswd").write_text(f"{USER}:{HASHED}\n")
        config = {
            "version": 0.1, "log": {"level": "info", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(directory / "blobs")}},
            "http": {"addr": "127.0.0.1:0", "secret": "of tests", "tls": {"certificate": str(certificate), "key": str(key)}},
            "auth": {"htpasswd": {"realm": "tests", "path": str(directory / "htpasswd")}},
        }
        (directory / "config.yaml").write_text(json.dumps(config))
        self.log = directory / "registry.log"
        with open(self.log, "wb") as out:
            command = [_tool("registry"), "serve", str(directory / "config.yaml")]
            environment = {**os.environ, "OTEL_TRACES_EXPORTER": "none"}
            self.process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment)
        port = until("the registry", START_SECONDS, self._port)
        self.host = f"localhost:{port}"
        auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        self.auth_file = directory / "auth.json"
        self.auth_file.write_text(json.dumps({"auths": {self.host: {"auth": auth}}}))

    def _port(self):
        text = self.log.read_text(errors="replace")
        assert self.process.poll() is None, text
        found = re.search(r"listening on 127\.0\.0\.1:(\d+), tls", text)
        return found and found[1]

    def oras(self, *arguments, ends=("",)):
        """What `oras` prints, run where its files are; `ends` are those of what is copied."""
        # Of this machine it thinks that it speaks in the clear.
        trust = {"ca-file": self.authority.file, "registry-config": self.auth_file, "plain-http": "false"}
        trust = [f"--{end}{name}={value}" for end in ends for name, value in trust.items()]
        command = [_tool("oras"), *map(str, arguments), *trust]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=self.directory)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def close(self):
        self.process.kill()
        self.process.wait()
