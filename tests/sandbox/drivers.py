"""Which sandbox drivers a run is on: all that this machine can have, and at its end which those were.

A plugin of the whole run, since with several workers none of them writes the summary.
"""

from __future__ import annotations

import functools
from typing import Any

import pytest

from sandbox.driver import DriverError
from sandbox.drivers import DRIVERS, make_driver

# Not a driver of its own, but other limits: see test_ordinary_user.py.
ORDINARY_USER = "runsc as an ordinary user"


@functools.cache
def missing_drivers() -> dict[str, str]:
    """Why a driver can't be had on this machine, by its name; those that can be had are not in it."""
    missing = {}
    for name in DRIVERS:
        try:
            make_driver(name)
        except DriverError as away:
            missing[name] = away.message
    return missing


def on_one_driver(test: Any) -> Any:
    """For a test of what no driver decides: on the first that is here."""
    here = [name for name in DRIVERS if name not in missing_drivers()]
    return pytest.mark.parametrize("driver", here[:1] or list(DRIVERS)[:1], indirect=True)(test)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Which drivers ran how many tests, and why the others did not."""
    reports = [
        report
        for outcome in ("passed", "failed", "error")
        for report in terminalreporter.stats.get(outcome, [])
        if getattr(report, "when", "") == "call" and "tests/sandbox/" in report.nodeid
    ]
    if not reports:
        return
    for name in DRIVERS:
        # A test's parameters stand in brackets, joined by dashes.
        ran = sum(name in report.nodeid.partition("[")[2].rstrip("]").split("-") for report in reports)
        why = missing_drivers().get(name, "none was chosen")
        terminalreporter.write_line(
            f"sandbox driver {name}: {f'{ran} tests' if ran else f'not tested, {why}'}"
        )
    ran = sum("test_ordinary_user" in report.nodeid for report in reports)
    terminalreporter.write_line(f"sandbox driver {ORDINARY_USER}: {f'{ran} tests' if ran else 'not tested'}")
