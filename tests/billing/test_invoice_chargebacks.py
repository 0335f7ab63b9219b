"""A merchant pays an invoice by card and its bank takes the payment back: owed again, won, lost, written off."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import date, timedelta

import pytest
import time_machine

from billing import disputes, dunning, earnings, invoice_chargebacks, invoices, ledger, standing
from billing.accounts import developer_pending, merchant_receivable, processor_clearing, processor_fees
from billing.chargebacks import dispute_loss
from billing.models import (
    DunningStep,
    Incident,
    Invoice,
    Journal,
    Notice,
    Reconciliation,
    UsageEvent,
    WebhookEvent,
)
from billing.processor import invoicing
from billing.processor.client import client
from billing.processor.disputes import answer_dispute, retrieve_dispute
from billing.processor.invoicing import find_invoice_paid_by
from billing.processor.payments import confirm_payment, create_payment
from billing.reconciliation import runs
from marketplace.shopping import settlement
from tests.billing.conftest import STUDIO, usd
from tests.billing.inbox import deliver_events
from tests.billing.months import day, october

pytestmark = pytest.mark.django_db(transaction=True)

TOTAL = 1_190_000


@pytest.fixture
def merchant_ref(books_alone) -> str:
    return f"org:{uuid.uuid4()}"


@pytest.fixture
def owed(blank_standin, prices, merchant_ref) -> Invoice:
    return october(blank_standin, prices, merchant_ref)


@pytest.fixture
def invoice(blank_standin, owed: Invoice) -> Invoice:
    """That, paid on 5 November by a card whose bank takes it back at once."""
    pay(blank_standin, owed)
    return owed


def pay(standin, invoice: Invoice) -> None:
    standin.get(f"/invoices/{invoice.processor_ref}/pay", payment_method="pm_card_createDispute")


def deliver(at: int, *kinds: str) -> Invoice:
    with time_machine.travel(day(11, at), tick=False):
        for kind in kinds:
            deliver_events(only=kind)
    return Invoice.objects.get()


def balances(merchant_ref: str) -> tuple[int, int]:
    """What the merchant owes, and what nobody bears yet."""
    return (
        ledger.balance(merchant_receivable(merchant_ref, "USD")).micros,
        ledger.balance(dispute_loss("USD")).micros,
    )


def answer(text: str) -> None:
    answer_dispute(dispute_id=client().v1.disputes.list().data[0].id, text=text)


@pytest.mark.parametrize("order", [("invoice.paid", "charge.dispute"), ("charge.dispute", "invoice.paid")])
def test_what_a_bank_took_back_is_owed_again(invoice, merchant_ref, order):
    found = deliver(6, *order, *order)
    assert (found.status, found.paid_minor, found.paid_at) == ("open", 0, None)
    assert found.due_at == day(11, 20)
    assert found.dispute_ref == client().v1.disputes.list().data[0].id
    assert balances(merchant_ref) == (TOTAL, 0)
    fees = ledger.balance(processor_fees("USD")).micros
    assert fees == 15_330_000, "the card's and the dispute's"
    assert ledger.balance(processor_clearing("USD")).micros == -fees
    assert [notice.subject.split(" ", 2)[2] for notice in Notice.objects.filter(owner_ref=merchant_ref)] == (
        ["is owed again"]
    )
    assert [change.status for change in found.changes.order_by("pk")] == ["prepared", "open", "paid", "open"]


def test_a_dispute_that_is_won_pays_it_again(invoice, merchant_ref):
    deliver(6, "invoice.paid", "charge.dispute")
    answer("winning_evidence")
    found = deliver(9, "charge.dispute", "charge.dispute")
    assert (found.status, found.paid_minor, found.paid_at, found.dispute_ref) == ("paid", 119, day(11, 9), "")
    assert balances(merchant_ref) == (0, 0)
    assert Journal.objects.filter(kind="invoice_dispute_won").count() == 1
    assert Notice.objects.filter(key__endswith=":is paid").count() == 1


def test_a_dispute_that_is_lost_leaves_it_owed_and_fees_stop_as_for_any_other(invoice, merchant_ref):
    deliver(6, "charge.dispute")
    answer("losing_evidence")
    found = deliver(7, "charge.dispute", "charge.dispute", "invoice.paid")
    assert (found.status, balances(merchant_ref)) == ("open", (TOTAL, 0))
    assert found.changes.filter(reason__startswith="the bank kept the payment").count() == 1
    assert not standing.is_suspended(merchant_ref)
    at = found.due_at
    assert at is not None
    for days in (3, 10, 17, 24):
        with time_machine.travel(at + timedelta(days=days, seconds=1), tick=False):
            assert dunning.remind_overdue() == 1
    assert standing.is_suspended(merchant_ref)


def test_who_was_suspended_before_it_paid_is_again(invoice, merchant_ref):
    DunningStep.objects.create(invoice=invoice, step="suspended", at=day(11, 5))
    deliver(6, "invoice.paid")
    assert not standing.is_suspended(merchant_ref)
    deliver(6, "charge.dispute")
    assert standing.is_suspended(merchant_ref)


def test_it_can_be_written_off_though_the_processor_calls_it_paid(invoice, merchant_ref):
    deliver(6, "charge.dispute")
    answer("losing_evidence")
    found = deliver(7, "charge.dispute")
    dunning.write_off(invoice=found, by="olivia", reason="charged back")
    assert balances(merchant_ref) == (0, 0)
    assert deliver(8, "charge.dispute", "invoice.paid").status == "uncollectible"
    assert balances(merchant_ref) == (0, 0)


def test_won_after_it_was_written_off_it_is_earned_after_all(invoice, merchant_ref):
    found = deliver(6, "charge.dispute")
    dunning.write_off(invoice=found, by="olivia", reason="charged back")
    answer("winning_evidence")
    assert deliver(9, "charge.dispute").status == "paid"
    assert balances(merchant_ref) == (0, 0)
    assert -ledger.balance(developer_pending(STUDIO, "USD")).micros == 700_000


@pytest.mark.parametrize("credited", [False, True])
def test_it_is_written_off_again_when_it_was_paid_in_between(blank_standin, owed, merchant_ref, credited):
    def share() -> int:
        return -ledger.balance(developer_pending(STUDIO, "USD")).micros

    dunning.write_off(invoice=owed, by="olivia", reason="bankrupt")
    pay(blank_standin, owed)
    assert deliver(6, "invoice.paid").status == "paid"
    found = deliver(6, "charge.dispute")
    assert (balances(merchant_ref), share()) == ((TOTAL, 0), 700_000)
    if credited:
        credit_one(merchant_ref)
    for _ in range(2):
        found = dunning.write_off(invoice=found, by="olivia", reason="charged back")
        assert (found.status, balances(merchant_ref), share()) == ("uncollectible", (0, 0), 0)
    assert Journal.objects.filter(kind="invoice_written_off").count() == 2
    answer("winning_evidence")
    for _ in range(2):
        assert deliver(9, "charge.dispute").status == "paid"
        assert share() == (525_000 if credited else 700_000)
    assert balances(merchant_ref) == (-300_000 if credited else 0, 0), (
        "what was paid and credited is owed to it"
    )
    assert Journal.objects.filter(kind="invoice_written_off_reversal").count() == 2


def credit_one(merchant_ref: str) -> None:
    event = UsageEvent.objects.filter(merchant_ref=merchant_ref).first()
    assert event is not None
    dispute = disputes.open_dispute(event_id=event.pk, owner_ref=merchant_ref, reason="x", by="mia")
    disputes.decide_dispute(dispute_id=dispute.pk, uphold=True, by="olivia", note="a bot")
    assert disputes.issue_credit_notes() == 1


def test_shares_wait_again_while_it_is_disputed(invoice):
    deliver(6, "invoice.paid")
    with time_machine.travel(day(11, 25), tick=False):
        assert earnings.immature(STUDIO, "USD").micros == 0
    deliver(6, "charge.dispute")
    with time_machine.travel(day(11, 25), tick=False):
        assert earnings.immature(STUDIO, "USD").micros == 700_000


def test_the_processor_and_the_books_agree_on_all_of_it(invoice):
    deliver(5, "charge.dispute", "invoice.paid")
    answer("winning_evidence")
    deliver(5, "charge.dispute")
    with time_machine.travel(day(11, 8), tick=False):
        runs.reconcile_due()
    assert not Incident.objects.exists()
    row = Reconciliation.objects.get(day=date(2026, 11, 5))
    assert row.counts["processor"] == {"compared": 2, "in_flight": 0, "different": 0}


def test_a_payment_of_nobodys_invoice_is_left(invoice, standin):
    payment = create_payment(reference="other:1", amount=usd("9"))
    confirm_payment(payment_id=payment.id, payment_method="pm_card_createDispute")
    assert find_invoice_paid_by(payment_id=payment.id) is None
    row = WebhookEvent.objects.create(
        external_id="evt_x",
        type="charge.dispute.created",
        payload={
            "created": 1_790_000_000,
            "data": {"object": {"id": client().v1.disputes.list({"payment_intent": payment.id}).data[0].id}},
        },
    )
    settlement.settle_event(event_id=row.pk)
    assert not Journal.objects.filter(kind__startswith="dispute").exists()


def test_another_stores_invoice_is_left(invoice):
    told = invoicing.retrieve_invoice(invoice_id=invoice.processor_ref)
    assert invoices.find_invoice(told) == invoice
    stranger = invoice_chargebacks.PaidInvoice(replace(told, reference=f"invoice:{uuid.uuid4()}"), None)
    dispute = client().v1.disputes.list().data[0].id
    invoice_chargebacks.settle_dispute(dispute=retrieve_dispute(dispute_id=dispute), paid=stranger)
    assert not Journal.objects.filter(kind__startswith="invoice_disputed").exists()
