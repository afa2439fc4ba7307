"""TLS on every listener: real exporters over it, with certificates of their own, and who comes the wrong way."""

import os
import socket
import ssl
import urllib.error
import urllib.request

import pytest
from harness import sdks
from harness.certs import Authority
from harness.spans import READERS, assert_same, comparable
from harness.wait import until

CASES = [
    ("python", "grpc", "otlp_grpc"),
    ("python", "http", "otlp_http"),
    # One port answers both, over TLS, too.
    ("python", "http", "otlp_grpc"),
    ("js", "grpc", "otlp_grpc"),
    ("js", "http-proto", "otlp_http"),
    ("js", "http-json", "otlp_grpc"),
]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def gateway(new_gateway, authority):
    cert, key = authority.sign("server")
    gateway = new_gateway(tls__cert_file=cert, tls__key_file=key, tls__client_ca_file=authority.file,
                          tls__client_auth="required")
    gateway.tls = ssl.create_default_context(cafile=authority.file)
    gateway.tls.load_cert_chain(*authority.sign("reader"))
    return gateway.start()


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_exporters_with_certificates(case, gateway, authority, tmp_path):
    client, protocol, listener = case
    if client == "js" and "E2E_JS_MISSING" in os.environ:
        pytest.skip(os.environ["E2E_JS_MISSING"])
    port = gateway.addresses[listener].rsplit(":", 1)[1]
    out = tmp_path / "sent"
    sdks.write(client, protocol, "gzip", f"https://localhost:{port}", out, authority.environment(client))
    expected = comparable(sdks.read(client, out))
    for trace_id in sorted({key[0] for key in expected}):
        wanted = {key: span for key, span in expected.items() if key[0] == trace_id}
        for name, read in READERS.items():
            found = {key: span for key, span in comparable(read(gateway, trace_id)).items() if key in wanted}
            assert_same(found, wanted, f"{name} of trace {trace_id}")


def test_nobody_comes_in_without_a_certificate_but_probes(gateway, authority):
    stranger = ssl.create_default_context(cafile=authority.file)
    host, port = gateway.addresses["http"].split(":")
    with pytest.raises(OSError):
        urllib.request.urlopen(f"https://localhost:{port}/ready", timeout=10, context=stranger)
    _, port = gateway.addresses["admin"].split(":")
    with urllib.request.urlopen(f"https://localhost:{port}/ready", timeout=10, context=stranger) as answer:
        assert answer.status == 200


def test_whoever_comes_the_wrong_way_is_told(gateway, new_gateway):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://{gateway.addresses['http']}/api/echo", timeout=10)
    assert (refused.value.code, refused.value.read()) == (503, b"this port speaks TLS: use https\n")
    clear = new_gateway().start()
    host, port = clear.addresses["http"].split(":")
    for _ in range(3):
        with pytest.raises(ssl.SSLError, match="(?i)handshake.failure"):
            ssl.create_default_context().wrap_socket(socket.create_connection((host, int(port))), server_hostname=host)
    told = [line for line in clear.log.read_text().splitlines() if "speaks TLS to a port" in line]
    assert len(told) == 1, told


def test_a_certificate_that_changes_is_taken_over(gateway, authority):
    def shown():
        _, port = gateway.addresses["otlp_grpc"].split(":")
        raw = socket.create_connection(("127.0.0.1", int(port)), timeout=10)
        with gateway.tls.wrap_socket(raw, server_hostname="localhost") as stream:
            return dict(field for part in stream.getpeercert()["subject"] for field in part)["commonName"]

    assert shown() == "server"
    authority.sign("after rotation", file="server")
    until("the new certificate", 30, lambda: shown() == "after rotation")
