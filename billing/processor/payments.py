"""Payments and refunds. Never call these inside a database transaction: they wait for the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import stripe

from agentstore.kit.errors import Conflict
from agentstore.kit.money import Money
from billing.processor.client import client, typed_errors
from billing.processor.errors import ProcessorRefused


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment as the processor has it. `fee` is what the processor keeps, None until it is known.

    `status` is Stripe's: requires_payment_method, requires_confirmation, requires_action (the bank wants
    the shopper), processing, requires_capture, succeeded, canceled.
    """

    id: str
    status: str
    amount: Money
    received: Money
    reference: str
    client_secret: str
    charge_id: str
    fee: Money | None

    @property
    def paid(self) -> bool:
        """Whether all of it has arrived."""
        return self.status == "succeeded"


@dataclass(frozen=True, slots=True)
class ProcessorRefund:
    """A refund as the processor has it: pending, succeeded, failed, canceled or requires_action."""

    id: str
    status: str
    amount: Money
    payment_id: str
    reference: str


# docs.stripe.com/currencies#minimum-and-maximum-charge-amounts, in minor units.
_SMALLEST = {"USD": 50, "EUR": 50, "GBP": 30, "JPY": 50}
_EXPAND = ["latest_charge.balance_transaction"]


def smallest_payment(currency: str) -> Money:
    """The least that the processor takes at once; nothing for a currency whose least is not known here."""
    return Money.from_minor(_SMALLEST.get(currency, 0), currency)


def create_payment(*, reference: str, amount: Money, metadata: Mapping[str, str] | None = None) -> Payment:
    """A payment to be confirmed, once per reference.

    Raises ProcessorUnavailable, ProcessorRefused (the reference was used with another amount).
    """
    with typed_errors():
        intent = client().v1.payment_intents.create(
            {
                "amount": amount.minor,
                "currency": amount.currency.lower(),
                "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
                "metadata": {**(metadata or {}), "reference": reference},
                "expand": _EXPAND,
            },
            {"idempotency_key": f"payment:{reference}"},
        )
    return _payment(intent)


def confirm_payment(*, payment_id: str, payment_method: str) -> Payment:
    """Try to take the money. Confirming what has succeeded answers with it, and takes nothing again.

    Raises Declined, ProcessorUnavailable, ProcessorRefused. A status of `requires_action` is an answer,
    not an error: the shopper's bank has a question.
    """
    with typed_errors():
        try:
            intent = client().v1.payment_intents.confirm(
                payment_id, {"payment_method": payment_method, "expand": _EXPAND}
            )
        except stripe.InvalidRequestError as refused:
            if refused.code != "payment_intent_unexpected_state":
                raise
            payment = retrieve_payment(payment_id=payment_id)
            if not payment.paid:
                raise
            return payment
    return _payment(intent)


def cancel_payment(*, payment_id: str) -> Payment:
    """Give a payment up; nothing can be taken by it any more. Raises ProcessorRefused when it succeeded."""
    with typed_errors():
        try:
            intent = client().v1.payment_intents.cancel(payment_id)
        except stripe.InvalidRequestError as refused:
            if refused.code != "payment_intent_unexpected_state":
                raise
            payment = retrieve_payment(payment_id=payment_id)
            if payment.status != "canceled":
                raise
            return payment
    return _payment(intent)


def retrieve_payment(*, payment_id: str) -> Payment:
    """The payment as it is now. Raises ProcessorRefused when there is none, ProcessorUnavailable."""
    with typed_errors():
        return _payment(client().v1.payment_intents.retrieve(payment_id, {"expand": _EXPAND}))


def require_paid(payment: Payment, *, reference: str, amount: Money) -> None:
    """Raises Conflict (`amount_mismatch`) when a payment is not of this amount, for something else, or not paid."""
    if payment.reference != reference or payment.received != amount or not payment.paid:
        raise Conflict(f"Payment {payment.id} is not what was to be paid.", code="amount_mismatch")


def refund_payment(*, payment_id: str, amount: Money, reference: str) -> ProcessorRefund:
    """Pay a part or all of a payment back, once per reference.

    Raises ProcessorRefused when more than what is left would go back, ProcessorUnavailable.
    """
    with typed_errors():
        refund = client().v1.refunds.create(
            {
                "payment_intent": payment_id,
                "amount": amount.minor,
                "metadata": {"reference": reference},
            },
            {"idempotency_key": f"refund:{reference}"},
        )
    return ProcessorRefund(
        id=refund.id,
        status=refund.status or "pending",
        amount=Money.from_minor(refund.amount, refund.currency.upper()),
        payment_id=payment_id,
        reference=reference,
    )


def _payment(intent: stripe.PaymentIntent) -> Payment:
    currency = intent.currency.upper()
    charge = intent.latest_charge
    settled = charge.balance_transaction if isinstance(charge, stripe.Charge) else None
    fee = None
    if isinstance(settled, stripe.BalanceTransaction):
        fee = Money.from_minor(settled.fee, settled.currency.upper())
    return Payment(
        id=intent.id,
        status=intent.status,
        amount=Money.from_minor(intent.amount, currency),
        received=Money.from_minor(intent.amount_received or 0, currency),
        reference=intent.metadata.to_dict().get("reference", ""),
        client_secret=intent.client_secret or "",
        charge_id=charge.id if isinstance(charge, stripe.Charge) else (charge or ""),
        fee=fee,
    )


__all__ = [
    "Payment",
    "ProcessorRefund",
    "ProcessorRefused",
    "cancel_payment",
    "confirm_payment",
    "create_payment",
    "refund_payment",
    "require_paid",
    "retrieve_payment",
]
