"""The journals of invoices that were given up: an invoice that was paid after all may be given up again."""

from __future__ import annotations

from billing.ledger import reverse
from billing.models import Invoice, Journal

KIND = "invoice_written_off"


def next_key(invoice: Invoice) -> str:
    """The idempotency key of its next write-off. Lock the invoice: two at once would find the same."""
    return _key(invoice, len(_journals_of(invoice)))


def undo_write_off(invoice: Invoice) -> None:
    """It was paid after all: what its newest write-off took back is earned, once."""
    reverse(journal=_journals_of(invoice)[-1], memo=invoice.number)


def _key(invoice: Invoice, before: int) -> str:
    return f"{KIND}:{invoice.pk}:{before + 1}" if before else f"{KIND}:{invoice.pk}"


def _journals_of(invoice: Invoice) -> list[Journal]:
    found: list[Journal] = []
    while (journal := Journal.objects.filter(idempotency_key=_key(invoice, len(found))).first()) is not None:
        found.append(journal)
    return found
