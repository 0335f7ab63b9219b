"""Invoices as pages show them: what is owed of each, what became of the rest, what can be done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agentstore.kit.money import Money
from billing.disputes import disputed_by_invoice
from billing.invoices import overdue
from billing.models import Invoice
from billing.write_offs import waiting_credits


@dataclass(frozen=True, slots=True)
class InvoiceRow:
    """An invoice of a page.

    `owed` can be paid or given up, None where nothing can; `disputed` are its charges that wait for an operator,
    before tax, None for none.
    """

    invoice: Invoice
    overdue: bool
    owed: Money | None
    disputed: Money | None

    @property
    def taken_back(self) -> bool:
        """Whether a bank took its payment back: the processor calls it paid, and has no page to pay it on."""
        return self.owed is not None and bool(self.invoice.dispute_ref)


def rows_of(invoices: Iterable[Invoice]) -> list[InvoiceRow]:
    """The same invoices with what a page says of them."""
    shown = list(invoices)
    disputed = disputed_by_invoice(owner_refs={it.owner_ref for it in shown})
    waiting = waiting_credits([it.pk for it in shown])
    rows = []
    for invoice in shown:
        owed = invoice.remaining - Money.from_minor(waiting.get(invoice.pk, 0), invoice.currency)
        open_ = invoice.status == Invoice.Status.OPEN and owed.minor > 0
        rows.append(InvoiceRow(invoice, overdue(invoice), owed if open_ else None, disputed.get(invoice.pk)))
    return rows
