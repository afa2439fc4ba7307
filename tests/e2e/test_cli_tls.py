"""The command line asks a server that speaks TLS and wants to know who comes; what is wrong is told in a line."""

import os
import subprocess
import urllib.request

import pytest
from harness.certs import Authority
from harness.hostile import bearer
from harness.knock import spans
from harness.tokens import EVERY_SCOPE, Tokens
from harness.wait import until

SHOP = ("--tenant", "shop", *EVERY_SCOPE)
TRACE = b"\x0c" * 16


class Remote:
    """A gateway with TLS and tokens, as somebody at a terminal sees it."""

    def __init__(self, new_gateway, directory):
        tokens = Tokens(directory)
        self.good, self.past = tokens.new("good", *SHOP), tokens.ended("past", *SHOP)
        self.authority, self.stranger = Authority(directory, "root"), Authority(directory, "stranger")
        cert, key = self.authority.sign("server")
        gateway = new_gateway(tls__cert_file=cert, tls__key_file=key, auth__tokens_file=tokens.file)
        gateway.tls = self.authority.context()
        self.gateway = gateway.start()
        self.admin, self.url = self.gateway.url("admin"), self.gateway.url("http")

    def run(self, *command, token=None, ca=None, flags=False):
        """Code, standard output and standard error; token and root by the environment, or by flags."""
        ours = ("TRACEWEIR_TOKEN", "TRACEWEIR_CA_FILE")
        environment = {key: value for key, value in os.environ.items() if key not in ours}
        # Nobody's roots but those that are named, and no proxy.
        environment.update({"SSL_CERT_FILE": os.devnull, "HTTPS_PROXY": "http://127.0.0.1:1", "RUST_BACKTRACE": "1"})
        token, ca = token or self.good, ca or self.authority.file
        if flags:
            command = (*command, "--token", token, "--ca-file", ca)
        else:
            environment.update({"TRACEWEIR_TOKEN": token, "TRACEWEIR_CA_FILE": str(ca)})
        done = subprocess.run([os.environ["TRACEWEIR_BIN"], *command], env=environment, capture_output=True, text=True,
                              timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr

    def commands(self):
        """Each command that asks a server."""
        return {
            "status": ("status", "--admin", self.admin), "ready": ("status", "--admin", self.admin, "--check", "ready"),
            "redactions": ("redact", "--admin", self.admin),
            "trace": ("query", "trace", TRACE.hex(), "--url", self.url),
            "search": ("query", "search", "{ }", "--url", self.url), "tags": ("query", "tags", "--url", self.url),
            "metrics": ("query", "metrics", "{ } | count_over_time()", "--instant", "--url", self.url),
        }


@pytest.fixture(scope="module")
def remote(new_gateway, tmp_path_factory):
    remote = Remote(new_gateway, tmp_path_factory.mktemp("remote"))
    headers = {"Authorization": bearer(remote.good).decode(), "Content-Type": "application/x-protobuf"}
    request = urllib.request.Request(remote.gateway.url("otlp_http", "/v1/traces"),
                                     spans("pay", TRACE).SerializeToString(), headers)
    urllib.request.urlopen(request, timeout=30, context=remote.gateway.tls).close()
    return remote


@pytest.mark.parametrize("flags", [False, True], ids=["environment", "flags"])
def test_every_command_asks_over_tls(remote, flags):
    told = {"status": "traceweir ", "ready": "", "redactions": "nothing is redacted", "trace": "pay",
            "search": TRACE.hex(), "tags": "service.name", "metrics": "1"}
    for name, command in remote.commands().items():
        code, out, fault = remote.run(*command, flags=flags)
        assert (code, fault) == (0, "") and told[name] in out, (name, out, fault)


def _one_line(said):
    code, out, fault = said
    assert (code, out) == (1, ""), said
    assert fault.startswith("traceweir: ") and fault.count("\n") == 1, fault
    assert "panicked" not in fault and "backtrace" not in fault.lower()
    return fault


def test_what_is_wrong_is_told_in_a_line(remote, tmp_path):
    empty, missing = tmp_path / "empty.pem", tmp_path / "missing.pem"
    empty.write_text("nothing\n")
    for name, command in remote.commands().items():
        is_probe = name == "ready"
        unknown = _one_line(remote.run(*command, ca=remote.stranger.file))
        assert "signed by nobody that is trusted here" in unknown and "--ca-file" in unknown, (name, unknown)
        assert str(missing) in _one_line(remote.run(*command, ca=missing)), name
        assert f"{empty}: there is no certificate in it" in _one_line(remote.run(*command, ca=empty)), name
        if not is_probe:
            expired = _one_line(remote.run(*command, token=remote.past))
            assert "the API token past has expired" in expired, (name, expired)
            wrong = _one_line(remote.run(*command, token="twk_good_guess"))
            assert "the API token is not known" in wrong and "guess" not in wrong, (name, wrong)
        numbers = [part.replace("localhost", "127.0.0.1") for part in command]
        assert "somebody else's" in _one_line(remote.run(*numbers)), name
        clear = [part.replace("https://", "http://") for part in command]
        assert "this port speaks TLS: use https" in _one_line(remote.run(*clear)), name
        gone = [part.rsplit(":", 1)[0] + ":1" if part.startswith("https") else part for part in command]
        assert "no server answers at https://localhost:1: " in _one_line(remote.run(*gone)), name


def test_without_a_root_those_of_the_system_count(remote):
    def status(roots):
        environment = {**os.environ, "TRACEWEIR_TOKEN": remote.good, "SSL_CERT_FILE": str(roots)}
        environment.pop("TRACEWEIR_CA_FILE", None)
        command = [os.environ["TRACEWEIR_BIN"], *remote.commands()["status"]]
        done = subprocess.run(command, env=environment, timeout=60, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    assert status(remote.authority.file) == (0, "")
    code, fault = status(remote.stranger.file)
    assert code == 1 and "--ca-file" in fault


def test_a_trace_is_hidden_over_tls(remote):
    command = ("redact", "--admin", remote.admin, "--tenant", "shop", "--trace", TRACE.hex())
    code, out, fault = remote.run(*command)
    assert (code, fault) == (0, "") and out.startswith("1 traces are hidden"), (out, fault)
    until("the trace to be hidden", 20, lambda: remote.run(*remote.commands()["trace"])[0] == 1)
    foreign = _one_line(remote.run("redact", "--admin", remote.admin, "--tenant", "ops", "--trace", TRACE.hex()))
    assert "403" in foreign and "may not change tenant ops" in foreign
