"""An HTTP proxy before a bucket, which does to requests and answers what a script says."""

import dataclasses
import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

# Of one connection only, or of the answer as it was framed.
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "server", "date"}


@dataclasses.dataclass
class Request:
    method: str
    path: str
    headers: dict
    body: bytes

    @property
    def condition(self):
        """Whether the name has to be free."""
        return any(key.lower() == "if-none-match" for key in self.headers)

    @property
    def query(self):
        return parse_qs(urlsplit(self.path).query, keep_blank_values=True)


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: bytes
    # So many bytes of the body are sent before the connection is cut.
    cut_after: int | None = None


def refusal(status, code):
    """What S3 answers where it refuses."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>refused</Message></Error>"
    return Answer(status, {"Content-Type": "application/xml"}, body.encode())


class Proxy:
    """`script(request, forward)` returns an Answer, by `forward()` that of the bucket; None cuts the connection."""

    def __init__(self, target, script=lambda request, forward: forward()):
        proxy, self.script = self, script

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body in one packet: in two, the second waits 40 ms for the first's receipt.
            wbufsize = -1

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = Request(self.command, self.path, dict(self.headers), body)
                answer = proxy.script(request, lambda: _forward(target, request))
                if answer is None:
                    self.close_connection = True
                    return
                self.send_response_only(answer.status)
                for key, value in answer.headers.items():
                    self.send_header(key, value)
                # The length of what HEAD does not send is the bucket's.
                if self.command != "HEAD" and answer.status != 204:
                    self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if answer.cut_after is not None:
                    self.close_connection = True
                if self.command != "HEAD":
                    self.wfile.write(answer.body[: answer.cut_after])
                self.wfile.flush()

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        # Who was cut off has no log.
        self._server.handle_error = lambda *_: None
        self.port = self._server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


def _forward(target, request):
    connection = http.client.HTTPConnection("127.0.0.1", target, timeout=30)
    try:
        headers = {key: value for key, value in request.headers.items() if key.lower() != "connection"}
        connection.request(request.method, request.path, request.body, headers)
        answer = connection.getresponse()
        body = answer.read()
        headers = {key: value for key, value in answer.getheaders() if key.lower() not in HOP_BY_HOP}
        if request.method == "HEAD" and answer.getheader("Content-Length"):
            headers["Content-Length"] = answer.getheader("Content-Length")
        return Answer(answer.status, headers, body)
    finally:
        connection.close()
