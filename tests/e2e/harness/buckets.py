"""A bucket that speaks S3 (moto), and a door before it that can be closed."""

import os
import socket
import subprocess
import sys
import threading

import boto3

from .wait import until

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}


class Bucket:
    """Use as a context manager. `settings` are those of a gateway that keeps its blocks there."""

    def __init__(self, name, logs):
        self.name = name
        self._log = open(logs / "moto.log", "wb")
        self._process = None
        self._client = None
        self.port = None
        self.door = None

    def __enter__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = port = probe.getsockname()[1]
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT)
        until("moto's port", 60, lambda: _connects(port))
        self._client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
            region_name=KEYS["AWS_REGION"],
        )
        self._client.create_bucket(Bucket=self.name)
        self.door = Door(port)
        os.environ.update(KEYS)
        return self

    def __exit__(self, *_):
        for key in KEYS:
            os.environ.pop(key, None)
        self.door.close()
        self._process.terminate()
        self._process.wait()
        self._log.close()

    def settings(self, prefix):
        return {
            "bucket.url": f"s3://{self.name}/{prefix}",
            "bucket.endpoint": f"http://127.0.0.1:{self.door.port}",
            "bucket.timeout": "2s",
            "bucket.retry": "1s",
        }

    def names(self, prefix):
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]


    def copy(self, prefix, to):
        """Copies the objects below a prefix, as a tool for backups does."""
        for name in self.names(prefix):
            source = {"Bucket": self.name, "Key": name}
            self._client.copy_object(Bucket=self.name, Key=to + name.removeprefix(prefix), CopySource=source)


def _connects(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


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
