"""What an operator decides of fees that a rule has flagged: let go on, or taken back. Each with a reason."""

from __future__ import annotations

import uuid

from django.db import transaction

from agentstore.kit.errors import Conflict, Invalid, NotFound
from billing.history import record_changes
from billing.metering import void_ppcv
from billing.models import UsageEvent

_Status = UsageEvent.Status


def _require_reason(reason: str) -> str:
    if not reason.strip():
        raise Invalid("A decision needs a reason.", hint="Say in a few words what you saw.")
    return reason.strip()[:200]


def _find(event_id: uuid.UUID) -> UsageEvent:
    found = (
        UsageEvent.objects.select_for_update(no_key=True)
        .filter(pk=event_id, kind=UsageEvent.Kind.PPCV)
        .first()
    )
    if found is None:
        raise NotFound("There is no such fee.")
    return found


@transaction.atomic
def release_event(*, event_id: uuid.UUID, reason: str, by: str) -> UsageEvent:
    """Let a flagged fee go on to posting, its quarantine over or not. Twice is once.

    Raises Invalid without a reason, NotFound, Conflict when it was rejected or reversed.
    """
    reason = _require_reason(reason)
    event = _find(event_id)
    if event.status in (_Status.RATED, _Status.POSTED):
        return event
    if event.status not in (_Status.REVIEW, _Status.QUARANTINED):
        raise Conflict(
            f"This fee is {event.get_status_display().lower()}.", hint="It can't be charged any more."
        )
    event.status = _Status.RATED
    event.save(update_fields=["status"])
    record_changes([event.pk], status=_Status.RATED, by=by, reason=reason)
    return event


@transaction.atomic
def reject_event(*, event_id: uuid.UUID, reason: str, by: str) -> UsageEvent:
    """Take a fee back: before posting it never reaches the books, after it its journal is reversed.

    Raises Invalid without a reason, NotFound.
    """
    reason = _require_reason(reason)
    return void_ppcv(event_id=_find(event_id).pk, reason=reason, by=by)
