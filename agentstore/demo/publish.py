"""Publishes a first-party agent as a stranger would: upload, checks, the operator's decision."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings

from agentstore.demo.people import DEVELOPER, OPERATOR, STUDIO
from agentstore.demo.visitor import Turned, Visitor
from agentstore.embedded.processes import wait_until
from agentstore.identity.models import Organization
from marketplace.publishing.models import Agent, Submission

VERDICT_SECONDS = 300


def publish_agent(*, site_url: str, source: Path, say: Callable[[str], None]) -> str:
    """Bring the agent in `source` live, if that version is not; says what came of it.

    Raises Turned with the failed checks, or when the checks do not end.
    """
    manifest = read_manifest(source)
    name = f"{manifest['name']} {manifest['version']}"
    if is_live(source):
        return f"{name} is live"
    studio = Organization.objects.developers().get(name=STUDIO)
    submission = _under_way(studio, manifest["slug"], manifest["version"])
    if submission is None:
        submission = _submit(site_url, studio, source, name)
    _await_checks(submission, say)
    if submission.status == Submission.Status.IN_REVIEW:
        with Visitor(site_url, OPERATOR) as operator:
            path = f"/operator/review/{submission.pk}/"
            operator.get(path)
            operator.post(path, {"decision": "approve", "note": "A first-party agent of this store's own."})
    if not is_live(source):
        raise Turned(f"{name} was approved and is not live.")
    return f"{name} was checked, approved, and is live"


def is_live(source: Path) -> bool:
    """Whether the version in that directory is what shoppers get."""
    manifest = read_manifest(source)
    return Agent.objects.filter(slug=manifest["slug"], live_version__semver=manifest["version"]).exists()


def read_manifest(source: Path) -> dict[str, Any]:
    """The agent's own description of itself."""
    return tomllib.loads((source / "agent.toml").read_text())


def pack(source: Path) -> bytes:
    """The bundle of a directory, made by the command that developers have: same files, same bytes."""
    with tempfile.TemporaryDirectory() as scratch:
        bundle = Path(scratch) / "bundle.zip"
        subprocess.run(  # noqa: S603  (our own interpreter and arguments)
            [sys.executable, "-m", "agentstore_sdk", "pack", str(source), "--output", str(bundle)],
            env={**os.environ, "PYTHONPATH": str(settings.BASE_DIR / "sdk")},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return bundle.read_bytes()


def _submit(site_url: str, studio: Organization, source: Path, name: str) -> Submission:
    path = f"/developer/{studio.slug}/submit/"
    with Visitor(site_url, DEVELOPER) as developer:
        developer.get(path)
        bundle = (_filename(source.name), pack(source), "application/zip")
        answer = developer.post(path, {"notes": f"{name}, as it lies in agents/."}, files={"bundle": bundle})
    return Submission.objects.get(pk=answer.headers["location"].rstrip("/").rsplit("/", 1)[1])


def _await_checks(submission: Submission, say: Callable[[str], None]) -> None:
    """Wait until the checks are over, telling of each step. Raises Turned unless they passed."""
    told: set[str] = set()

    def is_over() -> bool:
        submission.refresh_from_db()
        if submission.status not in told:
            told.add(submission.status)
            say(f"  {submission.get_status_display().lower()} …")
        return not submission.is_open

    if not wait_until(is_over, seconds=VERDICT_SECONDS):
        raise Turned(f"The checks did not end in {VERDICT_SECONDS} s. {submission.trouble}".strip())
    failed = submission.checks.filter(passed=False)
    if failed:
        raise Turned("; ".join(f"{check.name}: {check.detail}" for check in failed))


def _under_way(studio: Organization, slug: str, semver: str) -> Submission | None:
    """What an earlier, interrupted start has sent in already."""
    waiting = [*Submission.OPEN, Submission.Status.IN_REVIEW]
    mine = Submission.objects.filter(organization=studio, status__in=waiting)
    named = mine.filter(version__agent__slug=slug, version__semver=semver).first()
    return named or mine.filter(version=None, filename=_filename(slug)).first()


def _filename(slug: str) -> str:
    return f"{slug}.zip"
