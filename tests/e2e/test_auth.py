"""Who is let in: tokens that the command line makes, JSON Web Tokens, Basic; real exporters with them, and without."""

import base64
import json
import os
import ssl
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
from harness import sdks
from harness.certs import Authority
from harness.collector import Collector
from harness.load import Load
from harness.spans import comparable
from harness.wait import until
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

ISSUER = "https://idp.example"
TRACES = "application/x-protobuf"


class Door:
    """A gateway that asks who comes, and what lets somebody in."""

    def __init__(self, new_gateway, directory):
        self.directory = directory
        self.secrets = []
        self.tokens = directory / "tokens.yaml"
        self.writer = self.token("writer", "--tenant", "shop", "--scope", "traces:write")
        self.spoke = self.token("spoke", "--tenant", "shop", "--scope", "traces:write", "--cluster", "eu-1")
        self.reader = self.token("reader", "--read", "shop", "--read", "ops", "--scope", "traces:read")
        self.operator = self.token("operator", "--tenant", "*", "--scope", "admin", "--scope", "metrics:read")
        self.keys = [ECKey.generate_key("P-256", {"kid": "one", "alg": "ES256", "use": "sig"})]
        self.jwks = directory / "jwks.json"
        self.publish()
        issuer = {"issuer": ISSUER, "audience": ["traceweir"], "jwks_file": str(self.jwks),
                  "grants": {"tenants": ["{/tenant}"], "scopes": ["{/scope}"]}}
        self.gateway = new_gateway(auth__tokens_file=self.tokens, auth__issuers=json.dumps([issuer])).start()

    def token(self, name, *grants):
        command = [os.environ["TRACEWEIR_BIN"], "token", "new", "--id", name, *grants, "--file", self.tokens]
        made = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        self.secrets.append(made.split("_", 2)[2])
        return made

    def publish(self):
        self.jwks.write_text(json.dumps(KeySet(self.keys).as_dict(private=False)))

    def jwt(self, key=None, **claims):
        key = key or self.keys[0]
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": "traceweir", "sub": "agent", "iat": now, "exp": now + 600, "tenant": "shop",
                  "scope": "traces:write traces:read", **claims}
        token = jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key)
        self.secrets.append(token.rsplit(".", 1)[1])
        return token

    def ask(self, listener, path, authorization=None, body=None, **headers):
        """Status, headers, body."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if authorization:
            headers["Authorization"] = authorization
        request = urllib.request.Request(self.gateway.url(listener, path), body, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def delete(self, tenant, authorization):
        """The status of deleting all that a tenant has."""
        request = urllib.request.Request(self.gateway.url("admin", f"/tenants/{tenant}"), method="DELETE",
                                         headers={"Authorization": authorization})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code


def bearer(token):
    return f"Bearer {token}"


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture(scope="module")
def door(new_gateway, tmp_path_factory):
    return Door(new_gateway, tmp_path_factory.mktemp("door"))


def _sends(door, client, protocol, listener, token, tmp_path, tenant="shop"):
    """A client sends the known set with a token; whoever may read its tenant finds it."""
    out = tmp_path / "sent"
    environment = {"OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{token},x-scope-orgid={tenant}"}
    sdks.write(client, protocol, "gzip", door.gateway.addresses[listener], out, environment)
    expected = comparable(sdks.read(client, out))
    traces = {key[0] for key in expected}
    for trace in traces:
        status, _, body = door.ask("http", f"/api/v2/traces/{trace}", basic(tenant, door.reader), Accept=TRACES)
        assert status == 200, body
    return traces


@pytest.mark.parametrize("case", [("python", "grpc", "otlp_grpc"), ("python", "http", "otlp_http"),
                                  ("js", "grpc", "otlp_grpc"), ("js", "http-proto", "otlp_http")], ids="-".join)
@pytest.mark.parametrize("kind", ["api token", "jwt"])
def test_exporters_with_tokens(case, kind, door, tmp_path):
    client, protocol, listener = case
    if client == "js" and "E2E_JS_MISSING" in os.environ:
        pytest.skip(os.environ["E2E_JS_MISSING"])
    token = door.writer if kind == "api token" else door.jwt()
    traces = _sends(door, client, protocol, listener, token, tmp_path)
    # Nobody else sees them, whatever they name.
    for trace in traces:
        path = f"/api/v2/traces/{trace}"
        assert door.ask("http", path, basic("ops", door.reader))[0] == 404
        assert door.ask("http", path, basic("shop", door.jwt(tenant="ops")))[0] == 403
        assert door.ask("http", path, bearer(door.jwt(tenant="ops")), x_scope_orgid="shop")[0] == 403
        assert door.ask("http", f"/api/traces/v1/shop/tempo{path}", bearer(door.jwt(tenant="ops")))[0] == 403
        assert door.ask("http", path, bearer(door.writer))[0] == 403


def test_who_shows_nothing_or_what_does_not_hold_is_refused_as_its_protocol_says(door):
    jwt = door.jwt()
    for authorization in (None, bearer("twk_writer_wrong"), bearer("a.b.c"), bearer(jwt[:-4] + "AAAA"), "Digest x",
                          basic("shop", "guess"), bearer(door.jwt(aud="other")), bearer(door.jwt(exp=1))):
        for listener, path, body, headers in (
            ("otlp_http", "/v1/traces", b"", {"Content_Type": TRACES}),
            ("otlp_grpc", "/v1/traces", b"{}", {"Content_Type": "application/json"}),
            ("http", "/v1/traces", b"", {"Content_Type": TRACES}),
            ("http", "/api/search", None, {}),
            ("http", "/api/echo", None, {}),
            ("http", "/api/v2/search/tags", None, {}),
            ("http", "/api/v2/search/tag/name/values", None, {}),
            ("http", "/api/metrics/query_range?q=%7B%7D%7Crate()", None, {}),
            ("http", "/metrics", None, {}),
            ("admin", "/status", None, {}),
            ("admin", "/status/config", None, {}),
            ("admin", "/flush", b"", {}),
        ):
            status, _, answer = door.ask(listener, path, authorization, body, **headers)
            assert status == 401, (authorization, path, status, answer)
    status, headers, _ = door.ask("http", "/api/search")
    assert status == 401 and headers["WWW-Authenticate"].startswith("Basic ")
    for listener in ("http", "admin"):
        assert [door.ask(listener, path)[0] for path in ("/ready", "/live")] == [200, 200]
    assert door.ask("admin", "/metrics")[0] == 200
    assert door.ask("http", "/metrics", bearer(door.operator))[0] == 200
    assert door.ask("admin", "/flush", bearer(door.reader), b"")[0] == 403
    assert door.ask("admin", "/flush?level=l0", bearer(door.operator), b"")[0] == 200
    assert door.ask("http", "/api/search", bearer(door.operator), x_scope_orgid="shop")[0] == 403
    # Who operates one tenant operates no other.
    own = door.token("own-operator", "--tenant", "shop", "--scope", "admin")
    until("the token", 20, lambda: door.ask("admin", "/redactions", bearer(own))[0] == 200)
    redaction = json.dumps({"tenant": "ops", "traces": ["1" * 32]}).encode()
    assert door.ask("admin", "/redactions", bearer(own), redaction)[0] == 403
    assert door.delete("ops", bearer(own)) == 403
    assert door.delete("nobody", bearer(door.operator)) == 200


def test_grpc_says_it_in_its_own_words(door):
    import grpc

    def call(path, token, tenant="shop"):
        with grpc.insecure_channel(door.gateway.addresses["http"]) as channel:
            method = channel.unary_unary(path, lambda message: message, lambda message: message)
            metadata = [("x-scope-orgid", tenant), *([("authorization", bearer(token))] if token else [])]
            try:
                method(b"", timeout=20, metadata=metadata)
                return grpc.StatusCode.OK
            except grpc.RpcError as error:
                return error.code()

    export = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    search = "/tempopb.StreamingQuerier/SearchTags"
    code = grpc.StatusCode
    assert call(export, door.writer) == code.OK
    assert call(export, None) == code.UNAUTHENTICATED
    assert call(export, "twk_writer_guess") == code.UNAUTHENTICATED
    assert call(export, door.reader) == code.PERMISSION_DENIED
    assert call(export, door.writer, "ops") == code.PERMISSION_DENIED
    assert call(search, None) == code.UNAUTHENTICATED
    assert call(search, door.writer) == code.PERMISSION_DENIED
    assert call(search, door.jwt(tenant="ops")) == code.PERMISSION_DENIED
    # A key that may be its issuer's next one: to come back, never to throw away.
    stranger = ECKey.generate_key("P-256", {"kid": "tomorrow", "alg": "ES256"})
    answers = {call(export, door.jwt(key=stranger)) for _ in range(3)}
    assert answers <= {code.UNAVAILABLE, code.UNAUTHENTICATED}, answers


def test_nobody_claims_another_cluster(door):
    trace = "c1" * 16
    claims = {"service.name": "checkout", "cluster": "us-9", "k8s.cluster.name": "eu-1"}
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in claims.items()]
    span = {"traceId": trace, "spanId": "1" * 16, "name": "pay", "startTimeUnixNano": str(time.time_ns()),
            "endTimeUnixNano": str(time.time_ns() + 1000)}
    body = {"resourceSpans": [{"resource": {"attributes": attributes}, "scopeSpans": [{"spans": [span]}]}]}
    sent = door.ask("otlp_http", "/v1/traces", bearer(door.spoke), json.dumps(body).encode(),
                    Content_Type="application/json")
    assert sent[0] == 200, sent
    found = json.loads(door.ask("http", f"/api/v2/traces/{trace}", basic("shop", door.reader))[2])
    resource = found["trace"]["resourceSpans"][0]["resource"]["attributes"]
    told = {of["key"]: of["value"]["stringValue"] for of in resource}
    assert told == {"service.name": "checkout", "cluster": "eu-1", "k8s.cluster.name": "eu-1",
                    "cluster.reported": "us-9"}
    query = urllib.parse.quote('{ resource.cluster = "eu-1" && resource.cluster.reported = "us-9" }')
    found = json.loads(door.ask("http", f"/api/search?q={query}", basic("shop", door.reader))[2])
    assert [of["traceID"] for of in found["traces"]] == [trace]


def test_keys_rotate_and_tokens_are_revoked_while_it_runs(door, tmp_path):
    later = ECKey.generate_key("P-256", {"kid": "two", "alg": "ES256", "use": "sig"})
    door.keys.insert(0, later)
    door.publish()
    before = door.jwt(key=door.keys[1])

    def search(token):
        return door.ask("http", "/api/search", bearer(token))[0]

    until("the new key", 40, lambda: search(door.jwt()) == 200)
    assert search(before) == 200, "those of the old key hold as long as it is published"
    door.keys.pop()
    door.publish()
    until("the old key to be gone", 40, lambda: search(before) != 200)
    assert search(door.jwt()) == 200
    short = door.token("short-lived", "--tenant", "shop", "--scope", "traces:read")
    until("a new token", 20, lambda: search(short) == 200)
    rows = door.tokens.read_text()
    door.tokens.write_text(rows.replace("short-lived", "renamed"))
    until("the token to be revoked", 20, lambda: search(short) == 401)
    # What cannot be read takes nothing away.
    door.tokens.write_text("tokens: [{id: x}]\n")
    fault = "API tokens have changed and cannot be used"
    until("the fault in the log", 20, lambda: fault in door.gateway.log.read_text())
    assert search(door.reader) == 400, "two tenants, and none is named"
    door.tokens.write_text(rows)


def test_the_command_line_shows_a_token(door):
    def run(*arguments, token):
        environment = {**os.environ, "TRACEWEIR_TOKEN": token}
        return subprocess.run([os.environ["TRACEWEIR_BIN"], *arguments], env=environment, capture_output=True,
                              text=True, timeout=30, check=False)

    admin = ("--admin", door.gateway.addresses["admin"])
    assert run("status", *admin, token=door.operator).returncode == 0
    refused = run("status", *admin, token=door.reader)
    assert refused.returncode == 1 and "403" in refused.stderr
    query = ("query", "search", "{ }", "--url", f"http://{door.gateway.addresses['http']}", "--tenant", "shop")
    assert run(*query, token=door.reader).returncode == 0
    assert run(*query, token="twk_nobody_x").returncode == 1


def test_no_secret_stands_in_a_log_or_a_metric(door):
    log, (_, _, metrics) = door.gateway.log.read_text(), door.ask("admin", "/metrics")
    config = door.ask("admin", "/status/config", bearer(door.operator))[2].decode()
    assert '"not let in"' in log and "an operator's request" in log
    assert 'traceweir_auth_denied_total{reason="invalid"}' in metrics.decode()
    assert len(door.secrets) > 10
    for secret in door.secrets:
        assert secret not in log and secret not in metrics.decode() and secret not in config


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def hub(new_gateway, authority):
    """A gateway that knows clusters by their certificates; we read what they send."""
    cert, key = authority.sign("server")
    rule = {"uri": "spiffe://acme/{cluster}/ns/{ns}", "grants": {
        "tenants": ["{ns}"], "scopes": ["traces:write", "traces:read"], "cluster": "{cluster}"}}
    gateway = new_gateway(tls__cert_file=cert, tls__key_file=key, tls__client_ca_file=authority.file,
                          auth__certificates=json.dumps([rule]))
    gateway.tls = _shows(authority, "agent", "spiffe://acme/eu-1/ns/shop")
    return gateway.start()


def _shows(authority, name, uri=None):
    context = ssl.create_default_context(cafile=authority.file)
    if uri:
        context.load_cert_chain(*authority.sign(name, uri))
    return context


def test_a_certificate_tells_who_it_is(hub, authority, tmp_path):
    environment = authority.environment("exporter", "spiffe://acme/eu-1/ns/shop")
    out = tmp_path / "sent"
    sdks.write("python", "grpc", "gzip", hub.url("otlp_grpc"), out, environment)
    traces = {key[0] for key in comparable(sdks.read("python", out))}
    for trace in traces:
        status, body = hub.get(f"/api/v2/traces/{trace}")
        resources = [of["resource"]["attributes"] for of in json.loads(body)["trace"]["resourceSpans"]]
        clusters = {of["value"]["stringValue"] for one in resources for of in one if of["key"] == "cluster"}
        assert (status, clusters) == (200, {"eu-1"})
    ours = hub.tls
    try:
        for other, status in ((_shows(authority, "nobody"), 401), (_shows(authority, "x", "spiffe://acme/eu-1/x"), 401)):
            hub.tls = other
            assert hub.get("/api/search")[0] == status
            assert hub.get("/ready")[0] == 200
        hub.tls = _shows(authority, "ops", "spiffe://acme/eu-1/ns/ops")
        assert {hub.get(f"/api/v2/traces/{trace}")[0] for trace in traces} == {404}
    finally:
        hub.tls = ours


@pytest.mark.skipif("E2E_COLLECTOR_MISSING" in os.environ, reason=os.environ.get("E2E_COLLECTOR_MISSING", ""))
@pytest.mark.parametrize("exporter", ["otlp_grpc", "otlp_http"])
def test_a_collector_with_a_certificate(exporter, hub, authority, tmp_path):
    cert, key = authority.sign("spoke", "spiffe://acme/us-2/ns/shop")
    port = hub.addresses["otlp_grpc"].rsplit(":", 1)[1]
    endpoint = f"localhost:{port}" if exporter == "otlp_grpc" else f"https://localhost:{port}"
    tls = {"ca_file": str(authority.file), "cert_file": str(cert), "key_file": str(key), "reload_interval": "1s"}
    load = Load()
    with Collector(tmp_path, exporter, endpoint, "gzip", tls=tls) as collector:
        for _ in range(10):
            collector.send(load.request())
        load.arrive(hub, 30, collector)
        assert collector.dropped() == []
