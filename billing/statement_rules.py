"""Which movements are on which statement, and how they are added up. docs/algorithms/statements.md.

A movement belongs to the first closed month whose mark is above its transaction and whose end is after its
time. The rule alone says so: nothing is noted on the movement, so nothing can be noted twice or forgotten.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import NamedTuple

from django.db import connection

from billing.accounts import AccountKey
from billing.models import Account, StatementPeriod
from billing.periods import Month

_Kind = Account.Kind

# Posted when a statement is made, and part of that one.
ROUNDING = "statement_rounding"
# Movements of a receivable that settle what was charged; all others are charges.
SETTLING = (
    *("invoice_tax", "invoice_paid", "invoice_written_off", "invoice_written_off_reversal"),
    *("credit_note", "credit_note_tax", "invoice_disputed", "invoice_dispute_won", "invoice_repaid"),
)
KINDS = (
    _Kind.MERCHANT_RECEIVABLE,
    "merchant_prepaid",
    _Kind.MERCHANT_WALLET,
    _Kind.DEVELOPER_PENDING,
    _Kind.DEVELOPER_AVAILABLE,
    _Kind.DEVELOPER_RESERVE,
)

_ON_STATEMENT = """
    e.xid < %(mark)s::xid8 AND j.occurred_at < %(end)s AND j.kind <> 'statement_rounding'
    AND NOT (e.xid < %(mark_before)s::xid8 AND j.occurred_at < %(end_before)s)
"""
_JOINED = """
FROM billing_entry e
JOIN billing_account a ON a.id = e.account_id
JOIN billing_journal j ON j.id = e.journal_id
LEFT JOIN billing_usageevent u ON u.journal_id = j.id
LEFT JOIN billing_usageevent o ON o.journal_id = j.reverses_id
"""
_LATE = "CASE WHEN j.occurred_at < %(start)s THEN to_char(j.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM') ELSE '' END"
_CATEGORY = "coalesce(u.category, o.category, '')"

_OWNERS = f"""
SELECT DISTINCT a.owner_ref, a.currency {_JOINED}
WHERE a.kind = ANY(%(kinds)s) AND {_ON_STATEMENT} ORDER BY 1, 2
"""
_SUMS = f"""
SELECT a.kind, j.kind, {_CATEGORY}, j.price_version_id, {_LATE}, count(DISTINCT j.id), sum(e.amount)::bigint
{_JOINED} WHERE a.owner_ref = %(owner)s AND a.currency = %(currency)s AND a.kind = ANY(%(kinds)s)
  AND {_ON_STATEMENT} GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 5, 2, 3, 4
"""
_ITEMS = f"""
SELECT j.id, e.xid::text, j.occurred_at, j.kind, coalesce(u.conversation_ref, o.conversation_ref, ''),
       coalesce(u.line_ref, o.line_ref, ''), coalesce(u.id, o.id), sum(e.amount)::bigint
{_JOINED} WHERE a.owner_ref = %(owner)s AND a.currency = %(currency)s AND a.kind = %(account_kind)s
  AND {_ON_STATEMENT} AND j.kind = %(kind)s AND {_CATEGORY} = %(category)s
  AND j.price_version_id IS NOT DISTINCT FROM %(price_version)s::uuid AND {_LATE} = %(late_from)s
  AND e.xid >= %(after_xid)s::xid8 AND (e.xid, j.id) > (%(after_xid)s::xid8, %(after)s::uuid)
GROUP BY e.xid, j.id, u.id, o.id ORDER BY e.xid, j.id LIMIT %(limit)s
"""  # noqa: S608 (only the constants above are put in)

_COUNTERPARTS = f"""
WITH charged AS (
    SELECT DISTINCT j.id {_JOINED} WHERE a.owner_ref = %(owner)s AND a.currency = %(currency)s
    AND a.kind = 'merchant_receivable' AND j.kind <> ALL(%(settling)s) AND {_ON_STATEMENT}
)
SELECT a.owner_ref, a.kind, a.currency, sum(e.amount)::bigint
FROM billing_entry e JOIN charged ON charged.id = e.journal_id JOIN billing_account a ON a.id = e.account_id
WHERE NOT (a.kind = 'merchant_receivable' AND a.owner_ref = %(owner)s) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""  # noqa: S608 (only the constants above are put in)
# Joins the invoice `i` that a PPCv event `u` with its journal `j` is on; none while its month `p` is open.
INVOICE_OF_EVENT = """
LEFT JOIN LATERAL (
    SELECT p.month FROM billing_statementperiod p
    WHERE p.mark > j.xid AND p.ends_at > j.occurred_at ORDER BY p.month LIMIT 1
) p ON true
LEFT JOIN billing_statement s
    ON s.period_id = p.month AND s.owner_ref = u.merchant_ref AND s.currency = u.currency
LEFT JOIN billing_invoice i ON i.id = s.invoice_id
"""


