"""What each merchant, developer and agent came to in a span of days: rolled-up totals plus the tail, in one snapshot.

docs/algorithms/ledger.md says how the roll-up stays right while others post.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from django.db import connection

from billing.balances import TAIL, tail_floor
from billing.models import SubjectTotal

Role = SubjectTotal.Role
_Value = str | int | date

_KINDS: Final = ", ".join(f"('{kind}', {sign})" for kind, sign in SubjectTotal.JOURNALS.items())
_TAKEN_BACK: Final = ", ".join(f"'{kind}'" for kind, sign in SubjectTotal.JOURNALS.items() if sign < 0)

# A journal's first entry stands for it: entries have the index by transaction.
_FEES: Final = f"""
SELECT (j.posted_at AT TIME ZONE 'UTC')::date AS day, (u.occurred_at AT TIME ZONE 'UTC')::date AS happened,
       j.kind AS journal_kind, u.currency, u.merchant_ref, u.developer_ref, u.agent_ref,
       sum(k.sign * u.amount_micros) AS fee, sum(k.sign * u.developer_share_micros) AS share, count(*) AS journals
FROM (SELECT journal_id FROM billing_entry WHERE leg = 1 AND %s) AS e
JOIN billing_journal j ON j.id = e.journal_id
JOIN (VALUES {_KINDS}) AS k(kind, sign) ON k.kind = j.kind
JOIN billing_usageevent u ON u.journal_id = CASE WHEN j.kind IN ({_TAKEN_BACK}) THEN j.reverses_id ELSE j.id END
GROUP BY 1, 2, 3, 4, 5, 6, 7
"""  # noqa: S608 (only constants are put in)

_ROLES: Final = """
SELECT (CASE grouping(merchant_ref, developer_ref, agent_ref) WHEN 3 THEN 'merchant' WHEN 5 THEN 'developer'
           WHEN 4 THEN 'agent' ELSE 'pair' END)::varchar AS role,
       currency, coalesce(day, happened) AS day, coalesce(merchant_ref, '') AS merchant_ref,
       coalesce(developer_ref, '') AS developer_ref, coalesce(agent_ref, '') AS agent_ref, journal_kind,
       sum(fee)::bigint AS fee_micros, sum(share)::bigint AS share_micros, sum(journals)::bigint AS journals
FROM fees GROUP BY GROUPING SETS (
    (currency, journal_kind, day, merchant_ref), (currency, journal_kind, day, developer_ref),
    (currency, journal_kind, day, developer_ref, agent_ref), (currency, journal_kind, happened, merchant_ref, agent_ref)
)
"""

FEES_ROLLED_UP: Final = _FEES % "xid >= %(mark)s::xid8 AND xid < %(until)s::xid8"
ADD_TO_SUBJECTS: Final = f"""
INSERT INTO billing_subjecttotal AS t (role, currency, day, merchant_ref, developer_ref, agent_ref, journal_kind,
                                       fee_micros, share_micros, journals) {_ROLES}
ON CONFLICT (role, currency, day, merchant_ref, developer_ref, agent_ref, journal_kind) DO UPDATE SET
    fee_micros = t.fee_micros + excluded.fee_micros, share_micros = t.share_micros + excluded.share_micros,
    journals = t.journals + excluded.journals
"""

_ALL: Final = f"""
WITH fees AS MATERIALIZED ({_FEES % TAIL}), totals AS (
    SELECT role, currency, day, merchant_ref, developer_ref, agent_ref, journal_kind, fee_micros, share_micros, journals
    FROM billing_subjecttotal
    UNION ALL SELECT * FROM ({_ROLES}) AS tail
)
"""  # noqa: S608 (only constants are put in)

_ROLES_WITH_REF: Final = ("merchant", "developer", "agent")
_LARGEST: Final = {
    role: f"""{_ALL}
SELECT {role}_ref, max(developer_ref), sum(fee_micros)::bigint, sum(share_micros)::bigint,
       coalesce(sum(journals) FILTER (WHERE journal_kind = 'ppcv'), 0)::bigint
FROM totals WHERE role = '{role}' AND currency = %(currency)s AND day BETWEEN %(first)s AND %(last)s
GROUP BY 1 HAVING sum(fee_micros) <> 0 OR sum(share_micros) <> 0 ORDER BY 3 DESC, 1 LIMIT %(limit)s
"""  # noqa: S608 (only constants are put in)
    for role in _ROLES_WITH_REF
}

_BY_DAY: Final = {
    role: f"""{_ALL}
SELECT day, journal_kind, sum(fee_micros)::bigint, sum(share_micros)::bigint, sum(journals)::bigint
FROM totals WHERE role = '{role}' AND {role}_ref = %(ref)s AND currency = %(currency)s
  AND day BETWEEN %(first)s AND %(last)s GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608 (only constants are put in)
    for role in _ROLES_WITH_REF
}

_OF_AGENTS: Final = f"""{_ALL}
SELECT agent_ref, journal_kind, sum(fee_micros)::bigint, sum(journals)::bigint FROM totals
WHERE role = 'pair' AND merchant_ref = %(merchant)s AND currency = %(currency)s AND day BETWEEN %(first)s AND %(last)s
GROUP BY 1, 2
"""  # noqa: S608 (only constants are put in)


@dataclass(frozen=True, slots=True)
class SubjectSum:
    """What a subject's fees came to: charged to merchants, of it the developers' part, conversations that cost one.

    `developer_ref` is a developer's own, and an agent's studio's.
    """

    ref: str
    developer_ref: str
    fee_micros: int
    share_micros: int
    conversations: int

    @property
    def kept_micros(self) -> int:
        """The store's part."""
        return self.fee_micros - self.share_micros


@dataclass(frozen=True, slots=True)
class SubjectDay:
    """The same of one day, by the kind of journal."""

    day: date
    journal_kind: str
    fee_micros: int
    share_micros: int
    journals: int


def largest_subjects(
    *, role: str, currency: str, first: date, last: date, limit: int = 10
) -> Sequence[SubjectSum]:
    """Who brought most fees from `first` to `last`, both included, by the day of posting; "" is an unknown agent."""
    values: dict[str, _Value] = {
        "currency": currency,
        "first": first,
        "last": last,
        "limit": limit,
        "floor": tail_floor(),
    }
    with connection.cursor() as cursor:
        cursor.execute(_LARGEST[role], values)
        return [SubjectSum(*row) for row in cursor.fetchall()]


def subject_by_day(*, role: str, ref: str, currency: str, first: date, last: date) -> Sequence[SubjectDay]:
    """One merchant's, developer's or agent's fees by the day of posting and kind, oldest first."""
    values: dict[str, _Value] = {
        "ref": ref,
        "currency": currency,
        "first": first,
        "last": last,
        "floor": tail_floor(),
    }
    with connection.cursor() as cursor:
        cursor.execute(_BY_DAY[role], values)
        return [SubjectDay(*row) for row in cursor.fetchall()]


def merchant_by_agent(
    *, merchant_ref: str, currency: str, first: date, last: date
) -> Sequence[tuple[str, str, int, int]]:
    """Agent, kind of journal, fees in micro-units and journals: of events that happened from `first` to `last`."""
    values: dict[str, _Value] = {
        "merchant": merchant_ref,
        "currency": currency,
        "first": first,
        "last": last,
        "floor": tail_floor(),
    }
    with connection.cursor() as cursor:
        cursor.execute(_OF_AGENTS, values)
        return [(agent, kind, micros, journals) for agent, kind, micros, journals in cursor.fetchall()]
