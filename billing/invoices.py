"""Invoices: prepared with the statement, issued at the processor, settled by its events.

Preparing is part of the statement's transaction. Issuing speaks to the processor, step by step, each step once
under a key made of our own ids; whoever is killed in between, the next run finds what was done and goes on.
"""

from __future__ import annotations

import uuid
from datetime import datetime

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F

from agentstore.kit.clock import now
from agentstore.kit.errors import Refused, StoreError
from agentstore.kit.ids import id_in
from agentstore.kit.money import Money
from billing import webhooks
from billing.accounts import merchant_receivable, processor_clearing, sales_tax
from billing.journals import processor_fee_journal
from billing.ledger import credit, debit, post, post_many
from billing.models import (
    BillingParty,
    Invoice,
    InvoiceChange,
    InvoiceTax,
    Statement,
    StatementLine,
    WebhookEvent,
)
from billing.names import merchant_page
from billing.notices import tell
from billing.processor import customers, invoicing
from billing.processor.payments import smallest_payment
from billing.write_offs import undo_write_offs

logger = structlog.get_logger(__name__)

Status = Invoice.Status
REFERENCE = "invoice:"


class NoBillingAddress(Refused):
    """Nobody knows where this owner is taxed."""

    code = "no_billing_address"


class TotalMismatch(Refused):
    """The processor's invoice does not come to the charges and their tax; a person has to look."""

    code = "invoice_total_mismatch"


def record_change(invoice: Invoice, *, by: str, reason: str = "") -> None:
    """A row that says how an invoice stands now, and why."""
    InvoiceChange.objects.create(invoice=invoice, status=invoice.status, by=by, reason=reason[:200])


def prepare_invoice(*, statement: Statement) -> Invoice | None:
    """An invoice for a statement and what was carried into it; None where that is too little to be paid.

    Too little, or a credit, is carried on to the next statement.
    """
    open_ones = Statement.objects.select_for_update().filter(
        owner_ref=statement.owner_ref,
        currency=statement.currency,
        invoice=None,
        period__month__lte=statement.period_id,
    )
    due = Money.from_minor(sum(it.charges_minor for it in open_ones), statement.currency)
    if due.minor <= 0 or due < smallest_payment(statement.currency):
        return None
    invoice = Invoice.objects.create(
        owner_ref=statement.owner_ref, currency=statement.currency, net_minor=due.minor
    )
    open_ones.update(invoice=invoice)
    statement.invoice = invoice
    record_change(invoice, by="statements", reason=f"the charges of {statement.period_id}")
    return invoice


def issue_prepared() -> int:
    """Issue every invoice that is not at the processor yet; how many. What fails is tried again next time."""
    issued = 0
    for invoice_id in (
        Invoice.objects.filter(status=Status.PREPARED).order_by("pk").values_list("pk", flat=True)
    ):
        try:
            issue_invoice(invoice_id=invoice_id)
            issued += 1
        except StoreError as refused:
            logger.warning("invoice not issued", invoice=str(invoice_id), why=refused.code)
            if isinstance(refused, NoBillingAddress):
                _ask_for_address(invoice_id)
            Invoice.objects.filter(pk=invoice_id).update(
                last_error=f"{refused.code}: {refused.message}"[:2000]
            )
    return issued


def _ask_for_address(invoice_id: uuid.UUID) -> None:
    owner_ref = Invoice.objects.values_list("owner_ref", flat=True).get(pk=invoice_id)
    tell(
        key=f"billing_address:{invoice_id}",
        owner_ref=owner_ref,
        subject="We need an address for your invoice",
        text="Your statement is made, but there is no address to invoice. Enter it on your statements page.",
        path=merchant_page(owner_ref),
    )


