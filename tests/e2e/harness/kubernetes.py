"""What a gateway sees of Kubernetes: an API server with the keys of service accounts and objects that are listed and watched,
and volumes whose files change."""

import http.server
import json
import os
import shutil
import ssl
import threading
import time
import urllib.parse

from .hostile import Signer

ISSUER = "https://kubernetes.default.svc"


class Volume:
    """Files as the kubelet keeps those of Secrets and projected volumes: links to links to a directory of a moment.

    PATH/token -> ..data/token, PATH/..data -> ..MOMENT; a change makes another directory, and swaps `..data`.
    """

    def __init__(self, directory, **files):
        self.directory, self.moment, self.files = directory, 0, {}
        directory.mkdir()
        self.swap(**files)

    def path(self, name):
        return self.directory / name

    def swap(self, **files):
        """Takes over files (`ca_crt` is ca.crt), in one step; others stay as they are."""
        self.files.update({name.replace("_", "."): content for name, content in files.items()})
        data, before = self.directory / "..data", self.moment
        self.moment += 1
        fresh = self.directory / f"..moment-{self.moment}"
        fresh.mkdir()
        for name, content in self.files.items():
            (fresh / name).write_bytes(content if isinstance(content, bytes) else content.encode())
            link = self.directory / name
            if not link.is_symlink():
                link.symlink_to(f"..data/{name}")
        following = self.directory / "..data_tmp"
        following.symlink_to(fresh.name)
        os.replace(following, data)
        if before:
            shutil.rmtree(self.directory / f"..moment-{before}")


def service_account(signer, namespace, name="collector", **changed):
    """Claims of a projected token (TokenRequest), as API servers write them since 1.30."""
    now = int(time.time())
    bound = {"namespace": namespace, "node": {"name": "node-1", "uid": "8d3b1c9e-0000-4000-8000-000000000001"},
             "pod": {"name": f"{name}-7d4b9", "uid": "8d3b1c9e-0000-4000-8000-000000000002"},
             "serviceaccount": {"name": name, "uid": "8d3b1c9e-0000-4000-8000-000000000003"}, "warnafter": now + 3607}
    claims = {"aud": ["traceweir"], "exp": now + 3607, "iat": now, "nbf": now, "iss": ISSUER, "jti": f"{now}-{name}",
              "kubernetes.io": bound, "sub": f"system:serviceaccount:{namespace}:{name}", **changed}
    return signer.sign(signer.header(), {key: value for key, value in claims.items() if value is not None})


