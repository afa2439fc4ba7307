"""Service accounts of Kubernetes: an API server that wants a token for its keys, and volumes that swap their files."""

import json
import socket
import urllib.error
import urllib.request

import pytest
from harness.certs import Authority
from harness.hostile import Signer, bearer
from harness.knock import spans
from harness.kubernetes import ISSUER, ApiServer, Volume, service_account
from harness.tokens import Tokens
from harness.wait import until

# Two looks for keys (10 s each), or what a key that nobody knows has to wait.
KEYS_COME_SECONDS = 45
# Files are looked at every 5 s.
FILES_COME_SECONDS = 30


class Cluster:
    """A gateway in a pod: its volumes, the API server that it asks, and the pods that send to it."""

    def __init__(self, new_gateway, directory):
        self.directory = directory
        self.own = self.authority("cluster-1")
        self.api = ApiServer(self.own)
        self.account = Volume(directory / "serviceaccount", token="", ca_crt=self.own.file.read_bytes(),
                              namespace="traceweir")
        self.show_token()
        self.web = self.authority("web-1")
        # As cert-manager writes them: ours, and the root of those of clients.
        self.clients = self.authority("clients-1")
        self.tls = Volume(directory / "tls", **self.certificate("first"), ca_crt=self.clients.file.read_bytes())
        self.secret = Volume(directory / "secret", tokens_yaml="tokens: []\n")
        # As docs/guide/hub.md has it.
        issuer = {"issuer": ISSUER, "audience": ["traceweir"], "jwks_url": f"{self.api.url}/openid/v1/jwks",
                  "ca_file": str(self.account.path("ca.crt")), "bearer_file": str(self.account.path("token")),
                  "refresh": "10s",
                  "grants": {"tenants": ["{/kubernetes.io/namespace}"], "scopes": ["traces:write traces:read"]}}
        rule = {"uri": "spiffe://acme/ns/{ns}", "grants": {"tenants": ["{ns}"], "scopes": ["traces:write traces:read"]}}
        gateway = new_gateway(tls__cert_file=self.tls.path("tls.crt"), tls__key_file=self.tls.path("tls.key"),
                              tls__client_ca_file=self.tls.path("ca.crt"), auth__certificates=json.dumps([rule]),
                              auth__tokens_file=self.secret.path("tokens.yaml"), auth__issuers=json.dumps([issuer]))
        gateway.tls = self.web.context()
        self.gateway = gateway.start()

    def authority(self, name):
        place = self.directory / name
        place.mkdir()
        return Authority(place, name)

    def certificate(self, name):
        cert, key = self.web.sign(name)
        return {"tls_crt": cert.read_bytes(), "tls_key": key.read_bytes()}

    def show_token(self):
        """The gateway has another token of its own, and the API server takes no other."""
        own = service_account(self.api.signers[0], "traceweir", "traceweir", aud=[ISSUER])
        # Each is another one, also within a second.
        if own in self.api.taken:
            own = service_account(self.api.signers[0], "traceweir", "again", aud=[ISSUER])
        self.account.swap(token=f"{own}\n")
        self.api.taken = {own}
        return own

    def send(self, token, name="pod", **headers):
        """The status of sending a span."""
        return self._ask("otlp_http", "/v1/traces", token, spans(name).SerializeToString(),
                         {"Content-Type": "application/x-protobuf", **headers})[0]

    def shown(self, authority):
        """What becomes of a query over a connection of its own that shows a certificate of this authority."""
        context = self.web.context()
        context.load_cert_chain(*authority.sign("pod", "spiffe://acme/ns/shop"))
        try:
            with urllib.request.urlopen(self.gateway.url("http", "/api/echo"), timeout=30, context=context) as answer:
                return answer.status
        except OSError as refused:
            # It ends as it begins, or with the first that is read.
            assert "unknown ca" in str(refused).lower() or "reset" in str(refused).lower(), refused
            return "refused"

    def names(self, token):
        """Names of the spans that it may see."""
        status, body = self._ask("http", "/api/v2/search/tag/name/values", token)
        assert status == 200, body
        return {of["value"] for of in json.loads(body)["tagValues"]}

    def _ask(self, listener, path, token, body=None, headers=()):
        headers = {"Authorization": bearer(token).decode(), **dict(headers)}
        request = urllib.request.Request(self.gateway.url(listener, path), body, headers)
        try:
            with urllib.request.urlopen(request, timeout=30, context=self.gateway.tls) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()


@pytest.fixture(scope="module")
def cluster(new_gateway, tmp_path_factory):
    cluster = Cluster(new_gateway, tmp_path_factory.mktemp("cluster"))
    until("the keys of the cluster", KEYS_COME_SECONDS,
          lambda: cluster.send(service_account(cluster.api.signers[0], "warm")) == 200)
    yield cluster
    cluster.api.close()


