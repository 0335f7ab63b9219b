"""The agent and version that a submission is for: made from its manifest, once."""

from __future__ import annotations

from typing import Any

import semver
from django.db import IntegrityError, transaction

from marketplace.publishing.errors import ManifestInvalid
from marketplace.publishing.manifest import Manifest
from marketplace.publishing.models import Agent, Submission, Version
from marketplace.publishing.transitions import record_change


@transaction.atomic
def create_candidate(*, submission: Submission, manifest: Manifest) -> Version:
    """The version that this submission builds; the one it has already when the step runs again.

    The first submission with a slug makes the agent. Until the agent is live, each one brings its listing's
    words up to date; afterwards the studio edits them on the agent's page. Raises ManifestInvalid when the
    slug is another studio's, or the version is taken or not above what was live before.
    """
    held = Submission.objects.select_for_update(of=("self",)).get(pk=submission.pk)
    if held.version is not None:
        return held.version
    agent = _agent_of(held, manifest)
    _require_next(agent, manifest.version)
    try:
        with transaction.atomic():
            version = Version.objects.create(
                agent=agent,
                semver=manifest.version,
                manifest=manifest.as_json(),
                bundle_sha256=held.bundle_sha256,
                notes=held.notes,
            )
    except IntegrityError as taken:
        raise ManifestInvalid(
            [("version", f"{manifest.version} was submitted before; raise the number")]
        ) from taken
    record_change(version, before="", by=held.submitted_by, reason="Submitted")
    held.version = submission.version = version
    held.save(update_fields=["version"])
    return version


def _agent_of(submission: Submission, manifest: Manifest) -> Agent:
    words: dict[str, Any] = {
        "name": manifest.name,
        "tagline": manifest.tagline,
        "description": manifest.description,
        "categories": manifest.categories,
    }
    agent, created = Agent.objects.select_for_update(of=("self",)).get_or_create(
        slug=manifest.slug, defaults={**words, "developer": submission.organization}
    )
    if agent.developer_id != submission.organization_id:
        raise ManifestInvalid([("slug", f"{manifest.slug!r} is taken by another studio; choose another")])
    if created:
        record_change(agent, before="", by=submission.submitted_by, reason="First submission")
    elif agent.status == Agent.Status.DRAFT:
        Agent.objects.filter(pk=agent.pk).update(**words)
    return agent


def _require_next(agent: Agent, number: str) -> None:
    """Versions only go up, so that “the version before” means something when one is rolled back."""
    served = agent.versions.filter(status__in=Version.REVIEWED).values_list("semver", flat=True)
    highest = max(served, key=semver.Version.parse, default=None)
    if highest is not None and semver.Version.parse(number) <= semver.Version.parse(highest):
        raise ManifestInvalid([("version", f"{number} is not above {highest}, which has been live")])
