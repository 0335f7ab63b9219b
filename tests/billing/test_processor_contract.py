"""One contract for Stripe and its stand-in; against Stripe's test mode too where STRIPE_TEST_KEY is set."""

from __future__ import annotations

import httpx
import pytest
import stripe

from agentstore.kit.money import Money
from billing.processor import payments
from billing.processor.client import client
from billing.processor.errors import Declined, ProcessorRefused, ProcessorUnavailable


def create(reference: str, cents: int = 12_900) -> payments.Payment:
    return payments.create_payment(
        reference=reference, amount=Money.from_minor(cents, "USD"), metadata={"order": "7"}
    )


def paid(reference: str, cents: int = 12_900) -> payments.Payment:
    payment = create(reference, cents)
    return payments.confirm_payment(payment_id=payment.id, payment_method="pm_card_visa")


def test_a_payment_is_taken_once(processor, reference):
    created = create(reference)
    assert (created.status, created.reference, created.fee) == ("requires_payment_method", reference, None)
    taken = payments.confirm_payment(payment_id=created.id, payment_method="pm_card_visa")
    assert taken.paid
    assert taken.received == taken.amount == Money.from_minor(12_900, "USD")
    assert taken.charge_id.startswith(("ch_", "py_"))
    assert payments.confirm_payment(payment_id=created.id, payment_method="pm_card_visa").charge_id == (
        taken.charge_id
    )
    assert payments.retrieve_payment(payment_id=created.id).paid


def test_the_fee_is_known(standin, reference):
    """Stripe's own depends on the account's country; the stand-in charges 2.9 % and 30 cents."""
    assert paid(reference).fee == Money.from_minor(404, "USD")


def test_a_reference_is_one_payment(processor, reference):
    assert create(reference).id == create(reference).id
    with pytest.raises(ProcessorRefused) as refused:
        create(reference, 13_000)
    assert isinstance(refused.value.__cause__, stripe.IdempotencyError)


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("pm_card_chargeDeclined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
    ],
)
def test_a_declined_card_can_be_followed_by_another(processor, reference, method, code):
    payment = create(reference)
    with pytest.raises(Declined) as declined:
        payments.confirm_payment(payment_id=payment.id, payment_method=method)
    assert declined.value.decline_code == code
    assert declined.value.message.startswith("The card")
    assert payments.retrieve_payment(payment_id=payment.id).status == "requires_payment_method"
    assert payments.confirm_payment(payment_id=payment.id, payment_method="pm_card_visa").paid


def test_a_bank_that_asks_is_an_answer(processor, reference):
    payment = create(reference)
    asked = payments.confirm_payment(payment_id=payment.id, payment_method="pm_card_authenticationRequired")
    assert asked.status == "requires_action"
    assert not asked.paid


@pytest.mark.parametrize(
    ("outcome", "status"), [("success", "succeeded"), ("failure", "requires_payment_method")]
)
def test_the_shopper_answers_the_bank(standin, reference, outcome, status):
    payment = create(reference)
    payments.confirm_payment(payment_id=payment.id, payment_method="pm_card_authenticationRequired")
    standin.post(f"/payment_intents/{payment.id}/authenticate", outcome=outcome)
    assert payments.retrieve_payment(payment_id=payment.id).status == status


def test_refunds_are_once_each_and_no_more_than_was_paid(processor, reference):
    payment = paid(reference)

    def refund(cents: int, number: int) -> payments.ProcessorRefund:
        return payments.refund_payment(
            payment_id=payment.id,
            amount=Money.from_minor(cents, "USD"),
            reference=f"{reference}-{number}",
        )

    assert refund(2_900, 1).id == refund(2_900, 1).id
    with pytest.raises(ProcessorRefused):
        refund(10_001, 2)
    assert refund(10_000, 3).amount == Money.from_minor(10_000, "USD")
    with pytest.raises(ProcessorRefused) as refused:
        refund(2_900, 4)
    assert refused.value.details["processor_code"] == "charge_already_refunded"


def test_a_payment_given_up_takes_nothing(processor, reference):
    payment = create(reference)
    assert payments.cancel_payment(payment_id=payment.id).status == "canceled"
    assert payments.cancel_payment(payment_id=payment.id).status == "canceled"
    with pytest.raises(ProcessorRefused) as refused:
        payments.confirm_payment(payment_id=payment.id, payment_method="pm_card_visa")
    assert refused.value.details["processor_code"] == "payment_intent_unexpected_state"


def test_a_paid_payment_can_not_be_given_up(processor, reference):
    with pytest.raises(ProcessorRefused):
        payments.cancel_payment(payment_id=paid(reference).id)


def test_what_is_refused_outright(processor, reference):
    with pytest.raises(ProcessorRefused) as missing:
        payments.retrieve_payment(payment_id="pi_none")
    assert missing.value.details["processor_code"] == "resource_missing"
    with pytest.raises(ProcessorRefused) as small:
        create(reference, 49)
    assert small.value.details["processor_code"] == "amount_too_small"
    with pytest.raises(ProcessorRefused):
        payments.refund_payment(
            payment_id=create(f"{reference}-1").id, amount=Money.from_minor(100, "USD"), reference=reference
        )


def test_a_processor_that_is_away_is_said_to_be(settings, reference):
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    with pytest.raises(ProcessorUnavailable):
        create(reference)


def test_a_live_key_is_turned_away(standin):
    answer = httpx.get(f"{standin.base}/v1/charges", headers={"Authorization": "Bearer sk_live_x"}, timeout=5)
    assert answer.status_code == 401


def test_the_balance_tells_of_payments_and_refunds(standin, reference):
    payment = paid(reference)
    payments.refund_payment(payment_id=payment.id, amount=Money.from_minor(900, "USD"), reference=reference)
    refund, charge = client().v1.balance_transactions.list({"limit": 2}).data
    assert (charge.type, charge.amount, charge.fee, charge.net) == ("charge", 12_900, 404, 12_496)
    assert (refund.type, refund.amount, refund.fee) == ("refund", -900, 0)
    assert charge.status == "pending"
    standin.post("/clock", advance=3 * 86_400)
    assert client().v1.balance_transactions.retrieve(charge.id).status == "available"


def test_lists_have_pages(standin, reference):
    ids = [create(f"{reference}-{number}").id for number in range(5)]
    first = client().v1.payment_intents.list({"limit": 2})
    assert [intent.id for intent in first.data] == [ids[4], ids[3]]
    assert first.has_more
    following = [intent.id for intent, _ in zip(first.auto_paging_iter(), range(5), strict=False)]
    assert following == list(reversed(ids))
