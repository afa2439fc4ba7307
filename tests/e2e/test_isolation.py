"""Two tenants with the same trace ids: no answer to one has anything of the other, at any endpoint, in any state."""

import json

import pytest
from harness.hostile import basic, bearer
from harness.knock import EXPORT, Knock
from harness.neighbours import (JSON, NOTHING, OPEN, OWN, PROTOBUF, SCOPE, SHORT, SPANS, TRACES, calls, request, routes,
                                traces_of)
from harness.tokens import Tokens
from harness.wait import until

A, B = "tenant-a", "tenant-b"
OTHER = {A: B, B: A}
RIGHT = {OWN: (200, 404), NOTHING: (200,), SCOPE: (403,), OPEN: (200,)}
BOTH = ("--scope", "traces:read", "--scope", "traces:write")


class Neighbours:
    """A gateway with two tenants, and somebody of each; `wide` ones have one more tenant, so that they must choose."""

    def __init__(self, new_gateway, directory):
        tokens = Tokens(directory)
        self.of = {A: tokens.new("of-a", "--tenant", A, *BOTH), B: tokens.new("of-b", "--tenant", B, *BOTH)}
        self.wide = {A: tokens.new("wide-a", "--tenant", A, "--tenant", "more-a", *BOTH),
                     B: tokens.new("wide-b", "--tenant", B, "--tenant", "more-b", *BOTH)}
        admin = ("--scope", "admin", "--scope", "metrics:read")
        self.operator = tokens.new("operator", "--tenant", "*", *admin)
        self.operators = {A: tokens.new("operator-a", "--tenant", A, *admin)}
        self.gateway = new_gateway(auth__tokens_file=tokens.file).start()
        self.knock = Knock(self.gateway)
        for tenant in (A, B):
            body = request(tenant).SerializeToString()
            headers = [("authorization", bearer(self.of[tenant])), ("content-type", b"application/x-protobuf")]
            assert self.knock.http("otlp_http", "POST", "/v1/traces", headers, body)[0] == 200
        self.asked = 0

    def ways(self, tenant, named):
        """How somebody of a tenant names one: headers, and what stands before a path."""
        wide, own = self.wide[tenant], self.of[tenant]
        return {
            "header": ([("authorization", bearer(wide)), ("x-scope-orgid", named.encode())], ""),
            "path": ([("authorization", bearer(wide))], f"/api/traces/v1/{named}/tempo"),
            "Basic": ([("authorization", basic(named, wide))], ""),
            "header of who has one tenant": ([("authorization", bearer(own)), ("x-scope-orgid", named.encode())], ""),
            "path and header": ([("authorization", bearer(own)), ("x-scope-orgid", named.encode())],
                                f"/api/traces/v1/{named}/tempo"),
        }

    def http(self, asked, way, accept=JSON, method=None):
        verb, path, body = asked
        headers, before = way
        self.asked += 1
        more = [("accept", accept.encode())]
        return self.knock.http("http", method or verb, before + path, [*headers, *more], body or b"")

    def grpc(self, method, message, way):
        self.asked += 1
        return self.knock.stream("http", method, message, way[0])

    def endpoints(self):
        """Routes and methods of the query port, as the process lists them."""
        headers = [("authorization", bearer(self.operator))]
        status, body = self.knock.http("admin", "GET", "/status/endpoints", headers)
        assert status == 200, body
        rows = [line.split(None, 3)[:3] for line in body.decode().splitlines()]
        return {f"{method} {path}" for port, method, path in rows if port == "query" and method != "gRPC"}, {
            path for port, method, path in rows if method == "gRPC"}

    def operations(self):
        """Method and path of each route of the admin port."""
        body = self.operate("GET", "/status/endpoints")[1].decode()
        rows = [line.split(None, 3)[:3] for line in body.splitlines()]
        return [(method, path) for port, method, path in rows if port == "admin"]

    def operate(self, method, path, body=b"", token=None):
        return self.knock.http("admin", method, path, [("authorization", bearer(token or self.operator))], body)


