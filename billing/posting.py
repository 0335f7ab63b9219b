"""Usage events on their way to the ledger: out of quarantine, rated, posted, a thousand at a time.

Each step is one transaction over rows that it has locked and nobody else has (SKIP LOCKED), so workers
don't wait for each other, and one that is killed leaves every event either before or after the step.
"""

from __future__ import annotations

import uuid

from django.db import connection, transaction

from agentstore.kit.clock import now
from billing.history import record_changes
from billing.journals import PostableEvent, ppcv_journal
from billing.ledger import post_many
from billing.models import UsageEvent

BATCH = 2_000

_RATE = """
UPDATE billing_usageevent SET status = CASE
    WHEN EXISTS (SELECT FROM billing_usageflag f WHERE f.event_id = billing_usageevent.id) THEN 'review'
    ELSE 'rated' END
WHERE id IN (
    SELECT id FROM billing_usageevent WHERE status = 'quarantined' AND due_at <= %s
    ORDER BY due_at, id LIMIT %s FOR UPDATE SKIP LOCKED
) RETURNING id, status
"""
_AFTER_QUARANTINE = {
    UsageEvent.Status.RATED: "its quarantine is over",
    UsageEvent.Status.REVIEW: "a fraud rule has flagged it",
}
_POSTED = """
UPDATE billing_usageevent u SET status = 'posted', journal_id = p.journal_id
FROM unnest(%s::uuid[], %s::uuid[]) AS p(id, journal_id) WHERE u.id = p.id
"""
_CAPTURE = "UPDATE billing_hold SET captured_at = %s WHERE event_id = ANY(%s::uuid[])"


@transaction.atomic
def rate_due_events(*, limit: int = BATCH) -> int:
    """End the quarantine of events that are due; how many. Amounts were fixed with the hold.

    They go on to posting; what a fraud rule has flagged waits for an operator instead.
    """
    with connection.cursor() as cursor:
        cursor.execute(_RATE, [now(), limit])
        rows: list[tuple[uuid.UUID, str]] = cursor.fetchall()
    for status, reason in _AFTER_QUARANTINE.items():
        ids = [event_id for event_id, now_is in rows if now_is == status]
        if ids:
            record_changes(ids, status=status, by="posting", reason=reason)
    return len(rows)


@transaction.atomic
def post_rated_events(*, limit: int = BATCH) -> int:
    """Post rated events to the ledger in one batch and capture their holds; how many.

    The journal's key is the event's, so that even an event that lost its status can't be posted twice.
    """
    rows = list(
        UsageEvent.objects.select_for_update(skip_locked=True)
        .filter(status=UsageEvent.Status.RATED)
        .order_by("id")
        .values_list(*PostableEvent._fields)[:limit]
    )
    if not rows:
        return 0
    events = [PostableEvent(*row) for row in rows]
    journal_ids = post_many([ppcv_journal(event) for event in events])
    ids = [event.id for event in events]
    with connection.cursor() as cursor:
        cursor.execute(_POSTED, [ids, journal_ids])
        cursor.execute(_CAPTURE, [now(), ids])
    record_changes(ids, status=UsageEvent.Status.POSTED, by="posting", reason="")
    return len(events)


def post_due_events(*, limit: int = BATCH) -> int:
    """Rate and post all that is due, batch after batch; how many were posted. Must own its transactions."""
    posted = 0
    while rate_due_events(limit=limit):
        pass
    while done := post_rated_events(limit=limit):
        posted += done
    return posted
