"""A table of tokens that must not be believed, at each of five protocols: the right refusal, and nothing is kept."""

import json

import pytest
from harness import hostile
from harness.hostile import Row, basic, bearer
from harness.knock import PROTOCOLS, Knock
from harness.tokens import EVERY_SCOPE, Tokens
from harness.wait import until

SHOP = ("--tenant", "shop", *EVERY_SCOPE)
OTHER_ISSUER = "https://other.example"


class House:
    """A gateway with two issuers and some API tokens, and whoever knocks at it."""

    def __init__(self, new_gateway, directory):
        self.tokens = Tokens(directory)
        self.one, self.rsa = hostile.Signer("one"), hostile.Signer("rsa", "RS256")
        self.foreign = hostile.Signer("foreign", issuer=OTHER_ISSUER)
        grants = {"tenants": ["{/tenant}"], "scopes": ["{/scope}"]}
        issuers = []
        for issuer, keys in ((hostile.ISSUER, [self.one, self.rsa]), (OTHER_ISSUER, [self.foreign])):
            file = directory / f"{keys[0].kid}.json"
            file.write_text(json.dumps({"keys": [key.jwk() for key in keys]}))
            issuers.append({"issuer": issuer, "audience": ["traceweir"], "jwks_file": str(file), "grants": grants})
        self.good = self.tokens.new("good", *SHOP)
        self.poor = self.tokens.new("poor", "--tenant", "shop", "--scope", "metrics:read")
        self.revoked = self.tokens.new("revoked", *SHOP)
        self.past = self.tokens.ended("past", *SHOP)
        self.gateway = new_gateway(auth__tokens_file=self.tokens.file, auth__issuers=json.dumps(issuers)).start()
        self.knock = Knock(self.gateway)
        self._revoke()

    def _revoke(self):
        assert self.knock.by("admin", [bearer(self.revoked)]) == 200, "it holds before it is revoked"
        self.tokens.revoke("revoked")
        until("the token to be revoked", 20, lambda: self.knock.by("admin", [bearer(self.revoked)]) == 401)

    def api_token_rows(self):
        _, _, secret = self.good.split("_", 2)
        _, _, other = self.poor.split("_", 2)
        texts = {
            "of nobody": f"twk_nobody_{secret}", "with a wrong secret": f"twk_good_{'A' * len(secret)}",
            "with another's secret": f"twk_good_{other}", "revoked": self.revoked, "expired": self.past,
            "cut": self.good[:-1], "cut to its id": "twk_good_", "of its id alone": "twk_good", "of a prefix": "twk_",
            "longer": self.good + "A", "of no id": f"twk__{secret}", "with a capital": f"twk_Good_{secret}",
            "with its hash": f"twk_good_{self._hash('good')}", "with another prefix": self.good.replace("twk_", "twl_"),
            "with a prefix in capitals": self.good.replace("twk_", "TWK_"), "with a path": f"twk_../good_{secret}",
            "twice": self.good * 2, "of 70 kB": self.good + "A" * 70_000,
        }
        # What is longer than all headers together may be is refused before anybody looks what it is.
        long = Row("API token of 100 kB", [bearer(self.good + "A" * 100_000)], hostile.TOO_LONG)
        return [*(Row(f"API token {what}", [bearer(token)]) for what, token in texts.items()), long]

    def _hash(self, name):
        lines = self.tokens.file.read_text().splitlines()
        at = next(at for at, line in enumerate(lines) if line.strip().endswith(f"id: {name}"))
        return next(line.split(":")[1].strip() for line in lines[at:] if "sha256" in line)

    def valid(self):
        """What has to be let in, before and after."""
        return {"an API token": [bearer(self.good)], "a JWT": [bearer(self.one.token())],
                "a JWT of the RSA key": [bearer(self.rsa.token())], "Basic": [basic("shop", self.good)],
                "a JWT as Basic": [basic("shop", self.one.token())],
                "the other issuer's": [bearer(self.foreign.token())]}


@pytest.fixture(scope="module")
def house(new_gateway, tmp_path_factory):
    house = House(new_gateway, tmp_path_factory.mktemp("house"))
    yield house
    house.knock.close()


def _let_in(house):
    for what, values in house.valid().items():
        for protocol in PROTOCOLS:
            assert house.knock.by(protocol, values, name="let in") == 200, f"{what}, {protocol}"


def _names(house, tenant):
    """Names of all spans that a tenant has."""
    headers = [("authorization", bearer(house.one.token(tenant=tenant)))]
    status, body = house.knock.http("http", "GET", "/api/v2/search/tag/name/values", headers)
    assert status == 200, body
    return {value["value"] for value in json.loads(body)["tagValues"]}


def test_no_hostile_token_is_believed_at_any_protocol(house):
    rows = [*hostile.jwt_rows(house.one, house.rsa, house.foreign), *house.api_token_rows(),
            *hostile.header_rows(house.good, house.good)]
    assert len({row.what for row in rows}) == len(rows) >= 60
    _let_in(house)
    wrong, said = [], []
    for row in rows:
        for protocol in PROTOCOLS:
            status = house.knock.by(protocol, row.values, row.tenant, "hostile")
            # The log has a sample of these words, too.
            said.append(house.knock.said.decode(errors="replace"))
            if status not in row.status:
                wrong.append(f"{row.what}, {protocol}: {status} instead of {row.status}")
    assert not wrong, "\n".join(wrong)
    _let_in(house)
    assert _names(house, "shop") == {"let in"}
    assert _names(house, "ops") == set()
    _nothing_is_told(house, rows, "\n".join(said))
    print(f"{len(rows)} rows, {len(rows) * len(PROTOCOLS)} requests")


def _nothing_is_told(house, rows, said):
    """No token stands in an answer, the log or the metrics, nor a part that would do."""
    metrics = house.knock.http("admin", "GET", "/metrics", [])[1].decode()
    log = house.gateway.log.read_text()
    assert '"not let in"' in log and 'traceweir_auth_denied_total{reason="invalid"}' in metrics
    parts = {house.good.split("_", 2)[2], house.past.split("_", 2)[2], house.revoked.split("_", 2)[2]}
    for row in rows:
        for value in row.values:
            # Parts of this length are secrets or signatures, not words of ours.
            words = value.decode("latin-1").replace(".", " ").split()
            parts.update(word for word in words if len(word) > 40)
    assert len(parts) > len(rows)
    told = [part for part in parts if part in said or part in log or part in metrics]
    assert not told, told[:3]
