"""An invoice is paid again after a bank took its payment back."""

from __future__ import annotations

import uuid
from datetime import date

import pytest
import time_machine
from django.urls import reverse

from agentstore.identity.services import add_member
from billing import disputes, dunning, ledger, overpaid, repayments
from billing.accounts import merchant_receivable, processor_clearing
from billing.models import Incident, Invoice, Journal, Reconciliation, Repayment, UsageEvent
from billing.processor.client import client
from billing.processor.disputes import answer_dispute
from billing.reconciliation import runs
from tests.billing.conftest import usd
from tests.billing.inbox import deliver_events
from tests.billing.killed_calls import kill_after_each_call
from tests.billing.months import day, october

pytestmark = pytest.mark.django_db(transaction=True)

BACK = "https://store.test/"


@pytest.fixture
def merchant_ref(books_alone) -> str:
    return f"org:{uuid.uuid4()}"


def owed_again(standin, prices, merchant_ref: str) -> Invoice:
    """October's, paid on 5 November; the bank took that back at once."""
    invoice = october(standin, prices, merchant_ref)
    with time_machine.travel(day(11, 5), tick=False):
        standin.get(f"/invoices/{invoice.processor_ref}/pay", payment_method="pm_card_createDispute")
        deliver_events(only="charge.dispute")
    return Invoice.objects.get()


@pytest.fixture
def invoice(blank_standin, prices, merchant_ref) -> Invoice:
    return owed_again(blank_standin, prices, merchant_ref)


def page(invoice: Invoice) -> str:
    return repayments.open_page(invoice_id=invoice.pk, paid_url=BACK, back_url=BACK, by="mia")


def lose() -> None:
    answer_dispute(dispute_id=client().v1.disputes.list().data[0].id, text="losing_evidence")
    deliver_events(only="charge.dispute")


def owed(merchant_ref: str) -> int:
    return ledger.balance(merchant_receivable(merchant_ref, "USD")).micros


def test_what_was_lost_is_paid_again_once(blank_standin, invoice, merchant_ref):
    with time_machine.travel(day(11, 5), tick=False):
        lose()
        assert blank_standin.open(page(invoice)).headers["location"] == BACK
        for _ in range(2):
            deliver_events(only="payment_intent.succeeded")
            found = repayments.settle_started(invoice_id=invoice.pk)
            assert (found.status, found.remaining, found.dispute_ref) == ("paid", usd("0"), "")
    assert owed(merchant_ref) == 0
    assert Journal.objects.filter(kind="invoice_repaid").count() == 1
    repayment = Repayment.objects.get()
    assert [change.status for change in repayment.changes.all()] == ["started", "paid"]
    with pytest.raises(repayments.NotOwedAgain):
        page(invoice)
    with time_machine.travel(day(11, 8), tick=False):
        runs.reconcile_due()
    assert not Incident.objects.exists()
    row = Reconciliation.objects.get(day=date(2026, 11, 5))
    assert row.counts["processor"] == {"compared": 3, "in_flight": 0, "different": 0}
    assert ledger.balance(processor_clearing("USD")).micros == row.balances.get().processor_micros


def test_asked_for_again_it_is_the_same_page_until_another_amount_is_owed(
    blank_standin, invoice, merchant_ref
):
    first = page(invoice)
    assert page(invoice) == first
    event = UsageEvent.objects.filter(merchant_ref=merchant_ref).first()
    assert event is not None
    dispute = disputes.open_dispute(event_id=event.pk, owner_ref=merchant_ref, reason="x", by="mia")
    disputes.decide_dispute(dispute_id=dispute.pk, uphold=True, by="olivia", note="a bot")
    disputes.issue_credit_notes()
    second = page(invoice)
    assert second != first
    before = len(client().v1.payment_intents.list().data)
    blank_standin.open(first)
    assert len(client().v1.payment_intents.list().data) == before, "nothing is paid on the page of before"
    blank_standin.open(second)
    assert repayments.settle_started(invoice_id=invoice.pk).status == "paid"
    assert [it.amount for it in Repayment.objects.order_by("pk")] == [usd("1.19"), usd("0.89")]
    assert owed(merchant_ref) == 0


def test_a_page_that_expired_is_followed_by_another(blank_standin, invoice):
    first = page(invoice)
    blank_standin.post("/clock", advance=86_401)
    assert page(invoice) != first
    assert sorted(Repayment.objects.values_list("status", flat=True)) == ["failed", "started"]


