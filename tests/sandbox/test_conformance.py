"""The suite that every driver must pass, on every driver and runtime that this machine has."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

import pytest
from django.db import transaction
from django.test import override_settings

from agentstore.kit.errors import StoreError
from sandbox import conformance, drivers
from sandbox.bench import Bench
from sandbox.spec import Trust

DOCS = Path(__file__).resolve().parents[2] / "docs" / "operations" / "sandbox.md"
CHECKS = (*conformance.LOOKS, *conformance.ATTACKS)


def containers(test):
    """Needs a driver, and the database for the image that it runs."""
    return pytest.mark.containers(pytest.mark.django_db(test))


@pytest.fixture(
    scope="module",
    # Without an engine both levels of trust run alike: once is enough.
    params=[
        (name, trust)
        for name in drivers.NAMES
        for trust in Trust
        if (name, trust) != ("runsc", Trust.REVIEWED)
    ],
    ids=lambda kind: "-".join(kind),
)
def bench(request, django_db_setup, django_db_blocker):
    """One bench for a driver and a level of trust, so that its shared probe serves all checks that leave it well."""
    name, trust = request.param
    try:
        driver = drivers.make_driver(name)
        driver.runtime_for(trust)
    except StoreError as away:
        pytest.skip(f"no {name} for {trust} code here: {away.message}")
    directory = Path(tempfile.mkdtemp(prefix="as-"))
    with override_settings(RUN_DIR=directory, GATEWAY_SOCKET_DIR=directory / "gateway"):
        with django_db_blocker.unblock(), transaction.atomic():
            made = Bench(driver, trust)
            transaction.set_rollback(True)
        with django_db_blocker.unblock(), made:
            yield made
    shutil.rmtree(directory, ignore_errors=True)


@containers
@pytest.mark.parametrize("look", conformance.LOOKS, ids=lambda look: look.name)
def test_a_property_is_kept(bench, look):
    found = look(bench)
    assert found.kept, found.detail


@containers
@pytest.mark.parametrize("attack", conformance.ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_is_contained(bench, attack):
    found = attack(bench)
    assert found.kept, found.detail


@containers
def test_nothing_is_left_of_the_probes(bench):
    with bench.probe() as probe:
        pass
    assert not probe.state().exists


def test_every_check_has_one_name_and_says_what_it_proves():
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names) > 50
    assert all(check.proves.endswith(".") and check.rests_on and check.fix for check in CHECKS)


def test_the_docs_list_every_check_as_it_describes_itself():
    """The table of docs/operations/sandbox.md is what the registry says, in its order."""
    table = [f"| `{check.name}` | {check.proves} | {check.rests_on} |" for check in CHECKS]
    section = DOCS.read_text().partition("## What each property rests on")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `.* \|$", section, flags=re.MULTILINE)[: len(table)] == table
