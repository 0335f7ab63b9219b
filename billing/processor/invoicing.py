"""Invoices at the processor. Never call these inside a database transaction: they wait for the network."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import stripe

from agentstore.kit.money import Money
from billing.processor.client import client, reference_of, typed_errors

_EDITABLE = "invoice_not_editable"


@dataclass(frozen=True, slots=True)
class TaxPart:
    """One tax on an invoice: how much, on how much, and why so (Stripe Tax's `taxability_reason`)."""

    amount: Money
    taxable: Money
    reason: str


@dataclass(frozen=True, slots=True)
class ProcessorInvoice:
    """An invoice as the processor has it. `status` is Stripe's: draft, open, paid, uncollectible, void.

    `total` includes `tax`; `due` is what is to be paid after the customer's credit, `remaining` what still is.
    """

    id: str
    status: str
    number: str
    total: Money
    tax: Money
    taxes: tuple[TaxPart, ...]
    due: Money
    paid: Money
    remaining: Money
    due_at: datetime | None
    paid_at: datetime | None
    url: str
    pdf_url: str
    reference: str


def create_invoice(
    *, reference: str, customer_id: str, currency: str, days_until_due: int, description: str, taxed: bool
) -> ProcessorInvoice:
    """A draft without lines, once per reference. `taxed`: by Stripe Tax, for which it needs an address.

    Raises ProcessorUnavailable, ProcessorRefused (no address to tax, other parameters under the reference).
    """
    with typed_errors():
        invoice = client().v1.invoices.create(
            {
                "customer": customer_id,
                "currency": currency.lower(),
                "collection_method": "send_invoice",
                "days_until_due": days_until_due,
                "auto_advance": False,
                "pending_invoice_items_behavior": "exclude",
                "automatic_tax": {"enabled": taxed},
                "description": description,
                "metadata": {"reference": reference},
            },
            {"idempotency_key": f"invoice:{reference}"},
        )
    return _invoice(invoice)


def find_invoice(*, reference: str, customer_id: str) -> ProcessorInvoice | None:
    """The customer's invoice under a reference, for when nobody knows whether it was made.

    The processor forgets idempotency keys after a day; this it does not forget. Raises ProcessorUnavailable.
    """
    with typed_errors():
        for invoice in client().v1.invoices.list({"customer": customer_id, "limit": 100}).auto_paging_iter():
            if reference_of(invoice) == reference:
                return _invoice(invoice)
    return None


def add_line(*, reference: str, invoice_id: str, customer_id: str, amount: Money, description: str) -> str:
    """A line on a draft, tax on top of it, once per reference; its item's id.

    Raises ProcessorUnavailable, ProcessorRefused.
    """
    with typed_errors():
        item = client().v1.invoice_items.create(
            {
                "customer": customer_id,
                "invoice": invoice_id,
                "amount": amount.minor,
                "currency": amount.currency.lower(),
                "description": description,
                # Unsaid, the account's default holds, and in most currencies that is a tax within the amount.
                "tax_behavior": "exclusive",
                "metadata": {"reference": reference},
            },
            {"idempotency_key": f"invoice_line:{reference}"},
        )
    return item.id


def line_references(*, invoice_id: str) -> dict[str, str]:
    """Our references of the lines on an invoice, and the processor's ids of the lines."""
    with typed_errors():
        lines = client().v1.invoices.line_items.list(invoice_id, {"limit": 100})
        return {reference_of(line): line.id for line in lines.auto_paging_iter() if reference_of(line)}


def finalize_invoice(*, invoice_id: str) -> ProcessorInvoice:
    """Make it an invoice that must be paid; one that is final already is returned as it stands.

    Raises ProcessorUnavailable, ProcessorRefused.
    """
    with typed_errors():
        try:
            return _invoice(client().v1.invoices.finalize_invoice(invoice_id, {"auto_advance": False}))
        except stripe.InvalidRequestError as refused:
            if refused.code != _EDITABLE:
                raise
            invoice = retrieve_invoice(invoice_id=invoice_id)
            if invoice.status == "draft":
                raise
            return invoice


def send_invoice(*, invoice_id: str) -> None:
    """Have the processor mail it. Raises ProcessorUnavailable, ProcessorRefused."""
    with typed_errors():
        client().v1.invoices.send_invoice(invoice_id, {}, {"idempotency_key": f"invoice_send:{invoice_id}"})


def retrieve_invoice(*, invoice_id: str) -> ProcessorInvoice:
    """The invoice as it is now. Raises ProcessorRefused when there is none, ProcessorUnavailable."""
    with typed_errors():
        return _invoice(client().v1.invoices.retrieve(invoice_id))


def give_up_invoice(*, invoice_id: str) -> ProcessorInvoice:
    """Mark an open invoice as uncollectible; one that is so already is returned.

    Raises ProcessorUnavailable, ProcessorRefused (it was paid).
    """
    with typed_errors():
        invoice = retrieve_invoice(invoice_id=invoice_id)
        if invoice.status == "uncollectible":
            return invoice
        return _invoice(client().v1.invoices.mark_uncollectible(invoice_id))


def find_invoice_paid_by(*, payment_id: str) -> ProcessorInvoice | None:
    """The invoice that a payment paid; the processor's own page made that payment, without a reference of ours.

    Raises ProcessorUnavailable, ProcessorRefused.
    """
    with typed_errors():
        payments = client().v1.invoice_payments.list(
            {"payment": {"type": "payment_intent", "payment_intent": payment_id}, "limit": 1}
        )
        for payment in payments.data:
            return _invoice(client().v1.invoices.retrieve(str(payment.invoice)))
    return None


def fee_of_invoice(*, invoice_id: str) -> tuple[str, Money] | None:
    """The charge that paid an invoice and what the processor kept of it; None when it was paid elsewhere."""
    with typed_errors():
        payments = client().v1.invoice_payments.list({"invoice": invoice_id, "status": "paid"}).data
        for payment in payments:
            if payment.payment.type != "payment_intent" or payment.payment.payment_intent is None:
                continue
            intent = client().v1.payment_intents.retrieve(
                str(payment.payment.payment_intent), {"expand": ["latest_charge.balance_transaction"]}
            )
            charge = intent.latest_charge
            if isinstance(charge, stripe.Charge) and isinstance(
                charge.balance_transaction, stripe.BalanceTransaction
            ):
                settled = charge.balance_transaction
                return charge.id, Money.from_minor(settled.fee, settled.currency.upper())
    return None


def _invoice(invoice: stripe.Invoice) -> ProcessorInvoice:
    currency = invoice.currency.upper()

    def money(minor: int | None) -> Money:
        return Money.from_minor(minor or 0, currency)

    taxes = tuple(
        TaxPart(money(tax.amount), money(tax.taxable_amount), tax.taxability_reason)
        for tax in invoice.total_taxes or []
    )
    return ProcessorInvoice(
        id=invoice.id,
        status=invoice.status or "draft",
        number=invoice.number or "",
        total=money(invoice.total),
        tax=money(sum(tax.amount.minor for tax in taxes)),
        taxes=taxes,
        due=money(invoice.amount_due),
        paid=money(invoice.amount_paid),
        remaining=money(invoice.amount_remaining),
        due_at=_instant(invoice.due_date),
        paid_at=_instant(invoice.status_transitions.paid_at),
        url=invoice.hosted_invoice_url or "",
        pdf_url=invoice.invoice_pdf or "",
        reference=reference_of(invoice),
    )


def _instant(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
