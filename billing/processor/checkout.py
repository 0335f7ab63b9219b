"""A page of the processor's own on which a customer pays one amount. Never inside a database transaction."""

from __future__ import annotations

from dataclasses import dataclass

import stripe

from agentstore.kit.money import Money
from billing.processor.client import client, typed_errors


@dataclass(frozen=True, slots=True)
class PaymentPage:
    """A page as the processor has it: open for a day, complete or expired. `payment_id` once it is complete."""

    id: str
    status: str
    url: str
    payment_id: str

    @property
    def open(self) -> bool:
        """Whether it can be paid on."""
        return self.status == "open"

    @property
    def complete(self) -> bool:
        """Whether it was used. The money of some banks comes days later, or not at all: the payment says."""
        return self.status == "complete"


def open_page(
    *, reference: str, customer_id: str, amount: Money, name: str, paid_url: str, back_url: str
) -> PaymentPage:
    """A page for an amount, once per reference, which the payment bears too; who has paid is sent to `paid_url`.

    Raises ProcessorUnavailable, ProcessorRefused (less than the processor takes).
    """
    with typed_errors():
        session = client().v1.checkout.sessions.create(
            {
                "mode": "payment",
                "customer": customer_id,
                "line_items": [
                    {
                        "quantity": 1,
                        "price_data": {
                            "currency": amount.currency.lower(),
                            "unit_amount": amount.minor,
                            "product_data": {"name": name},
                        },
                    }
                ],
                "success_url": paid_url,
                "cancel_url": back_url,
                "client_reference_id": reference,
                "metadata": {"reference": reference},
                "payment_intent_data": {"metadata": {"reference": reference}},
            },
            {"idempotency_key": f"page:{reference}"},
        )
    return _page(session)


def retrieve_page(*, page_id: str) -> PaymentPage:
    """The page as it is now. Raises ProcessorRefused when there is none, ProcessorUnavailable."""
    with typed_errors():
        return _page(client().v1.checkout.sessions.retrieve(page_id))


def close_page(*, page_id: str) -> PaymentPage:
    """Let nobody pay on it any more; one that was used is returned. Raises ProcessorUnavailable."""
    with typed_errors():
        try:
            return _page(client().v1.checkout.sessions.expire(page_id))
        except stripe.InvalidRequestError:
            page = retrieve_page(page_id=page_id)
            if page.open:
                raise
            return page


def _page(session: stripe.checkout.Session) -> PaymentPage:
    return PaymentPage(
        id=session.id,
        status=session.status or "open",
        url=session.url or "",
        payment_id=str(session.payment_intent or ""),
    )
