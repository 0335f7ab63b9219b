"""The suite that every driver must pass, on every driver and runtime that this machine has."""

from __future__ import annotations

import pytest

from sandbox import conformance
from sandbox.bench import Bench

pytestmark = [pytest.mark.containers, pytest.mark.django_db]


@pytest.fixture
def bench(driver, trust, run_dir):
    with Bench(driver, trust) as bench:
        yield bench


def test_looking_around_finds_nothing_broken(bench):
    findings = conformance.look_around(bench)
    assert [f"{f.name}: {f.detail}" for f in findings if not f.kept] == []
    assert len(findings) > 10


@pytest.mark.parametrize("attack", conformance.ATTACKS, ids=lambda attack: attack.__name__)
def test_an_attack_is_contained(bench, attack):
    found = attack(bench)
    assert found.kept, found.detail


def test_nothing_is_left_of_the_probes(bench, driver):
    with bench.probe() as probe:
        pass
    assert not probe.state().exists
