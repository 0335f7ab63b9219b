"""The suite notices: for a check that a leak undoes, the leaky driver's finding is broken, and for that reason."""

from __future__ import annotations

import time

import pytest

from sandbox import conformance
from sandbox.bench import Bench
from sandbox.driver import DriverError
from sandbox.drivers import make_driver
from sandbox.protocols import client
from sandbox.spec import Trust
from tests.sandbox.leaky import LEAKS, NOT_LEAKED, LeakyDriver

CHECKS = {check.name: check for check in (*conformance.LOOKS, *conformance.ATTACKS)}


@pytest.fixture
def leaky(run_dir, db, settings):
    settings.SANDBOX_REVIEWED_RUNTIME = "runc"
    try:
        make_driver("docker")
    except DriverError as away:
        pytest.skip(f"no container engine here: {away.message}")
    return LeakyDriver


@pytest.mark.containers
@pytest.mark.parametrize(
    "name",
    # The attacks take their time: only what costs one look is in the default run.
    [
        name if CHECKS[name] in conformance.LOOKS else pytest.param(name, marks=pytest.mark.soak)
        for name in LEAKS
    ],
)
def test_a_leak_is_noticed(leaky, name):
    until = time.monotonic() + 60
    while True:
        with Bench(leaky(LEAKS[name]), Trust.REVIEWED) as bench:
            found = CHECKS[name](bench)
        # A leak of the host's network shares its ports with whatever else runs there.
        if "Address already in use" not in found.detail or time.monotonic() > until:
            break
    assert not found.kept
    assert found.fix
    assert not found.detail.startswith("engine_error"), "it did not even start"


@pytest.mark.containers
def test_a_polite_stop_is_noticed(leaky):
    with Bench(leaky(lambda options: None, is_polite=True), Trust.REVIEWED) as bench:
        found = conformance.processes.kills_what_ignores_signals(bench)
    assert not found.kept


@pytest.mark.containers
@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        ("bounds_endless_answers", {"BODY_BYTES": 1 << 40, "PIECES": 1 << 40}),
        ("bounds_endless_answers", {"INTERIM_ANSWERS": 1 << 20}),
        ("bounds_headers", {"HEADER_BYTES": 1 << 24}),
    ],
)
def test_a_client_without_a_bound_is_noticed(leaky, name, bounds, monkeypatch):
    for bound, value in bounds.items():
        monkeypatch.setattr(client, bound, value)
    with Bench(leaky(lambda options: None), Trust.REVIEWED) as bench:
        assert not CHECKS[name](bench).kept


def test_every_check_has_a_leak_or_says_why_not():
    assert set(CHECKS) == set(LEAKS) | set(NOT_LEAKED)
    assert not set(LEAKS) & set(NOT_LEAKED)
