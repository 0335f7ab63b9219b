"""The only writer of the ledger: balanced journals under idempotency keys, one statement each batch.

docs/algorithms/ledger.md explains the books with a worked example; migration 0002 holds what PostgreSQL
refuses by itself.
"""

from __future__ import annotations

import hashlib
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

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

    def content(self, legs: Sequence[Leg]) -> bytes:
        """SHA-256 of what moves. Not of the times and the memo: a retry may know them differently."""
        parts = [self.kind, str(self.price_version_id or ""), str(self.reverses_id or "")]
        parts += [f"{'/'.join(leg.account)}={leg.amount}" for leg in legs]
        return hashlib.sha256("\n".join(parts).encode()).digest()


# One statement for journals and entries, so that the database's checks see each journal whole. Sorted by
# key, so that overlapping batches wait for each other instead of deadlocking.
_POST = """
WITH posted AS (
    INSERT INTO billing_journal (id, idempotency_key, kind, occurred_at, posted_at, price_version_id,
                                 reverses_id, memo, content_sha256)
    SELECT id, key, kind, occurred_at, %s, price_version_id, reverses_id, memo, sha
    FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::timestamptz[], %s::uuid[], %s::uuid[], %s::text[],
                %s::bytea[])
      AS d(id, key, kind, occurred_at, price_version_id, reverses_id, memo, sha)
    ORDER BY key
    ON CONFLICT (idempotency_key) DO NOTHING
    RETURNING id
), written AS (
    INSERT INTO billing_entry (journal_id, leg, account_id, amount)
    SELECT e.journal_id, e.leg, e.account_id, e.amount
    FROM unnest(%s::uuid[], %s::smallint[], %s::bigint[], %s::bigint[])
      AS e(journal_id, leg, account_id, amount)
    JOIN posted ON posted.id = e.journal_id
)
SELECT id FROM posted
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


@transaction.atomic
def post_many(drafts: Sequence[JournalDraft]) -> list[uuid.UUID]:
    """Post a batch, all or nothing; the journals' ids in the drafts' order.

    A key that was used before, here or in a concurrent batch, keeps its first journal. Raises as `post`.
    """
    if not drafts:
        return []
    legs_of = [draft.legs() for draft in drafts]
    accounts = open_accounts(leg.account for legs in legs_of for leg in legs)
    contents = [draft.content(legs) for draft, legs in zip(drafts, legs_of, strict=True)]
    ids = [str(draft.id) for draft in drafts]
    rows = [
        (id_, number, accounts[leg.account], leg.amount)
        for id_, legs in zip(ids, legs_of, strict=True)
        for number, leg in enumerate(legs, start=1)
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            _POST,
            [
                now(),
                _array(ids),
                _texts(draft.idempotency_key for draft in drafts),
                _texts(draft.kind for draft in drafts),
                _texts(draft.occurred_at.isoformat() for draft in drafts),
                _array(draft.price_version_id or "NULL" for draft in drafts),
                _array(draft.reverses_id or "NULL" for draft in drafts),
                _texts(draft.memo for draft in drafts),
                _array(f'"\\\\x{content.hex()}"' for content in contents),
                *(_array(row[column] for row in rows) for column in range(4)),
            ],
        )
        posted = {row[0] for row in cursor.fetchall()}
    if len(posted) == len(drafts):
        return [draft.id for draft in drafts]
    return _with_earlier(drafts, contents, posted)


def _array(values: Iterable[object]) -> str:
    """PostgreSQL's literal of an array of numbers, ids or hex: nothing in it needs escaping.

    Made here because the driver's own conversion, value by value, was most of a batch's time in Python.
    """
    return "{" + ",".join(map(str, values)) + "}"


def _texts(values: Iterable[str]) -> str:
    """The same of texts, with what is special in them escaped (PostgreSQL manual, section 8.15.2)."""
    return _array('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in values)


def _with_earlier(
    drafts: Sequence[JournalDraft], contents: Sequence[bytes], posted: set[uuid.UUID]
) -> list[uuid.UUID]:
    keys = [draft.idempotency_key for draft in drafts if draft.id not in posted]
    earlier = {
        key: (journal_id, bytes(content))
        for key, journal_id, content in Journal.objects.filter(idempotency_key__in=keys).values_list(
            "idempotency_key", "id", "content_sha256"
        )
    }
    ids = []
    for draft, content in zip(drafts, contents, strict=True):
        if draft.id in posted:
            ids.append(draft.id)
            continue
        journal_id, first_content = earlier[draft.idempotency_key]
        if first_content != content:
            raise IdempotencyMismatch(
                f"The key {draft.idempotency_key} was used for another journal.",
                hint="Use a new key for a new movement.",
                journal=str(journal_id),
            )
        ids.append(journal_id)
    return ids


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
