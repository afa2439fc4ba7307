"""What a gateway sees of Kubernetes: an API server with the keys of service accounts, and volumes whose files change."""

import http.server
import json
import os
import shutil
import ssl
import threading
import time

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


class ApiServer:
    """Serves `/openid/v1/jwks` to whoever shows a token that it takes, as clusters without anonymous access do."""

    def __init__(self, authority):
        self.signers = [Signer("sa-1", "RS256", ISSUER)]
        self.taken, self.asked = set(), []
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
        self.server.shutdown()
        self.server.server_close()

    def _answer(self, request):
        token = (request.headers.get("Authorization") or "").removeprefix("Bearer ")
        status, body = 404, {"kind": "Status", "code": 404}
        if token not in self.taken:
            status, body = 401, {"kind": "Status", "code": 401, "reason": "Unauthorized"}
        elif request.path == "/openid/v1/jwks":
            status, body = 200, {"keys": [signer.jwk() for signer in self.signers]}
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
