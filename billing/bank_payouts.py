"""The store's own payouts to its bank: what leaves the processor is at the bank, and back when the bank refuses it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import transaction

from billing import webhooks
from billing.accounts import operator_bank, processor_clearing
from billing.journals import processor_fee_journal
from billing.ledger import credit, debit, post, post_many, reverse
from billing.models import WebhookEvent
from billing.processor import bank

KIND: Final = "bank_payout"


def settle_event(*, event_id: int) -> None:
    """What an event about a payout of the store's own brings about, once. Asks the processor for the payout of now.

    The amount leaves the balance when a payout is made, not when it arrives.
    """
    row = WebhookEvent.objects.get(pk=event_id)
    payout = None
    if row.handled_at is None:
        payout = bank.retrieve_bank_payout(payout_id=str(row.payload["data"]["object"]["id"]))
    with webhooks.handle(event_id) as event:
        if event is not None and payout is not None:
            book_payout(payout)


def book_since(since: datetime) -> int:
    """Book what the processor lists from an instant on, for payouts whose events never came; how many there are.

    Twice is once. Outside of a transaction. Raises ProcessorUnavailable.
    """
    payouts = list(bank.list_bank_payouts(since=since))
    for payout in payouts:
        book_payout(payout)
    return len(payouts)


@transaction.atomic
def book_payout(payout: bank.BankPayout) -> None:
    """Journals of a payout as it is now, each once: sent, its fee, come back."""
    currency = payout.amount.currency
    journal = post(
        kind=KIND,
        idempotency_key=f"{KIND}:{payout.id}",
        occurred_at=payout.made_at,
        entries=[
            debit(operator_bank(currency), payout.amount.micros),
            credit(processor_clearing(currency), payout.amount.micros),
        ],
        memo=payout.id,
    )
    if payout.fee.micros:
        fee = processor_fee_journal(payment_ref=payout.id, fee=payout.fee, occurred_at=payout.made_at)
        post_many([fee])
    if payout.came_back:
        reverse(journal=journal, memo=payout.id)
