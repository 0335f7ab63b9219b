"""What every driver must keep, as checks that run a hostile program inside and look at what it got.

A check is a function from a `Bench` to a `Finding` with a name, what it proves, what it rests on and how to
repair it. The tests run them all; `manage.py sandbox_doctor` runs those that cost one start, and a driver is
chosen only when these hold. No check knows which driver it looks at; what gVisor answers otherwise, having a
kernel of its own, is said where it matters.
"""

from __future__ import annotations

from sandbox.bench import Bench
from sandbox.conformance import (  # noqa: F401  (each lists its checks)
    answers,
    disk,
    doors,
    gateway,
    identity,
    images,
    kernel,
    memory,
    network,
    processes,
    secrets,
)
from sandbox.conformance.registry import ATTACKS, LOOKS, Check
from sandbox.driver import Finding


def look_around(bench: Bench) -> list[Finding]:
    """All properties that one probe can tell of without doing harm."""
    probe = bench.shared()
    return [Finding("starts", True, f"{probe.runtime} answers"), *(check(bench) for check in LOOKS)]


__all__ = ["ATTACKS", "LOOKS", "Check", "look_around"]
