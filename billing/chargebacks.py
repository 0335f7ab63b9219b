"""Disputed payments on the books: taken by a shopper's bank, given back, or borne by the merchants."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from agentstore.kit.clock import now
from agentstore.kit.money import Money
from billing.accounts import AccountKey, merchant_prepaid, merchant_wallet, processor_clearing
from billing.journals import SaleLine, processor_fee_journal
from billing.ledger import credit, debit, post, post_many
from billing.models import Account
from billing.models.ledger import PLATFORM


def dispute_loss(currency: str) -> AccountKey:
    """What banks took back and nobody bears yet, or nobody ever will."""
    return AccountKey(PLATFORM, Account.Kind.DISPUTE_LOSS.value, currency)


@transaction.atomic
def post_withdrawal(
    *, dispute_ref: str, amount: Money, fee: Money, occurred_at: datetime | None = None
) -> None:
    """A bank took a payment back, and the processor its fee; once each per dispute."""
    at = occurred_at or now()
    post(
        kind="dispute",
        idempotency_key=f"dispute:{dispute_ref}",
        occurred_at=at,
        entries=[
            debit(dispute_loss(amount.currency), amount.micros),
            credit(processor_clearing(amount.currency), amount.micros),
        ],
        memo=dispute_ref,
    )
    if fee.micros:
        post_many([processor_fee_journal(payment_ref=f"dispute:{dispute_ref}", fee=fee, occurred_at=at)])


def post_won(*, dispute_ref: str, amount: Money) -> None:
    """The bank gave the amount back, once; the fee stays with the processor."""
    post(
        kind="dispute_won",
        idempotency_key=f"dispute_won:{dispute_ref}",
        occurred_at=now(),
        entries=[
            debit(processor_clearing(amount.currency), amount.micros),
            credit(dispute_loss(amount.currency), amount.micros),
        ],
        memo=dispute_ref,
    )


def post_lost(*, dispute_ref: str, lines: Sequence[SaleLine]) -> None:
    """The shopper keeps the money: the merchants whose goods it was bear it, once. Their tax is returned apart."""
    total = sum(line.amount.micros for line in lines)
    if not total:
        return
    currency = lines[0].amount.currency
    post(
        kind="dispute_lost",
        idempotency_key=f"dispute_lost:{dispute_ref}",
        occurred_at=now(),
        entries=[
            *(debit(merchant_wallet(it.merchant_ref, currency), it.amount.micros) for it in lines),
            credit(dispute_loss(currency), total),
        ],
        memo=dispute_ref,
    )


def post_top_up_withdrawn(*, dispute_ref: str, merchant_ref: str, amount: Money) -> None:
    """A bank took a top-up back: it is not the merchant's to spend any more, once. What was spent leaves it owing."""
    post(
        kind="top_up_disputed",
        idempotency_key=f"top_up_disputed:{dispute_ref}",
        occurred_at=now(),
        entries=[
            debit(merchant_prepaid(merchant_ref, amount.currency), amount.micros),
            credit(dispute_loss(amount.currency), amount.micros),
        ],
        memo=dispute_ref,
    )


def post_top_up_given_back(*, dispute_ref: str, merchant_ref: str, amount: Money) -> None:
    """The bank gave a top-up back: it is the merchant's again, once."""
    post(
        kind="top_up_dispute_won",
        idempotency_key=f"top_up_dispute_won:{dispute_ref}",
        occurred_at=now(),
        entries=[
            debit(dispute_loss(amount.currency), amount.micros),
            credit(merchant_prepaid(merchant_ref, amount.currency), amount.micros),
        ],
        memo=dispute_ref,
    )
