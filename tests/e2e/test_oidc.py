"""A real issuer (npm oidc-provider) over TLS: discovery, client credentials, keys that rotate, and its being away."""

import http.client
import json
import os
import threading
import time

import grpc
import pytest
from harness.certs import Authority
from harness.hostile import Signer, bearer
from harness.issuer import Issuer, part
from harness.knock import EXPORT, Knock, spans
from harness.wait import until

pytestmark = pytest.mark.skipif("E2E_JS_MISSING" in os.environ, reason=os.environ.get("E2E_JS_MISSING", ""))
# Two looks of a gateway for keys, and one more that a key which nobody knows waits for.
KEYS_COME_SECONDS = 45


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def issuer(authority, tmp_path):
    issuer = Issuer(tmp_path, authority).start()
    yield issuer
    issuer.stop()


@pytest.fixture
def gateway(issuer, new_gateway):
    return new_gateway(auth__issuers=json.dumps(issuer.settings())).start()


def _metric(gateway, name):
    status, body = gateway.get("/metrics", listener="admin")
    assert status == 200
    line = next(line for line in body.decode().splitlines() if line.startswith(f"traceweir_auth_{name}{{"))
    return float(line.rsplit(" ", 1)[1])


def _status(gateway, protocol, token):
    knock = Knock(gateway)
    try:
        return knock.by(protocol, [bearer(token)])
    finally:
        knock.close()


def test_client_credentials_of_a_real_issuer_are_let_in(issuer, gateway):
    token = issuer.token("shop")
    assert part(token, 0)["typ"] == "at+jwt" and part(token, 0)["alg"] == "ES256"
    assert (part(token, 1)["aud"], part(token, 1)["tenant"]) == ("traceweir", "shop")
    for protocol in ("OTLP gRPC", "OTLP HTTP", "query", "streaming"):
        assert _status(gateway, protocol, token) == 200, protocol
    assert _status(gateway, "admin", token) == 403, "it has no such scope"
    knock = Knock(gateway)
    for client, found in (("shop", {"knock"}), ("ops", set())):
        headers = [("authorization", bearer(issuer.token(client)))]
        status, body = knock.http("http", "GET", "/api/v2/search/tag/name/values", headers)
        assert (status, {of["value"] for of in json.loads(body)["tagValues"]}) == (200, found)
    headers = [("authorization", bearer(token)), ("x-scope-orgid", b"ops")]
    assert knock.http("http", "GET", "/api/search", headers)[0] == 403
    knock.close()


