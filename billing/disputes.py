"""Charges that a merchant says are wrong, one by one, and what an operator decides."""

from __future__ import annotations

import uuid
from collections.abc import Collection

import structlog
from django.db import connection, transaction
from django.db.models import F, Sum

from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict, Invalid, StoreError
from agentstore.kit.money import Money
from billing.accounts import (
    developer_pending,
    merchant_receivable,
    platform_revenue,
    rounding,
    sales_tax,
)
from billing.history import record_changes
from billing.invoices import line_reference, note_settled
from billing.ledger import credit, debit, post
from billing.metering import void_ppcv
from billing.models import (
    ChargeDispute,
    CreditNote,
    Invoice,
    MerchantFunding,
    StatementLine,
    UsageEvent,
)
from billing.notices import tell
from billing.processor import crediting
from billing.statement_rules import INVOICE_OF_EVENT
from billing.statements import line_of

logger = structlog.get_logger(__name__)

Status = ChargeDispute.Status

_DISPUTED = f"""
SELECT i.id, u.currency, sum(u.amount_micros)::bigint FROM billing_chargedispute d
JOIN billing_usageevent u ON u.id = d.event_id JOIN billing_journal j ON j.id = u.journal_id {INVOICE_OF_EVENT}
WHERE d.status = 'open' AND u.funding <> 'prepaid' AND i.id IS NOT NULL
  AND (%(owners)s::text[] IS NULL OR d.owner_ref = ANY(%(owners)s)) GROUP BY 1, 2
"""  # noqa: S608 (only the constant above is put in)


class AlreadyDecided(Conflict):
    """The dispute is decided, or the charge is taken back already."""

    code = "already_decided"


class WrittenOff(Conflict):
    """The charge's invoice was written off: nothing of it is owed, and nothing was earned by it."""

    code = "invoice_written_off"


def is_disputable(event: UsageEvent) -> bool:
    """Whether a merchant can say that it is wrong: a fee for a conversation that was not taken back."""
    taken_back = (UsageEvent.Status.REJECTED, UsageEvent.Status.REVERSED)
    return event.kind == UsageEvent.Kind.PPCV and event.status not in taken_back


@transaction.atomic
def open_dispute(*, event_id: uuid.UUID, owner_ref: str, reason: str, by: str) -> ChargeDispute:
    """Say that a PPCv charge is wrong; once per charge. Its invoice is not reminded of meanwhile.

    Raises Invalid without a reason or for another kind of charge, AlreadyDecided for one that was taken back,
    UsageEvent.DoesNotExist for somebody else's.
    """
    event = UsageEvent.objects.select_for_update().get(pk=event_id, merchant_ref=owner_ref)
    if event.kind != UsageEvent.Kind.PPCV:
        raise Invalid("Agent tax is returned with a refund of the sale, not here.")
    if not reason.strip():
        raise Invalid("Say what is wrong with it.")
    found = ChargeDispute.objects.filter(event=event).first()
    if found is not None:
        return found
    if event.status in (UsageEvent.Status.REJECTED, UsageEvent.Status.REVERSED):
        raise AlreadyDecided("This charge was taken back already.")
    return ChargeDispute.objects.create(
        event=event, owner_ref=owner_ref, reason=reason.strip()[:2000], opened_by=by
    )


@transaction.atomic
def decide_dispute(*, dispute_id: uuid.UUID, uphold: bool, by: str, note: str) -> ChargeDispute:
    """Credit the charge or let it stand; tells the merchant why.

    Raises AlreadyDecided, Invalid without a note, WrittenOff for crediting what is not owed any more.
    Upheld before it was invoiced, the charge is reversed and shows on the next statement; afterwards a credit
    note takes it off the invoice.
    """
    if not note.strip():
        raise Invalid("Say why, for the merchant to read.")
    dispute = ChargeDispute.objects.select_for_update().get(pk=dispute_id)
    if dispute.status != Status.OPEN:
        raise AlreadyDecided(f"This dispute is {dispute.get_status_display().lower()}.")
    dispute.status = Status.UPHELD if uphold else Status.DECLINED
    dispute.decided_at, dispute.decided_by, dispute.note = now(), by, note.strip()[:2000]
    dispute.save()
    if uphold:
        _take_back(dispute, by)
    tell(
        key=f"dispute:{dispute.pk}",
        owner_ref=dispute.owner_ref,
        subject="Your disputed charge was credited" if uphold else "Your disputed charge stands",
        text=f"{Money(dispute.event.amount_micros, dispute.event.currency)} for the conversation"
        f" {dispute.event.conversation_ref}: {dispute.note}",
    )
    return dispute


def _take_back(dispute: ChargeDispute, by: str) -> None:
    event = (
        UsageEvent.objects.select_for_update(of=("self",), no_key=True)
        .select_related("journal")
        .get(pk=dispute.event_id)
    )
    if event.status in (UsageEvent.Status.REJECTED, UsageEvent.Status.REVERSED):
        return
    line = _invoiced_line(event)
    if line is None or line.statement.invoice is None:
        void_ppcv(event_id=event.pk, reason=f"disputed: {dispute.note}", by=by)
        return
    # One at a time: the notes of a line are rounded together, and a write-off takes what they left.
    invoice = Invoice.objects.select_for_update().get(pk=line.statement.invoice.pk)
    if invoice.status == Invoice.Status.UNCOLLECTIBLE:
        raise WrittenOff(
            f"{invoice} was written off, and this charge with it.", hint="Decline the dispute and say so."
        )
    _credit_invoiced(dispute, event, line, invoice)
    event.status = UsageEvent.Status.REVERSED
    event.save(update_fields=["status"])
    record_changes([event.pk], status=event.status, by=by, reason=f"disputed: {dispute.note}"[:200])


