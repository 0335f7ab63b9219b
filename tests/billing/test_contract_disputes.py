"""Disputes at the processor: withdrawn at once, answered once, won or lost; for Stripe and its stand-in."""

from __future__ import annotations

import time

import pytest

from agentstore.kit.money import Money
from billing.processor import disputes, payments
from billing.processor.client import client
from billing.processor.errors import ProcessorRefused


@pytest.fixture
def disputed(processor, reference) -> disputes.ProcessorDispute:
    payment = payments.create_payment(reference=reference, amount=Money.from_minor(4_000, "USD"))
    paid = payments.confirm_payment(payment_id=payment.id, payment_method="pm_card_createDispute")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = client().v1.disputes.list({"payment_intent": paid.id}).data
        if found:
            return disputes.retrieve_dispute(dispute_id=found[0].id)
        time.sleep(0.5)
    raise AssertionError("no dispute was opened")


def test_a_dispute_takes_the_money_and_a_fee(disputed):
    assert disputed.status == "needs_response"
    assert disputed.amount == Money.from_minor(4_000, "USD")
    assert disputed.withdrawn == disputed.amount + disputed.fee
    assert disputed.answer_by is not None
    with pytest.raises(ProcessorRefused) as refused:
        payments.refund_payment(payment_id=disputed.payment_id, amount=disputed.amount, reference=disputed.id)
    assert refused.value.details["processor_code"] == "charge_disputed"


@pytest.mark.parametrize(("text", "status"), [("winning_evidence", "won"), ("losing_evidence", "lost")])
def test_evidence_decides(disputed, text, status):
    disputes.answer_dispute(dispute_id=disputed.id, text=text)
    deadline = time.monotonic() + 30
    while (now := disputes.retrieve_dispute(dispute_id=disputed.id)).status == "under_review":
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert now.status == status
    with pytest.raises(ProcessorRefused):
        disputes.answer_dispute(dispute_id=disputed.id, text=text)


def test_a_dispute_won_gives_the_amount_back_and_keeps_the_fee(standin, reference):
    payment = payments.create_payment(reference=reference, amount=Money.from_minor(4_000, "USD"))
    payments.confirm_payment(payment_id=payment.id, payment_method="pm_card_createDispute")
    found = client().v1.disputes.list({"payment_intent": payment.id}).data[0]
    won = disputes.answer_dispute(dispute_id=found.id, text="winning_evidence")
    assert won.withdrawn == won.fee == Money.from_minor(1_500, "USD")


def test_giving_in_loses(disputed):
    assert disputes.accept_dispute(dispute_id=disputed.id).lost
    with pytest.raises(ProcessorRefused):
        disputes.accept_dispute(dispute_id=disputed.id)
