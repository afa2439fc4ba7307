"""An OCI registry, as the distribution specification 1.1 has it, which is strict: what a client does wrong is an error of the
client, and noted. It wants a token of its own for everything, as public registries do; and a web server with files."""

import base64
import hashlib
import http.server
import json
import re
import ssl
import threading
import urllib.parse
import uuid

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
USER, PASSWORD = "bot", "hunter2:and-more"


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Served:
    """A server on this machine, over TLS where there is an authority; requests are passed to `answer`, but while it is broken:
    then `status` is the answer."""

    def __init__(self, authority=None):
        outer, self.asked, self.lock, self.status = self, [], threading.Lock(), 200

        class Handler(http.server.BaseHTTPRequestHandler):
            """One request."""

            protocol_version = "HTTP/1.1"

            def do(self):
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size)
                url = urllib.parse.urlsplit(self.path)
                with outer.lock:
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    outer.asked.append((self.command, self.path, headers))
                    status, headers, data = outer.status, {}, b""
                    if status == 200:
                        status, headers, data = outer.answer(self.command, url, self.headers, body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do

            def log_message(self, *_):
                """Nothing."""

        class Server(http.server.ThreadingHTTPServer):
            """Whoever does not trust us says so and goes."""

            daemon_threads = True

            def handle_error(self, *_):
                """Nothing."""

        self.server = Server(("127.0.0.1", 0), Handler)
        if authority is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(*authority.sign("served"))
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.host = f"localhost:{self.server.server_port}"
        self.url = f"{'http' if authority is None else 'https'}://{self.host}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def count(self, method, part):
        with self.lock:
            return sum(1 for of, path, _ in self.asked if of == method and part in path)


class Files(Served):
    """Files by their paths, each with a tag; a text that begins with `->` is a redirect."""

    def __init__(self, authority=None):
        self.files = {}
        super().__init__(authority)

    def answer(self, method, url, headers, body):
        data = self.files.get(url.path)
        if data is None:
            return 404, {}, b""
        if data.startswith(b"->"):
            return 307, {"Location": data[2:].decode()}, b""
        tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        if headers.get("If-None-Match") == tag:
            return 304, {"ETag": tag}, b""
        return 200, {"ETag": tag}, data


class Registry(Served):
    """Repositories with blobs, manifests and tags."""

    def __init__(self, authority=None):
        self.blobs, self.manifests, self.tags = {}, {}, {}
        self.uploads, self.tokens, self.wrong = {}, {}, []
        # Blobs come from elsewhere, as large registries do it.
        self.elsewhere = Files(authority)
        # What is served for a blob in the place of what it is.
        self.lies = {}
        super().__init__(authority)

    def close(self):
        super().close()
        self.elsewhere.close()

    def put(self, repository, tag, wasm, **changed):
        """An artifact as others have made it; the digest of its manifest."""
        config = json.dumps({"created": "2026-01-01T00:00:00Z", "architecture": "wasm", "os": "wasip2",
                             "layerDigests": [digest_of(wasm)], "component": {"exports": [], "imports": []}}).encode()
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST,
                    "config": {"mediaType": "application/vnd.wasm.config.v0+json", "digest": digest_of(config),
                               "size": len(config)},
                    "layers": [{"mediaType": "application/wasm", "digest": digest_of(wasm), "size": len(wasm)}], **changed}
        data = json.dumps(manifest).encode()
        with self.lock:
            for blob in (config, wasm):
                self.blobs[repository, digest_of(blob)] = blob
            self.manifests[repository, digest_of(data)] = data
            self.tags[repository, tag] = digest_of(data)
        return digest_of(data)

    def answer(self, method, url, headers, body):
        if url.path == "/token":
            return self._token(url, headers)
        if not url.path.startswith("/v2/"):
            return 404, {}, b""
        found = re.fullmatch(r"/v2/(?P<name>[a-z0-9._/-]+?)/(?P<kind>manifests|blobs/uploads|blobs)/(?P<what>[^/]*)", url.path)
        name = found["name"] if found else None
        needs = f"repository:{name}:" + ("pull" if method in ("GET", "HEAD") else "pull,push")
        granted = self.tokens.get((headers.get("Authorization") or "").removeprefix("Bearer "), set())
        if not granted or (name and not any(of.startswith(needs) for of in granted)):
            challenge = f'Bearer realm="{self.url}/token",service="registry.test"' + (f',scope="{needs}"' if name else "")
            return 401, {"WWW-Authenticate": challenge}, self._error("UNAUTHORIZED", "authentication required")
        if found is None:
            return (200, {}, b"{}") if url.path == "/v2/" else (404, {}, b"")
        return getattr(self, "_" + found["kind"].replace("/", "_"))(method, name, found["what"], url, headers, body)

    def _error(self, code, message):
        return json.dumps({"errors": [{"code": code, "message": message}]}).encode()

    def _token(self, url, headers):
        wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        query = urllib.parse.parse_qs(url.query)
        if headers.get("Authorization") != wanted or query.get("service") != ["registry.test"]:
            return 401, {}, self._error("DENIED", "who is that?")
        token = uuid.uuid4().hex
        self.tokens[token] = set(query.get("scope", []))
        return 200, {}, json.dumps({"token": token, "expires_in": 60}).encode()

    def _manifests(self, method, name, what, url, headers, body):
        if method == "PUT":
            manifest = json.loads(body)
            blobs = [manifest["config"], *manifest["layers"]]
            if headers.get("Content-Type") != MANIFEST or manifest.get("mediaType") != MANIFEST:
                self.wrong.append("a manifest of another type")
            for blob in blobs:
                there = self.blobs.get((name, blob["digest"]))
                if there is None or len(there) != blob["size"]:
                    return 404, {}, self._error("MANIFEST_BLOB_UNKNOWN", blob["digest"])
            digest = digest_of(body)
            if what.startswith("sha256:") and what != digest:
                return 400, {}, self._error("DIGEST_INVALID", what)
            self.manifests[name, digest] = body
            if not what.startswith("sha256:"):
                self.tags[name, what] = digest
            return 201, {"Location": f"/v2/{name}/manifests/{digest}", "Docker-Content-Digest": digest}, b""
        if MANIFEST not in (headers.get("Accept") or ""):
            self.wrong.append("a manifest that nobody would accept")
        digest = what if what.startswith("sha256:") else self.tags.get((name, what))
        data = self.manifests.get((name, digest))
        if data is None:
            return 404, {}, self._error("MANIFEST_UNKNOWN", f"no {what}")
        kind = json.loads(data).get("mediaType", MANIFEST)
        return 200, {"Content-Type": kind, "Docker-Content-Digest": digest, "Content-Length": str(len(data))}, data

    def _blobs(self, method, name, what, url, headers, body):
        data = self.blobs.get((name, what))
        if data is None:
            return 404, {}, self._error("BLOB_UNKNOWN", what)
        if method == "HEAD":
            return 200, {"Content-Length": str(len(data)), "Docker-Content-Digest": what}, b""
        self.elsewhere.files[f"/{what}"] = self.lies.get(what, data)
        return 307, {"Location": f"{self.elsewhere.url}/{what}?signature=x"}, b""

    def _blobs_uploads(self, method, name, what, url, headers, body):
        if method == "POST" and what == "":
            upload = uuid.uuid4().hex
            self.uploads[upload] = name
            # Relative, and with a query of its own, as may be.
            return 202, {"Location": f"/v2/{name}/blobs/uploads/{upload}?state=a%2Fb", "Docker-Upload-UUID": upload}, b""
        query = urllib.parse.parse_qs(url.query)
        if method != "PUT" or self.uploads.pop(what, None) != name or query.get("state") != ["a/b"]:
            return 404, {}, self._error("BLOB_UPLOAD_UNKNOWN", what)
        if query.get("digest") != [digest_of(body)]:
            return 400, {}, self._error("DIGEST_INVALID", str(query.get("digest")))
        if headers.get("Content-Type") != "application/octet-stream":
            self.wrong.append("a blob of another type")
        self.blobs[name, digest_of(body)] = body
        return 201, {"Location": f"/v2/{name}/blobs/{digest_of(body)}"}, b""

    def auth_file(self, directory):
        """Credentials, as `docker login` writes them."""
        file = directory / "auth.json"
        auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        file.write_text(json.dumps({"auths": {self.host: {"auth": auth}}}))
        return file
