"""Invoices: made once at the processor whatever is killed, paid once, their tax and money on the books."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
import time_machine
from celery import current_app
from django.conf import settings

from agentstore.kit.money import Money
from billing import budgets, invoices, ledger, metering, posting, statements
from billing.accounts import AccountKey, merchant_receivable, processor_clearing, processor_fees
from billing.models import BillingParty, Invoice, Journal, Notice, WebhookEvent
from billing.processor import customers, invoicing
from billing.processor.client import client, reference_of
from billing.processor.errors import ProcessorUnavailable
from tests.billing.conftest import STUDIO, usd
from tests.billing.inbox import deliver_events, handle_row
from tests.billing.killed_calls import kill_after_each_call
from tests.billing.seen import until_all_is_seen
from tests.billing.standin import SECRET

pytestmark = pytest.mark.django_db(transaction=True)

TAX = AccountKey("platform", "sales_tax", "USD")


@pytest.fixture(autouse=True)
def inbox(settings, monkeypatch):
    settings.PPCV_QUARANTINE_SECONDS = 0
    settings.STRIPE_WEBHOOK_SECRET = SECRET
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **options: None)


@pytest.fixture
def merchant_ref() -> str:
    return f"org:{uuid.uuid4()}"


@pytest.fixture
def party(merchant_ref) -> BillingParty:
    return BillingParty.objects.create(
        owner_ref=merchant_ref, name="Audio Haus", email="mia@example.com", country="DE", city="Berlin"
    )


@pytest.fixture
def invoice(prices, merchant_ref) -> Invoice:
    """October's conversations, in two categories: $1.00 and $0.45."""
    happened = datetime(2026, 10, 20, 12, tzinfo=UTC)
    with time_machine.travel(happened, tick=False):
        budgets.set_budget(merchant_ref=merchant_ref, cap=usd("100"), at_cap="organic", by="test")
        for category in ["electronics"] * 4 + ["toys"] * 3:
            metering.meter_ppcv(
                conversation_ref=str(uuid.uuid4()), merchant_ref=merchant_ref, developer_ref=STUDIO,
                category=category, price_version_id=prices.pk, occurred_at=happened,
            )  # fmt: skip
        posting.post_due_events()
    with time_machine.travel(datetime(2026, 11, 4, tzinfo=UTC)):
        until_all_is_seen()
        statements.close_due_months()
    return Invoice.objects.get(owner_ref=merchant_ref)


def pay(standin, invoice: Invoice, **how: str) -> None:
    standin.get(f"/invoices/{invoice.processor_ref}/pay", **how)
    deliver_events(only="invoice.")


def test_an_invoice_is_issued_with_its_tax(standin, invoice, party):
    assert invoices.issue_prepared() == 1
    invoice.refresh_from_db()
    assert (invoice.status, invoice.net_minor, invoice.tax_minor) == ("open", 145, 28)
    assert [(tax.amount_minor, tax.reason) for tax in invoice.taxes.all()] == [(28, "standard_rated")]
    assert invoice.number
    assert invoice.due_at is not None
    assert ledger.balance(merchant_receivable(invoice.owner_ref, "USD")) == usd("1.73")
    assert ledger.balance(TAX) == usd("-0.28")
    assert invoices.issue_prepared() == 0
    assert invoices.issue_invoice(invoice_id=invoice.pk).number == invoice.number


def test_an_invoice_waits_for_an_address(standin, invoice):
    assert invoices.issue_prepared() == 0
    invoice.refresh_from_db()
    assert (invoice.status, invoice.last_error.split(":")[0]) == ("prepared", "no_billing_address")
    invoices.issue_prepared()
    told = Notice.objects.filter(owner_ref=invoice.owner_ref, key__startswith="billing_address:")
    assert told.count() == 1


def test_a_line_of_somebody_elses_keeps_the_draft_from_being_final(standin, invoice, party):
    customer = customers.create_customer(reference=invoice.owner_ref)
    customers.update_customer(
        customer_id=customer,
        bill_to=customers.BillTo(name="Audio Haus", email="mia@example.com", country="DE", city="Berlin"),
    )
    draft = invoicing.create_invoice(
        reference=f"invoice:{invoice.pk}",
        customer_id=customer,
        currency="USD",
        days_until_due=settings.INVOICE_DUE_DAYS,
        description="Conversations, 2026-10",
        taxed=True,
    )
    client().v1.invoice_items.create(
        {"customer": customer, "invoice": draft.id, "amount": 900, "currency": "usd"}
    )
    assert invoices.issue_prepared() == 0
    invoice.refresh_from_db()
    assert (invoice.status, invoice.last_error.split(":")[0]) == ("prepared", "invoice_total_mismatch")
    assert invoicing.retrieve_invoice(invoice_id=draft.id).status == "draft"


