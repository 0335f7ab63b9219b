"""Invoices of which a part is paid, credited or disputed: the rest is owed, and ends like any other."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse

from billing import disputes, dunning, earnings, invoice_chargebacks, invoices, ledger, overpaid
from billing.accounts import developer_pending, merchant_receivable, platform_revenue, sales_tax
from billing.chargebacks import dispute_loss
from billing.dashboard.open_items import read_receivables
from billing.models import Invoice, Journal, Notice, UsageEvent
from billing.processor.client import client
from billing.processor.disputes import answer_dispute, retrieve_dispute
from billing.processor.payments import confirm_payment, create_payment
from tests.billing.conftest import STUDIO, usd
from tests.billing.inbox import deliver_events
from tests.billing.killed_calls import kill_after_each_call
from tests.billing.months import close, conversations, day, issued, october, paid

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def merchant_ref(books_alone) -> str:
    return f"org:{uuid.uuid4()}"


@pytest.fixture
def invoice(blank_standin, prices, merchant_ref) -> Invoice:
    return october(blank_standin, prices, merchant_ref)


def take_back(standin, invoice: Invoice, amount: str = "") -> Invoice:
    """The merchant pays by a card whose bank takes all of it back, or a part."""
    standin.get(f"/invoices/{invoice.processor_ref}/pay", payment_method="pm_card_createDispute")
    told = retrieve_dispute(dispute_id=client().v1.disputes.list().data[0].id)
    return book(replace(told, amount=usd(amount)) if amount else told)


def book(told) -> Invoice:
    by = invoice_chargebacks.invoice_paid_by(payment_id=told.payment_id)
    assert by is not None
    with time_machine.travel(day(11, 6), tick=False):
        invoice_chargebacks.settle_dispute(dispute=told, paid=by)
    return Invoice.objects.get()


def win(amount: str) -> Invoice:
    dispute_id = client().v1.disputes.list().data[0].id
    answer_dispute(dispute_id=dispute_id, text="winning_evidence")
    return book(replace(retrieve_dispute(dispute_id=dispute_id), amount=usd(amount)))


def uphold(merchant_ref: str) -> None:
    event = UsageEvent.objects.filter(merchant_ref=merchant_ref, status="posted").first()
    assert event is not None
    dispute = disputes.open_dispute(event_id=event.pk, owner_ref=merchant_ref, reason="x", by="mia")
    disputes.decide_dispute(dispute_id=dispute.pk, uphold=True, by="olivia", note="a bot")
    assert disputes.issue_credit_notes() == 1


def books(merchant_ref: str) -> tuple[int, int, int, int, int]:
    """Receivable, revenue, developer, tax, loss, in micro-units as they usually stand."""
    assert sum(line.balance.micros for line in ledger.trial_balance()) == 0
    return (
        ledger.balance(merchant_receivable(merchant_ref, "USD")).micros,
        -ledger.balance(platform_revenue("USD")).micros,
        -ledger.balance(developer_pending(STUDIO, "USD")).micros,
        -ledger.balance(sales_tax("USD")).micros,
        ledger.balance(dispute_loss("USD")).micros,
    )


def by_age() -> tuple[str, str]:
    """What open invoices come to, and what merchants owe besides."""
    lines = {line.kind: line for line in ledger.trial_balance()}
    found = read_receivables(currency="USD", books=lines)
    return str(sum((it.amount for it in found.ages), usd("0"))), str(found.not_invoiced)


def credit_at_processor(merchant_ref: str) -> int:
    customer = client().v1.customers.list().data[0]
    assert customer.metadata is not None
    assert customer.metadata["reference"] == merchant_ref
    return -(customer.balance or 0)


def test_the_rest_of_a_payment_that_a_bank_took_back_in_part_is_written_off(
    blank_standin, invoice, merchant_ref
):
    found = take_back(blank_standin, invoice, "0.50")
    assert (found.status, found.remaining, by_age()) == ("open", usd("0.50"), ("$0.50", "$0.00"))
    for _ in range(2):
        found = dunning.write_off(invoice=found, by="olivia", reason="charged back")
    assert (found.status, found.written_off_minor, by_age()) == ("uncollectible", 50, ("$0.00", "$0.00"))
    # 69 of 119 parts are earned.
    assert books(merchant_ref) == (0, 173_950, 405_882, 110_168, 0)
    assert earnings.immature(STUDIO, "USD").micros == 0
    event = UsageEvent.objects.first()
    assert event is not None
    assert "paid a part" in earnings.standings([event])[event.pk].why


def test_given_back_after_all_what_was_written_off_is_earned(blank_standin, invoice, merchant_ref):
    found = take_back(blank_standin, invoice, "0.50")
    dunning.write_off(invoice=found, by="olivia", reason="charged back")
    found = win("0.50")
    assert (found.status, found.remaining, found.written_off_minor) == ("paid", usd("0"), 0)
    assert books(merchant_ref) == (0, 300_000, 700_000, 190_000, 0)


def test_what_was_written_off_in_two_parts_is_taken_back_to_the_micro_unit(
    blank_standin, invoice, merchant_ref
):
    found = take_back(blank_standin, invoice, "0.50")
    dunning.write_off(invoice=found, by="olivia", reason="charged back")
    told = retrieve_dispute(dispute_id=client().v1.disputes.list().data[0].id)
    found = book(replace(told, id="du_second", amount=usd("0.69")))
    assert (found.status, found.remaining) == ("open", usd("0.69"))
    dunning.write_off(invoice=found, by="olivia", reason="charged back too")
    assert books(merchant_ref) == (0, 0, 0, 0, 0)
    assert Journal.objects.filter(kind="invoice_written_off").count() == 2


def test_a_credit_comes_off_what_is_owed_again_and_not_off_the_next_invoice(
    blank_standin, invoice, merchant_ref
):
    take_back(blank_standin, invoice)
    uphold(merchant_ref)
    found = Invoice.objects.get()
    assert (found.status, found.remaining, by_age()) == ("open", usd("0.89"), ("$0.89", "$0.00"))
    assert credit_at_processor(merchant_ref) == 0
    for _ in range(3):
        uphold(merchant_ref)
    found = Invoice.objects.get()
    assert (found.status, found.remaining, found.dispute_ref) == ("paid", usd("0"), "")
    assert books(merchant_ref) == (0, 0, 0, 0, 0)
    assert earnings.immature(STUDIO, "USD").micros == 0


def test_what_is_settled_twice_is_the_merchants_credit_once(blank_standin, invoice, merchant_ref):
    take_back(blank_standin, invoice)
    uphold(merchant_ref)
    found = win("1.19")
    assert (found.status, found.remaining) == ("paid", usd("-0.30"))
    killed = kill_after_each_call("from billing import overpaid", "overpaid.return_overpaid()")
    assert len(killed) == 1
    assert killed[0].endswith("/balance_transactions")
    assert overpaid.return_overpaid() == 0
    assert (Invoice.objects.get().remaining, credit_at_processor(merchant_ref)) == (usd("0"), 30)
    assert books(merchant_ref)[0] == -300_000
    assert Notice.objects.filter(key__startswith="overpaid:", owner_ref=merchant_ref).count() == 1


def test_a_credit_of_what_was_paid_is_kept_when_the_bank_takes_the_payment_back(
    blank_standin, prices, invoice, merchant_ref
):
    paid(blank_standin, invoice)
    uphold(merchant_ref)
    assert Invoice.objects.get().remaining == usd("0"), "the credit is for the next invoice"
    charge = client().v1.charges.list().data[0]
    told = replace(some_dispute(blank_standin), id="du_x", payment_id=str(charge.payment_intent))
    found = book(replace(told, amount=usd("1.19")))
    assert (found.remaining, by_age()) == (usd("1.19"), ("$1.19", "−$0.30"))
    dunning.write_off(invoice=found, by="olivia", reason="charged back")
    assert books(merchant_ref) == (-300_000, 0, 0, 0, 300_000), "the store gave credit for what nobody paid"
    conversations(prices, merchant_ref, at=day(11, 20), categories=["electronics"] * 4)
    close(12)
    following = issued(merchant_ref)
    assert (following.credit_used_minor, following.remaining) == (30, usd("0.89"))
    assert by_age() == ("$0.89", "$0.00")
    dunning.write_off(invoice=following, by="olivia", reason="bankrupt")
    assert books(merchant_ref)[0] == 0


def some_dispute(standin):
    payment = create_payment(reference="other:1", amount=usd("9"))
    confirm_payment(payment_id=payment.id, payment_method="pm_card_createDispute")
    return retrieve_dispute(dispute_id=client().v1.disputes.list().data[0].id)


def test_reminders_ask_for_what_is_owed(invoice, merchant_ref):
    uphold(merchant_ref)
    assert invoice.due_at is not None
    with time_machine.travel(invoice.due_at + timedelta(days=4), tick=False):
        assert dunning.remind_overdue() == 1
    assert "$0.89" in Notice.objects.get(key__startswith="dunning:").text


def test_nothing_is_written_off_where_nothing_is_owed(invoice, merchant_ref):
    for _ in range(4):
        uphold(merchant_ref)
    with pytest.raises(dunning.NothingOwed):
        dunning.write_off(invoice=Invoice.objects.get(), by="olivia", reason="bankrupt")


def test_pages_say_what_is_owed_and_offer_what_works(
    client, blank_standin, prices, merchant, mia, charlie, olivia, books_alone
):
    invoice = take_back(blank_standin, october(blank_standin, prices, merchant.ref), "0.50")
    event = UsageEvent.objects.latest("pk")
    disputes.open_dispute(event_id=event.pk, owner_ref=merchant.ref, reason="x", by="mia")
    page = reverse("billing:merchant_statements", args=[merchant.slug])
    client.force_login(charlie)
    assert client.get(page).status_code == 404
    client.force_login(mia)
    shown = " ".join(client.get(page).content.decode().split())
    for text in ("$0.69 paid", "$0.25 disputed", "a bank took a payment back", '<td class="num">$0.50</td>'):
        assert text in shown, text
    client.force_login(olivia)
    off = reverse("billing:write_off", args=[invoice.pk])
    listed = reverse("billing:invoices")
    assert off in client.get(listed).content.decode()
    assert client.post(off, {"reason": "charged back"}).status_code == 302
    after = client.get(listed).content.decode()
    assert off not in after
    assert "$0.50 written off" in after


def test_the_processors_word_that_it_is_paid_is_heard_once(blank_standin, invoice, merchant_ref):
    take_back(blank_standin, invoice, "0.50")
    for _ in range(2):
        deliver_events(only="invoice.paid")
    assert Invoice.objects.get().remaining == usd("0.50")
    assert Invoice.objects.get().status == invoices.Status.OPEN
