"""Usage events on their way to the ledger: out of quarantine, rated, posted, thousands at a time, within PostgreSQL.

Each step is one transaction over rows that it has locked and nobody else has (SKIP LOCKED), so workers
don't wait for each other, and one that is killed leaves every event either before or after the step.
"""

from __future__ import annotations

from django.db import connection, transaction

from agentstore.kit.clock import now
from agentstore.kit.ids import first_id_at
from billing.history import record_changes
from billing.journals import PPCV_JOURNALS
from billing.ledger import post_selected
from billing.models import UsageEvent

BATCH = 2_000

# The ids of a batch stay one text from a statement to the next: no row travels here and back.
_RATE = """
WITH rated AS (
    UPDATE billing_usageevent SET status = CASE
        WHEN EXISTS (SELECT FROM billing_usageflag f WHERE f.event_id = billing_usageevent.id) THEN 'review'
        ELSE 'rated' END
    WHERE id IN (
        SELECT id FROM billing_usageevent WHERE status = 'quarantined' AND due_at <= %s
        ORDER BY due_at, id LIMIT %s FOR UPDATE SKIP LOCKED
    ) RETURNING id, status
)
SELECT status, count(*), array_agg(id)::text FROM rated GROUP BY status
"""
_AFTER_QUARANTINE = {
    UsageEvent.Status.RATED.value: "its quarantine is over",
    UsageEvent.Status.REVIEW.value: "a fraud rule has flagged it",
}
_TAKE = """
SELECT count(*), array_agg(id)::text FROM (
    SELECT id FROM billing_usageevent WHERE status = 'rated' ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
) AS taken
"""
_POSTED = """
UPDATE billing_usageevent u SET status = 'posted',
    journal_id = (SELECT j.id FROM billing_journal j WHERE j.idempotency_key = u.idempotency_key)
WHERE id = ANY(%s::uuid[])
"""
_CAPTURE = "UPDATE billing_hold SET captured_at = %s WHERE event_id = ANY(%s::uuid[])"


@transaction.atomic
def rate_due_events(*, limit: int = BATCH) -> int:
    """End the quarantine of events that are due; how many. Amounts were fixed with the hold.

    They go on to posting; what a fraud rule has flagged waits for an operator instead.
    """
    with connection.cursor() as cursor:
        cursor.execute(_RATE, [now(), limit])
        rows: list[tuple[str, int, str]] = cursor.fetchall()
    for status, _, events in rows:
        record_changes(events, status=status, by="posting", reason=_AFTER_QUARANTINE[status])
    return sum(count for _, count, _ in rows)


@transaction.atomic
def post_rated_events(*, limit: int = BATCH) -> int:
    """Post rated events to the ledger in one batch and capture their holds; how many.

    The journal's key is the event's, so that even an event that lost its status can't be posted twice.
    """
    at = now()
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, [limit])
        count, events = cursor.fetchone()
        if count:
            post_selected(PPCV_JOURNALS, {"events": events, "time": str(first_id_at(at))[:13]})
            cursor.execute(_POSTED, [events])
            cursor.execute(_CAPTURE, [at, events])
            record_changes(events, status=UsageEvent.Status.POSTED, by="posting", reason="")
    return int(count)


def post_due_events(*, limit: int = BATCH) -> int:
    """Rate and post all that is due, batch after batch; how many were posted. Must own its transactions."""
    posted = 0
    while rate_due_events(limit=limit):
        pass
    while done := post_rated_events(limit=limit):
        posted += done
    return posted
