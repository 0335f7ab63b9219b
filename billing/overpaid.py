"""Invoices that were paid or credited twice: what is too much becomes the merchant's credit, off its next invoices.

So ends an invoice that was paid again after a bank took its payment back, when the bank gives that back after all.
"""

from __future__ import annotations

import uuid

import structlog
from django.db import transaction

from agentstore.kit.errors import StoreError
from billing.models import BillingParty, Invoice
from billing.models.invoices import REMAINING_MINOR
from billing.names import merchant_page
from billing.notices import tell
from billing.processor import customers

logger = structlog.get_logger(__name__)


def return_overpaid() -> int:
    """Put what is too much on paid invoices to their merchants' credit; how many. What fails is tried again.

    Must own its transactions: it speaks to the processor.
    """
    done = 0
    paid = Invoice.objects.filter(status=Invoice.Status.PAID).alias(left=REMAINING_MINOR).filter(left__lt=0)
    for invoice_id in paid.order_by("pk").values_list("pk", flat=True):
        try:
            return_what_is_over(invoice_id=invoice_id)
            done += 1
        except StoreError as refused:
            logger.warning("overpaid invoice not credited", invoice=str(invoice_id), why=refused.code)
    return done


def return_what_is_over(*, invoice_id: uuid.UUID) -> Invoice:
    """One invoice's turn: at the processor, then on its row. Twice is once; outside of a transaction.

    Nothing is booked: the receivable says already that the merchant has it to its credit. Raises
    ProcessorUnavailable, ProcessorRefused.
    """
    invoice = Invoice.objects.get(pk=invoice_id)
    over, before = -invoice.remaining, invoice.returned_minor
    if invoice.status != Invoice.Status.PAID or over.minor <= 0:
        return invoice
    put = customers.add_credit(
        reference=f"overpaid:{invoice.pk}:{before}",
        customer_id=BillingParty.objects.get(owner_ref=invoice.owner_ref).processor_ref,
        amount=over,
        description=f"{invoice.number} was paid twice",
    )
    with transaction.atomic():
        invoice = Invoice.objects.select_for_update().get(pk=invoice_id)
        if invoice.returned_minor == before:
            invoice.returned_minor += put.minor
            invoice.save(update_fields=["returned_minor"])
            tell(
                key=f"overpaid:{invoice.pk}:{before}",
                owner_ref=invoice.owner_ref,
                subject=f"Invoice {invoice.number} was paid twice",
                text=f"{put} is to your credit and comes off your next invoice.",
                path=merchant_page(invoice.owner_ref),
            )
    return invoice