def test_a_bank_that_takes_days_is_waited_for_until_it_says_no(blank_standin, invoice, merchant_ref):
    for outcome, status in (("failure", "open"), ("success", "paid")):
        blank_standin.open(page(invoice) + "?payment_method=pm_usBankAccount_success")
        assert repayments.settle_started(invoice_id=invoice.pk).status == "open"
        assert page(invoice) == "", "nobody pays twice meanwhile"
        payment = client().v1.payment_intents.list().data[0]
        blank_standin.post(f"/payment_intents/{payment.id}/authenticate", outcome=outcome)
        assert repayments.settle_started(invoice_id=invoice.pk).status == status
    assert sorted(Repayment.objects.values_list("status", flat=True)) == ["failed", "paid"]
    assert owed(merchant_ref) == 0


def test_killed_after_its_calls_it_is_one_page(blank_standin, invoice, merchant_ref):
    given = f'repayments.open_page(invoice_id="{invoice.pk}", paid_url="{BACK}", back_url="{BACK}", by="mia")'
    killed = kill_after_each_call("from billing import repayments", given)
    assert killed == ["/v1/checkout/sessions"]
    repayment = Repayment.objects.get()
    blank_standin.open(page(invoice))
    deliver_events(only="payment_intent.succeeded")
    repayment.refresh_from_db()
    assert (repayment.status, owed(merchant_ref)) == ("paid", 0)


def test_the_bank_may_take_that_back_too_and_give_both_back(blank_standin, invoice, merchant_ref):
    first = client().v1.disputes.list().data[0].id
    blank_standin.open(page(invoice) + "?payment_method=pm_card_createDispute")
    for kinds in ("charge.dispute", "payment_intent.succeeded", "charge.dispute"):
        deliver_events(only=kinds)
    found = Invoice.objects.get()
    assert (found.status, found.remaining, owed(merchant_ref)) == ("open", usd("1.19"), 1_190_000)
    second = client().v1.disputes.list().data[0].id
    for dispute_id in (first, second):
        answer_dispute(dispute_id=dispute_id, text="winning_evidence")
        deliver_events(only="charge.dispute")
    found = Invoice.objects.get()
    assert (found.status, found.remaining, owed(merchant_ref)) == ("paid", usd("-1.19"), -1_190_000)
    assert overpaid.return_overpaid() == 1
    assert Invoice.objects.get().remaining == usd("0"), "it comes off the next invoice"


def test_paid_after_it_was_written_off_it_is_earned_after_all(blank_standin, invoice, merchant_ref):
    address = page(invoice)
    dunning.write_off(invoice=Invoice.objects.get(), by="olivia", reason="charged back")
    blank_standin.open(address)
    deliver_events(only="payment_intent.succeeded")
    found = Invoice.objects.get()
    assert (found.status, found.written_off_minor, owed(merchant_ref)) == ("paid", 0, 0)


def test_another_stores_repayment_is_left(db):
    assert repayments.named(f"repayment:{uuid.uuid4()}") is None


def test_the_merchants_way_there_and_back(
    client, blank_standin, prices, merchant, mia, charlie, sam, books_alone
):
    invoice = owed_again(blank_standin, prices, merchant.ref)
    there = reverse("billing:repay", args=[merchant.slug, invoice.pk])
    back = reverse("billing:repaid", args=[merchant.slug, invoice.pk])
    listed = reverse("billing:merchant_statements", args=[merchant.slug])
    client.force_login(charlie)
    for url in (there, back):
        assert client.get(url).status_code == 404
    add_member(organization=merchant, user=sam, role="member", by=mia)
    client.force_login(sam)
    assert client.get(there).status_code == 403
    assert there not in client.get(listed).content.decode()
    client.force_login(mia)
    assert client.get(reverse("billing:repay", args=[merchant.slug, uuid.uuid4()])).status_code == 404
    assert there in client.get(listed).content.decode()
    answer = client.get(back, follow=True)
    assert "is not paid yet" in answer.content.decode()
    returned = blank_standin.open(client.get(there).headers["location"]).headers["location"]
    assert returned.endswith(back)
    assert "is paid." in client.get(back, follow=True).content.decode()
    assert there not in client.get(listed).content.decode()
    assert client.get(there).status_code == 409
    assert Repayment.objects.get().changes.filter(by=f"user:{mia.pk}").exists()
