"""The operators' queue and their decisions."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction

from agentstore.identity.access import require_operator
from agentstore.kit.clock import now
from marketplace.publishing import dispatch, listings
from marketplace.publishing.errors import AlreadyDecided, NoteRequired
from marketplace.publishing.models import Agent, Notice, ReviewItem, Submission, Version
from marketplace.publishing.transitions import change_status
from sandbox import pool


@transaction.atomic
def approve(*, submission_id: uuid.UUID | str, by: Any, note: str = "") -> Version:
    """Take the version live: the agent is listed, the version before retires, sandboxes are warmed.

    An agent that is suspended stays so and goes live with this version when it is reinstated. Raises NotFound
    unless `by` is an operator, AlreadyDecided when the submission is not in review.
    """
    require_operator(by)
    submission, agent = _take(submission_id)
    version = Version.objects.select_for_update().get(submission=submission)
    _close(submission, decision=ReviewItem.Decision.APPROVED, by=by, note=note)
    listings.go_live(agent=agent, version=version, by=by, reason=note or "Approved")
    return version


@transaction.atomic
def reject(*, submission_id: uuid.UUID | str, by: Any, note: str) -> None:
    """Turn the version down; its sandboxes end and its number is free again.

    Raises NoteRequired without a note, NotFound unless `by` is an operator, AlreadyDecided.
    """
    require_operator(by)
    if not note.strip():
        raise NoteRequired(
            "A rejection needs a note.",
            hint="Say what the developer has to change; the note is mailed to them.",
        )
    submission, _ = _take(submission_id)
    _close(submission, decision=ReviewItem.Decision.REJECTED, by=by, note=note)
    version = Version.objects.select_for_update().get(submission=submission)
    change_status(version, to=Version.Status.REJECTED, by=by, reason=note)
    pool.release_tenant(tenant=version.tenant, reason="the version was rejected")


def _take(submission_id: uuid.UUID | str) -> tuple[Submission, Agent]:
    """Both rows locked, the agent's first: every writer of listings takes them in that order."""
    found = Submission.objects.select_related("version").filter(pk=submission_id).first()
    if found is None or found.version is None:
        raise AlreadyDecided("This submission is not waiting for a decision.")
    agent = Agent.objects.select_for_update(of=("self",)).get(pk=found.version.agent_id)
    submission = Submission.objects.select_for_update(of=("self",)).get(pk=submission_id)
    if submission.status != Submission.Status.IN_REVIEW:
        raise AlreadyDecided(
            f"This submission is not waiting for a decision: {submission.get_status_display().lower()}.",
            hint="Reload the page to see who decided and when.",
        )
    return submission, agent


def _close(submission: Submission, *, decision: ReviewItem.Decision, by: Any, note: str) -> None:
    ReviewItem.objects.filter(submission=submission).update(
        exited_at=now(), decision=decision, decided_by=by, note=note
    )
    change_status(submission, to=decision.value, by=by, reason=note)
    dispatch.enqueue_notice(submission.pk, Notice.Kind.DECISION)
