"""Paying into a balance by card: booked once, whoever tells of it first; pages for the merchant and the operator."""

from __future__ import annotations

import pytest
from django.urls import reverse

from agentstore.identity.services import add_member
from agentstore.kit.errors import Conflict, NotFound
from billing import ledger, topups
from billing.accounts import merchant_prepaid, processor_clearing, processor_fees
from billing.chargebacks import dispute_loss
from billing.models import Journal, MerchantFunding, Notice, TopUp, WebhookEvent
from billing.processor.client import client as stripe
from billing.processor.disputes import answer_dispute
from billing.processor.payments import confirm_payment, create_payment, retrieve_payment
from marketplace.shopping import settlement
from tests.billing.conftest import MERCHANT, usd
from tests.billing.test_pages import text


def start(amount: str = "50") -> TopUp:
    return topups.start_top_up(merchant_ref=MERCHANT, amount=usd(amount), by="mia")


def balance() -> int:
    return -ledger.balance(merchant_prepaid(MERCHANT, "USD")).micros


def event_about(top_up: TopUp, type_: str = "payment_intent.succeeded") -> WebhookEvent:
    """As it lies in the inbox."""
    row = WebhookEvent.objects.create(
        external_id=f"evt_{WebhookEvent.objects.count()}", type=type_,
        payload={
            "created": 1_790_000_000,
            "data": {
                "object": {
                    "object": "payment_intent", "id": top_up.payment_ref,
                    "metadata": {"reference": f"topup:{top_up.pk}"},
                }
            },
        },
    )  # fmt: skip
    topups.settle_event(event_id=row.pk)
    return WebhookEvent.objects.get(pk=row.pk)


@pytest.mark.django_db(transaction=True)
def test_a_paid_top_up_is_booked_once(standin):
    top_up = topups.try_card(top_up_id=start().pk, payment_method="pm_card_visa")
    assert (top_up.status, balance()) == ("paid", 50_000_000)
    again = topups.try_card(top_up_id=top_up.pk, payment_method="pm_card_visa")
    assert again.journal == top_up.journal
    assert event_about(top_up).handled_at is not None
    event_about(top_up)
    assert balance() == 50_000_000
    fee = ledger.balance(processor_fees("USD")).micros
    assert fee > 0
    assert ledger.balance(processor_clearing("USD")).micros == 50_000_000 - fee
    assert Journal.objects.count() == 2
    assert [change.status for change in top_up.changes.all()] == ["started", "paid"]


@pytest.mark.django_db(transaction=True)
def test_the_event_books_it_when_the_answer_was_lost(standin):
    top_up = start()
    payment = create_payment(reference=f"topup:{top_up.pk}", amount=top_up.amount)
    top_up.payment_ref = payment.id
    confirm_payment(payment_id=payment.id, payment_method="pm_card_visa")
    event_about(top_up)
    assert balance() == 50_000_000
    assert topups.try_card(top_up_id=top_up.pk, payment_method="pm_card_visa").status == "paid"
    assert balance() == 50_000_000


@pytest.mark.django_db(transaction=True)
def test_a_declined_card_leaves_it_open_for_another(standin):
    top_up = start()
    declined = topups.try_card(top_up_id=top_up.pk, payment_method="pm_card_chargeDeclinedInsufficientFunds")
    assert (declined.status, declined.decline, balance()) == ("started", "insufficient_funds", 0)
    asked = topups.try_card(top_up_id=top_up.pk, payment_method="pm_card_authenticationRequired")
    assert asked.decline == "authentication_required"
    assert topups.try_card(top_up_id=top_up.pk, payment_method="pm_card_visa").status == "paid"
    assert balance() == 50_000_000


@pytest.mark.django_db(transaction=True)
def test_a_payment_of_something_else_is_not_booked(standin):
    top_up, other = start(), start("60")
    paid = topups.try_card(top_up_id=other.pk, payment_method="pm_card_visa")
    with pytest.raises(Conflict):
        topups.settle_top_up(top_up_id=top_up.pk, payment=retrieve_payment(payment_id=paid.payment_ref))
    assert balance() == 60_000_000