def test_a_processor_that_is_away_delays_it(standin, invoice, party, settings):
    there, settings.STRIPE_API_BASE = settings.STRIPE_API_BASE, "http://127.0.0.1:9"
    with pytest.raises(ProcessorUnavailable):
        invoices.issue_invoice(invoice_id=invoice.pk)
    assert invoices.issue_prepared() == 0
    settings.STRIPE_API_BASE = there
    assert invoices.issue_prepared() == 1


def test_killed_after_each_of_its_calls_it_makes_one_invoice(standin, invoice, party):
    killed = kill_after_each_call("from billing import invoices", "invoices.issue_prepared()")
    assert [path.split("/")[2] for path in killed] == [
        "customers", "customers", "invoices", "invoiceitems", "invoiceitems", "invoices", "invoices",
    ], "customer, its address, draft, two lines, final, sent"  # fmt: skip
    party.refresh_from_db()
    made = list(client().v1.invoices.list({"customer": party.processor_ref}).data)
    assert [(it.status, it.total) for it in made] == [("open", 173)]
    lines = client().v1.invoices.line_items.list(made[0].id).data
    assert sorted(line.amount for line in lines) == [45, 100]
    assert len({reference_of(line) for line in lines}) == 2
    invoice.refresh_from_db()
    assert (invoice.status, invoice.processor_ref) == ("open", made[0].id)
    assert Journal.objects.filter(kind="invoice_tax").count() == invoice.taxes.count() == 1
    customers = client().v1.customers.list({"limit": 100}).data
    assert [reference_of(it) for it in customers].count(invoice.owner_ref) == 1


def test_a_paid_invoice_is_booked_once_with_the_processors_fee(standin, invoice, party):
    invoices.issue_prepared()
    invoice.refresh_from_db()
    pay(standin, invoice)
    deliver_events(only="invoice.")
    for row in WebhookEvent.objects.filter(type="invoice.paid"):
        handle_row(row)
    invoice.refresh_from_db()
    assert (invoice.status, invoice.paid_minor) == ("paid", 173)
    assert ledger.balance(merchant_receivable(invoice.owner_ref, "USD")).micros == 0
    fee = Money.from_minor(35, "USD")  # 2.9 % of 1.73 and 30 cents
    assert ledger.balance(processor_fees("USD")) == fee
    assert ledger.balance(processor_clearing("USD")) == usd("1.73") - fee
    assert Journal.objects.filter(kind="invoice_paid").count() == 1


def test_a_declined_card_leaves_it_open(standin, invoice, party):
    invoices.issue_prepared()
    invoice.refresh_from_db()
    pay(standin, invoice, payment_method="pm_card_chargeDeclined")
    invoice.refresh_from_db()
    assert invoice.status == "open"


def test_an_event_that_comes_before_we_know_the_invoice_is_not_lost(standin, invoice, party):
    """Killed after finalizing; the merchant pays from the mail before the next run."""
    invoices.issue_prepared()
    Invoice.objects.filter(pk=invoice.pk).update(status="prepared", processor_ref="", number="")
    Invoice.objects.get(pk=invoice.pk).taxes.all().delete()
    made = BillingParty.objects.get(owner_ref=invoice.owner_ref)
    there = client().v1.invoices.list({"customer": made.processor_ref}).data[0]
    standin.get(f"/invoices/{there.id}/pay")
    deliver_events(only="invoice.")
    invoice.refresh_from_db()
    assert (invoice.status, invoice.processor_ref, invoice.paid_minor) == ("paid", there.id, 173)
    assert ledger.balance(merchant_receivable(invoice.owner_ref, "USD")).micros == 0


def test_others_invoices_are_left_alone(standin, invoice, party):
    customer = client().v1.customers.create({})
    stranger = client().v1.invoices.create(
        {"customer": customer.id, "collection_method": "send_invoice", "days_until_due": 1}
    )
    client().v1.invoices.finalize_invoice(stranger.id)
    deliver_events(only="invoice.")
    assert not Journal.objects.filter(kind="invoice_paid").exists()
    assert not WebhookEvent.objects.filter(handled_at=None).exists()
