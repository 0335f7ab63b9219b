"""Moving the roll-up forward: balances by account, totals by day, totals by subject, below one mark.

billing.balances says why the mark is a transaction id.
"""

from __future__ import annotations

from typing import Final

from django.db import connection, transaction

from agentstore.kit.clock import now
from billing.rollups.subjects import ADD_TO_SUBJECTS, FEES_ROLLED_UP

_ADD: Final = """
WITH fresh AS (
    SELECT e.account_id, (j.posted_at AT TIME ZONE 'UTC')::date AS day, j.kind,
           coalesce(sum(e.amount) FILTER (WHERE e.amount > 0), 0) AS debit,
           -coalesce(sum(e.amount) FILTER (WHERE e.amount < 0), 0) AS credit, count(*) AS entries
    FROM billing_entry e JOIN billing_journal j ON j.id = e.journal_id
    WHERE e.xid >= %(mark)s::xid8 AND e.xid < %(until)s::xid8 GROUP BY 1, 2, 3
), added AS (
    INSERT INTO billing_balancerollup AS r (account_id, debit_micros, credit_micros, entries)
    SELECT account_id, sum(debit), sum(credit), sum(entries) FROM fresh GROUP BY account_id
    ON CONFLICT (account_id) DO UPDATE SET
        debit_micros = r.debit_micros + excluded.debit_micros,
        credit_micros = r.credit_micros + excluded.credit_micros,
        entries = r.entries + excluded.entries
), of_days AS (
    INSERT INTO billing_daytotal AS t
        (day, account_kind, journal_kind, currency, debit_micros, credit_micros, entries)
    SELECT f.day, a.kind, f.kind, a.currency, sum(f.debit), sum(f.credit), sum(f.entries)
    FROM fresh f JOIN billing_account a ON a.id = f.account_id GROUP BY 1, 2, 3, 4
    ON CONFLICT (day, account_kind, journal_kind, currency) DO UPDATE SET
        debit_micros = t.debit_micros + excluded.debit_micros,
        credit_micros = t.credit_micros + excluded.credit_micros,
        entries = t.entries + excluded.entries
)
SELECT coalesce(sum(entries), 0)::bigint FROM fresh
"""
_ADD_TO_SUBJECTS: Final = f"WITH fees AS ({FEES_ROLLED_UP}) {ADD_TO_SUBJECTS}"


@transaction.atomic
def roll_up() -> int:
    """Add every finished transaction's new entries to the roll-up; how many. One at a time, any time.

    Everything below the horizon has ended, so the statements here see the same entries.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO billing_rollupmark (id, xid, moved_at) VALUES (1, '0', %s) ON CONFLICT DO NOTHING",
            [now()],
        )
        cursor.execute("SELECT xid::text FROM billing_rollupmark WHERE id = 1 FOR UPDATE")
        mark = cursor.fetchone()[0]
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")
        bounds = {"mark": mark, "until": cursor.fetchone()[0]}
        cursor.execute(_ADD, bounds)
        added = int(cursor.fetchone()[0])
        if added:
            cursor.execute(_ADD_TO_SUBJECTS, bounds)
        cursor.execute(
            "UPDATE billing_rollupmark SET xid = %s, moved_at = %s WHERE id = 1", [bounds["until"], now()]
        )
        return added