def _credit_invoiced(
    dispute: ChargeDispute, event: UsageEvent, line: StatementLine, invoice: Invoice
) -> None:
    """The charge off the books, in whole minor units: what its line's credits come to, less those before."""
    before = line.credit_notes.aggregate(minor=Sum("net_minor"))["minor"] or 0
    exact = (
        ChargeDispute.objects.filter(credit_note__line=line).aggregate(micros=Sum("event__amount_micros"))[
            "micros"
        ]
        or 0
    ) + event.amount_micros
    net = Money(exact, event.currency).minor - before
    note_id = dispute.pk
    if net > 0:
        CreditNote.objects.create(pk=note_id, invoice=invoice, line=line, dispute=dispute, net_minor=net)
    micros = Money.from_minor(max(0, net), event.currency).micros
    post(
        kind="credit_note",
        idempotency_key=f"credit_note:{note_id}",
        occurred_at=now(),
        price_version=event.price_version,
        reverses=event.journal,
        entries=[
            debit(platform_revenue(event.currency), event.platform_micros),
            debit(developer_pending(event.developer_ref, event.currency), event.developer_share_micros),
            credit(merchant_receivable(event.merchant_ref, event.currency), micros),
            credit(rounding(event.currency), event.amount_micros - micros),
        ],
        memo=f"dispute {dispute.pk}",
    )


def issue_credit_notes() -> int:
    """Issue at the processor what is on the books and not there yet; how many. Must own its transactions."""
    issued = 0
    waiting = CreditNote.objects.filter(
        issued_at=None, invoice__status__in=[Invoice.Status.OPEN, Invoice.Status.PAID]
    )
    for note_id in waiting.order_by("pk").values_list("pk", flat=True):
        try:
            issue_credit_note(note_id=note_id)
            issued += 1
        except StoreError as refused:
            logger.warning("credit note not issued", note=str(note_id), why=refused.code)
            CreditNote.objects.filter(pk=note_id).update(
                last_error=f"{refused.code}: {refused.message}"[:2000]
            )
    return issued


def issue_credit_note(*, note_id: uuid.UUID) -> CreditNote:
    """Take it off the invoice at the processor and book its tax. Twice is once; outside of a transaction.

    Raises ProcessorUnavailable, ProcessorRefused.
    """
    note = CreditNote.objects.select_related("invoice", "line", "dispute").get(pk=note_id)
    if note.issued_at is not None:
        return note
    CreditNote.objects.filter(pk=note_id).update(attempts=F("attempts") + 1)
    made = crediting.credit_lines(
        reference=f"credit_note:{note.pk}",
        invoice_id=note.invoice.processor_ref,
        amounts={line_reference(note.line): Money.from_minor(note.net_minor, note.invoice.currency)},
        memo=note.dispute.note,
        owed_here=_owed_again(note.invoice),
    )
    with transaction.atomic():
        invoice = Invoice.objects.select_for_update().get(pk=note.invoice_id)
        note = CreditNote.objects.select_for_update().get(pk=note_id)
        if note.issued_at is not None or invoice.status == Invoice.Status.UNCOLLECTIBLE:
            # A write-off took all of the tax; should the invoice be paid after it, the note is booked then.
            return note
        note.issued_at, note.number, note.processor_ref = now(), made.number, made.id
        note.pdf_url, note.tax_minor, note.last_error = made.pdf_url, made.tax.minor, ""
        note.save()
        invoice.credited_minor += (made.total - made.kept).minor
        if invoice.status == Invoice.Status.OPEN and invoice.dispute_ref and invoice.remaining.minor <= 0:
            note_settled(invoice, at=note.issued_at, by="credit notes", reason=f"credited ({note.number})")
        invoice.save(update_fields=["credited_minor"])
        if made.tax.micros:
            post(
                kind="credit_note_tax",
                idempotency_key=f"credit_note_tax:{note.pk}",
                occurred_at=note.issued_at,
                entries=[
                    debit(sales_tax(invoice.currency), made.tax.micros),
                    credit(merchant_receivable(invoice.owner_ref, invoice.currency), made.tax.micros),
                ],
                memo=note.number,
            )
    return note


def _owed_again(invoice: Invoice) -> Money:
    """What the books ask for, of an invoice that the processor calls paid: its dispute is not on its page."""
    owed = invoice.remaining.minor if invoice.status == Invoice.Status.OPEN and invoice.dispute_ref else 0
    return Money.from_minor(max(0, owed), invoice.currency)


def disputed_by_invoice(*, owner_refs: Collection[str] | None = None) -> dict[uuid.UUID, Money]:
    """Invoices with charges that wait for a decision, and what these come to before tax; of all owners, or of some."""
    owners = None if owner_refs is None else list(owner_refs)
    with connection.cursor() as cursor:
        cursor.execute(_DISPUTED, {"owners": owners})
        return {invoice_id: Money(micros, currency) for invoice_id, currency, micros in cursor.fetchall()}


def invoice_of(event: UsageEvent) -> uuid.UUID | None:
    """The invoice that a posted fee is on; None while there is none, and where it was paid in advance."""
    line = _invoiced_line(event)
    return None if line is None else line.statement.invoice_id


def _invoiced_line(event: UsageEvent) -> StatementLine | None:
    """The charge line that an event is on; None while its month is open, and where it was paid in advance."""
    if event.journal is None or event.funding == MerchantFunding.Mode.PREPAID:
        return None
    return line_of(
        event.journal, owner_ref=event.merchant_ref, currency=event.currency, category=event.category
    )
