"""The daily close: each day's journals hashed, chained to the day before. docs/algorithms/closing.md.

Triggers keep the books from everybody but a superuser of the database. The chain is for that one: whoever
noted a digest can later prove that no journal of any day before it was changed, added or removed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, timedelta

import structlog
from django.db import connection, transaction
from django.db.models import Min

from agentstore.kit.clock import now
from agentstore.kit.locks import wait_turn
from billing.errors import ChainBroken
from billing.models import DailyClose, Journal
from billing.periods import day_of, end_of

logger = structlog.get_logger(__name__)

# Time for transactions that were at work at midnight. The close itself rests on the horizon, not on this.
SETTLE = timedelta(minutes=10)
# The lines of a close before its journals'.
_HEADING = 2
START = b"agentstore ledger 1\n"

# The journals of a close: of its day, and stragglers whose transaction ended after an earlier close.
_COVERED = """
WITH covered AS MATERIALIZED (
    SELECT id FROM billing_journal
    WHERE posted_at >= %(from)s AND posted_at < %(until)s AND xid < %(horizon)s::xid8
    UNION ALL
    SELECT j.id FROM billing_entry e JOIN billing_journal j ON j.id = e.journal_id
    WHERE e.leg = 1 AND e.xid >= %(before)s::xid8 AND e.xid < %(horizon)s::xid8 AND j.posted_at < %(from)s
)
"""
# One JSON array a journal, as PostgreSQL and Python's json.dumps(…, ensure_ascii=False) both write it.
_LINES = f"""
{_COVERED}
SELECT jsonb_build_array(
    j.id, j.idempotency_key, j.kind, to_char(j.occurred_at AT TIME ZONE 'UTC', %(format)s),
    to_char(j.posted_at AT TIME ZONE 'UTC', %(format)s), j.price_version_id, j.reverses_id, j.memo,
    encode(j.content_sha256, 'hex'),
    jsonb_agg(jsonb_build_array(a.owner_ref, a.kind, a.currency, e.amount) ORDER BY e.leg))::text
FROM covered JOIN billing_journal j ON j.id = covered.id
LEFT JOIN billing_entry e ON e.journal_id = j.id LEFT JOIN billing_account a ON a.id = e.account_id
GROUP BY j.id ORDER BY j.id
"""  # noqa: S608 (only the constant above is put in)
_FORMAT = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'


def close_due_days(*, at: datetime | None = None) -> list[DailyClose]:
    """Close every day that is over, oldest first; those closed now. Twice is once, killed anywhere is whole.

    Each day is a transaction of its own, so this must own its transactions. Stops before a day whose
    journals are not all settled, and is to be called again. Raises ChainBroken.
    """
    closed = []
    while (close := _close_next(at or now())) is not None:
        closed.append(close)
        logger.info("day closed", day=str(close), journals=close.journals, digest=close.hex)
    return closed


@transaction.atomic
def _close_next(at: datetime) -> DailyClose | None:
    wait_turn("billing.close_day")
    with connection.cursor() as cursor:
        last = DailyClose.objects.order_by("-day").first()
        day = last.day + timedelta(days=1) if last else first_day()
        if day is None or at < end_of(day) + SETTLE:
            return None
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")
        horizon = int(cursor.fetchone()[0])
        cursor.execute(
            "SELECT EXISTS (SELECT FROM billing_entry e JOIN billing_journal j ON j.id = e.journal_id"
            " WHERE e.xid >= %s::xid8 AND j.posted_at < %s)",
            [str(horizon), end_of(day)],
        )
        if cursor.fetchone()[0]:
            return None
    if last is not None and read_digest(last) != (bytes(last.digest), last.journals):
        raise ChainBroken(
            f"The books of {last} are not what they were when the day was closed.",
            hint="Run `manage.py verify_ledger`, and compare with a backup.",
        )
    close = DailyClose(day=day, previous=last, horizon=horizon, closed_at=now())
    close.digest, close.journals = read_digest(close)
    close.save(force_insert=True)
    return close


def first_day() -> date | None:
    """The day of the first journal; None while there is none. Once it is closed, of its close: journals are many."""
    closed = DailyClose.objects.order_by("day").first()
    if closed is not None:
        return closed.day
    first = Journal.objects.aggregate(first=Min("posted_at"))["first"]
    return None if first is None else day_of(first)


def read_digest(close: DailyClose) -> tuple[bytes, int]:
    """The digest of a close by the books as they are now, and how many journals it covers."""
    digest, journals = hashlib.sha256(), 0
    for number, line in enumerate(lines_of(close)):
        digest.update(line)
        journals = number - _HEADING + 1
    return digest.digest(), journals


def lines_of(close: DailyClose) -> Iterator[bytes]:
    """What the digest is of: the close before it, its own day, then a line for each journal it covers.

    Streamed in a transaction of the caller's or of its own.
    """
    previous = close.previous
    yield START if previous is None else f"{previous} {previous.hex}\n".encode()
    yield f"{close}\n".encode()
    parameters: dict[str, str | datetime] = {
        "from": end_of(close.day - timedelta(days=1)),
        "until": end_of(close.day),
        "horizon": str(close.horizon),
        # Nothing is older than the first close's day, so it has no stragglers.
        "before": str(previous.horizon if previous else close.horizon),
        "format": _FORMAT,
    }
    with transaction.atomic(), closing(connection.chunked_cursor()) as cursor:
        cursor.execute(_LINES, parameters)
        for (line,) in cursor:
            yield f"{line}\n".encode()
