"""Known vulnerabilities: a database that the operator provides in OSV's format, and the packages that it names.

Offline by design: nothing is asked of anybody while an agent is judged. Format and evaluation are those of
https://ossf.github.io/osv-schema/ (1.7), “affected” and “Evaluation”.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvss import CVSS2, CVSS3, CVSS4
from cvss.exceptions import CVSSError
from debian.debian_support import Version as DebianVersion
from django.db import transaction
from django.db.models import Q
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion
from packaging.version import Version as PythonVersion
from semver import Version as SemanticVersion

from agentstore.kit.clock import now
from agentstore.kit.errors import Invalid
from marketplace.publishing.models import Advisory
from sandbox.images.inventory import Package

SEVERITIES = ("unknown", "low", "moderate", "high", "critical")
_WORDS = {"medium": "moderate", "important": "high", "negligible": "low", "unimportant": "low", "none": "low"}
_VECTORS: dict[str, Callable[[str], Any]] = {"CVSS_V2": CVSS2, "CVSS_V3": CVSS3, "CVSS_V4": CVSS4}
_LARGEST = 16 * 2**20
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Match:
    """A package with an advisory that its version is affected by."""

    package: Package
    advisory: str
    severity: str
    summary: str
    fixed_in: str = ""


def load_advisories(*, source: Path) -> int:
    """Read a directory or zip of OSV files, in place of all that was loaded before; the number of advisories.

    Raises Invalid when there are none to read.
    """
    started, count = now(), 0
    with transaction.atomic():
        for batch in _in_batches(_rows(_documents(source)), _BATCH):
            found = {(row.ref, row.ecosystem, row.package): row for row in batch}
            Advisory.objects.bulk_create(
                found.values(), update_conflicts=True, unique_fields=["ref", "ecosystem", "package"],
                update_fields=["severity", "summary", "affected", "loaded_at"],
            )  # fmt: skip
        Advisory.objects.filter(loaded_at__lt=started).delete()
        count = Advisory.objects.values("ref").distinct().count()
        if not count:
            raise Invalid(
                f"There is no advisory in {source}.", hint="Give a directory or zip of OSV JSON files."
            )
    return count


def find_matches(packages: Sequence[Package]) -> list[Match]:
    """Every advisory that holds for one of the packages, the worst first."""
    named: dict[tuple[str, str], list[Package]] = {}
    for package in packages:
        if ecosystem := _ecosystem_of(package):
            named.setdefault((ecosystem, package.source or package.name), []).append(package)
    matches = list[Match]()
    for batch in _in_batches(named, _BATCH):
        wanted = Q(ecosystem__in={e for e, _ in batch}, package__in={name for _, name in batch})
        for row in Advisory.objects.filter(wanted):
            for package in named.get((row.ecosystem, row.package), ()):
                if (fixed_in := _affected(row, package)) is not None:
                    matches.append(Match(package, row.ref, row.severity, row.summary, fixed_in))
    return sorted(matches, key=lambda m: (-SEVERITIES.index(m.severity), m.advisory, m.package))


def has_advisories() -> bool:
    """Whether an operator has loaded any."""
    return Advisory.objects.exists()


def _in_batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    batch = list[Any]()
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _documents(source: Path) -> Iterator[dict[str, Any]]:
    if source.is_dir():
        for path in sorted(source.rglob("*.json")):
            if path.stat().st_size <= _LARGEST:
                yield _parsed(path.read_bytes(), str(path))
        for packed in sorted(source.rglob("*.zip")):
            yield from _documents(packed)
    elif zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            for member in archive.infolist():
                if member.filename.endswith(".json") and member.file_size <= _LARGEST:
                    yield _parsed(archive.read(member), member.filename)
    else:
        raise Invalid(f"{source} is neither a directory nor a zip file.")


def _parsed(content: bytes, name: str) -> dict[str, Any]:
    try:
        told = json.loads(content)
    except ValueError as broken:
        raise Invalid(f"{name} is not JSON.") from broken
    return told if isinstance(told, dict) else {}


def _rows(documents: Iterator[dict[str, Any]]) -> Iterator[Advisory]:
    for told in documents:
        if not told.get("id") or told.get("withdrawn"):
            continue
        by_package: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for affected in told.get("affected") or ():
            package = affected.get("package") or {}
            ecosystem = str(package.get("ecosystem", "")).removesuffix(":LTS")
            name = str(package.get("name", ""))
            if ecosystem == "PyPI":
                name = canonicalize_name(name)
            by_package.setdefault((ecosystem, name), []).append(
                {"ranges": affected.get("ranges") or [], "versions": affected.get("versions") or []}
            )
        for (ecosystem, name), affected in by_package.items():
            yield Advisory(
                ref=str(told["id"])[:80], ecosystem=ecosystem[:60], package=name[:214],
                severity=_severity(told), summary=str(told.get("summary") or told.get("details") or "")[:300],
                affected=affected, loaded_at=now(),
            )  # fmt: skip


def _severity(told: dict[str, Any]) -> str:
    """The source's own word, else the worst of the CVSS vectors."""
    places = [told, *(told.get("affected") or ())]
    for place in places:
        for key, field in (("database_specific", "severity"), ("ecosystem_specific", "urgency")):
            word = str((place.get(key) or {}).get(field, "")).lower()
            if (word := _WORDS.get(word, word)) in SEVERITIES:
                return word
    worst = 0
    for place in places:
        for vector in place.get("severity") or ():
            try:
                scored = _VECTORS[vector["type"]](vector["score"])
            except (KeyError, TypeError, CVSSError):
                continue
            word = str(scored.severity if isinstance(scored, CVSS4) else scored.severities()[0]).lower()
            worst = max(worst, SEVERITIES.index(_WORDS.get(word, word)))
    return SEVERITIES[worst]


