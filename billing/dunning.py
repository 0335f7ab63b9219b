"""Overdue invoices: reminders in steps, fees stopped at the last, written off by an operator."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction

from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict
from agentstore.kit.money import Money
from billing.disputes import disputed_by_invoice
from billing.invoices import Status, record_change
from billing.ledger import post
from billing.models import DunningStep, Invoice
from billing.notices import tell
from billing.processor import invoicing
from billing.write_offs import KIND, amount_to_give_up, legs_of, next_key

Step = DunningStep.Step

# Days after the due date, and what happens then.
STEPS = {Step.REMINDER: 3, Step.SECOND: 10, Step.FINAL: 17, Step.SUSPENDED: 24}
_WORDS = {
    Step.REMINDER: "is due. If you have paid it already, this has crossed with your payment.",
    Step.SECOND: "is still open. Please pay it now.",
    Step.FINAL: "is still open. If it is not paid within a week, your offers go on unbilled and unlabelled only.",
    Step.SUSPENDED: "was not paid. Nothing is billed any more, and your offers carry no label, until it is.",
}


class NotOpen(Conflict):
    """The invoice is not open: it is being issued, paid, or written off."""

    code = "invoice_not_open"


class NothingOwed(Conflict):
    """Nothing remains to be paid of the invoice: it is about to be settled."""

    code = "invoice_nothing_owed"


def remind_overdue() -> int:
    """Take the steps that are due, each once, one an invoice; how many. A disputed charge makes its invoice wait."""
    taken = 0
    overdue = Invoice.objects.filter(status=Status.OPEN, due_at__lt=now()).order_by("pk")
    for invoice in overdue.exclude(pk__in=list(disputed_by_invoice())):
        step = _due_step(invoice)
        taken += step is not None and _take_step(invoice, step)
    return taken


def _due_step(invoice: Invoice) -> str | None:
    """The next step, once the days between it and the last one have passed since that was taken.

    Whatever delayed a reminder, each leaves the merchant its time to pay before the next.
    """
    taken = {it.step: it.at for it in invoice.dunning.all()}
    last, after = invoice.due_at, 0
    for step, days in STEPS.items():
        if step not in taken:
            return step if last is not None and last + timedelta(days=days - after) <= now() else None
        last, after = taken[step], days
    return None


@transaction.atomic
def _take_step(invoice: Invoice, step: str) -> bool:
    locked = Invoice.objects.select_for_update().get(pk=invoice.pk)
    if locked.status != Status.OPEN:
        return False
    _, new = DunningStep.objects.get_or_create(invoice=locked, step=step)
    if new:
        record_change(locked, by="dunning", reason=Step(step).label)
        tell(
            key=f"dunning:{locked.pk}:{step}",
            owner_ref=locked.owner_ref,
            subject=f"Invoice {locked.number}: {Step(step).label.lower()}",
            text=f"Your invoice {locked.number}, of which {locked.remaining} is owed, {_WORDS[Step(step)]}",
        )
    return new


def write_off(*, invoice: Invoice, by: str, reason: str) -> Invoice:
    """Give up what remains of an open invoice: at the processor, then on the books, each once.

    What was earned by that part was not: the store's part, the developers' shares and the tax go back. Call it
    outside of a transaction. One that may be given up again, when it was paid in between and a bank took that back,
    is booked again. Raises NotOpen, NothingOwed, ProcessorUnavailable, ProcessorRefused (it was paid meanwhile).
    """
    if invoice.status != Status.UNCOLLECTIBLE:
        _refuse_unless_owed(invoice)
    # Where a bank took its payment back, it stays paid at the processor, which knows of the dispute.
    if not invoice.dispute_ref:
        invoicing.give_up_invoice(invoice_id=invoice.processor_ref)
    with transaction.atomic():
        locked = Invoice.objects.select_for_update().get(pk=invoice.pk)
        if locked.status == Status.UNCOLLECTIBLE:
            return locked
        amount = _refuse_unless_owed(locked)
        post(
            kind=KIND,
            idempotency_key=next_key(locked),
            occurred_at=now(),
            entries=legs_of(locked, amount),
            memo=reason[:200],
        )
        locked.status = Status.UNCOLLECTIBLE
        locked.written_off_minor += amount.minor
        locked.save(update_fields=["status", "written_off_minor"])
        record_change(locked, by=by, reason=reason)
    return locked


def _refuse_unless_owed(invoice: Invoice) -> Money:
    """What there is to give up."""
    if invoice.status != Status.OPEN:
        raise NotOpen(f"{invoice} is {invoice.get_status_display().lower()}.")
    amount = amount_to_give_up(invoice)
    if amount.minor <= 0:
        raise NothingOwed(f"Nothing of {invoice} is owed any more.", hint="It is settled in a moment.")
    return amount