class Objects:
    """Objects of a cluster: each change has a version, and whoever watches sees those after the one that it names."""

    PATHS = {"/api/v1/pods": "pods", "/apis/apps/v1/replicasets": "replicasets", "/api/v1/namespaces": "namespaces",
             "/api/v1/nodes": "nodes"}
    # Small, so that lists have pages.
    PAGE = 2

    def __init__(self):
        self.there, self.events, self.version, self.oldest, self.epoch = {}, [], 1000, 1000, 0
        self.changed = threading.Condition()
        self.lists, self.watches = [], []

    def put(self, kind, uid, **content):
        with self.changed:
            self.version += 1
            metadata = {**content.pop("metadata", {}), "uid": uid, "resourceVersion": str(self.version)}
            known = (kind, uid) in self.there
            self.there[kind, uid] = {"metadata": metadata, **content}
            self.events.append((self.version, kind, "MODIFIED" if known else "ADDED", self.there[kind, uid]))
            self.changed.notify_all()

    def remove(self, kind, uid):
        with self.changed:
            self.version += 1
            gone = self.there.pop((kind, uid))
            gone = {**gone, "metadata": {**gone["metadata"], "resourceVersion": str(self.version)}}
            self.events.append((self.version, kind, "DELETED", gone))
            self.changed.notify_all()

    def forget(self):
        """Nobody may go on from a version before now, as etcd forgets; all watches end."""
        with self.changed:
            self.version += 1
            self.oldest, self.events = self.version, []
            self.epoch += 1
            self.changed.notify_all()

    def page(self, kind, query):
        with self.changed:
            self.lists.append(kind)
            all_of = [of for (other, _), of in sorted(self.there.items()) if other == kind]
            start = int(query.get("continue", ["0"])[0])
            assert int(query["limit"][0]) > 0
            rest = len(all_of) > start + self.PAGE
            metadata = {"resourceVersion": str(self.version), **({"continue": str(start + self.PAGE)} if rest else {})}
            return {"kind": "List", "metadata": metadata, "items": all_of[start:start + self.PAGE] or None}

    def lines(self, kind, query):
        """The lines of a watch, until it ends."""
        line = lambda what, of: json.dumps({"type": what, "object": of}).encode() + b"\n"
        version, epoch = int(query["resourceVersion"][0]), self.epoch
        self.watches.append((kind, version))
        if version < self.oldest:
            yield line("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"})
            return
        ends = time.monotonic() + int(query["timeoutSeconds"][0])
        while time.monotonic() < ends and self.epoch == epoch:
            with self.changed:
                new = [of for of in self.events if of[0] > version]
                if not new:
                    self.changed.wait(0.5)
                    new = [of for of in self.events if of[0] > version]
                version = self.version
                if self.epoch != epoch:
                    return
            for _, other, what, of in new:
                if other == kind:
                    yield line(what, of)
            yield line("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})


class ApiServer:
    """Serves `/openid/v1/jwks` and objects to whoever shows a token that it takes, as clusters without anonymous access do."""

    def __init__(self, authority):
        self.signers = [Signer("sa-1", "RS256", ISSUER)]
        self.taken, self.asked, self.objects, self.forbidden = set(), [], Objects(), set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """One request."""

            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer._answer(self)

            def log_message(self, *_):
                """Nothing."""

        class Server(http.server.ThreadingHTTPServer):
            """Each connection begins with the certificate of its moment."""

            daemon_threads = True

            def get_request(self):
                raw, address = super().get_request()
                return outer.tls.wrap_socket(raw, server_side=True, do_handshake_on_connect=False), address

            def handle_error(self, *_):
                """Whoever does not trust us says so and goes."""

        self.show(authority)
        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"https://localhost:{self.server.server_port}"

    def show(self, authority):
        """From now on it has a certificate of this authority, and resumes no session with another."""
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(*authority.sign("kubernetes"))

    def close(self):
        self.objects.forget()
        self.server.shutdown()
        self.server.server_close()

    def _stream(self, request, lines):
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Transfer-Encoding", "chunked")
        request.send_header("Connection", "close")
        request.end_headers()
        request.close_connection = True
        for line in lines:
            # Not by lines, as networks do it.
            for part in (line[:7], line[7:]):
                request.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                request.wfile.flush()
        request.wfile.write(b"0\r\n\r\n")

    def _answer(self, request):
        token = (request.headers.get("Authorization") or "").removeprefix("Bearer ")
        status, body = 404, {"kind": "Status", "code": 404}
        url = urllib.parse.urlsplit(request.path)
        query, kind = urllib.parse.parse_qs(url.query), Objects.PATHS.get(url.path)
        if token not in self.taken:
            status, body = 401, {"kind": "Status", "code": 401, "reason": "Unauthorized"}
        elif request.path == "/openid/v1/jwks":
            status, body = 200, {"keys": [signer.jwk() for signer in self.signers]}
        elif kind in self.forbidden:
            status, body = 403, {"kind": "Status", "code": 403, "message": f"{kind} is forbidden"}
        elif kind and "watch" in query:
            self.asked.append((200, token))
            return self._stream(request, self.objects.lines(kind, query))
        elif kind:
            status, body = 200, self.objects.page(kind, query)
        self.asked.append((status, token))
        data = json.dumps(body).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/jwk-set+json")
        request.send_header("Content-Length", str(len(data)))
        # Else a connection outlives the certificate that it began with.
        request.send_header("Connection", "close")
        request.end_headers()
        request.wfile.write(data)
        request.close_connection = True
