"""Fixtures, the gateway's log beside each failure, and the line that counts."""

import os

import pytest
from harness.gateway import Gateway

_gateways = []


@pytest.fixture(scope="module")
def new_gateway(tmp_path_factory):
    """Makes gateways, each on a directory of its own if none is given; all end with the module."""
    made = []

    def make(directory=None, **settings):
        own = tmp_path_factory.mktemp("gateway")
        settings = {key.replace("__", "."): value for key, value in settings.items()}
        gateway = Gateway(directory or own / "data", settings, logs=own)
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