def test_a_service_account_is_the_tenant_of_its_namespace(cluster):
    signer = cluster.api.signers[0]
    shop, ops = (service_account(signer, namespace) for namespace in ("shop", "ops"))
    assert cluster.send(shop, "of shop") == cluster.send(ops, "of ops") == 200
    assert cluster.names(shop) == {"of shop"} and cluster.names(ops) == {"of ops"}
    assert cluster.send(shop, **{"X-Scope-OrgID": "ops"}) == 403
    assert cluster.send(shop, **{"X-Scope-OrgID": "shop"}) == 200
    for what, status, changed in (
        ("for the API server", 401, {"aud": [ISSUER]}), ("for nobody", 401, {"aud": []}),
        ("of another cluster", 401, {"iss": "https://kubernetes.other.svc"}),
        # As Secrets had them before 1.24: for ever, and for nobody.
        ("of a Secret", 401, {"exp": None, "aud": None}),
        ("of no namespace", 403, {"kubernetes.io": {"serviceaccount": {"name": "collector"}}}),
        ("of a namespace with a path", 403, {"kubernetes.io": {"namespace": "../shop"}}),
        ("of all namespaces", 403, {"kubernetes.io": {"namespace": "*"}, "sub": "x"}),
    ):
        token = service_account(signer, "shop", **changed)
        headers = {"X-Scope-OrgID": "shop"} if status == 403 else {}
        assert cluster.send(token, "hostile", **headers) == status, what
    assert "hostile" not in cluster.names(shop)


def test_the_api_server_was_asked_with_our_token_alone(cluster):
    assert all((status, token) == (200, token) and token in cluster.api.taken for status, token in cluster.api.asked)
    log = cluster.gateway.log.read_text()
    assert not [token for _, token in cluster.api.asked if token in log]


def test_our_own_token_is_read_again_when_it_is_swapped(cluster):
    token = cluster.show_token()
    until("keys with the new token", KEYS_COME_SECONDS, lambda: (200, token) in cluster.api.asked, pause=0.1)
    late = [status for status, shown in cluster.api.asked if status != 200 and shown == token]
    assert late == []


def test_the_root_of_the_api_server_is_read_again_when_it_is_swapped(cluster):
    following = cluster.authority("cluster-2")
    cluster.api.show(following)
    # Its key changes with it: whoever does not trust the new root never sees it.
    cluster.api.signers.insert(0, Signer("sa-2", "RS256", ISSUER))
    token = service_account(cluster.api.signers[0], "shop")
    fault = "keys of an issuer cannot be had"
    until("keys that cannot be had", KEYS_COME_SECONDS, lambda: fault in cluster.gateway.log.read_text(), pause=0.1)
    assert cluster.send(token) == 503, "whose it is cannot be said yet"
    assert cluster.send(service_account(cluster.api.signers[1], "shop")) == 200, "the key before still holds"
    cluster.account.swap(ca_crt=following.file.read_bytes())
    until("the new key", KEYS_COME_SECONDS, lambda: cluster.send(token) == 200, pause=0.1)


def test_a_secret_with_api_tokens_is_read_again_when_it_is_swapped(cluster):
    made = Tokens(cluster.directory)
    token = made.new("spoke", "--tenant", "shop", "--scope", "traces:write")
    assert cluster.send(token) == 401
    cluster.secret.swap(tokens_yaml=made.file.read_text())
    until("the token", FILES_COME_SECONDS, lambda: cluster.send(token) == 200)
    cluster.secret.swap(tokens_yaml="tokens: []\n")
    until("the token to be revoked", FILES_COME_SECONDS, lambda: cluster.send(token) == 401)


def test_a_certificate_is_read_again_when_it_is_swapped(cluster):
    def shown(listener):
        raw = socket.create_connection(("127.0.0.1", int(cluster.gateway.addresses[listener].rsplit(":", 1)[1])), 10)
        with cluster.gateway.tls.wrap_socket(raw, server_hostname="localhost") as stream:
            return dict(field for part in stream.getpeercert()["subject"] for field in part)["commonName"]

    listeners = ("otlp_grpc", "otlp_http", "http", "admin")
    assert {shown(listener) for listener in listeners} == {"first"}
    cluster.tls.swap(**cluster.certificate("renewed"))
    until("the new certificate", FILES_COME_SECONDS, lambda: {shown(of) for of in listeners} == {"renewed"})
    # The root of clients changes, as well: those before are let in no more.
    following = cluster.authority("clients-2")
    assert (cluster.shown(cluster.clients), cluster.shown(following)) == (200, "refused")
    cluster.tls.swap(ca_crt=following.file.read_bytes())
    until("the new root", FILES_COME_SECONDS, lambda: cluster.shown(following) == 200)
    assert cluster.shown(cluster.clients) == "refused"
    # One without its key is no certificate: the last good one stays.
    cluster.tls.swap(tls_crt=cluster.certificate("torn")["tls_crt"])
    fault = "certificates have changed and cannot be used"
    until("the fault in the log", FILES_COME_SECONDS, lambda: fault in cluster.gateway.log.read_text())
    assert {shown(listener) for listener in listeners} == {"renewed"}
