"""Recompute what the books say of themselves: for an auditor, and for whoever restored a backup. Reads only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection, transaction

from billing.closing import read_digest
from billing.models import DailyClose

# Every finding names at most so many journals or accounts; more of the same say nothing new.
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written: which test found it, and what it found."""

    check: str
    text: str


# Each gives one row of text for everything that is wrong. The content's hash is made as in billing.ledger.
_CHECKS = {
    "balance": """
        SELECT 'journal ' || e.journal_id || ' is off by ' || sum(e.amount) || ' ' || a.currency
        FROM billing_entry e JOIN billing_account a ON a.id = e.account_id
        GROUP BY e.journal_id, a.currency HAVING sum(e.amount) <> 0
    """,
    "references": """
        SELECT 'entry ' || e.id || ' has no journal or no account' FROM billing_entry e
        LEFT JOIN billing_journal j ON j.id = e.journal_id LEFT JOIN billing_account a ON a.id = e.account_id
        WHERE j.id IS NULL OR a.id IS NULL
    """,
    # Roll-up, closes and statements compare transaction ids, which begin anew in a server that a dump was read into.
    "transactions": """
        SELECT 'entry ' || e.id || ' is of transaction ' || e.xid || ', which is yet to come' FROM billing_entry e
        WHERE e.xid >= pg_snapshot_xmax(pg_current_snapshot())
          AND e.xid IS DISTINCT FROM pg_current_xact_id_if_assigned()
    """,
    "content": """
        SELECT 'journal ' || j.id || ' (' || j.idempotency_key || ') is not what was posted'
        FROM billing_journal j
        LEFT JOIN billing_entry e ON e.journal_id = j.id LEFT JOIN billing_account a ON a.id = e.account_id
        GROUP BY j.id HAVING j.content_sha256 IS DISTINCT FROM sha256(convert_to(concat_ws(E'\\n',
            j.kind, coalesce(j.price_version_id::text, ''), coalesce(j.reverses_id::text, ''),
            string_agg(concat(a.owner_ref, '/', a.kind, '/', a.currency, '=', e.amount), E'\\n' ORDER BY e.leg)
        ), 'UTF8'))
    """,
    "roll-up": """
        SELECT 'the roll-up of account ' || coalesce(r.account_id, s.account_id) || ' is off by '
               || coalesce(r.debit_micros - r.credit_micros, 0) - coalesce(s.amount, 0)
        FROM billing_balancerollup r FULL JOIN (
            SELECT account_id, sum(amount) AS amount, count(*) AS entries FROM billing_entry
            WHERE xid < (SELECT xid FROM billing_rollupmark WHERE id = 1) GROUP BY account_id
        ) s ON s.account_id = r.account_id
        WHERE coalesce(r.debit_micros - r.credit_micros, 0) <> coalesce(s.amount, 0)
           OR coalesce(r.entries, 0) <> coalesce(s.entries, 0)
    """,
    "days": """
        SELECT 'the totals of the days are off by ' || coalesce(t.amount, 0) - coalesce(r.amount, 0)
               || ' for ' || coalesce(t.kind, r.kind) || ' in ' || coalesce(t.currency, r.currency)
        FROM (SELECT account_kind AS kind, currency, sum(debit_micros - credit_micros) AS amount
              FROM billing_daytotal GROUP BY 1, 2) t
        FULL JOIN (SELECT a.kind, a.currency, sum(b.debit_micros - b.credit_micros) AS amount
              FROM billing_balancerollup b JOIN billing_account a ON a.id = b.account_id GROUP BY 1, 2) r
          ON r.kind = t.kind AND r.currency = t.currency
        WHERE coalesce(t.amount, 0) <> coalesce(r.amount, 0)
    """,
    # A fee's two parts are on the books; each role's totals add them up.
    "subjects": """
        SELECT 'the totals by ' || role || ' are off for ' || kind || ' in ' || currency
        FROM (SELECT r.role, d.currency, d.journal_kind AS kind,
                     sum(credit_micros - debit_micros) FILTER (WHERE account_kind = 'platform_revenue') AS kept,
                     sum(credit_micros - debit_micros) FILTER (WHERE account_kind = 'developer_pending') AS share
              FROM billing_daytotal d, (VALUES ('merchant'), ('developer'), ('agent'), ('pair')) AS r(role)
              WHERE d.journal_kind IN ('ppcv', 'ppcv_reversal', 'credit_note', 'agent_tax', 'tax_reversal')
              GROUP BY 1, 2, 3) d
        FULL JOIN (SELECT role, currency, journal_kind AS kind, sum(fee_micros - share_micros) AS kept,
                          sum(share_micros) AS share FROM billing_subjecttotal GROUP BY 1, 2, 3) s
          USING (role, currency, kind)
        WHERE coalesce(d.kept, 0) <> coalesce(s.kept, 0) OR coalesce(d.share, 0) <> coalesce(s.share, 0)
    """,
}


def verify_books(*, head: str = "") -> list[Finding]:
    """Everything that is wrong with the books; an empty list when nothing is.

    `head` is a digest that was noted before, in hex: it must be one of the chain's. Outside of a transaction
    of the caller's one snapshot is read, so posting may go on meanwhile.
    """
    alone = not connection.in_atomic_block
    with transaction.atomic():
        if alone:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        findings = [Finding(check, text) for check, sql in _CHECKS.items() for text in _rows(sql)]
        return [*findings, *_broken_links(head.strip().lower())]


def _rows(sql: str) -> Iterator[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} LIMIT {_SHOWN}")
        for (text,) in cursor.fetchall():
            yield str(text)


def _broken_links(head: str) -> Iterator[Finding]:
    last: DailyClose | None = None
    for close in DailyClose.objects.select_related("previous").order_by("day").iterator():
        expected = None if last is None else last.day + timedelta(days=1)
        if close.previous_id != (last and last.day) or (expected and close.day != expected):
            yield Finding("chain", f"{close} does not follow the close before it")
        digest, journals = read_digest(close)
        if (digest, journals) != (bytes(close.digest), close.journals):
            counted = f"{close.journals} journals then, {journals} now"
            yield Finding(
                "chain", f"the books of {close} are not what they were when it was closed ({counted})"
            )
        if close.hex == head:
            head = ""
        last = close
    if head:
        yield Finding("chain", f"no close has the digest {head}: the chain was written anew")