@pytest.mark.django_db(transaction=True)
def test_a_cancelled_payment_ends_it(standin):
    top_up = start()
    event_about(top_up, "payment_intent.canceled")
    top_up.refresh_from_db()
    assert top_up.status == "failed"
    with pytest.raises(Conflict):
        topups.try_card(top_up_id=top_up.pk, payment_method="pm_card_visa")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("answer", "left"), [(None, 0), ("losing_evidence", 0), ("winning_evidence", 50_000_000)]
)
def test_what_a_bank_takes_back_is_not_to_be_spent(standin, answer, left):
    top_up = start()
    payment = create_payment(reference=f"topup:{top_up.pk}", amount=top_up.amount)
    confirm_payment(payment_id=payment.id, payment_method="pm_card_createDispute")
    dispute = stripe().v1.disputes.list({"payment_intent": payment.id}).data[0]
    for number in range(2):
        told_of_dispute(dispute.id, payment.id, f"created{number}")
        assert balance() == 0, "booked by this event if the payment's has not come yet"
    if answer is not None:
        answer_dispute(dispute_id=dispute.id, text=answer)
        for number in range(2):
            told_of_dispute(dispute.id, payment.id, f"closed{number}")
    assert balance() == left
    assert ledger.balance(dispute_loss("USD")).micros == 0
    fees = ledger.balance(processor_fees("USD")).micros
    assert ledger.balance(processor_clearing("USD")).micros == left - fees
    assert Notice.objects.filter(key__startswith="top_up_disputed:").count() == 1


def told_of_dispute(dispute_id: str, payment_id: str, event_id: str) -> None:
    thing = {"object": "dispute", "id": dispute_id, "payment_intent": payment_id, "metadata": {}}
    row = WebhookEvent.objects.create(
        external_id=event_id,
        type="charge.dispute.updated",
        payload={"created": 1_790_000_000, "data": {"object": thing}},
    )
    settlement.settle_event(event_id=row.pk)


def test_a_top_up_is_its_merchants(db):
    top_up = start()
    assert topups.top_up_of(merchant_ref=MERCHANT, top_up_id=top_up.pk) == top_up
    with pytest.raises(NotFound):
        topups.top_up_of(merchant_ref="org:other", top_up_id=top_up.pk)


@pytest.mark.django_db(transaction=True)
def test_a_merchant_pays_in_on_its_page(client, mia, merchant, standin):
    client.force_login(mia)
    url, pay_in = (reverse(f"billing:{name}", args=[merchant.slug]) for name in ("balance", "pay_in"))
    assert "Nothing was paid in yet" in text(client, url)
    refused = client.post(pay_in, {"amount": "20", "payment_method": "pm_card_chargeDeclined"})
    assert refused.status_code == 422
    assert "declined" in refused.content.decode()
    assert client.post(pay_in, {"amount": "0.10", "payment_method": "pm_card_visa"}).status_code == 422
    assert client.post(pay_in, {"amount": "20", "payment_method": "pm_card_visa"}).status_code == 302
    assert client.post(url, {"mode": "prepaid", "alert_below": "5"}).status_code == 302
    assert client.post(url, {"mode": "barter", "alert_below": "5"}).status_code == 422
    page = text(client, url)
    assert "$20.00" in page
    assert "From a balance paid in before" in page
    assert MerchantFunding.objects.get().merchant_ref == merchant.ref


def test_who_may_pay_in(client, charlie, alice, mia, sam, merchant):
    add_member(organization=merchant, user=sam, role="member", by=mia)
    url, pay_in = (reverse(f"billing:{name}", args=[merchant.slug]) for name in ("balance", "pay_in"))
    for stranger in (charlie, alice):
        client.force_login(stranger)
        text(client, url, 404)
        assert client.post(pay_in, {"amount": "20", "payment_method": "pm_card_visa"}).status_code == 404
        assert client.post(url, {"mode": "prepaid", "alert_below": "5"}).status_code == 404
    client.force_login(sam)
    assert "Owners and admins" in text(client, url)
    assert client.post(pay_in, {"amount": "20", "payment_method": "pm_card_visa"}).status_code == 403
    assert not TopUp.objects.exists()


def test_the_operator_sets_a_credit_limit(client, olivia, charlie, mia, merchant):
    url = reverse("billing:credit")
    body = {"merchant": str(merchant.pk), "limit": "250", "reason": "new here"}
    for person in (charlie, mia):
        client.force_login(person)
        text(client, url, 404)
        assert client.post(url, body).status_code == 404
    client.force_login(olivia)
    assert "No limits yet" in text(client, url)
    assert client.post(url, {**body, "merchant": "nobody"}).status_code == 422
    assert client.post(url, body).status_code == 302
    assert "$250.00" in text(client, url)
    assert MerchantFunding.objects.get().changes.get().reason == "new here"