@pytest.fixture(scope="module")
def both(new_gateway, tmp_path_factory):
    both = Neighbours(new_gateway, tmp_path_factory.mktemp("neighbours"))
    yield both
    both.knock.close()


def test_every_endpoint_is_known_here(both):
    found = both.endpoints()
    assert found == (set(routes()), set(calls())), "a new endpoint has to be walked: add it to harness/neighbours.py"


def _walk(both, tenant):
    """Asks all that there is, in each way and form: its own is found, nothing of the other is."""
    ways = both.ways(tenant, tenant)
    ways["nothing named"] = ([("authorization", bearer(both.of[tenant]))], "")
    for name, way in ways.items():
        for route, (right, all_asked) in routes().items():
            found = []
            for asked in all_asked:
                for accept in (JSON, PROTOBUF, SHORT) if right == OWN else (JSON,):
                    status, body = both.http(asked, way, accept)
                    where = f"{tenant}, {name}: {asked[0]} {asked[1]} as {accept}"
                    assert traces_of(OTHER[tenant], body) == [], where
                    assert status in RIGHT[right], (where, body)
                    found += traces_of(tenant, body)
                if asked[0] == "GET":
                    both.http(asked, way, method="HEAD")
            assert bool(found) == (right == OWN), f"{tenant}, {name}: {route}: {found[:3]}"
        if "path" not in name:
            _walk_streams(both, tenant, name, way)
    _count(both, tenant)


def _walk_streams(both, tenant, name, way):
    for method, messages in calls().items():
        found = []
        for message in messages:
            code, body, trailers = both.grpc(method, message, way)
            assert code == 0, (method, message, trailers)
            assert traces_of(OTHER[tenant], body, trailers) == [], f"{tenant}, {name}: {method} {message}"
            found += traces_of(tenant, body)
        assert found, f"{tenant}, {name}: {method}"


def _count(both, tenant):
    """Numbers tell of others, too."""
    way = both.ways(tenant, tenant)["header"]
    asked = routes()["GET /api/metrics/query"][1][0]
    series = json.loads(both.http(asked, way)[1])["series"]
    assert [of["value"] for of in series] == [SPANS[tenant] * len(TRACES)]
    for trace in TRACES:
        body = json.loads(both.http(("GET", f"/api/v2/traces/{trace.hex()}", None), way)[1])
        spans = [span for of in body["trace"]["resourceSpans"] for scope in of["scopeSpans"] for span in scope["spans"]]
        assert len(spans) == SPANS[tenant]


def _named_by_the_other(both):
    """Whoever names the other's tenant gets nothing, at any endpoint that is not open to all."""
    for tenant in (A, B):
        for name, way in both.ways(tenant, OTHER[tenant]).items():
            for right, all_asked in routes().values():
                for asked in all_asked:
                    status, body = both.http(asked, way)
                    assert status == (200 if right == OPEN else 403), f"{tenant}, {name}: {asked[1]}: {status}"
                    assert traces_of(OTHER[tenant], body) == [] == traces_of(tenant, body), f"{name}: {asked[1]}"
            if "path" not in name:
                for method, messages in calls().items():
                    code, body, trailers = both.grpc(method, messages[0], way)
                    assert (code, body) == (7, b""), f"{tenant}, {name}: {method}: {trailers}"


@pytest.mark.parametrize("state", ["head", "L0", "blocks", "restarted", "mixed"])
def test_neither_ever_sees_the_other(both, state):
    if state == "L0":
        assert both.operate("POST", "/flush?level=l0")[0] == 200
    if state == "blocks":
        assert both.operate("POST", "/flush?level=l1")[0] == 200
        status = json.loads(both.operate("GET", "/status")[1])
        assert status["store"]["blocks"]["tenants"] == 2 and status["store"]["head"]["rows"] == 0
    if state == "restarted":
        both.knock.close()
        both.gateway.stop()
        both.gateway.start()
        both.knock = Knock(both.gateway)
    if state == "mixed":
        # B has spans in the head again, A has all of its own in blocks; what was there comes a second time.
        headers = [("authorization", bearer(both.of[B])), ("content-type", b"application/x-protobuf")]
        assert both.knock.http("otlp_http", "POST", "/v1/traces", headers, request(B).SerializeToString())[0] == 200
    # B first, so that what is kept of its answers is there when A asks; and the other way round.
    for tenant in (B, A, B):
        _walk(both, tenant)
    _named_by_the_other(both)
    print(f"{state}: {both.asked} requests so far")


