"""The only writer of the ledger: balanced journals under idempotency keys, one statement each batch.

docs/algorithms/ledger.md explains the books with a worked example; migration 0002 holds what PostgreSQL
refuses by itself.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction

from agentstore.kit.clock import now
from agentstore.kit.errors import Invalid
from agentstore.kit.ids import new_id
from agentstore.kit.money import Money
from billing.accounts import AccountKey, open_accounts
from billing.balances import balance, balances_of, trial_balance
from billing.errors import IdempotencyMismatch, Unbalanced
from billing.models import Entry, Journal, PriceVersion
from billing.rollups.moving import roll_up

__all__ = [
    "JournalDraft",
    "Leg",
    "balance",
    "balances_of",
    "credit",
    "debit",
    "post",
    "post_many",
    "post_selected",
    "reverse",
    "roll_up",
    "trial_balance",
]


@dataclass(frozen=True, slots=True)
class Leg:
    """One entry to be: micro-units on an account, debit positive, credit negative."""

    account: AccountKey
    amount: int


def debit(account: AccountKey, micros: int) -> Leg:
    """A leg that debits an account by so many micro-units."""
    return Leg(account, micros)


def credit(account: AccountKey, micros: int) -> Leg:
    """A leg that credits an account by so many micro-units."""
    return Leg(account, -micros)


@dataclass(frozen=True, slots=True)
class JournalDraft:
    """A journal to be posted. Legs of zero are left out; the others must sum to zero in each currency."""

    kind: str
    idempotency_key: str
    occurred_at: datetime
    entries: Sequence[Leg]
    price_version_id: uuid.UUID | None = None
    reverses_id: uuid.UUID | None = None
    memo: str = ""
    id: uuid.UUID = field(default_factory=new_id)

    def legs(self) -> list[Leg]:
        """The legs that move something. Raises Unbalanced, or Invalid for fewer than two."""
        legs = [leg for leg in self.entries if leg.amount]
        if len(legs) < 2:
            raise Invalid(f"Journal {self.idempotency_key} has fewer than two entries.")
        sums: dict[str, int] = defaultdict(int)
        for leg in legs:
            sums[leg.account.currency] += leg.amount
        for currency, total in sums.items():
            if total:
                raise Unbalanced(f"Journal {self.idempotency_key} is off by {Money(total, currency)}.")
        return legs


# What is to be posted comes as two relations, of whole batches: `drafts` (id, key, kind, occurred_at,
# price_version_id, reverses_id, memo) and `legs` (draft_id, leg, owner_ref, account_kind, currency, amount).
# These are of Python's drafts.
_GIVEN: Final = """
drafts AS MATERIALIZED (
    SELECT * FROM unnest(%(ids)s::uuid[], %(keys)s::text[], %(kinds)s::text[], %(occurred)s::timestamptz[],
                         %(prices)s::uuid[], %(reversed)s::uuid[], %(memos)s::text[])
      AS d(id, key, kind, occurred_at, price_version_id, reverses_id, memo)
), legs AS MATERIALIZED (
    SELECT * FROM unnest(%(drafts)s::uuid[], %(legs)s::smallint[], %(owners)s::text[], %(account_kinds)s::text[],
                         %(currencies)s::text[], %(amounts)s::bigint[])
      AS l(draft_id, leg, owner_ref, account_kind, currency, amount)
)
"""
_MISSING_ACCOUNTS: Final = """
SELECT DISTINCT owner_ref, account_kind, currency FROM legs l WHERE NOT EXISTS (
    SELECT FROM billing_account a
    WHERE a.owner_ref = l.owner_ref AND a.kind = account_kind AND a.currency = l.currency)
