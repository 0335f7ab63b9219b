"""Proves a driver's isolation by looking around from inside, before anything of a stranger's runs."""

from __future__ import annotations

import structlog

from agentstore.kit.errors import StoreError
from sandbox import conformance
from sandbox.bench import Bench
from sandbox.driver import Driver, Finding, NoDriver
from sandbox.spec import Trust

log = structlog.get_logger(__name__)


def prove(driver: Driver) -> list[Finding]:
    """All findings: what the engine says of itself, then what a probe sees under each runtime in use.

    A trust level whose runtime is not installed is told as a broken fact and refuses to start later; the
    others count.
    """
    findings = driver.facts()
    seen = set[str]()
    for trust in Trust:
        try:
            runtime = driver.runtime_for(trust)
        except NoDriver:
            continue
        if runtime in seen:
            continue
        seen.add(runtime)
        findings += [Finding(f"{runtime}: {f.name}", f.kept, f.detail, f.fix) for f in _look(driver, trust)]
    for finding in findings:
        if not finding.kept:
            log.error("sandbox.property_broken", name=finding.name, detail=finding.detail, fix=finding.fix)
    return findings


def _look(driver: Driver, trust: Trust) -> list[Finding]:
    try:
        with Bench(driver, trust) as bench:
            return conformance.look_around(bench)
    except StoreError as failed:
        return [Finding("starts", False, failed.message, failed.hint or "See docs/operations/sandbox.md.")]