def test_the_admin_port_is_for_who_has_the_scope(both):
    operations = both.operations()
    assert ("GET", "/status") in operations and ("DELETE", "/tenants/{id}") in operations
    open_to_all = {("GET", "/ready"), ("GET", "/live"), ("GET", "/metrics")}
    for method, path in operations:
        for named in (A, B):
            filled = path.replace("{id}", named)
            for token in (both.of[A], both.wide[A]):
                status, body = both.operate(method, filled, b"{}", token)
                # buildinfo is for whoever reads traces.
                right = 200 if (method, path) in open_to_all or path == "/api/status/buildinfo" else 403
                assert status == right, (method, filled, body)
                assert traces_of(A, body) == [] == traces_of(B, body), filled
            nobody = both.knock.http("admin", method, filled, [], b"{}")[0]
            assert nobody == (200 if (method, path) in open_to_all else 401), (method, filled)
    # Whoever operates one tenant names no other, also where the answer is about none.
    for named, right in ((A, 200), (B, 403)):
        headers = [("authorization", bearer(both.operators[A])), ("x-scope-orgid", named.encode())]
        assert both.knock.http("admin", "GET", "/status/config", headers)[0] == right
    _walk_one(both, A, len(TRACES))
    _walk_one(both, B, len(TRACES))


def test_who_writes_for_the_other_is_refused_and_nothing_is_kept(both):
    body = request(B).SerializeToString().replace(b"zebra-of-the-other", b"written-by-a-for-b")
    for headers in (headers for headers, before in both.ways(A, B).values() if not before):
        for listener in ("otlp_grpc", "otlp_http", "http"):
            more = [("content-type", b"application/x-protobuf")]
            assert both.knock.http(listener, "POST", "/v1/traces", [*headers, *more], body)[0] == 403
        assert both.knock.stream("otlp_grpc", EXPORT, body, headers)[0] == 7
    way = both.ways(B, B)["header"]
    for asked in routes()["GET /api/v2/search/tag/{scoped}/values"][1]:
        assert b"written-by-a" not in both.http(asked, way)[1]


def test_what_is_hidden_and_deleted_of_one_stays_with_the_other(both):
    ids = json.dumps({"tenant": A, "traces": [trace.hex() for trace in TRACES[:2]]}).encode()
    foreign = json.dumps({"tenant": B, "traces": [trace.hex() for trace in TRACES]}).encode()
    own = both.operators[A]
    assert both.operate("POST", "/redactions", foreign, own)[0] == 403
    assert both.operate("DELETE", f"/tenants/{B}", token=own)[0] == 403
    assert both.operate("POST", "/redactions", ids, own)[0] == 200
    _walk_one(both, B, len(TRACES))
    _walk_one(both, A, 1)
    # Whoever operates A does not learn what is hidden of B.
    hidden = json.dumps({"tenant": B, "traces": ["f" * 32]}).encode()
    assert both.operate("POST", "/redactions", hidden)[0] == 200
    tenants = {of["tenant"] for of in json.loads(both.operate("GET", "/redactions", token=own)[1])}
    assert tenants == {A}
    assert both.operate("DELETE", f"/tenants/{A}", token=own)[0] == 200
    until("A to be gone", 30, lambda: _found(both, A) == 0)
    _walk_one(both, B, len(TRACES))


def _found(both, tenant):
    status, body = both.http(("GET", "/api/search?limit=50", None), both.ways(tenant, tenant)["header"])
    assert status == 200 and traces_of(OTHER[tenant], body) == []
    return len(json.loads(body)["traces"])


def _walk_one(both, tenant, traces):
    way = both.ways(tenant, tenant)["header"]
    found = [both.http(("GET", f"/api/v2/traces/{trace.hex()}", None), way)[0] for trace in TRACES]
    assert found.count(200) == traces == _found(both, tenant)