class Sum(NamedTuple):
    """Movements of one kind on one account, added up; debit positive."""

    account_kind: str
    kind: str
    category: str
    price_version_id: uuid.UUID | None
    late_from: str
    quantity: int
    amount: int


# Where a movement stands among those of its line: its transaction, then its journal.
Place = tuple[str, uuid.UUID]
FIRST: Place = ("0", uuid.UUID(int=0))


class Item(NamedTuple):
    """One movement of a line; debit positive."""

    journal_id: uuid.UUID
    xid: str
    occurred_at: datetime
    kind: str
    conversation_ref: str
    line_ref: str
    event_id: uuid.UUID | None
    amount: int

    @property
    def place(self) -> Place:
        """Where to go on behind it."""
        return self.xid, self.journal_id


def bounds_of(period: StatementPeriod) -> dict[str, str | datetime | list[str] | None]:
    before = StatementPeriod.objects.filter(month__lt=period.month).last()
    return {
        "kinds": [str(kind) for kind in KINDS],
        "start": Month.parse(period.month).start,
        "end": period.ends_at,
        "mark": str(period.mark),
        "end_before": before.ends_at if before else None,
        "mark_before": str(before.mark) if before else "0",
    }


def owners_in(period: StatementPeriod) -> list[tuple[str, str]]:
    """Who gets a statement for a closed month, and in which currencies."""
    with connection.cursor() as cursor:
        cursor.execute(_OWNERS, bounds_of(period))
        return [(owner, currency) for owner, currency in cursor.fetchall()]


def sums_of(period: StatementPeriod, owner_ref: str, currency: str) -> list[Sum]:
    """An owner's movements of a closed month, added up by what becomes a line."""
    with connection.cursor() as cursor:
        cursor.execute(_SUMS, {**bounds_of(period), "owner": owner_ref, "currency": currency})
        return [Sum(*row) for row in cursor.fetchall()]


def items_of(
    period: StatementPeriod,
    *,
    owner_ref: str,
    currency: str,
    account_kind: str,
    kind: str,
    category: str,
    price_version_id: uuid.UUID | None,
    late_from: str,
    limit: int,
    after: Place = FIRST,
) -> list[Item]:
    """The movements behind one line, as they were posted, behind a place."""
    xid, journal_id = after
    with connection.cursor() as cursor:
        cursor.execute(
            _ITEMS,
            {
                **bounds_of(period),
                "owner": owner_ref,
                "currency": currency,
                "account_kind": account_kind,
                "kind": kind,
                "category": category,
                "price_version": None if price_version_id is None else str(price_version_id),
                "late_from": late_from,
                "limit": limit,
                "after_xid": xid,
                "after": str(journal_id),
            },
        )
        return [Item(*row) for row in cursor.fetchall()]


def counterparts(period: StatementPeriod, owner_ref: str, currency: str) -> list[tuple[AccountKey, int]]:
    """The other sides of a statement's charges: what they did to whose account; debit positive."""
    bounds = {**bounds_of(period), "owner": owner_ref, "currency": currency, "settling": list(SETTLING)}
    with connection.cursor() as cursor:
        cursor.execute(_COUNTERPARTS, bounds)
        return [(AccountKey(owner, kind, cur), amount) for owner, kind, cur, amount in cursor.fetchall()]


def sign_of(account_kind: str) -> int:
    """+1 for accounts that show what an owner owes, -1 for those that show what it has."""
    return 1 if account_kind in Account.DEBIT_NORMAL else -1
