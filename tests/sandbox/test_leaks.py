"""The suite notices: for a check that a leak undoes, the leaky driver's finding is broken, and for that reason."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

import pytest
from django.db import transaction
from django.test import override_settings

from sandbox import conformance
from sandbox.bench import Bench
from sandbox.driver import DriverError
from sandbox.drivers import make_driver
from sandbox.protocols import client
from sandbox.spec import Trust
from tests.sandbox.leaky import LEAKS, NOT_LEAKED, LeakyDriver

CHECKS = {check.name: check for check in (*conformance.LOOKS, *conformance.ATTACKS)}


def sound(options):
    """No leak."""


@pytest.fixture(scope="module")
def leaky(request, django_db_setup, django_db_blocker):
    """The bench of a driver with the leak that the parameter is, for all checks that have to see it."""
    try:
        make_driver("docker")
    except DriverError as away:
        pytest.skip(f"no container engine here: {away.message}")
    directory = Path(tempfile.mkdtemp(prefix="as-"))
    with (
        override_settings(
            RUN_DIR=directory, GATEWAY_SOCKET_DIR=directory / "gateway", SANDBOX_REVIEWED_RUNTIME="runc"
        ),
        django_db_blocker.unblock(),
    ):
        with transaction.atomic():
            bench = Bench(LeakyDriver(request.param), Trust.REVIEWED)
            transaction.set_rollback(True)
        with bench:
            yield bench
    shutil.rmtree(directory, ignore_errors=True)


def by_leak():
    """Checks of one leak side by side. The attacks take their time: only what costs one look is in the default run."""
    leaks = list(dict.fromkeys(LEAKS.values()))
    for name in sorted(LEAKS, key=lambda name: leaks.index(LEAKS[name])):
        is_attack = CHECKS[name] not in conformance.LOOKS
        yield pytest.param(LEAKS[name], name, marks=pytest.mark.soak if is_attack else (), id=name)


@pytest.mark.containers
@pytest.mark.django_db
@pytest.mark.parametrize(("leaky", "name"), list(by_leak()), indirect=["leaky"])
def test_a_leak_is_noticed(leaky, name):
    until = time.monotonic() + 60
    while True:
        found = CHECKS[name](leaky)
        # A leak of the host's network shares its ports with whatever else runs there.
        if "Address already in use" not in found.detail or time.monotonic() > until:
            break
    assert not found.kept
    assert found.fix
    assert not found.detail.startswith("engine_error"), "it did not even start"
    assert not found.detail.startswith("turn_timeout"), "it did not come to tell"


@pytest.mark.containers
@pytest.mark.django_db
@pytest.mark.parametrize("leaky", [sound], indirect=True, ids=["sound"])
def test_a_polite_stop_is_noticed(leaky, monkeypatch):
    monkeypatch.setattr(leaky.driver, "is_polite", True)
    assert not conformance.processes.kills_what_ignores_signals(leaky).kept


@pytest.mark.containers
@pytest.mark.django_db
@pytest.mark.parametrize("leaky", [sound], indirect=True, ids=["sound"])
@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        ("bounds_endless_answers", {"BODY_BYTES": 1 << 40, "PIECES": 1 << 40}),
        ("bounds_endless_answers", {"INTERIM_ANSWERS": 1 << 20}),
        ("bounds_headers", {"HEADER_BYTES": 1 << 24}),
    ],
)
def test_a_client_without_a_bound_is_noticed(leaky, name, bounds, monkeypatch):
    monkeypatch.setattr(conformance.answers, "_DEADLINE", 4.0)
    for bound, value in bounds.items():
        monkeypatch.setattr(client, bound, value)
    assert not CHECKS[name](leaky).kept


def test_every_check_has_a_leak_or_says_why_not():
    assert set(CHECKS) == set(LEAKS) | set(NOT_LEAKED)
    assert not set(LEAKS) & set(NOT_LEAKED)
