"""Buckets that speak S3 (moto) and Azure's protocol (Azurite), and a door before each that can be closed."""

import base64
import datetime
import hashlib
import hmac
import http.client
import os
import socket
import subprocess
import sys
import threading
import urllib.parse
import xml.etree.ElementTree

import boto3

from .wait import until

KINDS = ("moto", "azurite")


def why_missing(kind):
    """Why there can be no bucket of this kind here; None where there can be."""
    return os.environ.get("E2E_JS_MISSING") if kind == "azurite" else None


class Bucket:
    """Use as a context manager. `settings` are those of a gateway that keeps its blocks there."""

    def __init__(self, name, logs):
        self.name = name
        self._log = open(logs / "bucket.log", "wb")
        self._process = None
        self.port = None
        self.door = None

    def __enter__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._process = subprocess.Popen(self._command(), stdout=self._log, stderr=subprocess.STDOUT)
        until("the port of the bucket", 60, self._connects)
        self._make()
        self.door = Door(self.port)
        return self

    def __exit__(self, *_):
        self.door.close()
        self._process.terminate()
        self._process.wait()
        self._log.close()

    def settings(self, prefix, port=None):
        """Those of a gateway, by the door, or by another port before the bucket."""
        return {
            **self._access(port or self.door.port),
            "bucket.url": f"{self.scheme}://{self.name}/{prefix}",
            "bucket.timeout": "2s",
            "bucket.retry": "1s",
        }

    def _connects(self):
        assert self._process.poll() is None, "the bucket ended at start-up"
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False


class Moto(Bucket):
    scheme = "s3"
    key = {"access_key_id": "key", "secret_access_key": "secret"}

    def _command(self):
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]

    def _make(self):
        keys = {f"aws_{name}": value for name, value in self.key.items()}
        self._client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{self.port}", region_name="us-east-1", **keys)
        self._client.create_bucket(Bucket=self.name)

    def _access(self, port):
        keys = {f"bucket.{name}": value for name, value in self.key.items()}
        return {**keys, "bucket.region": "us-east-1", "bucket.endpoint": f"http://127.0.0.1:{port}"}

    def names(self, prefix):
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def read(self, name):
        return self._client.get_object(Bucket=self.name, Key=name)["Body"].read()

    def copy(self, prefix, to):
        """Copies the objects below a prefix, as a tool for backups does."""
        for name in self.names(prefix):
            source = {"Bucket": self.name, "Key": name}
            self._client.copy_object(Bucket=self.name, Key=to + name.removeprefix(prefix), CopySource=source)


class Azurite(Bucket):
    scheme = "az"
    account = "devstoreaccount1"
    # The one that every emulator has.
    key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

    def _command(self):
        main = os.path.join(os.environ["E2E_NODE_MODULES"], "azurite", "dist", "src", "blob", "main.js")
        flags = ["--silent", "--disableTelemetry", "--skipApiVersionCheck", "--inMemoryPersistence"]
        return ["node", main, *flags, "--blobHost", "127.0.0.1", "--blobPort", str(self.port)]

    def _make(self):
        self._ask("PUT", restype="container")

    def _access(self, port):
        endpoint = f"http://127.0.0.1:{port}/{self.account}"
        return {"bucket.account": self.account, "bucket.account_key": self.key, "bucket.endpoint": endpoint}

    def names(self, prefix):
        found, marker = [], ""
        while True:
            page = self._ask("GET", comp="list", marker=marker, prefix=prefix, restype="container")
            page = xml.etree.ElementTree.fromstring(page)
            found += [name.text for name in page.iter("Name")]
            marker = page.findtext("NextMarker")
            if not marker:
                return found

    def read(self, name):
        return self._ask("GET", f"/{name}")

    def _ask(self, method, blob="", **query):
        """A request about the container or a blob in it, signed with the key."""
        now = datetime.datetime.now(datetime.timezone.utc)
        headers = {"x-ms-date": now.strftime("%a, %d %b %Y %H:%M:%S GMT"), "x-ms-version": "2023-11-03"}
        text = method + "\n" * 12
        text += "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
        text += f"/{self.account}/{self.account}/{self.name}{blob}"
        text += "".join(f"\n{name}:{value}" for name, value in sorted(query.items()))
        signature = hmac.new(base64.b64decode(self.key), text.encode(), hashlib.sha256).digest()
        headers["Authorization"] = f"SharedKey {self.account}:{base64.b64encode(signature).decode()}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            path = f"/{self.account}/{self.name}{blob}?{urllib.parse.urlencode(query)}"
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status < 300, (answer.status, body[:300])
            return body
        finally:
            connection.close()


CLASSES = {"moto": Moto, "azurite": Azurite}


class Door:
    """Passes connections on while it is open; closed, it cuts those that there are and refuses new ones."""

    def __init__(self, target):
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._open = True
        self._ended = False
        self._sockets = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def shut(self):
        with self._lock:
            self._open = False
            sockets, self._sockets = self._sockets, set()
        for end in sockets:
            _cut(end)

    def open(self):
        with self._lock:
            self._open = True

    def close(self):
        self._ended = True
        self.shut()
        _cut(self._listener)

    def _accept(self):
        while not self._ended:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target), 5)
            except OSError:
                continue
            with self._lock:
                is_open = self._open
                if is_open:
                    self._sockets |= {client, server}
            if not is_open:
                _cut(client)
                _cut(server)
                continue
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source, sink):
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            with self._lock:
                self._sockets.discard(end)
            _cut(end)


def _cut(end):
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    end.close()