def _ecosystem_of(package: Package) -> str:
    distro, _, release = package.distro.partition("-")
    if package.kind == "deb":
        return {"debian": f"Debian:{release.split('.')[0]}", "ubuntu": f"Ubuntu:{release}"}.get(distro, "")
    if package.kind == "apk":
        return f"Alpine:v{'.'.join(release.split('.')[:2])}" if distro == "alpine" else ""
    return {"pypi": "PyPI", "npm": "npm"}.get(package.kind, "")


def _affected(row: Advisory, package: Package) -> str | None:
    """The version that repairs it ("" where there is none) when the package is affected, else None."""
    for told in row.affected:
        if package.version in told["versions"]:
            return _fixed(told)
        for span in told["ranges"]:
            if span.get("type") != "GIT" and _within(span.get("events") or [], package):
                return _fixed(told)
    return None


def _fixed(told: dict[str, Any]) -> str:
    events = [event for span in told["ranges"] for event in span.get("events") or ()]
    return next((str(event["fixed"]) for event in events if event.get("fixed")), "")


def _within(events: list[dict[str, Any]], package: Package) -> bool:
    try:
        own = _version(package.kind, package.version)
        steps = sorted(
            ((_version(package.kind, str(text)), kind) for event in events for kind, text in event.items()
             if str(text) != "0"),
            key=lambda step: step[0],
        )  # fmt: skip
    except (InvalidVersion, ValueError, TypeError):
        return False
    inside = any(event.get("introduced") == "0" for event in events)
    for version, kind in steps:
        if kind == "introduced" and version <= own:
            inside = True
        elif (kind in ("fixed", "limit") and version <= own) or (kind == "last_affected" and version < own):
            inside = False
    return inside


def _version(kind: str, text: str) -> Any:
    if kind == "pypi":
        return PythonVersion(text)
    if kind == "npm":
        return SemanticVersion.parse(text)
    # Alpine's suffixes for what comes before a release, in Debian's way of saying it.
    for word in ("_alpha", "_beta", "_pre", "_rc"):
        text = text.replace(word, f"~{word[1:]}")
    return DebianVersion(text)
