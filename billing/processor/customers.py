"""Customers at the processor: who owes an invoice, and where they are taxed."""

from __future__ import annotations

from dataclasses import dataclass

from agentstore.kit.money import Money
from billing.processor.client import client, reference_of, typed_errors


@dataclass(frozen=True, slots=True)
class BillTo:
    """Whom an invoice is for. `country` is ISO 3166 alpha-2; `tax_exempt` is none, exempt or reverse."""

    name: str
    email: str
    country: str = ""
    state: str = ""
    postal_code: str = ""
    city: str = ""
    line1: str = ""
    tax_exempt: str = "none"


def create_customer(*, reference: str) -> str:
    """A customer's id at the processor, once per reference; say who it is by `update_customer`.

    Raises ProcessorUnavailable, ProcessorRefused.
    """
    with typed_errors():
        customer = client().v1.customers.create(
            {"metadata": {"reference": reference}}, {"idempotency_key": f"customer:{reference}"}
        )
    return customer.id


def update_customer(*, customer_id: str, bill_to: BillTo) -> None:
    """Tell the processor who the customer is now. Raises ProcessorUnavailable, ProcessorRefused."""
    with typed_errors():
        client().v1.customers.update(
            customer_id,
            {
                "name": bill_to.name,
                "email": bill_to.email,
                "tax_exempt": bill_to.tax_exempt,
                "address": {
                    "country": bill_to.country,
                    "state": bill_to.state,
                    "postal_code": bill_to.postal_code,
                    "city": bill_to.city,
                    "line1": bill_to.line1,
                },
            },
        )


def add_credit(*, reference: str, customer_id: str, amount: Money, description: str) -> Money:
    """Put an amount to a customer's credit, once per reference: it comes off its next invoices. What was put there.

    The processor forgets idempotency keys after a day; by the reference it is found later too, with the amount of
    then. Raises ProcessorUnavailable, ProcessorRefused.
    """
    with typed_errors():
        moved = client().v1.customers.balance_transactions
        for earlier in moved.list(customer_id, {"limit": 100}).auto_paging_iter():
            if reference_of(earlier) == reference:
                return Money.from_minor(-earlier.amount, amount.currency)
        made = moved.create(
            customer_id,
            {
                "amount": -amount.minor,
                "currency": amount.currency.lower(),
                "description": description,
                "metadata": {"reference": reference},
            },
            {"idempotency_key": f"credit:{reference}"},
        )
    return Money.from_minor(-made.amount, amount.currency)
