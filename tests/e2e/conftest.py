"""Fixtures, the gateway's log beside each failure, and the line that counts."""

import itertools
import os

import pytest
from harness import buckets
from harness.gateway import Gateway

_gateways = []
_prefixes = itertools.count()
# What is to be in a bucket is soon there: tests are shorter than the minute that sealed spans wait.
SOON = {"head.seal.rows": "30000", "l0.window": "0s"}


def pytest_addoption(parser):
    parser.addoption("--blocks", default="local", choices=["local", *buckets.KINDS],
                     help="where gateways keep their blocks: in the data directory, or in a bucket")


def _bucket(kind, directory):
    if reason := buckets.why_missing(kind):
        pytest.skip(f"{kind}: {reason}")
    return buckets.CLASSES[kind]("traces", directory)


@pytest.fixture(scope="module", params=buckets.KINDS)
def bucket(request, tmp_path_factory):
    """A bucket of each kind; whoever asks for it is run with all."""
    with _bucket(request.param, tmp_path_factory.mktemp(request.param)) as bucket:
        yield bucket


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    """A bucket of S3."""
    with _bucket("moto", tmp_path_factory.mktemp("moto")) as bucket:
        yield bucket


@pytest.fixture(scope="module")
def azure(tmp_path_factory):
    """A bucket of Azure."""
    with _bucket("azurite", tmp_path_factory.mktemp("azurite")) as bucket:
        yield bucket


@pytest.fixture(scope="session")
def blocks(request, tmp_path_factory):
    """The bucket that `--blocks` asks for; None for the data directory."""
    kind = request.config.getoption("--blocks")
    if kind == "local":
        yield None
        return
    with _bucket(kind, tmp_path_factory.mktemp(kind)) as bucket:
        yield bucket


@pytest.fixture(scope="module")
def new_gateway(blocks, tmp_path_factory):
    """Makes gateways, each on a directory of its own if none is given; all end with the module."""
    made = []

    def make(directory=None, **settings):
        own = tmp_path_factory.mktemp("gateway")
        settings = {key.replace("__", "."): value for key, value in settings.items()}
        bucket = None
        if blocks is not None and "bucket.url" not in settings:
            bucket = (blocks, f"gateway-{next(_prefixes)}")
            settings = {**SOON, **blocks.settings(bucket[1]), **settings}
        gateway = Gateway(directory or own / "data", settings, logs=own, bucket=bucket)
        made.append(gateway)
        _gateways.append(gateway)
        return gateway

    yield make
    for gateway in made:
        gateway.close()
        _gateways.remove(gateway)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for gateway in _gateways:
            if gateway.starts:
                report.sections.append((f"log of the gateway, {gateway.log.name}", gateway.tail()))


def pytest_sessionfinish(session, exitstatus):
    skipped = session.config.pluginmanager.get_plugin("terminalreporter").stats.get("skipped", [])
    if skipped and exitstatus == 0 and os.environ.get("TRACEWEIR_E2E_REQUIRE", "0") != "0":
        session.exitstatus = 1


def pytest_unconfigure(config):
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        count = {outcome: len(reporter.stats.get(outcome, [])) for outcome in ("passed", "failed", "skipped", "error")}
        print(f"{count['passed']} passed, {count['failed'] + count['error']} failed, {count['skipped']} skipped")
