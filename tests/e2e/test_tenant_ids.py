"""Whatever stands where a tenant is named: it is refused, or it is exactly that tenant, in every way of naming it."""

import json
import os
import re
import tempfile
import urllib.parse

import pytest
from harness.hostile import basic, bearer
from harness.knock import Knock, spans
from harness.tokens import EVERY_SCOPE, Tokens
from hypothesis import HealthCheck, example, given, note, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

# Nothing is kept between runs, nor written beside the tests.
set_hypothesis_home_dir(tempfile.mkdtemp())

LETTERS = "abcXYZ019!_.*'()-"
LONGEST = 150
# Marks are three bytes each in the name of a directory, which has 255 at most: see the last test.
MARKS_MAX = 60
REFUSED = {400, 401, 403, 404}
SPECIAL = ["", ".", "..", "...", "..a", "a..", "__x", "_x", "__", "_", "%2e%2e", "%2E%2E", "..%2f..", "../x", "a/b",
           "a%2fb", "a\\b", "a%00b", "a%", "%", "a b", " a", "a ", "\ta", "a\t", "A", "a", "é", "e\u0301", "ａ",
           "\u202ea", "a\u200b", "ß", "*", "**", "!", "'", "(", ")", "-", "--help", "tempo", "api", "default", "con", "nul", "~", "a:b", "a,b", "a;b",
           "a" * LONGEST, "a" * (LONGEST + 1), "é" * 75, "é" * 76, "." * MARKS_MAX, "blocks", "manifest", "quarantine"]

grammar = st.text(LETTERS, min_size=1, max_size=12)
long = st.builds(lambda letter, size: letter * size, st.sampled_from("aZ0_-"), st.integers(LONGEST - 2, LONGEST + 2))
marks = st.text(".!*'()", min_size=1, max_size=MARKS_MAX)
near = st.text(st.sampled_from(LETTERS + "/\\%2eEfF ~:;@&=+$,#?é\u0301ａ\u202e"), max_size=12)
ids = st.one_of(st.sampled_from(SPECIAL), grammar, long, marks, near)
ways = st.sampled_from(["header", "Basic"])


def is_tenant(text):
    """By the grammar (docs/reference and store/model have the same)."""
    return bool(re.fullmatch(r"[A-Za-z0-9!_.*'()-]{1,150}", text)) and text not in (".", "..") and text[:2] != "__"


class Ledger:
    """A gateway at which somebody may name any tenant; what was written, by tenant."""

    def __init__(self, new_gateway, directory):
        tokens = Tokens(directory)
        self.token = tokens.new("any", "--tenant", "*", *EVERY_SCOPE)
        self.gateway = new_gateway(auth__tokens_file=tokens.file).start()
        self.knock = Knock(self.gateway)
        self.written, self.count, self.asked, self.refused = {}, 0, 0, 0

    def ask(self, way, named, listener, method, path, body=b"", content="application/json"):
        """Status, body, and the tenant that this names, if that is one."""
        headers, before, means = [("authorization", bearer(self.token)), ("content-type", content.encode())], "", named
        match way:
            case "header":
                headers.append(("x-scope-orgid", named.encode()))
                # Space around the value of a header is none of it (RFC 9110, 5.5), nor is it around a tenant.
                means = named.strip(" \t")
            case "Basic":
                headers[0] = ("authorization", basic(named, self.token))
                means = named.strip() if ":" not in named else None
            case "path":
                before = f"/api/traces/v1/{urllib.parse.quote(named, safe='')}/tempo"
            case "raw path":
                # As a careless client writes it.
                raw = urllib.parse.quote(named, safe="%/.!*'()-_~:;@&=+$,")
                before = f"/api/traces/v1/{raw}/tempo"
                means = urllib.parse.unquote(raw) if "/" not in raw else None
        self.asked += 1
        status, answer = self.knock.http(listener, method, before + path, headers, body)
        return status, answer, means if means is not None and is_tenant(means) else None

    def write(self, way, named):
        """Sends a span with a name of its own."""
        self.count += 1
        name = f"span {self.count}"
        body = spans(name).SerializeToString()
        status, _, tenant = self.ask(way, named, "otlp_http", "POST", "/v1/traces", body, "application/x-protobuf")
        if tenant is None:
            self.refused += 1
            assert status in REFUSED, f"{way}: {named!r} is written: {status}"
        else:
            assert status == 200, f"{way}: {named!r}: {status}"
            self.written.setdefault(tenant, set()).add(name)

    def read(self, way, named):
        """Reads all names; they are those that were written for exactly this tenant."""
        status, body, tenant = self.ask(way, named, "http", "GET", "/api/v2/search/tag/name/values")
        if tenant is None:
            self.refused += 1
            assert status in REFUSED, f"{way}: {named!r} is read: {status}"
            return
        assert status == 200, f"{way}: {named!r}: {status}, {body}"
        found = {of["value"] for of in json.loads(body)["tagValues"]}
        assert found == self.written.get(tenant, set()), f"{way}: {named!r}"


def neighbours(named):
    """Names that somebody might take for the same."""
    return {named.swapcase(), named.lower(), named + ".", named.rstrip("."), named[:-1], named + "a", f"../{named}",
            f"{named}/..", urllib.parse.quote(named, safe=""), urllib.parse.unquote(named), named.replace(".", "%2e"),
            f"./{named}", named.strip()}


@pytest.fixture(scope="module")
def ledger(new_gateway, tmp_path_factory):
    ledger = Ledger(new_gateway, tmp_path_factory.mktemp("ledger"))
    yield ledger
    ledger.knock.close()


# The same names in every run, others with a TRACEWEIR_SEED.
@settings(max_examples=400, deadline=None, database=None, derandomize="TRACEWEIR_SEED" not in os.environ,
          suppress_health_check=list(HealthCheck))
@example(named="a b", way="header")
@given(named=ids, way=ways)
def test_what_is_written_for_one_tenant_is_read_for_no_other(ledger, named, way):
    note(f"{len(ledger.written)} tenants")
    ledger.write(way, named)
    for other in {named, *neighbours(named)}:
        for how in ("header", "Basic", "path", "raw path"):
            ledger.read(how, other)


def test_the_same_from_blocks_and_after_a_restart(ledger):
    for other in SPECIAL:
        ledger.write("header", other)
    status, body, _ = ledger.ask("header", "a", "admin", "POST", "/flush?level=l1")
    assert status == 200, body
    if ledger.gateway.bucket is None:
        directories = list((ledger.gateway.directory / "blocks").iterdir())
        assert len(directories) == len(ledger.written) > 50
    ledger.knock.close()
    ledger.gateway.stop()
    ledger.gateway.start()
    ledger.knock = Knock(ledger.gateway)
    for tenant in {*ledger.written, *SPECIAL}:
        for how in ("header", "Basic", "path", "raw path"):
            ledger.read(how, tenant)
    print(f"{len(ledger.written)} tenants, {ledger.asked} requests, {ledger.refused} refused")


def test_a_tenant_of_150_marks_keeps_nobody_out_of_blocks(new_gateway, tmp_path):
    ledger = Ledger(new_gateway, tmp_path)
    ledger.write("header", "!" * LONGEST)
    ledger.write("header", "shop")
    status, body, _ = ledger.ask("header", "shop", "admin", "POST", "/flush?level=l1")
    ledger.knock.close()
    assert status == 200, body
