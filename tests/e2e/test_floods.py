"""Attacks by raw sockets: each is refused in its protocol's own words, memory stays, and the others notice nothing.

`TRACEWEIR_PROVE_FLOODS` is for how many seconds each goes on, `TRACEWEIR_PROVE_FLOODS_CONNECTIONS` by how many
connections at a time; a table of figures is printed.
"""

import collections
import os
import threading
import time

import pytest
from harness import bombs, floods
from harness.certs import Authority
from harness.innocent import Innocent
from harness.limits import metric
from harness.memory import Watch, files, resident
from harness.wait import until

SECONDS = float(os.environ.get("TRACEWEIR_PROVE_FLOODS", "0"))
CONNECTIONS = int(os.environ.get("TRACEWEIR_PROVE_FLOODS_CONNECTIONS", "24"))
THREADS = min(CONNECTIONS, 24)
# What an attack may have the process take beyond what it had, in KiB.
MORE_KIB = 32 << 10
# What is in flight may take so much (`receiver.limits.in_flight_bytes_max`), and a quarter for its handling.
IN_FLIGHT_KIB = (64 + 16) << 10
# Frames or streams of a connection at most.
FRAMES = 20_000
# So that what is slow is over soon; the long form has what we run with.
SOON = {} if SECONDS else {"server.header_wait": "1s", "server.idle_max": "5s", "server.stall_max": "1s", "receiver.body.idle_max": "500ms",
                           "receiver.body.time_max": "1s", "server.ping_wait": "1s"}
LISTENER = "otlp_http"
BOMBS = bombs.all_of_them()
# Connections that do nothing; the most that there may be.
IDLE = CONNECTIONS if SECONDS else 200
# What each of them takes: a task and its buffers, 7 KiB in a debug build.
IDLE_KIB = 8


class Besieged:
    """A gateway, an innocent tenant, and what they were like before."""

    def __init__(self, gateway, http=LISTENER):
        self.gateway, self.is_there = gateway, http == LISTENER
        self.innocent = Innocent(gateway, http)
        self._warm()

    def _warm(self):
        """What grows once, has grown: threads, pools of buffers, the innocent's connections."""
        for bomb in BOMBS[:7] if self.is_there else ():
            floods.post(self.gateway.addresses[LISTENER], bomb)
        self.rest()

    def rest(self):
        """Until only those are connected that are ours, and memory goes up no more: how many, how many files, memory."""
        until("connections that end", 120, lambda: self.connections() <= int(self.is_there))
        self.innocent.more()
        least = resident(self.gateway)

        def quiet():
            nonlocal least
            now, before = resident(self.gateway), least
            least = now
            return now <= before

        until("memory at rest", 30, quiet, pause=0.2)
        return self.connections(), files(self.gateway), resident(self.gateway)

    def end(self):
        """Nothing of the innocent's is lost, nothing of the attacker's is stored."""
        self.innocent.more()
        self.innocent.close()
        self.innocent.is_whole()
        assert metric(self.gateway, "traceweir_tenant_spans_total", tenant="attacker") == 0
        assert self.gateway.process.poll() is None
        # Nor can a stranger fill the log: what is broken off is counted, not told.
        told = [line for line in self.gateway.log.read_text().splitlines() if '"level":"INFO"' not in line]
        assert not told, told[:3]

    def connections(self):
        return metric(self.gateway, "traceweir_connections", listener=LISTENER)

    def ended(self, how):
        return metric(self.gateway, "traceweir_connections_total", listener=LISTENER, end=how)


@pytest.fixture(scope="module")
def besieged(new_gateway):
    gateway = new_gateway(tenancy="header", **{key.replace(".", "__"): value for key, value in SOON.items()}).start()
    besieged = Besieged(gateway)
    yield besieged
    besieged.end()


