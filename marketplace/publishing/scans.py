"""What is in an image that the platform is about to run: its packages, their known vulnerabilities, credentials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from marketplace.publishing.advisories import SEVERITIES, Match, find_matches, has_advisories
from marketplace.publishing.leaks import find_secrets_in_image
from sandbox.images import get_image
from sandbox.images.bill import write_bill
from sandbox.images.inventory import Package, find_packages

_MAX_LINES = 40
NEVER = "never"


@dataclass(frozen=True, slots=True)
class Judged:
    """The outcome of one scan, in words."""

    passed: bool
    detail: str
    log: list[str] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)


def list_and_judge_packages(*, image_id: str, kind: str) -> Judged:
    """Write the image's bill of materials and compare it with the operator's advisories. Raises ImageMissing."""
    image = get_image(image_id)
    packages = find_packages(image)
    write_bill(image, packages)
    if not has_advisories():
        return Judged(
            True,
            f"{_count(packages)} listed. This store has no database of known vulnerabilities, so they were "
            "compared with none.",
            evidence={"packages": len(packages), "advisories": False},
        )
    # A source bundle brings no system packages: those of the base image are the store's to repair.
    ours = {package for package in packages if kind == "source" and package.kind == "deb"}
    matches = find_matches(packages)
    return _judge(packages, [m for m in matches if m.package not in ours], len(matches))


def judge_secrets(*, image_id: str) -> Judged:
    """Look for credentials in an uploaded image's layers. Raises ImageMissing."""
    if found := find_secrets_in_image(get_image(image_id)):
        return Judged(False, "The image holds what looks like credentials.", log=found)
    return Judged(
        True, "Nothing that looks like a credential was found in its layers, package directories left out."
    )


def _judge(packages: Sequence[Package], matches: list[Match], total: int) -> Judged:
    limit = settings.SANDBOX_ADVISORY_FAILS
    worst = len(SEVERITIES) if limit == NEVER else SEVERITIES.index(limit)
    failing = [match for match in matches if SEVERITIES.index(match.severity) >= worst]
    evidence = {
        "packages": len(packages),
        "advisories": True,
        "matches": len(matches),
        "failing": len(failing),
    }
    lines = [_line(match) for match in matches[:_MAX_LINES]]
    base = total - len(matches)
    note = f" {base} of the base image are this store's to repair." if base else ""
    if failing:
        detail = (
            f"{_count({m.package for m in failing})} with a known vulnerability that is {limit} or worse."
        )
        return Judged(False, detail + note, lines, evidence)
    if matches:
        affected = _count({match.package for match in matches})
        detail = (
            f"{_count(packages)} listed; {affected} with known vulnerabilities that this store lets pass."
        )
        return Judged(True, detail + note, lines, evidence)
    return Judged(True, f"{_count(packages)} listed, none with a known vulnerability.{note}", [], evidence)


def _count(packages: Sequence[Package] | set[Package]) -> str:
    return f"{len(packages)} package{'' if len(packages) == 1 else 's'}"


def _line(match: Match) -> str:
    package = match.package
    repaired = f"repaired in {match.fixed_in}" if match.fixed_in else "not repaired yet"
    return (
        f"{package.name} {package.version}: {match.advisory} ({match.severity}), {repaired}. {match.summary}"
    )
