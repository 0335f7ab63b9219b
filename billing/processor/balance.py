"""What the processor holds for the store, and the transactions that it is the sum of. Never inside a transaction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import stripe

from agentstore.kit.money import Money
from billing.processor.client import client, reference_of, typed_errors
from billing.processor.invoicing import find_invoice_paid_by

_PAGE = 100


@dataclass(frozen=True, slots=True)
class BalanceMovement:
    """A balance transaction with what moved the money. `amount` is before `fee`; negative where it left.

    `reference` is our own on that object, or of the invoice that a charge paid; empty for what the store did not
    make. `object` is the kind of the source (`charge`, `refund`, `dispute`, …), empty for a fee of the processor's own.
    """

    id: str
    type: str
    object: str
    source_id: str
    payment_id: str
    reference: str
    amount: Money
    fee: Money
    created_at: datetime


def list_movements(*, since: datetime | None, until: datetime) -> Iterator[list[BalanceMovement]]:
    """The balance transactions from `since` on and before `until`, newest first, a page at a time.

    Raises ProcessorUnavailable, ProcessorRefused.
    """
    created: stripe.params.BalanceTransactionListParamsCreated = {"lt": _seconds(until)}
    if since is not None:
        created["gte"] = _seconds(since)
    parameters: stripe.params.BalanceTransactionListParams = {
        "created": created,
        "limit": _PAGE,
        "expand": ["data.source"],
    }
    while True:
        with typed_errors():
            page = client().v1.balance_transactions.list(parameters)
            movements = [_movement(thing) for thing in page.data]
        yield movements
        if not page.has_more:
            return
        parameters["starting_after"] = page.data[-1].id


def read_balance() -> dict[str, Money]:
    """All that the processor holds for the store now, settled or not, by currency.

    Raises ProcessorUnavailable.
    """
    with typed_errors():
        balance = client().v1.balance.retrieve()
    parts = [(part.currency.upper(), part.amount) for part in balance.available]
    parts += [(part.currency.upper(), part.amount) for part in balance.pending]
    sums: dict[str, Money] = {}
    for currency, amount in parts:
        sums[currency] = sums.get(currency, Money(0, currency)) + Money.from_minor(amount, currency)
    return sums


def _seconds(at: datetime) -> int:
    """Whole seconds, rounded up, as the processor counts them."""
    return -int(-at.timestamp() // 1)


def _movement(thing: stripe.BalanceTransaction) -> BalanceMovement:
    currency = thing.currency.upper()
    source = thing.source
    payment, reference, kind = "", "", ""
    if isinstance(source, stripe.StripeObject):
        told = source.to_dict()
        kind = str(told.get("object") or "")
        payment = str(told.get("payment_intent") or "")
        reference = reference_of(source)
        if kind == "charge" and payment and not reference:
            paid = find_invoice_paid_by(payment_id=payment)
            reference = paid.reference if paid else ""
    return BalanceMovement(
        id=thing.id,
        type=thing.type,
        object=kind,
        source_id=str(source["id"]) if isinstance(source, stripe.StripeObject) else str(source or ""),
        payment_id=payment,
        reference=reference,
        amount=Money.from_minor(thing.amount, currency),
        fee=Money.from_minor(thing.fee, currency),
        created_at=datetime.fromtimestamp(thing.created, UTC),
    )
