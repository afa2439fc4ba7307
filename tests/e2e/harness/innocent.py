"""A tenant that does nothing wrong: it exports and asks all the time, and notes what it is answered and how fast."""

import threading
import time

from .knock import EXPORT, Knock, spans
from .limits import metric
from .wait import until

TENANT = "innocent"


class Innocent:
    """Exports over gRPC and HTTP (to the port of this name), one span at a time, and searches: each by a connection
    that lasts."""

    def __init__(self, gateway, http="otlp_http", pause=0.02):
        self.gateway, self.port, self.pause = gateway, http, pause
        self.acked, self.asked, self.faults, self.millis = 0, 0, [], []
        self._knock = Knock(gateway)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.more()

    def more(self, rounds=3, limit=60):
        """Waits until it has been answered as often again; insists that nothing was refused."""
        wanted = self.asked + rounds
        until("answers to the innocent", limit, lambda: self.faults or self.asked >= wanted)
        assert not self.faults, self.faults[:3]

    def since(self):
        """Forgets how long it has waited until now."""
        self.millis = []

    def percentile(self, part):
        """Of the times of its requests, in milliseconds."""
        times = sorted(self.millis)
        return times[min(len(times) - 1, int(len(times) * part))] if times else 0.0

    def close(self):
        self._done.set()
        self._thread.join()
        self._knock.close()

    def is_whole(self):
        """Whether all that was acknowledged is counted, once, and nothing else is."""
        stored = metric(self.gateway, "traceweir_tenant_spans_total", tenant=TENANT)
        assert stored == self.acked, (stored, self.acked)

    def _run(self):
        header = [("x-scope-orgid", TENANT.encode())]
        post = [*header, ("content-type", b"application/x-protobuf")]
        while not self._done.wait(self.pause):
            try:
                body = spans("innocent").SerializeToString()
                self._one(lambda: self._knock.http(self.port, "POST", "/v1/traces", post, body)[0], 200)
                self.acked += 1
                self._one(lambda: self._knock.stream("otlp_grpc", EXPORT, body, header)[0], 0)
                self.acked += 1
                self._one(lambda: self._knock.http("http", "GET", "/api/search?q=%7B%20%7D&limit=1", header)[0], 200)
                self.asked += 1
            except Exception as error:  # noqa: BLE001: whatever it is, the test tells it
                self.faults.append(repr(error))
                return

    def _one(self, ask, wanted):
        began = time.monotonic()
        status = ask()
        self.millis.append((time.monotonic() - began) * 1e3)
        assert status == wanted, (status, self._knock.said)