def issue_invoice(*, invoice_id: uuid.UUID) -> Invoice:
    """Make the invoice at the processor, final and sent, and book its tax. Twice is once.

    Call it outside of a transaction. Raises NoBillingAddress, TotalMismatch, ProcessorUnavailable, ProcessorRefused.
    """
    invoice = Invoice.objects.get(pk=invoice_id)
    if invoice.status != Status.PREPARED:
        return invoice
    Invoice.objects.filter(pk=invoice_id).update(attempts=F("attempts") + 1)
    customer_id = _customer_of(invoice.owner_ref)
    reference = f"{REFERENCE}{invoice.pk}"
    known = invoicing.find_invoice(reference=reference, customer_id=customer_id) if invoice.attempts else None
    at_processor = known or invoicing.create_invoice(
        reference=reference,
        customer_id=customer_id,
        currency=invoice.currency,
        days_until_due=settings.INVOICE_DUE_DAYS,
        description=_description(invoice),
        taxed=settings.INVOICE_TAX,
    )
    if at_processor.status == "draft":
        _add_lines(invoice, at_processor.id, customer_id)
        _require_whole(invoice, invoicing.retrieve_invoice(invoice_id=at_processor.id))
        at_processor = invoicing.finalize_invoice(invoice_id=at_processor.id)
    _require_whole(invoice, at_processor)
    invoicing.send_invoice(invoice_id=at_processor.id)
    return _note_issued(invoice_id, at_processor)


def _require_whole(invoice: Invoice, at_processor: invoicing.ProcessorInvoice) -> None:
    """Neither more nor less than is on the books, with the tax on top of it."""
    due = Money.from_minor(invoice.net_minor, invoice.currency) + at_processor.tax
    if at_processor.total != due:
        raise TotalMismatch(
            f"{at_processor.id} comes to {at_processor.total}, not to {due}.",
            hint="Take what does not belong there off the draft at the processor.",
        )


def charge_lines(invoice: Invoice) -> list[StatementLine]:
    """The lines of an invoice: the charges of its statements that are not nothing in whole minor units."""
    return list(
        StatementLine.objects.filter(statement__invoice=invoice, charge=True)
        .exclude(amount_minor=0)
        .select_related("statement", "price_version")
        .order_by("statement__period_id", "number")
    )


def _customer_of(owner_ref: str) -> str:
    party = BillingParty.objects.filter(owner_ref=owner_ref).first()
    if party is None or not party.country:
        raise NoBillingAddress(
            "There is no address to invoice.", hint="The merchant enters it on its statements page."
        )
    if not party.processor_ref:
        party.processor_ref = customers.create_customer(reference=owner_ref)
        party.save(update_fields=["processor_ref"])
    customers.update_customer(
        customer_id=party.processor_ref,
        bill_to=customers.BillTo(
            name=party.name,
            email=party.email,
            country=party.country,
            state=party.state,
            postal_code=party.postal_code,
            city=party.city,
            line1=party.line1,
            tax_exempt=party.tax_exempt,
        ),
    )
    return party.processor_ref


def _description(invoice: Invoice) -> str:
    months = sorted(invoice.statements.values_list("period_id", flat=True))
    return f"Conversations, {', '.join(months)}"


def line_reference(line: StatementLine) -> str:
    """What a line is called at the processor."""
    return f"line:{line.pk}"


def _add_lines(invoice: Invoice, processor_ref: str, customer_id: str) -> None:
    there = invoicing.line_references(invoice_id=processor_ref)
    for line in charge_lines(invoice):
        reference = line_reference(line)
        if reference in there:
            continue
        invoicing.add_line(
            reference=reference,
            invoice_id=processor_ref,
            customer_id=customer_id,
            amount=Money.from_minor(line.amount_minor, invoice.currency),
            description=f"{line.statement.period_id}: {line.quantity} × {line.kind} {line.category}".strip(),
        )


@transaction.atomic
def _note_issued(invoice_id: uuid.UUID, at_processor: invoicing.ProcessorInvoice) -> Invoice:
    invoice = Invoice.objects.select_for_update().get(pk=invoice_id)
    if invoice.status != Status.PREPARED:
        return invoice
    invoice.status = Status.OPEN
    invoice.processor_ref, invoice.number = at_processor.id, at_processor.number
    invoice.url, invoice.pdf_url = at_processor.url, at_processor.pdf_url
    invoice.tax_minor = at_processor.tax.minor
    invoice.credit_used_minor = (at_processor.total - at_processor.due).minor
    invoice.issued_at, invoice.due_at, invoice.last_error = now(), at_processor.due_at, ""
    invoice.save()
    InvoiceTax.objects.bulk_create(
        InvoiceTax(
            invoice=invoice,
            amount_minor=part.amount.minor,
            taxable_minor=part.taxable.minor,
            reason=part.reason,
        )
        for part in at_processor.taxes
    )
    if at_processor.tax.micros:
        post(
            kind="invoice_tax",
            idempotency_key=f"invoice_tax:{invoice.pk}",
            occurred_at=invoice.issued_at,
            entries=[
                debit(merchant_receivable(invoice.owner_ref, invoice.currency), at_processor.tax.micros),
                credit(sales_tax(invoice.currency), at_processor.tax.micros),
            ],
            memo=invoice.number,
        )
    record_change(invoice, by="invoices", reason=f"issued as {invoice.number}")
    return invoice


