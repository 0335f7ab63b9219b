"""What the processor sends to the store's own bank. Never call these inside a database transaction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import stripe

from agentstore.kit.money import Money
from billing.processor.client import client, typed_errors

_EXPAND = "balance_transaction"


@dataclass(frozen=True, slots=True)
class BankPayout:
    """A payout of the store's balance. `amount` is negative where the processor drew on the bank.

    `status` is Stripe's: pending, in_transit, paid, failed, canceled; `fee` is what an instant one costs.
    """

    id: str
    status: str
    amount: Money
    fee: Money
    made_at: datetime

    @property
    def came_back(self) -> bool:
        """Whether the money is in the balance again."""
        return self.status in ("failed", "canceled")


def retrieve_bank_payout(*, payout_id: str) -> BankPayout:
    """The payout as it is now. Raises ProcessorRefused when there is none, ProcessorUnavailable."""
    with typed_errors():
        return _payout(client().v1.payouts.retrieve(payout_id, {"expand": [_EXPAND]}))


def list_bank_payouts(*, since: datetime) -> Iterator[BankPayout]:
    """The payouts that were made from an instant on, newest first. Raises ProcessorUnavailable."""
    parameters: stripe.params.PayoutListParams = {
        "created": {"gte": int(since.timestamp())},
        "limit": 100,
        "expand": [f"data.{_EXPAND}"],
    }
    with typed_errors():
        for payout in client().v1.payouts.list(parameters).auto_paging_iter():
            yield _payout(payout)


def _payout(payout: stripe.Payout) -> BankPayout:
    currency = payout.currency.upper()
    moved = payout.balance_transaction
    fee = moved.fee if isinstance(moved, stripe.BalanceTransaction) else 0
    return BankPayout(
        id=payout.id,
        status=payout.status,
        amount=Money.from_minor(payout.amount, currency),
        fee=Money.from_minor(fee, currency),
        made_at=datetime.fromtimestamp(payout.created, UTC),
    )
