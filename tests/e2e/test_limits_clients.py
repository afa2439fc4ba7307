"""Real exporters that send more than their tenant may: they are told to come back, and nothing is lost."""

import json
import os
import time

import pytest
from harness import sdks
from harness.certs import Authority
from harness.collector import Collector
from harness.limits import Overrides, metric
from harness.load import Load, span_ids
from harness.tokens import Tokens
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

# Batches are of 512 spans: every one of these goes into debt, and the next is refused until that is paid.
RATE = {"ingestion": {"rate_spans": 500, "burst_spans": 400}}
SPANS = 5 * 512
ISSUER = "https://idp.example"
needs_js = pytest.mark.skipif("E2E_JS_MISSING" in os.environ, reason=os.environ.get("E2E_JS_MISSING", ""))
needs_collector = pytest.mark.skipif("E2E_COLLECTOR_MISSING" in os.environ,
                                     reason=os.environ.get("E2E_COLLECTOR_MISSING", ""))


@pytest.fixture(scope="module")
def gateway(new_gateway, tmp_path_factory):
    overrides = Overrides(tmp_path_factory.mktemp("overrides"), tenants={"default": RATE})
    return new_gateway(overrides__file=overrides.file).start()


def _refused(gateway, reason="rate_spans"):
    return metric(gateway, "traceweir_tenant_refused_total", reason=reason)


def _limited(gateway, protocol):
    return metric(gateway, "traceweir_receiver_requests_total", protocol=protocol, outcome="limited")


def _bursts(gateway, client, protocol, listener, tmp_path, environment=None):
    """What was sent, how many spans the client gave up on, and how often it was refused."""
    before = _refused(gateway)
    lost = sdks.burst(client, protocol, SPANS, gateway.url(listener), tmp_path / "sent", environment)
    load = Load()
    load.adopt(sdks.read(client, tmp_path / "sent"))
    assert load.spans == SPANS
    return load, lost, _refused(gateway) - before


SDKS = [("python", "grpc", "otlp_grpc"), ("python", "http", "otlp_http"),
        pytest.param(("js", "http-proto", "otlp_http"), marks=needs_js),
        pytest.param(("js", "http-json", "otlp_http"), marks=needs_js)]


@pytest.mark.parametrize("case", SDKS, ids=lambda case: "-".join(case))
def test_sdks_come_back_and_lose_nothing(case, gateway, tmp_path):
    load, lost, refused = _bursts(gateway, *case, tmp_path)
    assert refused >= 2, "they were never told to come back"
    assert lost == 0
    load.arrive(gateway, 30)


@needs_js
def test_js_over_grpc_gives_up_what_is_refused(gateway, tmp_path):
    """The JS exporter retries nothing over gRPC: what it is refused is what it loses, and it says so."""
    load, lost, refused = _bursts(gateway, "js", "grpc", "otlp_grpc", tmp_path)
    assert refused >= 1 and lost == refused * 512, (refused, lost)
    found = sum(len(span_ids(gateway, trace)) for trace in load.made)
    assert found == SPANS - lost


@needs_collector
@pytest.mark.parametrize("exporter", ["otlp_grpc", "otlp_http"])
def test_the_collector_comes_back_and_loses_nothing(exporter, gateway, tmp_path):
    address = gateway.addresses[exporter]
    endpoint = address if exporter == "otlp_grpc" else f"http://{address}"
    before, load = _refused(gateway), Load()
    protocol = "grpc" if exporter == "otlp_grpc" else "http_protobuf"
    limited = _limited(gateway, protocol)
    with Collector(tmp_path, exporter, endpoint, "gzip", batch=400) as collector:
        for _ in range(20):
            collector.send(load.request())
        load.arrive(gateway, 90, collector)
        assert collector.dropped() == []
    assert load.spans == 2_000
    assert _refused(gateway) - before >= 2 and _limited(gateway, protocol) - limited >= 2


class Door:
    """A gateway that speaks TLS and asks who comes: of a class with a small rate, or of none."""

    def __init__(self, new_gateway, directory):
        self.authority = Authority(directory)
        cert, key = self.authority.sign("server")
        self.key = ECKey.generate_key("P-256", {"kid": "one", "alg": "ES256", "use": "sig"})
        jwks = directory / "jwks.json"
        jwks.write_text(json.dumps(KeySet([self.key]).as_dict(private=False)))
        grants = {"tenants": ["{/tenant}"], "scopes": ["traces:write"], "class": "small"}
        issuer = {"issuer": ISSUER, "audience": ["traceweir"], "jwks_file": str(jwks), "grants": grants}
        tokens = Tokens(directory)
        self.token = tokens.new("agent", "--tenant", "shop", "--scope", "traces:write", "--class", "small")
        reader = tokens.new("reader", "--tenant", "shop", "--scope", "traces:read")
        overrides = Overrides(directory, classes={"small": RATE})
        self.gateway = new_gateway(tls__cert_file=cert, tls__key_file=key, auth__tokens_file=tokens.file,
                                   auth__issuers=json.dumps([issuer]), overrides__file=overrides.file)
        self.gateway.tls = self.authority.context()
        self.gateway.headers = {"Authorization": f"Bearer {reader}"}
        self.gateway.start()

    def jwt(self):
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": "traceweir", "sub": "agent", "iat": now, "exp": now + 600, "tenant": "shop"}
        return jwt.encode({"alg": "ES256", "kid": "one"}, claims, self.key)


@pytest.fixture(scope="module")
def door(new_gateway, tmp_path_factory):
    return Door(new_gateway, tmp_path_factory.mktemp("door"))


@pytest.mark.parametrize(("case", "shows"), [(("python", "grpc", "otlp_grpc"), "jwt"),
                                             (("python", "http", "otlp_http"), "api token")],
                         ids=["grpc-jwt", "http-api-token"])
def test_over_tls_with_a_token_of_a_class(case, shows, door, tmp_path):
    token = door.jwt() if shows == "jwt" else door.token
    ca = str(door.authority.file)
    environment = {"OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{token}",
                   "OTEL_EXPORTER_OTLP_CERTIFICATE": ca, "REQUESTS_CA_BUNDLE": ca, "CURL_CA_BUNDLE": ca}
    load, lost, refused = _bursts(door.gateway, *case, tmp_path, environment)
    assert refused >= 2 and lost == 0, (refused, lost)
    assert metric(door.gateway, "traceweir_tenant_refused_total", tenant="shop", **{"class": "small"}) >= refused
    load.arrive(door.gateway, 30)
