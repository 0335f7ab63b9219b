"""Work on conversations that no request waits for."""

from __future__ import annotations

import uuid
from typing import Any

import structlog
from celery import shared_task

from marketplace.shopping import rehearsals, turns
from marketplace.shopping.rehearsals import RehearsalUndecided

log = structlog.get_logger(__name__)


@shared_task(name="marketplace.shopping.tasks.reap_turns", ignore_result=True)
def reap_turns() -> None:
    """End turns whose process is gone, and give back the sandboxes of silent conversations."""
    turns.reap_turns()
    turns.release_idle_sandboxes()


@shared_task(
    name="marketplace.shopping.tasks.rehearse_submission", bind=True, max_retries=3, ignore_result=True
)
def rehearse_submission(self: Any, submission_id: str) -> None:
    """Hold a submission's rehearsal; again, a little later, when the platform failed it."""
    try:
        rehearsals.rehearse(submission_id=uuid.UUID(submission_id))
    except RehearsalUndecided as undecided:
        log.warning("rehearsal_undecided", submission=submission_id, reason=undecided.message)
        raise self.retry(exc=undecided, countdown=15 * (self.request.retries + 1)) from undecided
