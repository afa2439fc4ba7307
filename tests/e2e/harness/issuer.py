"""npm oidc-provider as an issuer of tokens, in a process that may stop, stand still and come back."""

import base64
import json
import os
import signal
import socket
import ssl
import subprocess
import urllib.parse
import urllib.request

from .sdks import CLIENTS
from .wait import until

RESOURCE = "https://traceweir.example"


class Issuer:
    """Its address and its keys stay over restarts."""

    def __init__(self, directory, authority):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"https://localhost:{self.port}"
        self.authority, self.directory = authority, directory
        self.cert, self.key = authority.sign("issuer")
        self.tls = ssl.create_default_context(cafile=authority.file)
        self.process, self.signs = None, None

    def start(self):
        environment = {**os.environ, "NODE_PATH": os.environ["E2E_NODE_MODULES"]}
        keys = self.directory / "keys.json"
        command = ["node", CLIENTS / "oidc_issuer.mjs", str(self.port), self.cert, self.key, keys]
        with open(self.directory / "issuer.log", "a") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, stderr=log,
                                            env=environment)
        self.signs = self._line()
        return self

    def _line(self):
        line = self.process.stdout.readline().strip()
        assert line.startswith("key-"), line + (self.directory / "issuer.log").read_text()[-2000:]
        return line

    def tell(self, what):
        """`publish`, `use` or `rotate`; afterwards this key signs."""
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        self.signs = self._line()

    def token(self, client="shop"):
        """A new one, by client_credentials; its lifetime is ten minutes."""
        who = base64.b64encode(f"{client}:secret-of-{client}".encode()).decode()
        body = {"grant_type": "client_credentials", "resource": RESOURCE, "scope": "traces:write traces:read"}
        request = urllib.request.Request(f"{self.url}/token", urllib.parse.urlencode(body).encode(),
                                         {"Authorization": f"Basic {who}"})
        with urllib.request.urlopen(request, timeout=30, context=self.tls) as answer:
            return json.load(answer)["access_token"]

    def stand_still(self):
        """It takes connections, as its system does, and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process = None
            until("the port to be free", 20, self._is_free)

    def _is_free(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) != 0

    def settings(self):
        """Of a gateway that takes its tokens; keys by discovery."""
        grants = {"tenants": ["{/tenant}"], "scopes": ["{/scope}"]}
        return [{"issuer": self.url, "audience": ["traceweir"], "ca_file": str(self.authority.file), "refresh": "10s",
                 "grants": grants}]


def part(token, number):
    """Header (0) or claims (1) of a token."""
    text = token.split(".")[number]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
