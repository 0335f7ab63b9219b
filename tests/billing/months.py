"""A month of conversations, closed, invoiced and paid: what tests of money begin with."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import time_machine

from billing import budgets, invoices, metering, posting, statements
from billing.models import BillingParty, Invoice, PriceVersion, UsageEvent
from billing.processor import invoicing
from tests.billing.conftest import STUDIO, usd
from tests.billing.seen import until_all_is_seen


def day(month: int, number: int) -> datetime:
    """Noon in 2026."""
    return datetime(2026, month, number, 12, tzinfo=UTC)


def conversations(
    prices: PriceVersion,
    merchant_ref: str,
    *,
    at: datetime,
    categories: list[str],
    developer_ref: str = STUDIO,
) -> list[UsageEvent]:
    """Posted PPCv fees, one a category given."""
    keys = []
    with time_machine.travel(at, tick=False):
        budgets.set_budget(merchant_ref=merchant_ref, cap=usd("100000"), at_cap="organic", by="test")
        for category in categories:
            conversation = str(uuid.uuid4())
            metering.meter_ppcv(
                conversation_ref=conversation,
                merchant_ref=merchant_ref,
                developer_ref=developer_ref,
                category=category,
                price_version_id=prices.pk,
                occurred_at=at,
            )
            keys.append(metering.ppcv_key(conversation, merchant_ref))
        posting.post_due_events()
    return [UsageEvent.objects.get(idempotency_key=key) for key in keys]


def close(month: int, number: int = 4) -> None:
    """Close what is due on a day."""
    with time_machine.travel(day(month, number), tick=False):
        until_all_is_seen()
        statements.close_due_months()


def bill_to(owner_ref: str, country: str = "DE") -> BillingParty:
    """An address that invoices go to."""
    return BillingParty.objects.create(
        owner_ref=owner_ref, name="Audio Haus", email="mia@example.com", country=country, city="Berlin"
    )


def issued(owner_ref: str) -> Invoice:
    """The owner's newest invoice, issued."""
    invoices.issue_prepared()
    return Invoice.objects.filter(owner_ref=owner_ref).latest("pk")


def october(standin, prices: PriceVersion, owner_ref: str) -> Invoice:
    """The owner's invoice of four conversations in October, issued on 5 November: $1.00 and 19 cents tax."""
    standin.move_to(day(11, 5))
    conversations(prices, owner_ref, at=day(10, 20), categories=["electronics"] * 4)
    bill_to(owner_ref)
    close(11)
    with time_machine.travel(day(11, 5), tick=False):
        return issued(owner_ref)


def paid(standin, invoice: Invoice) -> Invoice:
    """The invoice after its merchant has paid it."""
    standin.get(f"/invoices/{invoice.processor_ref}/pay")
    told = invoicing.retrieve_invoice(invoice_id=invoice.processor_ref)
    invoices.settle_invoice(at_processor=told, fee=invoicing.fee_of_invoice(invoice_id=invoice.processor_ref))
    invoice.refresh_from_db()
    return invoice
