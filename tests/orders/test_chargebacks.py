"""Payments that a bank takes back: on the books at once, borne by the merchant when lost, given back when won."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.models import Journal, UsageEvent
from billing.processor import disputes, payments
from billing.processor.client import client
from marketplace.ranking.models import Conversion
from marketplace.shopping import paying, settlement
from marketplace.shopping.chargebacks import share_out
from tests.orders.world import account, books_balance, check_out

# As in test_settlement: $99.00, tax 15 %, 70 % of it the studio's; a dispute costs $15.
SALE, FEE, TAX = 99_000_000, 3_170_000, 14_850_000
DISPUTE_FEE = 15_000_000


@pytest.fixture
def disputed(shopper, card, processor) -> disputes.ProcessorDispute:
    """A paid order whose payment the bank has just taken back."""
    checkout = check_out(shopper, card)
    payment = paying.ensure_payment(checkout_id=checkout.pk)
    assert payments.confirm_payment(payment_id=payment.id, payment_method="pm_card_createDispute").paid
    processor.deliver()
    checkout.refresh_from_db()
    found = client().v1.disputes.list({"payment_intent": checkout.payment_ref}).data[0]
    return disputes.retrieve_dispute(dispute_id=found.id)


def test_a_dispute_takes_the_money_and_a_fee_at_once(disputed, merchant):
    assert account("dispute_loss") == SALE
    assert account("processor_fees") == FEE + DISPUTE_FEE
    assert account("processor_clearing") == -FEE - DISPUTE_FEE
    assert account("merchant_wallet", merchant.ref) == -(SALE - TAX), "not the merchant's yet"
    assert books_balance()


def test_a_dispute_that_is_lost_is_borne_by_the_merchant_and_costs_no_tax(
    disputed, processor, merchant, studio
):
    disputes.accept_dispute(dispute_id=disputed.id)
    processor.deliver()
    again = {**processor._all()[-1], "id": "evt_again"}
    settlement.settle_event(event_id=processor.receive(again).pk)
    assert account("dispute_loss") == 0
    assert account("merchant_wallet", merchant.ref) == 0
    assert account("developer_pending", studio.ref) == 0
    assert account("platform_revenue") == 0
    assert UsageEvent.objects.get(kind="tax_reversal").amount_micros == -TAX
    assert Conversion.objects.get().status != "pending"
    assert Journal.objects.filter(kind="dispute_lost").count() == 1
    assert books_balance()


def test_a_dispute_that_is_won_costs_the_fee_only(disputed, processor, merchant, studio):
    disputes.answer_dispute(dispute_id=disputed.id, text="winning_evidence")
    processor.deliver()
    assert account("dispute_loss") == 0
    assert account("processor_clearing") == SALE - FEE - DISPUTE_FEE
    assert account("merchant_wallet", merchant.ref) == -(SALE - TAX)
    assert books_balance()


@given(weights=st.lists(st.integers(0, 10**9), max_size=8), amount=st.integers(0, 10**10))
def test_lines_bear_exactly_what_was_taken(weights, amount):
    parts = share_out(amount, weights)
    assert sum(parts) == min(amount, sum(weights))
    assert all(0 <= part <= weight for part, weight in zip(parts, weights, strict=True))
