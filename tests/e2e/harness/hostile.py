"""Tokens that must not be believed, each with what is wrong with it and the answer that it gets.

All but one thing of each is right: the keys are those that the gateway knows, or look like them.
"""

import base64
import hashlib
import hmac
import json
import time
from typing import NamedTuple

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ISSUER, AUDIENCE = "https://idp.example", "traceweir"
DAY = 86_400
# What a row may be answered with. A key that nobody knows may be the issuer's next one: to come back then.
REFUSED, MALFORMED, FORBIDDEN, TOO_LONG, UNKNOWN_KEY = {401}, {400}, {403}, {431}, {401, 503}


class Row(NamedTuple):
    """`values` are those of the Authorization header, as they are on the wire; `tenant` is X-Scope-OrgID."""

    what: str
    values: list
    status: set = REFUSED
    tenant: str = ""


def b64(data):
    return base64.urlsafe_b64encode(data if isinstance(data, bytes) else data.encode()).rstrip(b"=").decode()


class Signer:
    """A key of an issuer, and all that can be signed with it."""

    def __init__(self, kid, kind="ES256", issuer=ISSUER):
        self.kid, self.kind, self.issuer = kid, kind, issuer
        is_ec = kind == "ES256"
        self.key = ec.generate_private_key(ec.SECP256R1()) if is_ec else rsa.generate_private_key(65537, 2048)

    def jwk(self):
        numbers = self.key.public_key().public_numbers()

        def number(value, size):
            return b64(value.to_bytes(size, "big"))

        own = {"kid": self.kid, "alg": self.kind, "use": "sig"}
        if self.kind == "ES256":
            return {**own, "kty": "EC", "crv": "P-256", "x": number(numbers.x, 32), "y": number(numbers.y, 32)}
        return {**own, "kty": "RSA", "n": number(numbers.n, 256), "e": "AQAB"}

    def public(self, encoding):
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(encoding, form)

    def header(self, **more):
        return {"alg": self.kind, "kid": self.kid, **more}

    def claims(self, **more):
        now = int(time.time())
        return {"iss": self.issuer, "aud": AUDIENCE, "sub": "agent", "iat": now, "exp": now + 600, "tenant": "shop",
                "scope": "traces:write traces:read metrics:read admin", **more}

    def sign(self, header, claims):
        """Both as text, or as what JSON can say."""
        header, claims = (one if isinstance(one, str) else json.dumps(one) for one in (header, claims))
        signed = f"{b64(header)}.{b64(claims)}"
        if self.kind == "ES256":
            r, s = decode_dss_signature(self.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
            signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        else:
            signature = self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{b64(signature)}"

    def token(self, **claims):
        return self.sign(self.header(), self.claims(**claims))


def with_secret(header, claims, secret):
    """Signed with HMAC: what a verifier believes that lets the token choose how it is checked."""
    signed = f"{b64(json.dumps(header))}.{b64(json.dumps(claims))}"
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def _claims(now):
    """What claims are changed to; None takes one away."""
    return [
        ("no aud", {"aud": None}), ("aud is a number", {"aud": 5}), ("aud is an object", {"aud": {}}),
        ("aud is nobody", {"aud": []}), ("aud is somebody else", {"aud": "other"}),
        ("aud begins like ours", {"aud": "traceweir2"}), ("aud in another case", {"aud": "Traceweir"}),
        ("aud has more than texts", {"aud": ["traceweir", 5]}), ("aud nests", {"aud": [["traceweir"]]}),
        ("no iss", {"iss": None}), ("iss is a number", {"iss": 1}), ("iss is empty", {"iss": ""}),
        ("iss is a list", {"iss": ["https://evil.example", ISSUER]}), ("iss is a list of ours", {"iss": [ISSUER]}),
        ("iss is somebody else", {"iss": "https://evil.example"}), ("iss with a slash", {"iss": f"{ISSUER}/"}),
        ("iss in another case", {"iss": "https://IDP.example"}),
        ("no sub", {"sub": None}), ("sub is a number", {"sub": 7}), ("sub is empty", {"sub": ""}),
        ("no exp", {"exp": None}), ("exp is a text", {"exp": str(now + 600)}), ("exp is a list", {"exp": [now + 60]}),
        ("exp is past", {"exp": now - 3600, "iat": now - 4000}), ("exp is past by more than clocks differ",
                                                                   {"exp": now - 40, "iat": now - 640}),
        ("exp is negative", {"exp": -1}), ("exp is huge", {"exp": 1e300}),
        ("exp is the year 9999", {"exp": 253_402_300_000}), ("lives too long", {"exp": now + 2 * DAY}),
        ("lives too long by its nbf", {"iat": None, "nbf": now - DAY}),
        ("lives too long, without iat", {"iat": None, "exp": now + 2 * DAY}),
        ("nbf is later", {"nbf": now + 3600}), ("nbf is a text", {"nbf": "0"}),
        ("iat is later", {"iat": now + 120}), ("iat is a text", {"iat": "now"}), ("iat is huge", {"iat": 1e300}),
    ]


def _headers():
    """Headers as they are signed."""
    return [
        ("crit", '{"alg":"ES256","kid":"one","crit":["exp"],"exp":1}'),
        ("crit of what nobody knows", '{"alg":"ES256","kid":"one","crit":["foo"],"foo":1}'),
        ("crit is empty", '{"alg":"ES256","kid":"one","crit":[]}'),
        ("crit b64", '{"alg":"ES256","kid":"one","crit":["b64"],"b64":false}'),
        ("zip", '{"alg":"ES256","kid":"one","zip":"DEF"}'),
        ("typ of a proof", '{"alg":"ES256","kid":"one","typ":"dpop+jwt"}'),
        ("typ of a log-out", '{"alg":"ES256","kid":"one","typ":"logout+jwt"}'),
        ("typ is a number", '{"alg":"ES256","kid":"one","typ":1}'),
        ("alg none", '{"alg":"none","kid":"one"}'), ("alg nOnE", '{"alg":"nOnE","kid":"one"}'),
        ("alg HS256", '{"alg":"HS256","kid":"one"}'), ("alg ES384", '{"alg":"ES384","kid":"one"}'),
        ("alg of the other key", '{"alg":"RS256","kid":"one"}'), ("kid of the other key", '{"alg":"ES256","kid":"rsa"}'),
        ("alg is a number", '{"alg":256,"kid":"one"}'), ("no alg", '{"kid":"one"}'),
        ("alg twice", '{"alg":"none","alg":"ES256","kid":"one"}'),
        ("kid twice", '{"alg":"ES256","kid":"two","kid":"one"}'),
        ("kid is a number", '{"alg":"ES256","kid":1}'), ("kid is null", '{"alg":"ES256","kid":null}'),
        ("kid is too long", json.dumps({"alg": "ES256", "kid": "k" * 129})),
        ("header is a list", '[{"alg":"ES256","kid":"one"}]'), ("header ends early", '{"alg":"ES256","kid":"one"'),
    ]


def _texts(claims):
    """Claims with what JSON alone cannot say twice."""
    whole = json.dumps(claims)

    def more(text):
        return f"{whole[:-1]},{text}}}"

    return [
        ("aud twice", more('"aud":"other"')), ("exp twice", more('"exp":1900000000')),
        ("tenant twice", more('"tenant":"ops"')), ("a name twice, deep", more('"x":{"y":{"a":1,"a":2}}')),
        ("a name twice, escaped", more('"\\u0069ss":"https://evil.example"')), ("more behind it", f"{whole} {{}}"),
        ("claims are a list", f"[{whole}]"), ("claims are nothing", ""), ("claims are no JSON", "claims"),
        ("claims nest for ever", "[" * 2500 + "1" + "]" * 2500),
        ("claims nest deep in an object", more('"x":' + '{"x":' * 900 + "1" + "}" * 900)),
    ]


def _whole(one, rsa_key, foreign):
    """Tokens as texts."""
    stranger = Signer("one")
    good = one.token()
    signed, signature = good.rsplit(".", 1)
    header, body = signed.split(".")
    own = {"jwk": stranger.jwk(), "jku": "https://evil.example/keys", "x5u": "https://evil.example/chain",
           "x5c": [base64.b64encode(stranger.public(serialization.Encoding.DER)).decode()]}
    pem, der = serialization.Encoding.PEM, serialization.Encoding.DER
    hs = {"alg": "HS256", "kid": "one"}
    rows = [(f"brings its own {name}", stranger.sign(stranger.header(**{name: value}), stranger.claims()))
            for name, value in own.items()]
    rows += [(f"HS256 with the public key {name} as the secret", with_secret(hs, one.claims(), secret))
             for name, secret in (("in PEM", one.public(pem)), ("in DER", one.public(der)), ("of nothing", b""))]
    rsa_hs = {**hs, "kid": "rsa"}
    return [
        *rows,
        ("HS256 with the public RSA key as the secret", with_secret(rsa_hs, rsa_key.claims(), rsa_key.public(pem))),
        ("signed by a stranger with the same kid", stranger.token()),
        ("signed by another issuer's key, of its name", foreign.sign(foreign.header(kid="one"), one.claims())),
        ("claims are others than were signed", f"{header}.{b64(json.dumps(one.claims(tenant='ops')))}.{signature}"),
        ("header is another than was signed", f"{b64(json.dumps(one.header(typ='JWT')))}.{body}.{signature}"),
        ("stripped", f"{signed}."), ("alg none and stripped", f"{b64(json.dumps({'alg': 'none'}))}.{body}."),
        ("no third part", signed), ("a signature of zeros", f"{signed}.{b64(bytes(64))}"),
        ("a signature of ones", f"{signed}.{b64((bytes(31) + bytes([1])) * 2)}"),
        ("a signature that is short", f"{signed}.{signature[:80]}"), ("a signature that is longer", f"{good}AA"),
        ("a signature in DER", f"{signed}.{b64(one.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))}"),
        ("four parts", f"{good}.x"), ("five parts, as if encrypted", f"a.b.{good}"),
        ("encrypted", ".".join([b64('{"alg":"dir","enc":"A128GCM","kid":"one"}'), "", b64(bytes(12)), b64("x" * 99),
                                b64(bytes(16))])),
        ("padded", f"{header}=.{body}.{signature}"), ("not base64", f"{header}.{body}!.{signature}"),
        ("base64 of another kind", f"{header}+.{body}/.{signature}"), ("dots alone", ".."),
        ("one word", "token"), ("too long", one.token(padding="x" * 9_000)),
        ("a space within", good.replace(".", ". ")), ("the scheme twice", f"Bearer {good}"),
        ("in quotes", f'"{good}"'), ("with a comma and another", f"{good}, {good}"),
    ]


def bearer(token):
    return f"Bearer {token}".encode()


def basic(user, password):
    return b"Basic " + base64.b64encode(f"{user}:{password}".encode())


def jwt_rows(one, rsa_key, foreign):
    """Those that are JSON Web Tokens. `one` and `rsa_key` are keys of ISSUER, `foreign` is another issuer's."""
    rows = []
    for what, changed in _claims(int(time.time())):
        claims = {name: value for name, value in {**one.claims(), **changed}.items() if value is not None}
        rows.append(Row(f"claims: {what}", [bearer(one.sign(one.header(), claims))]))
    rows += [Row(f"header: {what}", [bearer(one.sign(header, one.claims()))]) for what, header in _headers()]
    rows += [Row(what, [bearer(one.sign(one.header(), text))]) for what, text in _texts(one.claims())]
    rows += [Row(what, [bearer(token)]) for what, token in _whole(one, rsa_key, foreign)]
    for kid in ("../../../../dev/null", "file:///dev/null", "one' OR '1'='1", "", foreign.kid):
        rows.append(Row(f"kid is {kid!r}", [bearer(one.sign(one.header(kid=kid), one.claims()))], UNKNOWN_KEY))
    rows.append(Row("the other issuer's kid and key", [bearer(foreign.sign(foreign.header(), one.claims()))],
                    UNKNOWN_KEY))
    return rows


def header_rows(good, basic_secret):
    """Headers that are none of a token, or have one in a way that none has. `good` would be let in."""
    secret = good.encode()
    return [
        Row("nothing", []), Row("empty", [b""]), Row("a scheme alone", [b"Bearer"]), Row("no scheme", [secret]),
        Row("Bearer of nothing", [b"Bearer "]), Row("another scheme", [b"Digest " + secret]),
        Row("a token in the scheme's place", [secret + b" Bearer"]), Row("a tab between", [b"Bearer\t" + secret]),
        Row("not text", [b"Bearer " + secret + b"\xff"]), Row("not UTF-8", [b"Bearer \xc3\x28"]),
        Row("two headers that hold", [bearer(good), bearer(good)], MALFORMED),
        Row("two headers, the first holds", [bearer(good), b"Bearer x"], MALFORMED),
        Row("two headers, the second holds", [b"Bearer x", bearer(good)], MALFORMED),
        Row("a control character", [b"Bearer \x01" + secret], MALFORMED),
        Row("DEL", [b"Bearer " + secret + b"\x7f"], MALFORMED), Row("NUL", [b"Bearer " + secret + b"\0"], MALFORMED),
        Row("Basic that is no base64", [b"Basic !!!"]), Row("Basic that is cut", [basic("shop", good)[:-3]]),
        Row("Basic without a colon", [b"Basic " + base64.b64encode(b"shop")]), Row("Basic of nothing", [b"Basic "]),
        Row("Basic that is not UTF-8", [b"Basic " + base64.b64encode(b"shop:\xff\xfe")]),
        Row("Basic with a wrong secret", [basic("shop", "guess")]), Row("Basic without a secret", [basic("shop", "")]),
        Row("Basic with the secret as the user", [basic(basic_secret, "")]),
        Row("Basic in base64 for URLs", [b"Basic " + base64.urlsafe_b64encode(b"shop:\xc3\xbf\xc3\xbe~~~???>>>")]),
        Row("Basic with a tenant that is none", [basic("../ops", basic_secret)], MALFORMED),
        Row("Basic with a tenant that is ours", [basic("__shop", basic_secret)], MALFORMED),
        Row("Basic with another tenant than the header", [basic("shop", basic_secret)], MALFORMED, "ops"),
        Row("Basic with a tenant outside", [basic("ops", basic_secret)], FORBIDDEN),
        Row("Bearer with a tenant outside", [bearer(basic_secret)], FORBIDDEN, "ops"),
        Row("Bearer with a tenant that is none", [bearer(good)], MALFORMED, "../shop"),
    ]
