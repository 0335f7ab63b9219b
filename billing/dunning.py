"""Overdue invoices: reminders in steps, fees stopped at the last, written off by an operator."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

from django.db import transaction

from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict
from agentstore.kit.money import Money
from billing.accounts import AccountKey, merchant_receivable
from billing.disputes import invoices_with_open_disputes
from billing.invoices import Status, record_change, sales_tax
from billing.ledger import Leg, credit, debit, post
from billing.models import Account, CreditNote, DunningStep, Entry, Invoice
from billing.models.ledger import PLATFORM
from billing.notices import tell
from billing.processor import invoicing
from billing.statement_rules import counterparts
from billing.write_offs import KIND, next_key

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


class PartlyPaid(Conflict):
    """A bank took only a part of the payment back: giving all of it up would take back what was earned by the rest."""

    code = "invoice_partly_paid"


def remind_overdue() -> int:
    """Take the steps that are due, each once, one an invoice; how many. A disputed charge makes its invoice wait."""
    taken = 0
    overdue = Invoice.objects.filter(status=Status.OPEN, due_at__lt=now()).order_by("pk")
    for invoice in overdue.exclude(pk__in=list(invoices_with_open_disputes())):
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
            text=f"Your invoice {locked.number} over {locked.total} {_WORDS[Step(step)]}",
        )
    return new


def write_off(*, invoice: Invoice, by: str, reason: str) -> Invoice:
    """Give an open invoice up: at the processor, then on the books, each once.

    What was earned by it was not: the store's part, the developers' shares and the tax go back. Call it outside
    of a transaction. One that may be given up again, when it was paid in between and a bank took that back, is
    booked again. Raises NotOpen, PartlyPaid, ProcessorUnavailable, ProcessorRefused (it was paid meanwhile).
    """
    if invoice.status != Status.UNCOLLECTIBLE:
        _refuse_unless_owed_whole(invoice)
    # Where a bank took its payment back, it stays paid at the processor, which knows of the dispute.
    if not invoice.dispute_ref:
        invoicing.give_up_invoice(invoice_id=invoice.processor_ref)
    with transaction.atomic():
        locked = Invoice.objects.select_for_update().get(pk=invoice.pk)
        if locked.status == Status.UNCOLLECTIBLE:
            return locked
        _refuse_unless_owed_whole(locked)
        post(
            kind=KIND,
            idempotency_key=next_key(locked),
            occurred_at=now(),
            entries=_written_off(locked),
            memo=reason[:200],
        )
        locked.status = Status.UNCOLLECTIBLE
        locked.save(update_fields=["status"])
        record_change(locked, by=by, reason=reason)
    return locked


def _refuse_unless_owed_whole(invoice: Invoice) -> None:
    if invoice.status != Status.OPEN:
        raise NotOpen(f"{invoice} is {invoice.get_status_display().lower()}.")
    if invoice.paid_minor:
        paid = Money.from_minor(invoice.paid_minor, invoice.currency)
        raise PartlyPaid(
            f"{paid} of {invoice} is paid: it can't be written off whole.",
            hint="Wait for the rest, or uphold disputes of the charges that it is for: they are credited.",
        )


def _written_off(invoice: Invoice) -> list[Leg]:
    """The opposite of all that the invoice's charges and its credit notes did, besides on the receivable."""
    left: dict[AccountKey, int] = defaultdict(int)
    for statement in invoice.statements.select_related("period"):
        for account, amount in counterparts(statement.period, invoice.owner_ref, invoice.currency):
            left[account] += amount
        left[AccountKey(PLATFORM, Account.Kind.ROUNDING.value, invoice.currency)] -= statement.rounding_micros
    notes = [str(pk) for pk in CreditNote.objects.filter(invoice=invoice).values_list("pk", flat=True)]
    keys = [f"{kind}:{pk}" for pk in notes for kind in ("credit_note", "credit_note_tax")]
    for entry in Entry.objects.filter(journal__idempotency_key__in=keys).select_related("account"):
        account = AccountKey(entry.account.owner_ref, entry.account.kind, entry.account.currency)
        if account.kind != Account.Kind.MERCHANT_RECEIVABLE:
            left[account] += entry.amount
    tax = sales_tax(invoice.currency)
    left[tax] -= invoice.total.micros - _net_micros(invoice)
    legs = [debit(account, -amount) for account, amount in sorted(left.items()) if amount]
    owed = sum(leg.amount for leg in legs)
    return [*legs, credit(merchant_receivable(invoice.owner_ref, invoice.currency), owed)]


def _net_micros(invoice: Invoice) -> int:
    return Money.from_minor(invoice.net_minor, invoice.currency).micros
