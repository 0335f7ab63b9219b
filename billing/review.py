"""What an operator decides of fees that a rule has flagged: let go on, or taken back. Each with a reason."""

from __future__ import annotations

import uuid

from django.db import transaction

from agentstore.kit.errors import Conflict, Invalid, NotFound
from billing.disputes import invoice_of
from billing.history import record_changes
from billing.metering import void_ppcv
from billing.models import UsageEvent

_Status = UsageEvent.Status


class AlreadyInvoiced(Conflict):
    """The fee is on an invoice, and comes off it by a credit note only."""

    code = "already_invoiced"


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

    Raises Invalid without a reason, NotFound, AlreadyInvoiced: a write-off takes all of an invoice's fees back, so
    one that was reversed beside it would be taken twice.
    """
    reason = _require_reason(reason)
    event = _find(event_id)
    if event.status == _Status.POSTED and invoice_of(event) is not None:
        raise AlreadyInvoiced(
            "This fee is on an invoice.", hint="Let the merchant dispute the charge, and credit it there."
        )
    return void_ppcv(event_id=event.pk, reason=reason, by=by)
