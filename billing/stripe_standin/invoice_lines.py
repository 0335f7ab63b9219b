"""Invoice items, and the lines that invoices show of them."""

from __future__ import annotations

from billing.stripe_standin import taxes
from billing.stripe_standin.store import Object
from billing.stripe_standin.wire import Answer, Call, invalid


def create(call: Call) -> Answer:
    """POST /v1/invoiceitems: always for an invoice that is still a draft."""
    customer = call.find("customer", call.require("customer"), "customer")
    invoice = call.find("invoice", call.require("invoice"), "invoice")
    if invoice["customer"] != customer["id"]:
        raise invalid(
            f"The invoice {invoice['id']} does not belong to customer {customer['id']}.", param="invoice"
        )
    if invoice["status"] != "draft":
        raise invalid(
            f"You can only add invoice items to draft invoices. Invoice {invoice['id']} is"
            f" {invoice['status']}.",
            code="invoice_not_editable",
            param="invoice",
        )
    currency = str(call.require("currency")).lower()
    if currency != invoice["currency"]:
        raise invalid("The currency of the invoice item must match the invoice's.", param="currency")
    amount = call.integer("amount", call.require("amount"))
    item: Object = {
        "id": call.store.new_id("ii"),
        "object": "invoiceitem",
        "amount": amount,
        "currency": currency,
        "customer": customer["id"],
        "date": call.now,
        "description": call.params.get("description"),
        "discountable": amount >= 0,
        "discounts": [],
        "invoice": invoice["id"],
        "livemode": False,
        "metadata": call.params.get("metadata") or {},
        "net_amount": amount,
        "parent": None,
        "period": {"start": call.now, "end": call.now},
        "pricing": {"price_details": None, "type": "price_details", "unit_amount_decimal": str(amount)},
        "proration": False,
        "quantity": 1,
        "quantity_decimal": "1",
        "tax_rates": [],
        "test_clock": None,
        "_line": call.store.new_id("il"),
        "_tax_behavior": taxes.behavior_of(call.params.get("tax_behavior"), currency),
    }
    call.store.put(item)
    call.emit("invoiceitem.created", item)
    return 200, item


def retrieve(call: Call) -> Answer:
    """GET /v1/invoiceitems/{id}"""
    return 200, call.find("invoiceitem", call.ids[0])


def lines_of(call: Call, invoice: Object) -> list[Object]:
    """The lines of an invoice, with their taxes where the invoice is taxed automatically."""
    customer = call.find("customer", invoice["customer"])
    return [_line(item, invoice, customer) for item in call.store.every("invoiceitem", invoice=invoice["id"])]


def _line(item: Object, invoice: Object, customer: Object) -> Object:
    taxed = invoice["automatic_tax"]["enabled"]
    return {
        "id": item["_line"],
        "object": "line_item",
        "amount": item["amount"],
        "currency": item["currency"],
        "description": item["description"],
        "discount_amounts": [],
        "discountable": item["discountable"],
        "discounts": [],
        "invoice": invoice["id"],
        "livemode": False,
        "metadata": item["metadata"],
        "parent": {
            "invoice_item_details": {
                "invoice_item": item["id"],
                "proration": False,
                "proration_details": None,
                "subscription": None,
            },
            "subscription_item_details": None,
            "type": "invoice_item_details",
        },
        "period": item["period"],
        "pretax_credit_amounts": [],
        "pricing": item["pricing"],
        "quantity": 1,
        "quantity_decimal": "1",
        "subscription": None,
        "subtotal": item["amount"],
        "taxes": [taxes.tax_on(item["amount"], customer, item["_tax_behavior"])] if taxed else [],
    }
