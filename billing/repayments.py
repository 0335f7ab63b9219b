"""Invoices that are owed again are paid again: their own page at the processor is closed, since it calls them paid.

Each call to the processor is outside of a transaction, under a key of the repayment's row, which is stored before. The
signed event or the merchant's way back books the payment, whichever comes first, once. What is paid on a page that was
given up, or beside a bank's change of mind, is booked too: what is too much is credited (billing.overpaid).
"""

from __future__ import annotations

import uuid
from typing import Final

from django.db import transaction

from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict
from agentstore.kit.ids import id_in
from billing import invoice_chargebacks, webhooks
from billing.accounts import merchant_receivable, processor_clearing
from billing.invoices import note_settled
from billing.journals import processor_fee_journal
from billing.ledger import credit, debit, post, post_many
from billing.models import BillingParty, Invoice, Repayment, RepaymentChange
from billing.processor import checkout
from billing.processor.disputes import ProcessorDispute
from billing.processor.payments import Payment, require_paid, retrieve_payment, smallest_payment
from billing.write_offs import amount_to_give_up, undo_write_offs

REFERENCE: Final = "repayment:"
KIND: Final = "invoice_repaid"

_Status = Repayment.Status


class NotOwedAgain(Conflict):
    """The invoice is not one that a bank made owed again, or so little is that the processor does not take it."""

    code = "invoice_not_owed_again"


def open_page(*, invoice_id: uuid.UUID, paid_url: str, back_url: str, by: str) -> str:
    """The address of the page on which what is owed again is paid; empty where somebody just has, or a bank is at it.

    The same page while it is open and the amount is right; another one then. Outside of a transaction. Raises
    NotOwedAgain, ProcessorUnavailable, ProcessorRefused.
    """
    url = _page_of_started(invoice_id)
    if url is not None:
        return url
    repayment = _start(invoice_id, by=by)
    page = checkout.open_page(
        reference=f"{REFERENCE}{repayment.pk}",
        customer_id=BillingParty.objects.get(owner_ref=repayment.invoice.owner_ref).processor_ref,
        amount=repayment.amount,
        name=f"Invoice {repayment.invoice.number}",
        paid_url=paid_url,
        back_url=back_url,
    )
    Repayment.objects.filter(pk=repayment.pk).update(page_ref=page.id)
    return page.url


def settle_started(*, invoice_id: uuid.UUID) -> Invoice:
    """Book what was paid on an invoice's page, for who can't wait for the event. As `open_page`."""
    started = _started(invoice_id)
    if started is not None and started.page_ref:
        _settle_page(started, checkout.retrieve_page(page_id=started.page_ref))
    return Invoice.objects.get(pk=invoice_id)


def _settle_page(started: Repayment, page: checkout.PaymentPage) -> bool:
    """Book what was paid on a page; whether it was, or a bank that takes days is still at it."""
    if not page.complete:
        return False
    payment = retrieve_payment(payment_id=page.payment_id)
    if payment.paid:
        settle_repayment(repayment_id=started.pk, payment=payment)
    return payment.paid or payment.status == "processing"


def _started(invoice_id: uuid.UUID) -> Repayment | None:
    return (
        Repayment.objects.filter(invoice=invoice_id, status=_Status.STARTED).select_related("invoice").first()
    )


def _page_of_started(invoice_id: uuid.UUID) -> str | None:
    """The page that is open already; empty where that was used, None where a new one is needed."""
    started = _started(invoice_id)
    if started is None:
        return None
    right = started.amount == amount_to_give_up(started.invoice)
    if not started.page_ref:
        if not right:
            give_up_repayment(repayment_id=started.pk, by="repayments", reason="another amount is owed")
        return None
    page = checkout.retrieve_page(page_id=started.page_ref)
    if page.open and right:
        return page.url
    if page.open:
        page = checkout.close_page(page_id=page.id)
    if _settle_page(started, page):
        return ""
    give_up_repayment(repayment_id=started.pk, by="repayments", reason=f"the page is {page.status}")
    return None


