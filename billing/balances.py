"""Reading the books: rolled-up sums plus the tail that is not rolled up yet, in one snapshot.

A watermark of row ids would lose entries, since sequence order is not commit order. The mark is a
transaction id instead: every transaction below `pg_snapshot_xmin` is finished, so its entries are either
all visible or never will be (PostgreSQL manual, section 9.28.12).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import Sum

from agentstore.kit.money import Money
from billing.accounts import AccountKey
from billing.models import Account, Entry

MARK = "coalesce((SELECT xid FROM billing_rollupmark WHERE id = 1), '0'::xid8)"

# What is not rolled up yet. The bound that is given as a constant is the mark of a moment before, so never above it:
# the planner knows how few rows lie beyond a constant, and takes a third of the table to lie beyond a subquery.
TAIL = f"xid >= %(floor)s::xid8 AND xid >= {MARK}"

_BALANCE = f"""
SELECT coalesce((SELECT debit_micros - credit_micros FROM billing_balancerollup WHERE account_id = %(id)s), 0)
     + coalesce((SELECT sum(amount) FROM billing_entry WHERE account_id = %(id)s AND {TAIL}), 0)
"""  # noqa: S608 (only the constant above is put in)

_BALANCES = f"""
SELECT a.id, coalesce((SELECT debit_micros - credit_micros FROM billing_balancerollup WHERE account_id = a.id), 0)
     + coalesce((SELECT sum(amount) FROM billing_entry WHERE account_id = a.id AND {TAIL}), 0)
FROM unnest(%(ids)s::bigint[]) AS a(id)
"""  # noqa: S608 (only the constant above is put in)

_TOTALS = f"""
WITH tail AS (
    SELECT account_id, coalesce(sum(amount) FILTER (WHERE amount > 0), 0) AS debit,
           -coalesce(sum(amount) FILTER (WHERE amount < 0), 0) AS credit
    FROM billing_entry WHERE {TAIL} GROUP BY account_id
)
SELECT a.kind, a.currency, count(*),
       sum(coalesce(r.debit_micros, 0) + coalesce(t.debit, 0))::bigint,
       sum(coalesce(r.credit_micros, 0) + coalesce(t.credit, 0))::bigint
FROM billing_account a
LEFT JOIN billing_balancerollup r ON r.account_id = a.id
LEFT JOIN tail t ON t.account_id = a.id
GROUP BY a.kind, a.currency ORDER BY a.currency, a.kind
"""  # noqa: S608 (only the constant above is put in)


@dataclass(frozen=True, slots=True)
class TrialLine:
    """All accounts of one kind in one currency: their debits, credits (both positive) and balance."""

    kind: str
    currency: str
    accounts: int
    debit: Money
    credit: Money

    @property
    def label(self) -> str:
        """The kind in words."""
        return Account.Kind(self.kind).label

    @property
    def balance(self) -> Money:
        """Debits less credits."""
        return self.debit - self.credit


def tail_floor() -> str:
    """The mark of now, for the `floor` of TAIL in a statement that follows."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT ({MARK})::text")
        return str(cursor.fetchone()[0])


def balance(account: Account | AccountKey, at: datetime | None = None) -> Money:
    """An account's balance, debit positive: now, or as the books stood at an instant (by `posted_at`).

    An account that was never used is at zero.
    """
    if isinstance(account, AccountKey):
        found = Account.objects.filter(
            owner_ref=account.owner_ref, kind=account.kind, currency=account.currency
        ).first()
        if found is None:
            return Money(0, account.currency)
        account = found
    if at is not None:
        entries = Entry.objects.filter(account=account, journal__posted_at__lte=at)
        return Money(entries.aggregate(total=Sum("amount"))["total"] or 0, account.currency)
    with connection.cursor() as cursor:
        cursor.execute(_BALANCE, {"id": account.pk, "floor": tail_floor()})
        return Money(int(cursor.fetchone()[0]), account.currency)


def balances_of(account_ids: Iterable[int]) -> dict[int, int]:
    """The balances of these accounts, debit positive, in micro-units: one query for a page of them."""
    with connection.cursor() as cursor:
        cursor.execute(_BALANCES, {"ids": list(account_ids), "floor": tail_floor()})
        return {account_id: int(micros) for account_id, micros in cursor.fetchall()}


def trial_balance() -> list[TrialLine]:
    """Debits and credits by kind of account and currency; in each currency the balances sum to zero."""
    with connection.cursor() as cursor:
        cursor.execute(_TOTALS, {"floor": tail_floor()})
        return [
            TrialLine(kind, currency, accounts, Money(debits, currency), Money(credits, currency))
            for kind, currency, accounts, debits, credits in cursor.fetchall()
        ]
