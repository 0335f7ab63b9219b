"""Paying for an open checkout: asking the processor for a payment and trying a card."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

from django.db import transaction

from agentstore.kit.clock import now
from agentstore.kit.errors import Unavailable
from billing.processor.errors import Declined
from billing.processor.payments import Payment, confirm_payment, create_payment
from billing.processor.test_methods import TEST_METHODS, takes_test_cards
from marketplace.shopping.checkouts import CheckoutClosed
from marketplace.shopping.models import Checkout

REFERENCE: Final = "checkout:"

# What is said of a refused attempt; the code is kept on the checkout, the words are not.
_WORDS: Final = {
    "insufficient_funds": "The card has not enough funds for this.",
    "expired_card": "The card has expired.",
    "authentication_required": "The card's bank asked for 3-D Secure, which this payment page cannot show.",
}


class PaymentFormMissing(Unavailable):
    """Real cards are typed into the processor's own form, which this version does not have yet."""

    code = "payment_form_missing"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of trying a card:

    `taken` means that the processor has it and its event will settle the checkout.
    """

    taken: bool
    decline: str = ""

    @property
    def words(self) -> str:
        """Why not, for the shopper."""
        return decline_words(self.decline)


def decline_words(code: str) -> str:
    """A decline in plain words; empty for none."""
    return _WORDS.get(code, "The card was declined.") if code else ""


def reference_of(checkout_id: uuid.UUID) -> str:
    """How the processor names a checkout; also the idempotency key of its payment."""
    return f"{REFERENCE}{checkout_id}"


def ensure_payment(*, checkout_id: uuid.UUID) -> Payment:
    """The checkout's payment at the processor, made once however often this is called or cut off.

    Raises CheckoutClosed, ProcessorUnavailable. Speaks to the processor: call it outside of a transaction.
    """
    checkout = _require_open(checkout_id)
    payment = create_payment(
        reference=reference_of(checkout_id),
        amount=checkout.total,
        metadata={"orders": ", ".join(checkout.orders.values_list("number", flat=True))},
    )
    Checkout.objects.filter(pk=checkout_id, payment_ref="").update(payment_ref=payment.id)
    return payment


def try_card(*, checkout_id: uuid.UUID, payment_method: str) -> Attempt:
    """Confirm the checkout's payment with a card. A decline leaves the checkout open for another.

    Raises CheckoutClosed, PaymentFormMissing outside of test mode, ProcessorUnavailable.
    """
    if not takes_test_cards() or payment_method not in TEST_METHODS:
        raise PaymentFormMissing(
            "This store cannot take cards yet.", hint="The operator has to connect a card form first."
        )
    payment = ensure_payment(checkout_id=checkout_id)
    try:
        payment = confirm_payment(payment_id=payment.id, payment_method=payment_method)
    except Declined as declined:
        return _declined(checkout_id, declined.decline_code)
    if payment.status in ("requires_action", "requires_payment_method"):
        return _declined(checkout_id, "authentication_required")
    note_decline(checkout_id=checkout_id, code="")
    return Attempt(taken=True)


def _declined(checkout_id: uuid.UUID, code: str) -> Attempt:
    note_decline(checkout_id=checkout_id, code=code)
    return Attempt(taken=False, decline=code)


@transaction.atomic
def note_decline(*, checkout_id: uuid.UUID, code: str) -> None:
    """Remember the bank's last answer while the checkout is open; an empty code forgets it."""
    Checkout.objects.filter(pk=checkout_id, status=Checkout.Status.OPEN).update(decline=code[:60])


def _require_open(checkout_id: uuid.UUID) -> Checkout:
    checkout = Checkout.objects.get(pk=checkout_id)
    if checkout.status == Checkout.Status.PAID:
        raise CheckoutClosed("This is paid already.", hint="See your orders.")
    if checkout.status != Checkout.Status.OPEN or checkout.expires_at <= now():
        raise CheckoutClosed("This checkout is over.", hint="Your cart is as it was: check out again.")
    return checkout
