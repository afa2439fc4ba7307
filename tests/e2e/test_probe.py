"""`traceweir config check --probe`: whether a bucket does what is needed, and in plain words what it does not."""

import os
import subprocess

import pytest
from harness.proxy import Proxy, refusal


@pytest.fixture
def proxy(s3):
    with Proxy(s3.port) as proxy:
        yield proxy


def probe(directory, settings):
    """The exit code and what was said."""
    command = [os.environ["TRACEWEIR_BIN"], "config", "check", "--probe", "--data", str(directory)]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return ended.returncode, ended.stdout + ended.stderr


def test_a_directory_alone(tmp_path):
    code, said = probe(tmp_path / "not" / "yet", {})
    assert code == 0 and said.count("  ok  ") == 8, said
    assert not list(tmp_path.iterdir())


def test_a_directory_that_may_not_be_written(tmp_path):
    # Nobody, root included, makes files there.
    code, said = probe("/proc/self", {})
    assert code == 2 and "FAILED  write an object" in said, said


def test_a_bucket_that_is_well(bucket, tmp_path):
    code, said = probe(tmp_path / "data", bucket.settings("probe"))
    assert code == 0 and said.count("  ok  ") == 16, said
    assert bucket.names("probe/") == []


def test_a_bucket_that_is_not_there(bucket, tmp_path):
    settings = {**bucket.settings("probe"), "bucket.url": f"{bucket.scheme}://nobody-has-it/x"}
    code, said = probe(tmp_path / "data", settings)
    assert code == 2 and "there is no such bucket" in said, said


def test_an_address_where_nobody_answers(bucket, tmp_path):
    code, said = probe(tmp_path / "data", bucket.settings("probe", port=1))
    assert code == 2 and "nobody answers there" in said, said


def test_a_key_that_is_wrong(azure, tmp_path):
    """moto takes any key."""
    settings = {**azure.settings("probe"), "bucket.account_key": "AAAA" + azure.key[4:]}
    code, said = probe(tmp_path / "data", settings)
    assert code == 2 and "the key or its secret is wrong" in said, said
    command = [os.environ["TRACEWEIR_BIN"], "serve", "--data", str(tmp_path / "data")]
    command += [flag for key, value in settings.items() for flag in ("--set", f"{key}={value}")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
    said = ended.stdout + ended.stderr
    assert ended.returncode == 1 and "the key or its secret is wrong" in said, said
    assert settings["bucket.account_key"] not in said


def _is_delete(request):
    return request.method == "DELETE"


def _is_list(request):
    return request.method == "GET" and "list-type" in request.query


@pytest.mark.parametrize(
    ("refuses", "code", "step", "advice"),
    [
        (_is_delete, "AccessDenied", "remove all of it", "may not remove"),
        (_is_list, "AccessDenied", "list it", "may not list"),
        (lambda request: request.method == "PUT", "AccessDenied", "write an object", "may not create"),
        (lambda _: True, "SignatureDoesNotMatch", "write an object", "the key or its secret is wrong"),
        (lambda _: True, "RequestTimeTooSkewed", "write an object", "the clock of this machine is off"),
        (lambda _: True, "AuthorizationHeaderMalformed", "write an object", "set bucket.region"),
    ],
)
def test_what_a_bucket_refuses_is_told(s3, proxy, tmp_path, refuses, code, step, advice):
    proxy.script = lambda request, forward: refusal(403, code) if refuses(request) else forward()
    exit_code, said = probe(tmp_path / "data", s3.settings(step, proxy.port))
    assert exit_code == 2 and f"FAILED  {step}" in said and advice in said, said
    # What was written is removed all the same, where that is allowed.
    assert bool(s3.names(f"{step}/")) == (refuses is _is_delete), said


def test_a_store_that_keeps_no_condition_is_not_used(s3, proxy, tmp_path):
    def forgets(request, forward):
        request.headers = {key: value for key, value in request.headers.items() if key.lower() != "if-none-match"}
        return forward()

    proxy.script = forgets
    code, said = probe(tmp_path / "data", s3.settings("probe", proxy.port))
    assert code == 2 and "FAILED  race for one name" in said and "it cannot be used" in said, said
