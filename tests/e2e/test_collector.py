"""A real Collector forwards to the gateway with each coding, and loses nothing through any fault."""

import os
import threading

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from harness.collector import Collector
from harness.disk import fill, small_disk
from harness.faulty import FaultyGrpc, FaultyHttp
from harness.load import SPANS_PER_TRACE, Load
from harness.wait import until
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

pytestmark = pytest.mark.skipif(
    "E2E_COLLECTOR_MISSING" in os.environ, reason=os.environ.get("E2E_COLLECTOR_MISSING", "")
)

# Nothing is sealed and merged to make room meanwhile.
SMALL = {"wal.segment_bytes": "256KiB", "disk.bytes_max": "64MiB", "head.seal.rows": "100000",
         "l0.window": "1m"}
EXPORTERS = ["otlp_grpc", "otlp_http"]
CODINGS = [(exporter, coding) for exporter in EXPORTERS for coding in ("none", "gzip", "zstd", "snappy")]
CODINGS += [("otlp_http", "zlib"), ("otlp_http", "deflate")]


@pytest.fixture(scope="module")
def gateway(new_gateway):
    return new_gateway().start()


def _endpoint(gateway, exporter):
    return gateway.addresses["otlp_grpc"] if exporter == "otlp_grpc" else f"http://{gateway.addresses['otlp_http']}"


@pytest.mark.parametrize(("exporter", "coding"), CODINGS)
def test_forwards(exporter, coding, gateway, tmp_path):
    load = Load()
    with Collector(tmp_path, exporter, _endpoint(gateway, exporter), coding) as collector:
        for _ in range(20):
            collector.send(load.request())
        load.arrive(gateway, 30, collector)
        assert collector.dropped() == []
    assert load.spans == 2_000


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_loses_nothing_while_the_gateway_restarts(exporter, new_gateway, tmp_path):
    gateway = new_gateway().start()
    load = Load()
    with Collector(tmp_path, exporter, _endpoint(gateway, exporter), "gzip", batch=50) as collector:
        sender = Sender(collector, load)
        for end in (gateway.kill, gateway.stop, gateway.kill, gateway.stop):
            sender.more(400)
            sender.wait_left(200)
            end()
            # The Collector has more to send while nobody listens.
            sender.wait_left(100)
            gateway.start()
        sender.finish()
        load.arrive(gateway, 90, collector)
        assert collector.dropped() == []
    assert load.spans == 4 * 400 * 2 * SPANS_PER_TRACE


class Sender:
    """Sends requests in the background, as many as it was told to."""

    def __init__(self, collector, load):
        self._collector = collector
        self._load = load
        self._left = 0
        self._changed = threading.Condition()
        self._failure = None
        self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def more(self, requests):
        with self._changed:
            self._left += requests
            self._changed.notify_all()

    def wait_left(self, most, limit=60):
        """Waits until at most so many requests are still to be sent."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._failure or self._left <= most, limit), "the load stands still"
        assert self._failure is None, self._failure

    def finish(self):
        self.wait_left(0)
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self):
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._left or self._ended)
                if not self._left:
                    return
            try:
                self._collector.send(self._load.request(traces=2))
            except grpc.RpcError as error:
                self._failure = error
            with self._changed:
                self._left -= 1
                self._changed.notify_all()
                if self._failure:
                    return


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_loses_nothing_while_the_disk_is_full(exporter, new_gateway, tmp_path):
    load = Load(filler_bytes=2_000)
    with small_disk(tmp_path / "disk", "24m") as disk:
        gateway = new_gateway(disk / "data", **SMALL).start()
        with Collector(tmp_path, exporter, _endpoint(gateway, exporter), "none") as collector:
            collector.send(load.request())
            load.arrive(gateway, 60, collector)
            # Somebody else takes the space.
            ballast = fill(disk / "ballast")
            for _ in range(100):
                collector.send(load.request())
            answer = until("refusal", 30, lambda: _refusal(gateway))
            assert answer.code() == grpc.StatusCode.UNAVAILABLE, answer
            assert _retry_seconds(answer) > 0
            ballast.unlink()
            load.arrive(gateway, 120, collector)
            assert collector.dropped() == []
        gateway.stop()


def _refusal(gateway):
    """One request of our own; None where it was taken."""
    probe = Load(filler_bytes=2_000)
    with grpc.insecure_channel(gateway.addresses["otlp_grpc"]) as channel:
        try:
            TraceServiceStub(channel).Export(probe.request(), timeout=10)
        except grpc.RpcError as error:
            return error
    return None


def _retry_seconds(answer):
    metadata = dict(answer.trailing_metadata())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    assert status.code == grpc.StatusCode.UNAVAILABLE.value[0]
    retry = error_details_pb2.RetryInfo()
    assert [detail.Unpack(retry) for detail in status.details].count(True) == 1, status
    return retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_loses_nothing_through_429_and_503(exporter, gateway, tmp_path):
    """What limits and outages in front of the gateway do: two of three requests are refused."""
    faulty, listener = (FaultyGrpc, "otlp_grpc") if exporter == "otlp_grpc" else (FaultyHttp, "otlp_http")
    load = Load()
    with faulty(gateway.addresses[listener]) as between:
        with Collector(tmp_path, exporter, between.endpoint, "none", batch=100) as collector:
            for _ in range(10):
                collector.send(load.request())
            load.arrive(gateway, 90, collector)
            assert collector.dropped() == []
    assert between.counts["limited"] >= 5 and between.counts["unavailable"] >= 5, between.counts
