"""Credit notes: less to pay on an open invoice, a credit on the customer's balance after it was paid."""

from __future__ import annotations

from typing import Any

from agentstore.kit.money import half_even
from billing.stripe_standin import taxes
from billing.stripe_standin.invoice_lines import lines_of
from billing.stripe_standin.invoices import settle
from billing.stripe_standin.store import Object
from billing.stripe_standin.wire import Answer, Call, inline_list, invalid, listing

KIND = "credit_note"
_REASONS = ("duplicate", "fraudulent", "order_change", "product_unsatisfactory")


def create(call: Call) -> Answer:
    """POST /v1/credit_notes, for lines of an invoice."""
    invoice = call.find("invoice", call.require("invoice"), "invoice")
    if invoice["status"] not in ("open", "paid", "uncollectible"):
        raise invalid(
            f"You can only create credit notes for open or paid invoices; this one is {invoice['status']}.",
            param="invoice",
        )
    reason = call.params.get("reason")
    if reason is not None and reason not in _REASONS:
        raise invalid("Invalid reason", param="reason")
    lines = _lines(call, invoice)
    all_taxes = [tax for line in lines for tax in line["taxes"]]
    subtotal = sum(line["amount"] for line in lines)
    total = subtotal + sum(tax["amount"] for tax in all_taxes)
    before, after, outside = _split(call, invoice, total)
    kept = after - outside
    number = len(call.store.every(KIND, invoice=invoice["id"])) + 1
    id_ = call.store.new_id("cn")
    note: Object = {
        "id": id_,
        "object": KIND,
        "amount": total,
        "amount_shipping": 0,
        "created": call.now,
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "customer_balance_transaction": call.store.new_id("cbtxn") if kept else None,
        "discount_amount": 0,
        "discount_amounts": [],
        "effective_at": call.now,
        "invoice": invoice["id"],
        "lines": inline_list(lines, f"/v1/credit_notes/{id_}/lines"),
        "livemode": False,
        "memo": call.params.get("memo"),
        "metadata": call.params.get("metadata") or {},
        "number": f"{invoice['number']}-CN-{number:02d}",
        "out_of_band_amount": outside or None,
        "pdf": f"{call.base}/_standin/credit_notes/{id_}/pdf",
        "post_payment_amount": after,
        "pre_payment_amount": before,
        "pretax_credit_amounts": [],
        "reason": reason,
        "refunds": [],
        "shipping_cost": None,
        "status": "issued",
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal,
        "total": total,
        "total_excluding_tax": subtotal,
        "total_taxes": taxes.totals(all_taxes),
        "type": "mixed" if before and after else "post_payment" if after else "pre_payment",
        "voided_at": None,
    }
    call.store.put(note)
    _apply(call, invoice, before, after, kept)
    call.emit("credit_note.created", note)
    return 200, note


def _lines(call: Call, invoice: Object) -> list[Object]:
    given = call.require("lines")
    if not isinstance(given, list):
        raise invalid("Invalid array", param="lines")
    by_id = {line["id"]: line for line in lines_of(call, invoice)}
    return [_line(call, item, by_id) for item in given]


def _line(call: Call, given: Any, by_id: dict[str, Object]) -> Object:
    if given.get("type") != "invoice_line_item":
        raise invalid("The stand-in credits lines of the invoice only.", param="lines[0][type]")
    of = by_id.get(str(given.get("invoice_line_item")))
    if of is None:
        raise invalid(
            f"No such line item: '{given.get('invoice_line_item')}'",
            code="resource_missing",
            param="lines[0][invoice_line_item]",
        )
    amount = call.integer("lines[0][amount]", given.get("amount", of["amount"]))
    if not 0 < amount <= of["amount"]:
        raise invalid(
            f"The amount of a credit note line ({amount}) must be positive and at most that of the invoice's"
            f" line ({of['amount']}).",
            param="lines[0][amount]",
        )
    parts = []
    for tax in of["taxes"]:
        part = dict(tax)
        left = tax["amount"] - _tax_credited(call, of)
        part["amount"] = min(left, half_even(tax["amount"] * amount, of["amount"]))
        part["taxable_amount"] = amount if tax["taxable_amount"] else 0
        parts.append(part)
    return {
        "id": call.store.new_id("cnli"),
        "object": "credit_note_line_item",
        "amount": amount,
        "description": of["description"],
        "discount_amount": 0,
        "discount_amounts": [],
        "invoice_line_item": of["id"],
        "livemode": False,
        "metadata": {},
        "pretax_credit_amounts": [],
        "quantity": None,
        "tax_rates": [],
        "taxes": parts,
        "type": "invoice_line_item",
        "unit_amount": None,
        "unit_amount_decimal": None,
    }


def _tax_credited(call: Call, line: Object) -> int:
    """The tax of an invoice's line that earlier credit notes gave back; never more than it was."""
    earlier = [note["lines"]["data"] for note in call.store.every(KIND, invoice=line["invoice"])]
    return sum(
        tax["amount"]
        for lines in earlier
        for it in lines
        if it["invoice_line_item"] == line["id"]
        for tax in it["taxes"]
    )


def _split(call: Call, invoice: Object, total: int) -> tuple[int, int, int]:
    """How much comes off what is to be paid, how much goes back of what was paid, and of that outside of Stripe."""
    credited = invoice["pre_payment_credit_notes_amount"] + invoice["post_payment_credit_notes_amount"]
    if credited + total > invoice["total"]:
        raise invalid(
            f"The sum of credit notes ({credited + total}) can't be more than the invoice's total"
            f" ({invoice['total']}).",
            param="amount",
        )
    before = min(total, invoice["amount_remaining"])
    after = total - before
    parts = ("credit_amount", "refund_amount", "out_of_band_amount")
    given = sum(call.integer(name, call.params[name]) for name in parts if name in call.params)
    if given != after:
        raise invalid(
            "The sum of credit amount, refund amount and out of band amount must equal the post payment credit"
            f" note amount ({after}).",
            param="credit_amount",
        )
    if "refund_amount" in call.params:
        raise invalid("The stand-in refunds no invoices.", param="refund_amount")
    return before, after, call.integer("out_of_band_amount", call.params.get("out_of_band_amount", 0))


def _apply(call: Call, invoice: Object, before: int, after: int, kept: int) -> None:
    invoice["pre_payment_credit_notes_amount"] += before
    invoice["post_payment_credit_notes_amount"] += after
    invoice["amount_due"] -= before
    invoice["amount_remaining"] -= before
    call.store.put(invoice)
    if kept:
        customer = call.find("customer", invoice["customer"])
        customer["balance"] -= kept
        call.store.put(customer)
    if before and invoice["amount_remaining"] == 0:
        settle(call, invoice)


def retrieve(call: Call) -> Answer:
    """GET /v1/credit_notes/{id}"""
    return 200, call.find(KIND, call.ids[0])


def list_credit_notes(call: Call) -> Answer:
    """GET /v1/credit_notes"""
    return listing(call, KIND, "/v1/credit_notes", "invoice", "customer")