def settle_invoice_event(*, event_id: int) -> None:
    """What an event about an invoice brings about, once: it was paid. Others are only noted."""
    row = WebhookEvent.objects.get(pk=event_id)
    paid, fee = None, None
    if row.handled_at is None and row.type == "invoice.paid":
        processor_ref = str(row.payload["data"]["object"]["id"])
        paid = invoicing.retrieve_invoice(invoice_id=processor_ref)
        fee = invoicing.fee_of_invoice(invoice_id=processor_ref)
    with webhooks.handle(event_id) as event:
        if event is not None and paid is not None and paid.status == "paid":
            settle_invoice(at_processor=paid, fee=fee)


@transaction.atomic
def settle_invoice(*, at_processor: invoicing.ProcessorInvoice, fee: tuple[str, Money] | None = None) -> None:
    """The money is there: book it and what the processor kept. Twice is once; others' invoices are left.

    An invoice that was written off can still be paid: then what the write-off took back is earned after all.
    """
    ours = find_invoice(at_processor)
    if ours is None:
        return
    _note_issued(ours.pk, at_processor)
    invoice = Invoice.objects.select_for_update().get(pk=ours.pk)
    # At the processor it stays paid when a bank takes the payment back; the dispute's own events say how it ends.
    if invoice.status == Status.PAID or invoice.dispute_ref:
        return
    undo_write_offs(invoice)
    at = at_processor.paid_at or now()
    if at_processor.paid.micros:
        post(
            kind="invoice_paid",
            idempotency_key=f"invoice_paid:{invoice.pk}",
            occurred_at=at,
            entries=[
                debit(processor_clearing(invoice.currency), at_processor.paid.micros),
                credit(merchant_receivable(invoice.owner_ref, invoice.currency), at_processor.paid.micros),
            ],
            memo=invoice.number,
        )
    if fee is not None and fee[1].micros:
        post_many([processor_fee_journal(payment_ref=fee[0], fee=fee[1], occurred_at=at)])
    invoice.status, invoice.paid_at, invoice.paid_minor = Status.PAID, at, at_processor.paid.minor
    invoice.save(update_fields=["status", "paid_at", "paid_minor", "written_off_minor"])
    record_change(invoice, by="processor", reason="paid")


def note_settled(invoice: Invoice, *, at: datetime, by: str, reason: str) -> None:
    """How an invoice stands that was owed again, after some of it was paid or credited: paid once nothing remains."""
    settled = invoice.remaining.minor <= 0
    invoice.status, invoice.paid_at = (Status.PAID, invoice.paid_at or at) if settled else (Status.OPEN, None)
    invoice.dispute_ref = "" if settled else invoice.dispute_ref
    invoice.save()
    record_change(invoice, by=by, reason=reason)


def find_invoice(at_processor: invoicing.ProcessorInvoice) -> Invoice | None:
    """Our invoice by the reference on the processor's; None for others' invoices."""
    invoice_id = id_in(at_processor.reference, REFERENCE)
    if invoice_id is None:
        return None
    ours = Invoice.objects.filter(pk=invoice_id).first()
    if ours is None:
        logger.error("an invoice that this store did not make was paid", invoice=at_processor.id)
    return ours


def overdue(invoice: Invoice, at: datetime | None = None) -> bool:
    """Whether it should have been paid by now."""
    return invoice.status == Status.OPEN and invoice.due_at is not None and invoice.due_at < (at or now())