def _attack(once, seconds=SECONDS, threads=THREADS):
    """Has many do it at a time, each once and then for so many seconds: how often it ended how."""
    counts, lock, deadline = collections.Counter(), threading.Lock(), time.monotonic() + seconds

    def run():
        while True:
            try:
                end = once()
            except (ConnectionError, TimeoutError) as error:
                end = type(error).__name__
            with lock:
                counts[end] += 1
            if time.monotonic() >= deadline:
                return

    workers = [threading.Thread(target=run, daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return counts


def _under(besieged, name, once, more=MORE_KIB, **how):
    """Attacks, and insists on what holds whatever the attack is. How it was answered."""
    gateway, innocent = besieged.gateway, besieged.innocent
    _, open_files, before = besieged.rest()
    idle = innocent.percentile(0.5), innocent.percentile(0.99)
    innocent.since()
    with Watch(gateway) as watch:
        counts = _attack(once, **how)
        innocent.more()
    peak = watch.peak - before
    busy = innocent.percentile(0.5), innocent.percentile(0.99)
    innocent.since()
    told = ", ".join(f"{end} x{count}" for end, count in counts.most_common(4))
    print(f"| {name} | {sum(counts.values())} | {told} | {peak / 1024:+.1f} | {idle[0]:.1f} / {idle[1]:.1f} "
          f"| {busy[0]:.1f} / {busy[1]:.1f} |")
    assert gateway.process.poll() is None
    assert peak <= more, f"{name}: {peak} KiB more"
    until("files as before", 120, lambda: files(gateway) <= open_files + 2)
    assert not innocent.faults
    return counts


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb.name)
def test_bombs(bomb, besieged):
    outcomes = "traceweir_receiver_requests_total"
    outcome = {413: "too_large", 400: "invalid", 200: ""}[bomb.status[0]]
    before = metric(besieged.gateway, outcomes, outcome=outcome)
    address = besieged.gateway.addresses[LISTENER]
    more = IN_FLIGHT_KIB if bomb.is_taken else MORE_KIB
    counts = _under(besieged, bomb.name, lambda: floods.post(address, bomb)[0], more, threads=4)
    assert set(counts) <= set(bomb.status), counts
    if outcome:
        assert metric(besieged.gateway, outcomes, outcome=outcome) - before >= sum(counts.values())


def _flood(attack, besieged):
    before = besieged.ended(attack.counted) if attack.counted else 0
    address = besieged.gateway.addresses[LISTENER]
    more = max(MORE_KIB, attack.kib * THREADS)
    counts = _under(besieged, attack.name, lambda: attack.once(address, FRAMES), more)
    assert set(counts) <= attack.ends, counts
    if attack.counted:
        until(f"{attack.counted} in the metrics", 60,
              lambda: besieged.ended(attack.counted) - before >= sum(counts.values()))


@pytest.mark.parametrize("attack", [of for of in floods.ATTACKS if not of.tls], ids=lambda attack: attack.name)
def test_floods(attack, besieged):
    _flood(attack, besieged)


@pytest.fixture(scope="module")
def besieged_tls(new_gateway, tmp_path_factory):
    """One port speaks TLS, and the innocent comes by others."""
    cert, key = Authority(tmp_path_factory.mktemp("certificates")).sign("server")
    settings = {**SOON, "tls.cert_file": cert, "tls.key_file": key, "tls.clear": '["otlp_grpc", "http", "admin"]'}
    gateway = new_gateway(tenancy="header", **{key.replace(".", "__"): value for key, value in settings.items()})
    besieged = Besieged(gateway.start(), "otlp_grpc")
    yield besieged
    besieged.end()


@pytest.mark.parametrize("attack", [of for of in floods.ATTACKS if of.tls], ids=lambda attack: attack.name)
def test_handshakes(attack, besieged_tls):
    _flood(attack, besieged_tls)


def test_idle_connections_up_to_the_most(new_gateway):
    """Those over it are closed as they come; who was there before goes on; the silent ones go when their time is up."""
    settings = {**SOON, "server.connections_max": IDLE + 1, "server.header_wait": "30s" if SECONDS else "5s"}
    gateway = new_gateway(tenancy="header", **{key.replace(".", "__"): value for key, value in settings.items()})
    besieged, over = Besieged(gateway.start()), 20
    refused, silent = besieged.ended("refused"), besieged.ended("silent")
    address, streams = gateway.addresses[LISTENER], []

    def connects():
        for _ in range(IDLE + over):
            streams.append(floods.connect(address, 60))
        until("a refusal of each that is over", 60, lambda: besieged.ended("refused") - refused >= over)
        besieged.innocent.more()
        return f"{int(besieged.connections())} open"

    more = max(MORE_KIB, IDLE * IDLE_KIB)
    counts = _under(besieged, f"{IDLE} idle connections", connects, more, seconds=0, threads=1)
    assert set(counts) == {f"{IDLE + 1} open"}, counts
    until("the silent to be closed", 60, lambda: besieged.ended("silent") - silent == IDLE)
    assert besieged.ended("refused") - refused == over
    for stream in streams:
        assert not stream.recv(1)
        stream.close()
    # There is room again.
    assert floods.post(address, BOMBS[0])[0] == 413
    besieged.end()