"""
# The hash is of what moves. Not of the times and the memo: a retry may know them differently.
_HASHED: Final = """
hashed AS MATERIALIZED (
    SELECT d.*, sha256(convert_to(concat_ws(E'\\n', kind, coalesce(price_version_id::text, ''),
                                            coalesce(reverses_id::text, ''), moved), 'UTF8')) AS sha
    FROM drafts d LEFT JOIN (
        SELECT draft_id, string_agg(concat(owner_ref, '/', account_kind, '/', currency, '=', amount), E'\\n'
                                    ORDER BY leg) AS moved
        FROM legs GROUP BY draft_id
    ) AS l ON l.draft_id = d.id
)
"""
# One statement for journals and entries, so that the database's checks see each journal whole. Sorted by
# key, so that overlapping batches wait for each other instead of deadlocking.
_POST: Final = """
posted AS (
    INSERT INTO billing_journal (id, idempotency_key, kind, occurred_at, posted_at, price_version_id,
                                 reverses_id, memo, content_sha256)
    SELECT id, key, kind, occurred_at, %(posted_at)s, price_version_id, reverses_id, memo, sha FROM hashed
    ORDER BY key
    ON CONFLICT (idempotency_key) DO NOTHING
    RETURNING id
), written AS (
    INSERT INTO billing_entry (journal_id, leg, account_id, amount)
    SELECT posted.id, leg, a.id, amount FROM legs JOIN posted ON posted.id = draft_id
    JOIN billing_account a ON a.owner_ref = legs.owner_ref AND a.kind = account_kind AND a.currency = legs.currency
)
SELECT (SELECT count(*) FROM drafts) - (SELECT count(*) FROM posted)
"""
_UNDER_THEIR_KEYS: Final = """
SELECT d.id, j.id, d.key, j.content_sha256 = d.sha FROM hashed d JOIN billing_journal j ON j.idempotency_key = d.key
"""


def post(
    *,
    kind: str,
    idempotency_key: str,
    occurred_at: datetime,
    entries: Sequence[Leg],
    price_version: PriceVersion | None = None,
    reverses: Journal | None = None,
    memo: str = "",
) -> Journal:
    """Post one journal, or return the one that this key posted before.

    Raises Unbalanced, Invalid (fewer than two entries), IdempotencyMismatch (same key, other content).
    """
    draft = JournalDraft(
        kind=kind,
        idempotency_key=idempotency_key,
        occurred_at=occurred_at,
        entries=entries,
        price_version_id=price_version.pk if price_version else None,
        reverses_id=reverses.pk if reverses else None,
        memo=memo,
    )
    (journal_id,) = post_many([draft])
    return Journal.objects.get(pk=journal_id)


def post_many(drafts: Sequence[JournalDraft]) -> list[uuid.UUID]:
    """Post a batch, all or nothing; the journals' ids in the drafts' order.

    A key that was used before, here or in a concurrent batch, keeps its first journal. Raises as `post`.
    """
    if not drafts:
        return []
    legs = [(draft.id, n, leg) for draft in drafts for n, leg in enumerate(draft.legs(), start=1)]
    earlier = post_selected(
        _GIVEN,
        {
            "ids": [draft.id for draft in drafts],
            "keys": [draft.idempotency_key for draft in drafts],
            "kinds": [draft.kind for draft in drafts],
            "occurred": [draft.occurred_at for draft in drafts],
            "prices": [draft.price_version_id for draft in drafts],
            "reversed": [draft.reverses_id for draft in drafts],
            "memos": [draft.memo for draft in drafts],
            "drafts": [draft_id for draft_id, _, _ in legs],
            "legs": [n for _, n, _ in legs],
            "owners": [leg.account.owner_ref for _, _, leg in legs],
            "account_kinds": [leg.account.kind for _, _, leg in legs],
            "currencies": [leg.account.currency for _, _, leg in legs],
            "amounts": [leg.amount for _, _, leg in legs],
        },
    )
    return [earlier.get(draft.id, draft.id) for draft in drafts]


@transaction.atomic
def post_selected(relations: str, values: Mapping[str, Any]) -> dict[uuid.UUID, uuid.UUID]:
    """Post what PostgreSQL itself selects, as the relations `drafts` and `legs`: no row travels here and back.

    Gives for drafts whose key was used before the journal that has it; most often there are none. The caller holds
    locks on what it selects from, so that each statement sees the same rows; what doesn't balance PostgreSQL refuses.
    Raises IdempotencyMismatch.
    """
    values = {**values, "posted_at": now()}
    with connection.cursor() as cursor:
        cursor.execute(f"WITH {relations} {_MISSING_ACCOUNTS}", values)
        open_accounts(AccountKey(*row) for row in cursor.fetchall())
        cursor.execute(f"WITH {relations}, {_HASHED}, {_POST}", values)
        if not cursor.fetchone()[0]:
            return {}
        cursor.execute(f"WITH {relations}, {_HASHED} {_UNDER_THEIR_KEYS}", values)
        found = cursor.fetchall()
    for _, journal_id, key, same in found:
        if not same:
            raise IdempotencyMismatch(
                f"The key {key} was used for another journal.",
                hint="Use a new key for a new movement.",
                journal=str(journal_id),
            )
    return {draft_id: journal_id for draft_id, journal_id, _, _ in found}


def reverse(*, journal: Journal, occurred_at: datetime | None = None, memo: str = "") -> Journal:
    """Post the opposite of a journal, whole and once: a second call returns the first reversal."""
    entries = [
        Leg(AccountKey(entry.account.owner_ref, entry.account.kind, entry.account.currency), -entry.amount)
        for entry in Entry.objects.filter(journal=journal).select_related("account").order_by("leg")
    ]
    return post(
        kind=f"{journal.kind}_reversal",
        idempotency_key=f"reverse:{journal.pk}",
        occurred_at=occurred_at or now(),
        entries=entries,
        price_version=journal.price_version,
        reverses=journal,
        memo=memo,
    )
