"""The gateway under test: one process on one data directory, on ports that it picked itself."""

import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from .wait import until

LISTENERS = ("otlp_grpc", "otlp_http", "http", "admin")
FLAGS = {"otlp_grpc": "--otlp-grpc", "otlp_http": "--otlp-http", "http": "--http", "admin": "--admin"}
START_SECONDS = 30
# SIGTERM drains within 10 s; the rest is for a busy machine.
STOP_SECONDS = 15


class Gateway:
    """`start`, `stop` (SIGTERM), `kill` (-9); a restart keeps the directory and the ports."""

    def __init__(self, directory, settings=None, logs=None, bucket=None):
        self.directory = Path(directory)
        # (bucket, prefix) where the blocks are in one.
        self.bucket = bucket
        # Elsewhere where the directory is on a disk that fills or goes away.
        self.logs = Path(logs or self.directory.parent)
        self.settings = dict(settings or {})
        self.environment = {}
        # Who we are and whom we trust, where the listeners speak TLS.
        self.tls = None
        # What `get` shows, such as Authorization.
        self.headers = {}
        self.addresses = {}
        self.process = None
        self.starts = 0

    @property
    def log(self):
        return self.logs / f"{self.directory.name}.{self.starts}.log"

    def start(self):
        assert self.process is None, "the gateway runs already"
        self.starts += 1
        command = [os.environ["TRACEWEIR_BIN"], "serve", "--data", str(self.directory)]
        for listener in LISTENERS:
            command += [FLAGS[listener], self.addresses.get(listener, "127.0.0.1:0")]
        for key, value in {"log.format": "json", **self.settings}.items():
            command += ["--set", f"{key}={value}"]
        with open(self.log, "wb") as out:
            environment = {**os.environ, **self.environment}
            self.process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment)
        self.addresses = until("listening lines", START_SECONDS, self._listening)
        until("readiness", START_SECONDS, self._ready)
        return self

    def stop(self):
        """Asks it to end, and insists on a clean end in time."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(STOP_SECONDS)
        self.process = None
        assert code == 0, f"exit code {code} after SIGTERM\n{self.tail()}"

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def has_died(self):
        """Whether a signal has ended it; then it may be started again."""
        code = self.process.poll()
        if code is None:
            return False
        assert code < 0, f"exit code {code}\n{self.tail()}"
        self.process = None
        return True

    def close(self):
        if self.process is not None:
            self.kill()

    def url(self, listener, path=""):
        if self.tls is None:
            return f"http://{self.addresses[listener]}{path}"
        # What certificates are made out to.
        return f"https://localhost:{self.addresses[listener].rsplit(':', 1)[1]}{path}"

    def get(self, path, accept="application/json", listener="http"):
        """Returns (status, body)."""
        request = urllib.request.Request(self.url(listener, path), headers={"Accept": accept, **self.headers})
        try:
            with urllib.request.urlopen(request, timeout=30, context=self.tls) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def post(self, listener, path, body=b""):
        """Returns the body; anything but a success is an error."""
        request = urllib.request.Request(self.url(listener, path), body,
                                         {"Content-Type": "application/x-protobuf"}, method="POST")
        with urllib.request.urlopen(request, timeout=120, context=self.tls) as answer:
            return answer.read()

    def blocks(self):
        """The files of all blocks; from a bucket, copies of them."""
        if self.bucket is None:
            return sorted((self.directory / "blocks").glob("*/*.parquet"))
        bucket, prefix = self.bucket
        copies = []
        for number, name in enumerate(bucket.names(f"{prefix}/blocks/")):
            copies.append(self.logs / f"block-{number}.parquet")
            copies[-1].write_bytes(bucket.read(name))
        return copies

    def tail(self, lines=60):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _listening(self):
        assert self.process.poll() is None, f"the gateway ended at start-up\n{self.tail()}"
        found = {}
        for line in self.log.read_text(errors="replace").splitlines():
            try:
                event = json.loads(line)
            except json.JSONDecodeError:
                continue
            event = {**event, **event.get("fields", {})}
            if "listening" in (event.get("msg"), event.get("message")):
                found[event["listener"]] = event["addr"]
        return found if all(name in found for name in LISTENERS) else None

    def _ready(self):
        assert self.process.poll() is None, f"the gateway ended at start-up\n{self.tail()}"
        try:
            return self.get("/ready")[0] == 200
        except OSError:
            return False
