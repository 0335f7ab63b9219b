"""What goes through the relay arrives whole, under every driver and runtime."""

from __future__ import annotations

import pytest

from sandbox.bench import Bench

pytestmark = [pytest.mark.containers, pytest.mark.django_db]


def test_what_is_larger_than_a_read_goes_both_ways(driver, trust, run_dir):
    """The path is in the turn, in the call to the gateway and in its answer."""
    with Bench(driver, trust) as bench, bench.probe() as probe:
        seen = probe.ask("gateway", path="/?" + "a" * 40_000)
    assert seen["status"] == 200
    assert seen["body"].startswith('{"path": "/?aaa')
