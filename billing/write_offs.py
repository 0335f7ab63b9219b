"""The journals of invoices that were given up, whole or what remained of them; undone when they are paid after all."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection

from django.db.models import Sum

from agentstore.kit.money import Money, half_even
from billing.accounts import AccountKey, merchant_receivable, rounding, sales_tax
from billing.chargebacks import dispute_loss
from billing.ledger import Leg, credit, debit, reverse
from billing.models import CreditNote, Entry, Invoice, Journal
from billing.statement_rules import counterparts

KIND = "invoice_written_off"


def next_key(invoice: Invoice) -> str:
    """The idempotency key of its next write-off. Lock the invoice: two at once would find the same."""
    return _key(invoice, len(_journals_of(invoice)))


def undo_write_offs(invoice: Invoice) -> None:
    """Money came after all: what its write-offs took back is earned. Each is undone once; the caller saves."""
    for journal in _journals_of(invoice):
        if not journal.reversals.exists():
            reverse(journal=journal, memo=invoice.number)
    invoice.written_off_minor = 0


def amount_to_give_up(invoice: Invoice) -> Money:
    """What remains of an invoice, less what is credited on the books and not at the processor yet."""
    waiting = waiting_credits([invoice.pk]).get(invoice.pk, 0)
    return invoice.remaining - Money.from_minor(waiting, invoice.currency)


def waiting_credits(invoice_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, int]:
    """What is credited on the books and not at the processor yet, by invoice, before tax; minor units."""
    waiting = CreditNote.objects.filter(invoice__in=invoice_ids, issued_at=None).order_by("invoice")
    return dict(waiting.values_list("invoice").annotate(Sum("net_minor")))


def legs_of(invoice: Invoice, amount: Money) -> list[Leg]:
    """What giving up an amount of an invoice books: the opposite of that part of what its charges did.

    Each account's part is rounded half-even, the residue is rounding's. What was credited to the merchant beyond what
    its charges still earned is the store's loss.
    """
    left = _not_taken_back(invoice)
    owed = -sum(left.values())
    part = max(0, min(amount.micros, owed))
    legs = (
        [debit(account, half_even(-micros * part, owed)) for account, micros in left.items()] if part else []
    )
    residue = part - sum(leg.amount for leg in legs)
    return [
        *(leg for leg in legs if leg.amount),
        debit(rounding(invoice.currency), residue),
        debit(dispute_loss(invoice.currency), amount.micros - part),
        credit(merchant_receivable(invoice.owner_ref, invoice.currency), amount.micros),
    ]


def _not_taken_back(invoice: Invoice) -> dict[AccountKey, int]:
    """By account, what its charges and its tax did, less its credit notes and what was given up; debit positive."""
    left: dict[AccountKey, int] = defaultdict(int)
    for statement in invoice.statements.select_related("period"):
        for account, amount in counterparts(statement.period, invoice.owner_ref, invoice.currency):
            left[account] += amount
        left[rounding(invoice.currency)] -= statement.rounding_micros
    left[sales_tax(invoice.currency)] -= (
        invoice.total - Money.from_minor(invoice.net_minor, invoice.currency)
    ).micros
    besides = (
        merchant_receivable(invoice.owner_ref, invoice.currency),
        dispute_loss(invoice.currency),
    )
    for entry in Entry.objects.filter(journal__in=_taking_back(invoice)).select_related("account"):
        account = AccountKey(entry.account.owner_ref, entry.account.kind, entry.account.currency)
        if account not in besides:
            left[account] += entry.amount
    return dict(sorted(left.items()))


def _taking_back(invoice: Invoice) -> list[Journal]:
    notes = [str(pk) for pk in CreditNote.objects.filter(invoice=invoice).values_list("pk", flat=True)]
    keys = [f"{kind}:{pk}" for pk in notes for kind in ("credit_note", "credit_note_tax")]
    given_up = _journals_of(invoice)
    return [
        *Journal.objects.filter(idempotency_key__in=keys),
        *given_up,
        *Journal.objects.filter(reverses__in=given_up),
    ]


def _key(invoice: Invoice, before: int) -> str:
    return f"{KIND}:{invoice.pk}:{before + 1}" if before else f"{KIND}:{invoice.pk}"


def _journals_of(invoice: Invoice) -> list[Journal]:
    found: list[Journal] = []
    while (journal := Journal.objects.filter(idempotency_key=_key(invoice, len(found))).first()) is not None:
        found.append(journal)
    return found
