"""Invoices whose payment a bank took back: owed again meanwhile, paid again when it is won, to be paid when it is lost.

docs/algorithms/statements.md tells what happens to the merchant.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import transaction

from agentstore.kit.clock import now
from agentstore.kit.money import Money
from billing import chargebacks
from billing.accounts import merchant_receivable
from billing.invoices import Status, find_invoice, note_settled, record_change, settle_invoice
from billing.ledger import credit, debit, post
from billing.models import Invoice, Journal
from billing.names import merchant_page
from billing.notices import tell
from billing.processor import invoicing
from billing.processor.disputes import ProcessorDispute
from billing.write_offs import undo_write_offs

TAKEN, GIVEN_BACK = "invoice_disputed", "invoice_dispute_won"


@dataclass(frozen=True, slots=True)
class PaidInvoice:
    """An invoice as the processor has it, and what it kept of its payment."""

    at_processor: invoicing.ProcessorInvoice
    fee: tuple[str, Money] | None


def invoice_paid_by(*, payment_id: str) -> PaidInvoice | None:
    """The invoice that a payment paid; None for other payments. Outside of a transaction.

    Raises ProcessorUnavailable, ProcessorRefused.
    """
    found = invoicing.find_invoice_paid_by(payment_id=payment_id)
    return None if found is None else PaidInvoice(found, invoicing.fee_of_invoice(invoice_id=found.id))


@transaction.atomic
def settle_dispute(*, dispute: ProcessorDispute, paid: PaidInvoice) -> None:
    """Book what a bank did with an invoice's payment; twice is once, and the order of the events does not matter.

    A bank can only take back what was paid: an event that overtook the payment's settles that first.
    """
    settle_invoice(at_processor=paid.at_processor, fee=paid.fee)
    ours = find_invoice(paid.at_processor)
    if ours is not None:
        book_dispute(invoice_id=ours.pk, dispute=dispute)


@transaction.atomic
def book_dispute(*, invoice_id: uuid.UUID, dispute: ProcessorDispute) -> None:
    """The same of an invoice whose payment is booked: of a whole payment, or of a part of it."""
    invoice = Invoice.objects.select_for_update().get(pk=invoice_id)
    won = dispute.status == "won"
    if dispute.withdrawn.micros or won:
        _take_back(invoice, dispute)
    if won:
        _give_back(invoice, dispute)
    elif dispute.lost:
        _note_lost(invoice, dispute)


def _take_back(invoice: Invoice, dispute: ProcessorDispute) -> None:
    chargebacks.post_withdrawal(dispute_ref=dispute.id, amount=dispute.amount, fee=dispute.fee)
    key = f"{TAKEN}:{dispute.id}"
    if Journal.objects.filter(idempotency_key=key).exists():
        return
    currency = dispute.amount.currency
    post(
        kind=TAKEN,
        idempotency_key=key,
        occurred_at=now(),
        entries=[
            debit(merchant_receivable(invoice.owner_ref, currency), dispute.amount.micros),
            credit(chargebacks.dispute_loss(currency), dispute.amount.micros),
        ],
        memo=invoice.number,
    )
    invoice.status, invoice.dispute_ref, invoice.paid_at = Status.OPEN, dispute.id, None
    invoice.paid_minor -= dispute.amount.minor
    invoice.due_at = now() + timedelta(days=settings.INVOICE_DUE_DAYS)
    invoice.save(update_fields=["status", "dispute_ref", "paid_at", "paid_minor", "due_at"])
    record_change(invoice, by="processor", reason=f"a bank took the payment back ({dispute.id})")
    text = (
        f"Your bank took {dispute.amount} back that had paid it. Please pay it by {invoice.due_at:%-d %B %Y}:"
        " your list of invoices leads to the page."
    )
    _tell(invoice, dispute, "is owed again", text)


def _give_back(invoice: Invoice, dispute: ProcessorDispute) -> None:
    chargebacks.post_won(dispute_ref=dispute.id, amount=dispute.amount)
    key = f"{GIVEN_BACK}:{dispute.id}"
    if Journal.objects.filter(idempotency_key=key).exists():
        return
    undo_write_offs(invoice)
    currency, at = dispute.amount.currency, now()
    post(
        kind=GIVEN_BACK,
        idempotency_key=key,
        occurred_at=at,
        entries=[
            debit(chargebacks.dispute_loss(currency), dispute.amount.micros),
            credit(merchant_receivable(invoice.owner_ref, currency), dispute.amount.micros),
        ],
        memo=invoice.number,
    )
    invoice.paid_minor += dispute.amount.minor
    reason = f"the bank gave the payment back ({dispute.id})"
    note_settled(invoice, at=at, by="processor", reason=reason)
    if invoice.status == Status.PAID:
        _tell(invoice, dispute, "is paid", "Your bank gave the payment back. Nothing is left to do.")
    else:
        text = f"Your bank gave {dispute.amount} back. {invoice.remaining} of the invoice has to be paid."
        _tell(invoice, dispute, "is partly paid", text)


def _note_lost(invoice: Invoice, dispute: ProcessorDispute) -> None:
    """Nothing moves any more: the invoice is owed since the payment was taken, and reminded of."""
    reason = f"the bank kept the payment ({dispute.id})"
    if not invoice.changes.filter(reason=reason).exists():
        record_change(invoice, by="processor", reason=reason)
        if invoice.status == Status.OPEN:
            text = f"Your bank kept the payment. {invoice.remaining} has to be paid."
            _tell(invoice, dispute, "is still owed", text)


def _tell(invoice: Invoice, dispute: ProcessorDispute, state: str, text: str) -> None:
    tell(
        key=f"invoice_dispute:{dispute.id}:{state}",
        owner_ref=invoice.owner_ref,
        subject=f"Invoice {invoice.number} {state}",
        text=text,
        path=merchant_page(invoice.owner_ref),
    )
