"""The example of three clusters and a hub runs as it stands, and notices when a cluster can claim to be another."""

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from harness.wait import until

RUN = Path(__file__).parents[2] / "deploy" / "examples" / "hub" / "run"
CLUSTERS = ("eu-1", "us-2", "ap-3")
MISSING = [tool for tool in ("openssl", "curl") if not shutil.which(tool)]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"no {', '.join(MISSING)}")


def _free_ports(count):
    """The first of so many ports in a row that nobody has."""
    for first in range(24_317, 60_000, count):
        sockets = [socket.socket() for _ in range(count)]
        try:
            for at, probe in enumerate(sockets):
                probe.bind(("127.0.0.1", first + at))
            return first
        except OSError:
            continue
        finally:
            for probe in sockets:
                probe.close()
    raise AssertionError("no free ports")


def _environment(directory, collector):
    return {**os.environ, "HUB_DIR": str(directory), "COLLECTOR": collector, "SPOKE_PORT": str(_free_ports(6))}


def _run(script, directory, collector="none"):
    return subprocess.run([script], env=_environment(directory, collector), capture_output=True, text=True, timeout=180,
                          check=False)


@pytest.mark.parametrize("way", ["collectors", "clients"])
def test_each_cluster_stays_what_it_is(way, tmp_path):
    if way == "collectors" and "E2E_COLLECTOR_MISSING" in os.environ:
        pytest.skip(os.environ["E2E_COLLECTOR_MISSING"])
    done = _run(RUN, tmp_path / "hub", os.environ["E2E_COLLECTOR"] if way == "collectors" else "none")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(CLUSTERS)]
    assert [(row[0], row[2]) for row in rows] == list(zip(CLUSTERS, (*CLUSTERS[1:], CLUSTERS[0]), strict=True))
    # By Collectors there are those of the demo, too.
    assert all(int(row[1]) > 1 if way == "collectors" else int(row[1]) == 1 for row in rows), rows
    assert done.stdout.endswith("hub: each cluster's spans carry its name, whatever they claimed\n")
    assert ("a Collector in each cluster" in done.stdout) == (way == "collectors")
    log = (tmp_path / "hub" / "hub.log").read_text()
    assert '"stopped"' in log and "ERROR" not in log


def test_it_notices_where_a_cluster_is_what_it_claims(tmp_path):
    careless = tmp_path / "run"
    text = RUN.read_text()
    for what, wrong in (
        # Nobody writes the cluster.
        (', cluster: "{cluster}"}', "}"),
        # One may write for another.
        ('sign "$cluster" "URI:spiffe://acme.example/$cluster/', 'sign "$cluster" "URI:spiffe://acme.example/eu-1/'),
    ):
        assert what in text
        # It waits for what does not come: the shorter the better.
        careless.write_text(text.replace(what, wrong).replace("SECONDS + 30", "SECONDS + 3"))
        careless.chmod(0o755)
        done = _run(careless, tmp_path / "hub")
        assert done.returncode == 1 and "no trace of" in done.stderr, done.stdout + done.stderr
        shutil.rmtree(tmp_path / "hub")


def test_it_stays_until_it_is_told_to_end(tmp_path):
    out = tmp_path / "out"
    with open(out, "w") as told:
        process = subprocess.Popen([RUN, "--stay"], env=_environment(tmp_path / "hub", "none"), stdout=told, stderr=told)
    try:
        until("it to stay", 60, lambda: "Ctrl-C ends it" in out.read_text() or process.poll() is not None)
        command = next(line for line in out.read_text().splitlines() if "go on with: " in line).split("go on with: ")[1]
        asked = subprocess.run(["bash", "-c", command.replace("traceweir", os.environ["TRACEWEIR_BIN"], 1)],
                               capture_output=True, text=True, timeout=60, check=False)
        assert asked.returncode == 0 and "liar" in asked.stdout, asked.stderr
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    assert '"stopped"' in (tmp_path / "hub" / "hub.log").read_text()
