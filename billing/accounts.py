"""Accounts by what they are rather than by number; opened when first used."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from django.db import connection

from agentstore.kit.clock import now
from billing.models.ledger import PLATFORM


class AccountKey(NamedTuple):
    """An account's identity: whose it is, its kind (a value of `Account.Kind`) and its currency."""

    owner_ref: str
    kind: str
    currency: str


def merchant_wallet(merchant_ref: str, currency: str) -> AccountKey:
    """What the store owes a merchant from its sales."""
    return AccountKey(merchant_ref, "merchant_wallet", currency)


def merchant_receivable(merchant_ref: str, currency: str) -> AccountKey:
    """What a merchant owes the store for PPCv."""
    return AccountKey(merchant_ref, "merchant_receivable", currency)


def merchant_prepaid(merchant_ref: str, currency: str) -> AccountKey:
    """What a merchant paid in for PPCv and has not used. It is never paid out with its sales."""
    return AccountKey(merchant_ref, "merchant_prepaid", currency)


def developer_pending(developer_ref: str, currency: str) -> AccountKey:
    """A developer's share that may still be reversed."""
    return AccountKey(developer_ref, "developer_pending", currency)


def platform_revenue(currency: str) -> AccountKey:
    """What the store keeps of fees."""
    return AccountKey(PLATFORM, "platform_revenue", currency)


def processor_clearing(currency: str) -> AccountKey:
    """What the payment processor holds for the store."""
    return AccountKey(PLATFORM, "processor_clearing", currency)


def processor_fees(currency: str) -> AccountKey:
    """What the payment processor took."""
    return AccountKey(PLATFORM, "processor_fees", currency)


def operator_bank(currency: str) -> AccountKey:
    """What the payment processor sent to the operator's own bank; what it does there, these books do not know."""
    return AccountKey(PLATFORM, "operator_bank", currency)


def sales_tax(currency: str) -> AccountKey:
    """Tax that was invoiced and is owed to the authorities."""
    return AccountKey(PLATFORM, "sales_tax", currency)


def rounding(currency: str) -> AccountKey:
    """What whole minor units added or took."""
    return AccountKey(PLATFORM, "rounding", currency)


_FIND = """
SELECT a.id, a.owner_ref, a.kind, a.currency FROM billing_account a
JOIN unnest(%s::text[], %s::text[], %s::text[]) AS k(owner_ref, kind, currency)
  USING (owner_ref, kind, currency)
"""
_OPEN = """
INSERT INTO billing_account (owner_ref, kind, currency, opened_at)
SELECT owner_ref, kind, currency, %s FROM unnest(%s::text[], %s::text[], %s::text[])
  AS k(owner_ref, kind, currency) ORDER BY 1, 2, 3
ON CONFLICT (owner_ref, kind, currency) DO NOTHING
"""


def open_accounts(keys: Iterable[AccountKey]) -> dict[AccountKey, int]:
    """The ids of these accounts; those that don't exist are opened. Safe under concurrency."""
    wanted = sorted(set(keys))
    found = _find(wanted)
    missing = [key for key in wanted if key not in found]
    if missing:
        with connection.cursor() as cursor:
            cursor.execute(_OPEN, [now(), *_columns(missing)])
        found |= _find(missing)
    return found


def _find(keys: list[AccountKey]) -> dict[AccountKey, int]:
    with connection.cursor() as cursor:
        cursor.execute(_FIND, _columns(keys))
        return {AccountKey(owner, kind, currency): id_ for id_, owner, kind, currency in cursor.fetchall()}


def _columns(keys: list[AccountKey]) -> list[list[str]]:
    return [[key.owner_ref for key in keys], [key.kind for key in keys], [key.currency for key in keys]]
