"""Money on its way to a connected account and its bank. Never call these inside a database transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import stripe

from agentstore.kit.money import Money
from billing.processor.client import client, reference_of, typed_errors


@dataclass(frozen=True, slots=True)
class ProcessorTransfer:
    """A transfer as the processor has it; `returned` is how much of it was reversed."""

    id: str
    amount: Money
    returned: Money


@dataclass(frozen=True, slots=True)
class ProcessorPayout:
    """A payout to a bank. `status` is Stripe's: pending, in_transit, paid, failed, canceled."""

    id: str
    status: str
    amount: Money
    arrives_at: datetime
    failure: str
    reference: str


def find_transfer(*, reference: str) -> ProcessorTransfer | None:
    """The transfer under a reference, for when nobody knows whether it was made. Raises ProcessorUnavailable."""
    with typed_errors():
        made = client().v1.transfers.list({"transfer_group": reference, "limit": 1}).data
    return _transfer(made[0]) if made else None


def send_transfer(*, reference: str, account_id: str, amount: Money) -> ProcessorTransfer:
    """From the store's balance to an account's, once per reference.

    A transfer under this reference that exists is returned, however long ago it was made. Raises
    ProcessorUnavailable, ProcessorRefused (`balance_insufficient`, the account may not receive).
    """
    made = find_transfer(reference=reference)
    if made is not None:
        return made
    with typed_errors():
        transfer = client().v1.transfers.create(
            {
                "amount": amount.minor,
                "currency": amount.currency.lower(),
                "destination": account_id,
                "transfer_group": reference,
                "metadata": {"reference": reference},
            },
            {"idempotency_key": f"transfer:{reference}"},
        )
    return _transfer(transfer)


def reverse_transfer(*, transfer_id: str, reference: str) -> ProcessorTransfer:
    """Take all that is left of a transfer back, once. Raises ProcessorUnavailable, ProcessorRefused."""
    with typed_errors():
        transfer = client().v1.transfers.retrieve(transfer_id)
        if not transfer.reversed:
            client().v1.transfers.reversals.create(
                transfer_id,
                {
                    "amount": transfer.amount - transfer.amount_reversed,
                    "metadata": {"reference": reference},
                },
                {"idempotency_key": f"transfer_reversal:{reference}"},
            )
            transfer = client().v1.transfers.retrieve(transfer_id)
    return _transfer(transfer)


def create_payout(*, reference: str, account_id: str, amount: Money) -> ProcessorPayout:
    """From an account's balance to its bank, once per reference, however long ago it was made.

    Raises ProcessorUnavailable, ProcessorRefused (`balance_insufficient`, `payouts_not_allowed`).
    """
    options: stripe.RequestOptions = {"stripe_account": account_id}
    with typed_errors():
        for made in client().v1.payouts.list({"limit": 100}, options).auto_paging_iter():
            if reference_of(made) == reference:
                return _payout(made)
        payout = client().v1.payouts.create(
            {
                "amount": amount.minor,
                "currency": amount.currency.lower(),
                "metadata": {"reference": reference},
            },
            {**options, "idempotency_key": f"payout:{reference}"},
        )
    return _payout(payout)


def retrieve_payout(*, payout_id: str, account_id: str) -> ProcessorPayout:
    """The payout as it is now. Raises ProcessorRefused when there is none, ProcessorUnavailable."""
    with typed_errors():
        return _payout(client().v1.payouts.retrieve(payout_id, None, {"stripe_account": account_id}))


def _transfer(transfer: stripe.Transfer) -> ProcessorTransfer:
    currency = transfer.currency.upper()
    return ProcessorTransfer(
        id=transfer.id,
        amount=Money.from_minor(transfer.amount, currency),
        returned=Money.from_minor(transfer.amount_reversed, currency),
    )


def _payout(payout: stripe.Payout) -> ProcessorPayout:
    return ProcessorPayout(
        id=payout.id,
        status=payout.status,
        amount=Money.from_minor(payout.amount, payout.currency.upper()),
        arrives_at=datetime.fromtimestamp(payout.arrival_date, UTC),
        failure=payout.failure_message or payout.failure_code or "",
        reference=reference_of(payout),
    )