class Stream:
    """Exports and queries without end, with tokens of all ages; what each was answered."""

    def __init__(self, issuer, gateway):
        self.issuer, self.gateway = issuer, gateway
        self.tokens = [issuer.token()]
        self.old = set(self.tokens)
        self.answers, self.refused, self.failures = {}, [], []
        self.lock, self.ends = threading.Lock(), threading.Event()
        asking = [lambda p=p: self._ask(p) for p in ("OTLP gRPC", "OTLP HTTP", "query", "streaming")]
        self.threads = [threading.Thread(target=self._guarded, args=(work,)) for work in (self._draw, *asking)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        for thread in self.threads:
            thread.join()

    def _guarded(self, work):
        try:
            work()
        except Exception as error:
            self.failures.append(error)
            raise

    def _draw(self):
        """A new token, again and again; the old ones stay in use."""
        while not self.ends.wait(0.05):
            token = self.issuer.token()
            with self.lock:
                self.tokens.append(token)

    def _ask(self, protocol):
        knock, turn = Knock(self.gateway), 0
        while not self.ends.is_set():
            with self.lock:
                # Now the newest, now one of the others, from the oldest on.
                token = self.tokens[-1] if turn % 2 else self.tokens[turn // 2 % len(self.tokens)]
            turn += 1
            self._until_taken(knock, protocol, token)
        knock.close()

    def _until_taken(self, knock, protocol, token):
        """As an exporter does: what is told to come back does so."""
        deadline = time.monotonic() + KEYS_COME_SECONDS
        while not self.ends.is_set():
            status = knock.by(protocol, [bearer(token)])
            with self.lock:
                self.answers[protocol, status] = self.answers.get((protocol, status), 0) + 1
            if status == 200:
                return
            with self.lock:
                self.refused.append((protocol, status, part(token, 0)["kid"], token in self.old))
            if status != 503 or time.monotonic() > deadline:
                return
            self.ends.wait(0.05)

    def count(self, status=None):
        return sum(count for (_, of), count in self.answers.items() if status in (None, of))


def _settled(stream, what):
    """Waits until requests with the newest token have been answered since now, and the newest key is known."""
    token = stream.issuer.token()
    until(what, KEYS_COME_SECONDS, lambda: _status(stream.gateway, "query", token) == 200, pause=0.2)
    before = stream.count(200)
    until("more requests", 30, lambda: stream.count(200) > before + 50)


def test_keys_rotate_under_load_and_no_valid_token_is_refused(issuer, gateway):
    until("the first keys", 20, lambda: _metric(gateway, "keys") == 1)
    rotations = 0
    with Stream(issuer, gateway) as stream:
        _settled(stream, "the first key")
        # As issuers should: a key is published, and signs when everybody has had the time to see it.
        for known in (2, 3):
            issuer.tell("publish")
            until("the new key to be known", KEYS_COME_SECONDS, lambda n=known: _metric(gateway, "keys") == n, pause=0.2)
            issuer.tell("use")
            _settled(stream, "a key that was published before")
            rotations += 1
        announced = list(stream.refused)
        # As many do: it signs at once. What is signed with it may be told to come back, and nothing else.
        for _ in range(2):
            issuer.tell("rotate")
            stream.old |= set(stream.tokens)
            _settled(stream, "a key that signs at once")
            rotations += 1
    assert not stream.failures
    assert announced == [], "a key that is known keeps nobody waiting"
    others = [of for of in stream.refused if of[1] != 503]
    assert others == [], "a valid token is refused for good"
    waited = [of for of in stream.refused if of[3]]
    assert waited == [], "a token of a key that is known waits"
    assert stream.count() > 500 and all((p, 200) in stream.answers for p, _ in stream.answers)
    print(f"{rotations} rotations, {len(stream.tokens)} tokens, {stream.count()} requests, "
          f"{stream.count(503)} told to come back")


def test_an_issuer_that_is_away_keeps_nobody_out_whose_key_is_known(issuer, gateway):
    tokens = [issuer.token() for _ in range(20)]
    assert _status(gateway, "query", tokens[0]) == 200
    assert _metric(gateway, "keys_failed_total") == 0
    issuer.stop()
    # Longer than a look for keys takes to come.
    until("looks that fail", KEYS_COME_SECONDS, lambda: _metric(gateway, "keys_failed_total") >= 2, pause=0.2)
    until("older keys", KEYS_COME_SECONDS, lambda: 11 < _metric(gateway, "keys_age_seconds") < 600, pause=0.2)
    for token in tokens:
        # Each for the first time, so that nothing is remembered of it.
        assert _status(gateway, "OTLP gRPC", token) == _status(gateway, "query", token) == 200
    assert gateway.get("/ready")[0] == 200
    stranger = Signer("tomorrow", issuer=issuer.url)
    assert _status(gateway, "OTLP gRPC", stranger.token()) == 503, "nobody can say whether the key is the issuer's"
    assert _status(gateway, "OTLP gRPC", tokens[0][:-8] + "AAAAAAAA") == 401, "but this one is none of its own"


def test_an_issuer_that_stands_still_makes_no_pile(issuer, gateway):
    tokens = [issuer.token() for _ in range(50)]
    assert _status(gateway, "query", tokens[0]) == 200
    issuer.stand_still()
    stranger = Signer("tomorrow", issuer=issuer.url)
    told = []

    def ask():
        told.append(_status(gateway, "OTLP HTTP", stranger.token()))

    waiting = [threading.Thread(target=ask) for _ in range(20)]
    try:
        for thread in waiting:
            thread.start()
        for token in tokens:
            assert _status(gateway, "query", token) == 200
    finally:
        for thread in waiting:
            thread.join()
        issuer.go_on()
    assert told == [503] * 20
    until("the issuer's keys", KEYS_COME_SECONDS, lambda: _metric(gateway, "keys_age_seconds") < 5, pause=0.2)


def test_a_start_without_the_issuer_tells_everybody_to_come_back(issuer, new_gateway):
    token = issuer.token()
    issuer.stop()
    gateway = new_gateway(auth__issuers=json.dumps(issuer.settings())).start()
    knock = Knock(gateway)
    for protocol in ("OTLP gRPC", "OTLP HTTP", "query", "streaming"):
        assert knock.by(protocol, [bearer(token)]) == 503, protocol
    assert (_metric(gateway, "keys"), _metric(gateway, "keys_age_seconds")) == (0, float("inf"))
    _comes_back(gateway, token)
    issuer.start()
    until("the token to be let in", KEYS_COME_SECONDS, lambda: knock.by("OTLP gRPC", [bearer(token)]) == 200, pause=0.1)
    assert {knock.by(protocol, [bearer(token)]) for protocol in ("OTLP HTTP", "query", "streaming")} == {200}
    knock.close()


def _comes_back(gateway, token):
    """Both protocols say when: exporters throw away for good what has no such hint."""
    with grpc.insecure_channel(gateway.addresses["otlp_grpc"]) as channel:
        call = channel.unary_unary(EXPORT, lambda message: message, lambda message: message)
        with pytest.raises(grpc.RpcError) as refused:
            call(spans("early").SerializeToString(), timeout=20, metadata=[("authorization", f"Bearer {token}")])
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
    details = dict(refused.value.trailing_metadata())["grpc-status-details-bin"]
    assert b"google.rpc.RetryInfo" in details
    connection = http.client.HTTPConnection(*gateway.addresses["otlp_http"].rsplit(":", 1), timeout=20)
    connection.request("POST", "/v1/traces", spans("early").SerializeToString(),
                       {"Authorization": f"Bearer {token}", "Content-Type": "application/x-protobuf"})
    answer = connection.getresponse()
    assert answer.status == 503 and int(answer.headers["Retry-After"]) >= 1
    connection.close()
