"""Credit notes at the processor, by line of an invoice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import stripe

from agentstore.kit.money import Money, half_even
from billing.processor.client import client, reference_of, typed_errors
from billing.processor.invoicing import line_references


@dataclass(frozen=True, slots=True)
class ProcessorCreditNote:
    """A credit note as the processor has it; `total` includes `tax`. `kept` of it is the customer's credit."""

    id: str
    number: str
    total: Money
    tax: Money
    kept: Money
    pdf_url: str


def credit_lines(
    *,
    reference: str,
    invoice_id: str,
    amounts: Mapping[str, Money],
    memo: str,
    owed_here: Money | None = None,
) -> ProcessorCreditNote:
    """Credit parts of an invoice's lines, named by our references, once per reference.

    Comes off what is still to be paid; what was paid already goes to the customer's credit and off the next
    invoice, but for what a bank took back of it: up to `owed_here` it comes off what is owed outside of the
    processor. Raises ProcessorUnavailable, ProcessorRefused (more than the line, or than is left of the invoice).
    """
    ids = line_references(invoice_id=invoice_id)
    with typed_errors():
        invoice = client().v1.invoices.retrieve(invoice_id)
        lines = {
            line.id: line
            for line in client().v1.invoices.line_items.list(invoice_id, {"limit": 100}).auto_paging_iter()
        }
        credited: dict[str, int] = {}
        earlier = client().v1.credit_notes.list({"invoice": invoice_id, "limit": 100})
        for note in earlier.auto_paging_iter():
            if reference_of(note) == reference:
                return _note(note)
            for credited_line in note.lines.data:
                of = str(credited_line.invoice_line_item)
                taxes = sum(tax.amount for tax in credited_line.taxes or [])
                credited[of] = credited.get(of, 0) + taxes
        wanted = {ids[line_ref]: amount.minor for line_ref, amount in amounts.items()}
        total = sum(
            minor + _tax_part(lines[id_], minor, credited.get(id_, 0)) for id_, minor in wanted.items()
        )
        after_payment = max(0, total - invoice.amount_remaining)
        parameters: stripe.params.CreditNoteCreateParams = {
            "invoice": invoice_id,
            "lines": [
                {"type": "invoice_line_item", "invoice_line_item": id_, "amount": minor}
                for id_, minor in wanted.items()
            ],
            "reason": "product_unsatisfactory",
            "memo": memo,
            "metadata": {"reference": reference},
        }
        outside = min(after_payment, owed_here.minor if owed_here else 0)
        if outside:
            parameters["out_of_band_amount"] = outside
        if after_payment - outside:
            parameters["credit_amount"] = after_payment - outside
        note = client().v1.credit_notes.create(parameters, {"idempotency_key": f"credit_note:{reference}"})
    return _note(note)


def _tax_part(line: stripe.InvoiceLineItem, minor: int, credited: int) -> int:
    """The tax on a part of a line, rounded once, and never more than is left of it."""
    if not line.amount:
        return 0
    tax = sum(tax.amount for tax in line.taxes or [])
    return min(tax - credited, half_even(tax * minor, line.amount))


def _note(note: stripe.CreditNote) -> ProcessorCreditNote:
    currency = note.currency.upper()
    return ProcessorCreditNote(
        id=note.id,
        number=note.number,
        total=Money.from_minor(note.total, currency),
        tax=Money.from_minor(sum(tax.amount for tax in note.total_taxes or []), currency),
        kept=Money.from_minor(note.post_payment_amount - (note.out_of_band_amount or 0), currency),
        pdf_url=note.pdf,
    )
