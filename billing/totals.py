"""What moved on each day, by kinds: totals rolled up by day plus the tail that is not rolled up yet.

Ten million entries are a few thousand totals, so what pages show of a month is read at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from django.db import connection

from agentstore.kit.money import Money
from billing.balances import TAIL, TrialLine, tail_floor

TOTALS = f"""
SELECT day, account_kind, journal_kind, currency, debit_micros, credit_micros, entries FROM billing_daytotal
UNION ALL
SELECT (j.posted_at AT TIME ZONE 'UTC')::date, a.kind, j.kind, a.currency,
       greatest(e.amount, 0), greatest(-e.amount, 0), 1
FROM (SELECT journal_id, account_id, amount FROM billing_entry WHERE {TAIL}) AS e
JOIN billing_journal j ON j.id = e.journal_id JOIN billing_account a ON a.id = e.account_id
"""  # noqa: S608 (only the constant above is put in)

_BY_DAY = f"""
SELECT day, journal_kind, sum(debit_micros - credit_micros)::bigint FROM ({TOTALS}) AS t
WHERE account_kind = %(kind)s AND currency = %(currency)s AND day >= %(first)s AND day <= %(last)s
GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608 (only constants are put in)

_UNTIL = f"""
SELECT account_kind, currency, sum(debit_micros)::bigint, sum(credit_micros)::bigint FROM ({TOTALS}) AS t
WHERE day <= %(day)s GROUP BY 1, 2 ORDER BY 2, 1
"""  # noqa: S608 (only constants are put in)


@dataclass(frozen=True, slots=True)
class Moved:
    """What the journals of one kind moved on the accounts of one kind on one day; debits are positive."""

    day: date
    journal_kind: str
    amount: Money


def moved_by_day(
    *, account_kind: str, currency: str, first: date = date.min, last: date = date.max
) -> Sequence[Moved]:
    """What moved on the accounts of a kind on each day from `first` to `last`, both included, oldest first.

    Days are those of `posted_at` in UTC. Days without movement are left out.
    """
    asked = {"kind": account_kind, "currency": currency, "floor": tail_floor()}
    with connection.cursor() as cursor:
        cursor.execute(_BY_DAY, {**asked, "first": first, "last": last})
        return [Moved(day, kind, Money(micros, currency)) for day, kind, micros in cursor.fetchall()]


def trial_balance_on(day: date) -> list[TrialLine]:
    """The trial balance as the books stood at the end of a day: posted then or before.

    In each currency the balances sum to zero. `accounts` is not known for the past and 0.
    """
    with connection.cursor() as cursor:
        cursor.execute(_UNTIL, {"day": day, "floor": tail_floor()})
        return [
            TrialLine(kind, currency, 0, Money(debits, currency), Money(credits, currency))
            for kind, currency, debits, credits in cursor.fetchall()
        ]
