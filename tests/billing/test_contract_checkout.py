"""Pages on which one amount is paid: one contract for Stripe and its stand-in."""

from __future__ import annotations

import httpx
import pytest

from agentstore.kit.money import Money
from billing.processor import checkout, customers
from billing.processor.errors import ProcessorRefused
from billing.processor.payments import retrieve_payment


def page(reference: str, cents: int = 1_190) -> checkout.PaymentPage:
    return checkout.open_page(
        reference=reference,
        customer_id=customers.create_customer(reference=reference),
        amount=Money.from_minor(cents, "USD"),
        name="Invoice A-1",
        paid_url="https://example.com/paid",
        back_url="https://example.com/back",
    )


def test_a_reference_is_one_page(processor, reference):
    first = page(reference)
    assert page(reference) == first
    assert first.open
    assert first.url
    assert not first.payment_id
    assert checkout.retrieve_page(page_id=first.id).open
    with pytest.raises(ProcessorRefused):
        page(reference, 1_191)


def test_a_closed_page_stays_closed(processor, reference):
    first = page(reference)
    for _ in range(2):
        assert checkout.close_page(page_id=first.id).status == "expired"


def test_less_than_the_processor_takes_has_no_page(processor, reference):
    with pytest.raises(ProcessorRefused):
        page(reference, 49)


def test_the_payment_bears_the_reference(standin, reference):
    first = page(reference)
    assert httpx.get(first.url, timeout=5).headers["location"] == "https://example.com/paid"
    paid = checkout.close_page(page_id=first.id)
    assert paid.complete
    payment = retrieve_payment(payment_id=paid.payment_id)
    assert (payment.reference, payment.received) == (reference, Money.from_minor(1_190, "USD"))


def test_a_card_that_is_declined_leaves_the_page_open(standin, reference):
    first = page(reference)
    httpx.get(first.url, params={"payment_method": "pm_card_chargeDeclined"}, timeout=5)
    assert checkout.retrieve_page(page_id=first.id).open


def test_a_page_is_open_for_a_day(blank_standin, reference):
    first = page(reference)
    blank_standin.post("/clock", advance=86_401)
    assert checkout.retrieve_page(page_id=first.id).status == "expired"