@transaction.atomic
def _start(invoice_id: uuid.UUID, *, by: str) -> Repayment:
    invoice = Invoice.objects.select_for_update().get(pk=invoice_id)
    found = _started(invoice_id)
    if found is not None:
        return found
    if invoice.status != Invoice.Status.OPEN or not invoice.dispute_ref:
        raise NotOwedAgain(f"Nothing of {invoice} is owed again.", hint="Look at your list of invoices.")
    amount, least = amount_to_give_up(invoice), smallest_payment(invoice.currency)
    if amount < least or amount.minor <= 0:
        raise NotOwedAgain(f"{amount} is less than can be paid.", hint=f"Payments are from {least} on.")
    repayment = Repayment.objects.create(invoice=invoice, amount_minor=amount.minor)
    _record(repayment, by=by, reason="")
    return repayment


@transaction.atomic
def settle_repayment(*, repayment_id: uuid.UUID, payment: Payment) -> Repayment:
    """Book a repayment and what the processor kept of it, once; the invoice is paid when nothing remains.

    Raises Conflict when the processor took another amount, or took it for something else.
    """
    invoice_id = Repayment.objects.values_list("invoice", flat=True).get(pk=repayment_id)
    invoice = Invoice.objects.select_for_update().get(pk=invoice_id)
    repayment = Repayment.objects.select_for_update().select_related("invoice").get(pk=repayment_id)
    require_paid(payment, reference=f"{REFERENCE}{repayment_id}", amount=repayment.amount)
    at = now()
    if payment.fee is not None and payment.fee.micros:
        post_many([processor_fee_journal(payment_ref=payment.id, fee=payment.fee, occurred_at=at)])
    if repayment.status == _Status.PAID:
        return repayment
    undo_write_offs(invoice)
    post(
        kind=KIND,
        idempotency_key=f"{KIND}:{repayment.pk}",
        occurred_at=at,
        entries=[
            debit(processor_clearing(invoice.currency), repayment.amount.micros),
            credit(merchant_receivable(invoice.owner_ref, invoice.currency), repayment.amount.micros),
        ],
        memo=invoice.number,
    )
    repayment.status, repayment.payment_ref = _Status.PAID, payment.id
    repayment.save(update_fields=["status", "payment_ref"])
    _record(repayment, by="processor", reason=payment.id)
    invoice.paid_minor += repayment.amount_minor
    note_settled(invoice, at=at, by="processor", reason=f"paid again ({payment.id})")
    return repayment


def settle_repayment_event(*, event_id: int) -> None:
    """What a processor's event about a repayment brings about, once. Asks the processor for the payment of now."""
    payment = webhooks.paid_now(event_id)
    with webhooks.handle(event_id) as event:
        repayment_id = None if event is None else named(event.reference)
        if event is None or repayment_id is None:
            return
        if payment is not None:
            settle_repayment(repayment_id=repayment_id, payment=payment)
        elif event.type == "checkout.session.expired":
            give_up_repayment(repayment_id=repayment_id, by="processor", reason="its page expired")


@transaction.atomic
def settle_dispute(*, dispute: ProcessorDispute, payment: Payment) -> None:
    """Book what a bank did with a repayment: its invoice is owed once more. Raises as `settle_repayment`."""
    repayment_id = named(payment.reference)
    if repayment_id is not None:
        repayment = settle_repayment(repayment_id=repayment_id, payment=payment)
        invoice_chargebacks.book_dispute(invoice_id=repayment.invoice_id, dispute=dispute)


def named(reference: str) -> uuid.UUID | None:
    """The repayment that a reference at the processor names; None for another store's and for other things."""
    repayment_id = id_in(reference, REFERENCE)
    ours = repayment_id is not None and Repayment.objects.filter(pk=repayment_id).exists()
    return repayment_id if ours else None


@transaction.atomic
def give_up_repayment(*, repayment_id: uuid.UUID, by: str, reason: str) -> Repayment:
    """End a repayment that is not paid. One that is paid stays paid."""
    repayment = Repayment.objects.select_for_update().get(pk=repayment_id)
    if repayment.status == _Status.STARTED:
        repayment.status = _Status.FAILED
        repayment.save(update_fields=["status"])
        _record(repayment, by=by, reason=reason)
    return repayment


def _record(repayment: Repayment, *, by: str, reason: str) -> None:
    RepaymentChange.objects.create(repayment=repayment, status=repayment.status, by=by, reason=reason[:200])
